"""What a batch of ClassifyParticles costs from the first particle to the last, in time, memory and files.

The same simulated particles come round again and again: what is asked is not how well they are sorted, see classes.py,
but whether the hundredth batch costs what the second did.

    python benchmarks/sorting.py --particles 50000 --batch 2000 --classes 50 --box 64
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from cryowidgets.cpu import set_threads
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols.classify_particles import ClassifyParticles
from cryowidgets.protocols.out import Out
from cryowidgets.sim import particles

PER = 200  # particles of a micrograph
DIFFERENT = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--particles", type=int, default=50000)
    parser.add_argument("--first", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--finest", type=float, default=12.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=101)
    given = parser.parse_args()
    set_threads(given.threads)
    protocol = ClassifyParticles(
        classes=given.classes, first=given.first, batch=given.batch, finest=given.finest, seed=given.seed
    )
    pixel_size = 5.0 * 64 / given.box
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = particles.simulate(DIFFERENT, box=given.box, pixel_size=pixel_size, seed=given.seed)
        files = particles.write(stack, folder, per=PER)
        diameter = stack.diameter
        del stack
        last: Classes | None = None
        done = 0
        print(" particles   CPU s  wall s  per 1,000   memory    state  history")
        while done * PER < given.particles:
            take = (given.first if last is None else given.batch) // PER
            items = [
                Particles(
                    path=str(files[n % len(files)][0]), metadata=str(files[n % len(files)][1]), count=PER,
                    box=given.box, pixel_size=pixel_size, diameter=diameter, exposure=n + 1, id=n + 1,
                )
                for n in range(done, done + take)
            ]  # fmt: skip
            done += take
            out = Out(folder, "steps/classes", f"classes_{done:06d}")
            cpu, wall = time.process_time(), time.perf_counter()
            result = protocol.process(items, last, out)
            out.commit()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            made = result.filed(folder).located(folder)
            assert isinstance(made, Classes)
            last = made
            memory = psutil.Process().memory_info().rss / 1e6
            state, history = (Path(path).stat().st_size / 1e6 for path in (last.state, last.history))
            each = cpu / (take * PER) * 1000
            print(
                f"{done * PER:10,d} {cpu:7.1f} {wall:7.1f} {each:8.2f} s {memory:5.0f} MB {state:5.2f} MB "
                f"{history:5.2f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
