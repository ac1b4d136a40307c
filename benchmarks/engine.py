"""What the engine costs when the work costs nothing: N items through three chained steps.

    python benchmarks/engine.py [--items 100 1000 10000 50000] [--dask]

Prints, for each N, CPU milliseconds per item and step, the time of a tick with nothing to do, and with Dask the time
from a movie's arrival to its first task running.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.engine.engine import Engine
from cryowidgets.model import Item, Movie, Optics, column
from cryowidgets.protocols.base import Protocol
from cryowidgets.store.admission import admit
from cryowidgets.store.store import Store

# Run as a script this is __main__; the protocols are found by the name of the file, and a kind is there but once.
sys.modules.setdefault(Path(__file__).stem, sys.modules[__name__])
OPTICS = Optics(pixel_size=1.0)


@dataclass(frozen=True, kw_only=True)
class Nothing(Item):
    value: float = column("nothing")


class First(Protocol):
    """Nothing of a movie."""

    takes = Movie
    gives = Nothing

    def process(self, movie, out):
        return Nothing(value=0.0)


class Next(Protocol):
    """Nothing of nothing."""

    takes = Nothing
    gives = Nothing

    def process(self, nothing, out):
        return Nothing(value=nothing.value + 1)


def project(folder: Path, items: int) -> None:
    """A project of three do-nothing steps with so many movies waiting."""
    store = Store.create(folder)
    here = Path(__file__).stem
    store.add_step("movies", "ImportMovies", Movie, {"pattern": str(folder / "none" / "*.mrc")}, {})
    store.add_step("first", f"{here}:First", Nothing, {}, {"movie": "movies"})
    store.add_step("second", f"{here}:Next", Nothing, {}, {"nothing": "first"})
    store.add_step("third", f"{here}:Next", Nothing, {}, {"nothing": "second"})
    admit(store, "movies", (movie(i) for i in range(items)))
    store.close()


def movie(i: int) -> tuple[str, float, Movie]:
    path = f"/data/m{i:06d}.mrc"
    return path, float(i), Movie(name=f"m{i:06d}", path=path, optics=OPTICS, found=1.0, closed=1.0)


def run(folder: Path, executor: str) -> tuple[float, float, float]:
    """CPU seconds, wall seconds, and median seconds of an idle tick."""
    engine = Engine(folder, executor, workers=2)
    cpu, wall = time.process_time(), time.perf_counter()
    engine.tick()
    while not (engine.desk.flying() == 0 and all(engine.desk.waiting(s) == 0 for s in ("first", "second", "third"))):
        engine.tick(0.1)
    engine.tick()
    first = time.process_time() - cpu, time.perf_counter() - wall
    idle = []
    for _ in range(200):
        start = time.perf_counter()
        engine.tick()
        idle.append(time.perf_counter() - start)
    engine.close()
    return *first, statistics.median(idle)


def reaction(folder: Path, executor: str, repeats: int = 20) -> float:
    """Median seconds from a movie in the ledger to its first task running, in an engine that has nothing else."""
    project(folder, 0)
    engine = Engine(folder, executor, workers=2)
    found = []
    try:
        for i in range(repeats):
            admit(engine.store, "movies", [movie(i)])
            arrived = time.time()
            while not engine.store.query("SELECT count(*) FROM task WHERE state = 'done'")[0][0] == 4 * (i + 1):
                engine.tick(0.1)
            sql = "SELECT t.started FROM task t JOIN step s ON s.id = t.step WHERE s.name = 'first' AND t.exposure = ?"
            found.append(engine.store.query(sql, (i + 1,))[0][0] - arrived)
    finally:
        engine.close()
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100, 1000, 10000, 50000])
    parser.add_argument("--dask", action="store_true", help="also with a Dask cluster of two workers")
    args = parser.parse_args()
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    print(f"{'executor':>9} {'items':>7} {'CPU ms per item and step':>25} {'wall s':>8} {'idle tick ms':>13}")
    for executor in ["inline", "dask"] if args.dask else ["inline"]:
        for n in args.items:
            with tempfile.TemporaryDirectory() as folder:
                project(Path(folder) / "p", n)
                cpu, wall, idle = run(Path(folder) / "p", executor)
            print(f"{executor:>9} {n:>7} {1e3 * cpu / n / 3:>25.3f} {wall:>8.1f} {1e3 * idle:>13.2f}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(f"{executor:>9}: input ready to task running {1e3 * reaction(Path(folder) / 'p', executor):.0f} ms")


if __name__ == "__main__":
    main()
