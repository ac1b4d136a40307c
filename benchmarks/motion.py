"""How well motion is measured and undone, on simulated movies with known answers.

    python benchmarks/motion.py --sizes 1024 2048 --seeds 100:110
    python benchmarks/motion.py --sizes 2048 --seeds 100:106 --set local=2 --hard
    python benchmarks/motion.py --sizes 1024 --seeds 100:106 --set local=1 --with local=flow
    python benchmarks/motion.py --sizes 4092x5760 --frames 40 --seeds 100:102 --set local=1.5 pixel_size=0.85 --quick
    python benchmarks/motion.py --sizes 1024 --seeds 100:106 --hot 1e-4

Each movie has its own drift (2 to 15 px in all), dose (1.25 to 2 e/Å² a frame) and defocus (0.7 to 3 µm). "whole" is
the error of the whole frame's shifts and "told" what the error bars say it is; "field" that of the displacement over
the field, "alone" what it is by the shifts of the whole frame before parts were looked at, and "only" what it would be
by a perfect knowledge of the whole frame alone: root mean square over frames and along an axis, time mean removed, px.
"true" is the Fourier ring correlation of a weighted sum by the true displacements with the noise-free image around 4
and 3 Å, "found" that by the displacements which AlignMovie found, less their errors' mean over time, since those move
a place and blur nothing. Times are those of AlignMovie, from the file to its results. `--quick` leaves the
correlations out. `--hot` instead aligns each movie with and without hot and dead pixels and columns, and prints by how
much they shorten the motion (mean, px), by how much they change shifts (median), and both errors.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from cryowidgets.io import mrc
from cryowidgets.kernels import flow, fourier, gain, localmotion, warp
from cryowidgets.kernels.sums import add_up
from cryowidgets.model import Movie
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.out import Out
from cryowidgets.sim.movie import Simulated, simulate, still
from cryowidgets.sim.recipe import Recipe, hard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["1024"], help="side in px, or HEIGHTxWIDTH (default 1024)")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--seeds", default="100:110", help="first:last, the last not included (default 100:110)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the simulation, e.g. ice=600")
    parser.add_argument("--with", nargs="*", default=[], dest="params", metavar="NAME=VALUE", help="of AlignMovie")
    parser.add_argument("--hard", action="store_true", help="carbon, dirt, uneven ice, rippling motion")
    parser.add_argument("--quick", action="store_true", help="leave out what is kept of the signal")
    parser.add_argument("--hot", type=float, metavar="PART", help="what this part of hot pixels does to shifts")
    parser.add_argument("--verbose", action="store_true", help="a line for each movie")
    args = parser.parse_args()

    first, last = map(int, args.seeds.split(":"))
    changes = {name: float(value) for name, value in (pair.split("=") for pair in args.set)}
    params = dict(pair.split("=") for pair in args.params)
    if args.hot is not None:
        return pulls(args, changes, params)
    signal = [] if args.quick else ["true4", "found4", "true3", "found3"]
    names = "" if args.quick else "true-4Å found true-3Å found "
    print(_row(*f"size movies whole p95 told field p95 alone only {names}CPU-s wall-s".split()))
    for size in args.sizes:
        height, _, width = size.partition("x")
        shape = (int(height), int(width or height))
        rows = []
        for seed in range(first, last):
            dose = float(np.random.default_rng(seed).uniform(1.25, 2.0))
            recipe = dataclasses.replace(Recipe(shape=shape, frames=args.frames, dose_per_frame=dose), **changes)
            rows.append(measure(hard(recipe) if args.hard else recipe, seed, params, not args.quick))
            if args.verbose:
                print(f"    seed {seed}: " + " ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()))
        column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        cells = [np.median(column["whole"]), np.quantile(column["whole"], 0.95), np.median(column["told"])]
        cells += [np.median(column["field"]), np.quantile(column["field"], 0.95)]
        cells += [np.median(column[name]) for name in ("alone", "only", *signal, "cpu", "wall")]
        print(_row(size, str(len(rows)), *(f"{cell:.3f}" for cell in cells)), flush=True)
        worse = (column["field"] > column["alone"] * 1.01).sum()
        by = (column["field"] - column["alone"]).max()
        print(f"    worse than by the whole frame alone: {worse} of {len(rows)}, by {by:.3f} px at most", flush=True)
        if signal:
            lost = [column[f"true{r}"] - column[f"found{r}"] for r in (4, 3)]
            parts = [(1 - column[f"found{r}"] / column[f"true{r}"]) * 100 for r in (4, 3)]
            most = ", ".join(f"{of.max():.3f} ({np.median(part):.0f} %)" for of, part in zip(lost, parts, strict=True))
            print(f"    most lost at 4 and 3 Å (median in %): {most}", flush=True)


def pulls(args: argparse.Namespace, changes: dict[str, float], params: dict[str, str]) -> None:
    """What hot and dead pixels, replaced as they are, do to the shifts of the whole frame."""
    print(_row("size", "movies", "pull", "change", "error", "without"))
    first, last = map(int, args.seeds.split(":"))
    for size in args.sizes:
        height, _, width = size.partition("x")
        pull, changed, errors = [], [], []
        for seed in range(first, last):
            recipe = Recipe(shape=(int(height), int(width or height)), frames=args.frames)
            recipe = dataclasses.replace(recipe, **changes)
            recipe = hard(recipe) if args.hard else recipe
            clean = simulate(dataclasses.replace(recipe, hot=0.0, dead=0.0), seed)
            truth = clean.truth.shifts - clean.truth.shifts.mean(axis=0)
            camera = dataclasses.replace(recipe, hot=args.hot, dead=args.hot).detector
            raw, hot = clean.frames.copy(), camera.glow > 0
            glow = np.random.default_rng(seed).poisson(camera.glow[hot], (len(raw), hot.sum()))
            raw[:, hot] = np.minimum(raw[:, hot] + glow, 255)  # the same electrons otherwise
            raw[:, camera.sensitivity == 0] = 0
            found = []
            for movie in (Simulated(raw, camera.gain, clean.truth), clean):
                with tempfile.TemporaryDirectory() as name:
                    shifts = _align(movie, recipe, params, Path(name))[0].shifts
                found.append(np.zeros_like(truth) if shifts is None else shifts - shifts.mean(axis=0))
            away = found[0] - found[1]
            # part of the motion that is lost, as px of the motion's own root mean square
            pull.append(-np.vdot(away, truth) / np.linalg.norm(truth) / np.sqrt(truth.size))
            changed.append(np.sqrt(np.square(away).mean()))
            errors.append([_error(f, truth) for f in found])
        cells = [np.mean(pull), np.median(changed), *np.median(errors, axis=0)]
        print(_row(size, str(len(pull)), *(f"{cell:.4f}" for cell in cells)), flush=True)


def measure(recipe: Recipe, seed: int, params: dict[str, str], signal: bool = True) -> dict[str, float]:
    """Errors, what is kept of the signal, and times of one movie."""
    movie = simulate(recipe, seed)
    with tempfile.TemporaryDirectory() as name:
        result, found, cpu, wall = _align(movie, recipe, params, Path(name))
    shifts = np.zeros_like(movie.truth.shifts) if result.shifts is None else result.shifts
    y, x = (np.linspace(0, n - 1, 9) for n in recipe.shape)
    truth = _displacement(movie, y, x)
    only = np.broadcast_to(movie.truth.shifts[:, None, None], truth.shape)
    field = _found(found, shifts, y, x)
    kept = _kept(movie, recipe, seed, _found(found, shifts, *warp.tiles(recipe.shape))) if signal else {}
    return {
        "whole": _error(shifts, movie.truth.shifts),
        "told": result.shift_error,
        "field": _error(field, truth),
        "only": _error(only, truth),
        "alone": _error(np.broadcast_to(found.get("alone", shifts)[:, None, None], truth.shape), truth),
        **kept,
        "cpu": cpu,
        "wall": wall,
    }


def _align(movie, recipe: Recipe, params: dict[str, str], folder: Path):
    """The micrograph; what is known of local motion; CPU and wall time."""
    found = {}
    (folder / "align").mkdir()
    mrc.write(folder / "movie.mrc", movie.frames, recipe.pixel_size)
    mrc.write(folder / "gain.mrc", movie.gain, recipe.pixel_size)
    item = Movie(path=str(folder / "movie.mrc"), gain=str(folder / "gain.mrc"), name="movie", optics=recipe.optics)

    def watched(original):
        def measure(blocks, reference, shape, shifts, *args, **kwargs):
            found["alone"] = shifts
            found["local"] = original(blocks, reference, shape, shifts, *args, **kwargs)
            return found["local"]

        return measure

    field, other = (mock.patch.object(of, "measure", watched(of.measure)) for of in (localmotion, flow))
    with field, other:
        began = time.process_time(), time.perf_counter()
        result = AlignMovie(**params).process(item, out := Out(folder, "align", "movie"))
        cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
    out.commit()
    return result, found, cpu, wall


def _found(found: dict, shifts: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Measured displacement on a grid: (frames, rows, columns, 2)."""
    local = found.get("local")
    whole = np.broadcast_to(shifts[:, None, None], (len(shifts), len(y), len(x), 2))
    return whole if local is None or local.field is None else whole + local.field.grid(y, x)


