"""How well and how fast whole-frame motion is measured, on simulated movies with known answers.

    python benchmarks/motion.py --sizes 1024 2048 --seeds 100:110

Each movie has its own drift (2 to 15 px in all), dose (1.25 to 2 e/Å² a frame) and defocus (0.7 to 3 µm). The error is
the 2-D root mean square over the frames, time mean removed, in px; "told" is what the error bars say it is, and "slope"
the measured drift over the true one. Times are those of AlignMovie from the movie's file to its results.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from cryowidgets.io import mrc
from cryowidgets.model import Movie
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.out import Out
from cryowidgets.sim.movie import Recipe, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["1024"], help="side in px, or HEIGHTxWIDTH (default 1024)")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--seeds", default="100:110", help="first:last, the last not included (default 100:110)")
    parser.add_argument("--resolution", type=float, default=5.0, help="Å (default 5)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the simulation, e.g. ice=600")
    parser.add_argument("--verbose", action="store_true", help="a line for each movie")
    args = parser.parse_args()

    first, last = map(int, args.seeds.split(":"))
    changes = {name: float(value) for name, value in (pair.split("=") for pair in args.set)}
    print(_row("size", "movies", "median", "p95", "worst", "told", "slope", "CPU s", "wall s"))
    for size in args.sizes:
        height, _, width = size.partition("x")
        shape = (int(height), int(width or height))
        rows = []
        for seed in range(first, last):
            dose = float(np.random.default_rng(seed).uniform(1.25, 2.0))
            recipe = dataclasses.replace(Recipe(shape=shape, frames=args.frames, dose_per_frame=dose), **changes)
            rows.append(measure(recipe, seed, args.resolution))
            if args.verbose:
                print(f"    seed {seed}: " + " ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()))
        column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        error = column["error"]
        errors = [f"{e:.3f}" for e in (np.median(error), np.quantile(error, 0.95), error.max())]
        others = [f"{np.median(column[name]):.3f}" for name in ("told", "slope", "cpu", "wall")]
        print(_row(size, str(len(rows)), *errors, *others), flush=True)


def measure(recipe: Recipe, seed: int, resolution: float) -> dict[str, float]:
    """Error, as found and as told by its error bar, slope and times of one movie."""
    movie = simulate(recipe, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "align").mkdir()
        mrc.write(folder / "movie.mrc", movie.frames, recipe.pixel_size)
        mrc.write(folder / "gain.mrc", movie.gain, recipe.pixel_size)
        item = Movie(path=str(folder / "movie.mrc"), gain=str(folder / "gain.mrc"), name="movie", optics=recipe.optics)
        began = time.process_time(), time.perf_counter()
        result = AlignMovie(resolution=resolution).process(item, Out(folder, "align", "movie"))
        cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
    truth = movie.truth.shifts - movie.truth.shifts.mean(axis=0)
    found = np.zeros_like(truth) if result.shifts is None else result.shifts - result.shifts.mean(axis=0)
    return {
        "error": float(np.sqrt(np.square(found - truth).sum(axis=1).mean())),
        "told": result.shift_error * 2**0.5,
        "slope": float((found * truth).sum() / np.square(truth).sum()),
        "drift": float(np.linalg.norm(truth[-1] - truth[0])),
        "cpu": cpu,
        "wall": wall,
    }


def _row(*cells: str) -> str:
    return f"{cells[0]:>11}" + "".join(f"{cell:>8}" for cell in cells[1:])


if __name__ == "__main__":
    main()