def _displacement(movie, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """True displacement on a grid: (frames, rows, columns, 2)."""
    yy, xx = np.meshgrid(y, x, indexing="ij")
    frames = range(len(movie.frames))
    return np.stack([np.moveaxis(movie.truth.displacement(j, yy, xx), 0, -1) for j in frames])


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    wrong = found - truth
    return float(np.sqrt(np.square(wrong - wrong.mean(axis=0)).mean()))


def _kept(movie, recipe: Recipe, seed: int, found: np.ndarray) -> dict[str, float]:
    """Correlation of a sum, and of that by the true displacements, with the noise-free image at 4 and 3 Å.

    An error that is the same in all frames moves a place of the sum, which blurs nothing: it is taken out.
    """
    raw = movie.frames.copy()
    total = raw.sum(axis=0, dtype=np.uint32)
    repair = gain.Repair(gain.find_defects(total, movie.gain), total)
    for j, frame in enumerate(raw):
        repair(frame, np.random.default_rng([0, j]))
    ends = recipe.dose_per_frame * np.arange(1, recipe.frames + 1)
    true = _displacement(movie, *warp.tiles(recipe.shape))
    found = found - (found - true).mean(axis=0)
    by_truth, by_found = (
        add_up([(0, raw)], repair.repaired(movie.gain), by, recipe.shape, recipe.pixel_size, ends).weighted
        for by in (true, found)
    )
    image = fourier.rfft2(still(recipe, seed))
    ky, kx = fourier.frequencies(recipe.shape, recipe.pixel_size)
    k = np.hypot(ky, kx)
    kept = {}
    for resolution in (4, 3):
        band = (k > 0.9 / resolution) & (k < 1.1 / resolution)
        kept[f"true{resolution}"] = _correlation(by_truth, image, band)
        kept[f"found{resolution}"] = _correlation(by_found, image, band)
    return kept


def _correlation(found: np.ndarray, image: np.ndarray, band: np.ndarray) -> float:
    a, b = fourier.rfft2(found)[band], image[band]
    return float((a * b.conj()).real.sum() / np.sqrt((np.abs(a) ** 2).sum() * (np.abs(b) ** 2).sum()))


def _row(*cells: str) -> str:
    return f"{cells[0]:>11}" + "".join(f"{cell:>8}" for cell in cells[1:])


if __name__ == "__main__":
    main()
