"""Picking: precision, recall and CPU time on simulated micrographs, and on real ones where they are.

    python benchmarks/picks.py [--picker blobs spheres templates texture] [--seeds 61:64] [--size 2048]
    python benchmarks/picks.py --thickness [--picker …] [--seeds 61:64]
    python benchmarks/picks.py --real FOLDER [--model MAP] [--picker …]

"blobs" and "texture" know a diameter; "spheres" and "templates" know the CTF as well, and templates are 16 projections
of the molecule at orientations of their own. "dirt" is film and dirt on uneven ice without particles. FOLDER has
``images/*.jpg`` and ``centres/*.csv`` of the same names, with x and y in px of the picture in the first two columns;
pictures of EMPIAR-10017 at 1.77 Å/px are meant, and MAP is then a map of their protein, of which templates are made.
Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from cryowidgets.kernels import blobs, templates, texture
from cryowidgets.kernels.peaks import Found
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.sim import molecule
from cryowidgets.sim.movie import Truth, simulate
from cryowidgets.sim.recipe import Recipe, empty, hard

PIXEL, PROJECTED = 1.2, 4.0
CASES = [
    ("plain", 500.0, 500.0),
    ("plain", 150.0, 500.0),
    ("plain", 500.0, 1500.0),
    ("plain", 500.0, 2500.0),
    ("plain", 150.0, 1500.0),
    ("plain", 150.0, 3000.0),
    ("hard", 500.0, 2500.0),
    ("hard", 150.0, 3000.0),
    ("dirt", 500.0, 0.0),
    ("ice", 500.0, 0.0),
    ("empty", 500.0, 0.0),
]
PICKERS = ("blobs", "spheres", "templates", "texture")
LOW = 3.0
SPARSE = 600.0
"""Molecules per µm² below which pictures are twice as wide, so that there are some hundred."""
NOISE = {"blobs": 2.5, "spheres": 2.5, "templates": 4.0, "texture": 2.5}
"""Thresholds above which noise makes enough places to be counted."""

Search = Callable[[float | None], Found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picker", nargs="*", choices=PICKERS, default=PICKERS)
    parser.add_argument("--seeds", default="61:64")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--thickness", action="store_true", help="false and missed particles in thin and thick ice")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    seeds = range(*map(int, options.seeds.split(":")))
    if options.real:
        real(options.real, options.model, options.picker)
    elif options.thickness:
        thickness(options.picker, seeds, options.size)
    else:
        simulated(options.picker, seeds, options.size)


def simulated(pickers: list[str], seeds: range, side: int) -> None:
    print(
        "picker     specimen  kDa  per µm²  seed  picks  precision  recall     F1  best F1  AUPRC  film, dirt  "
        "centring/Å  CPU s"
    )
    worst: dict[tuple[str, str], list[tuple[float, float, float, int, int]]] = {}
    for kind, mass, density in CASES:
        for seed in seeds:
            size = side * 2 if 0 < density < SPARSE else side
            recipe = made(kind, mass, density, seed, size)
            movie = simulate(recipe, seed)
            image, truth, diameter = movie.frames[0] * movie.gain, movie.truth, across(mass, seed)
            for picker in pickers:
                search = searched(picker, image, truth, recipe, seed, diameter)
                began = time.process_time()
                found = search(None)
                spent = time.process_time() - began
                result = judged(found, truth, diameter, size)
                best, area = best_of(search(LOW), truth, diameter, size)
                count = len(found.places)
                false = count - round(result[0] * count)
                row = (result[2], result[2] / max(best, 1e-9), result[0], false, count)
                worst.setdefault((picker, kind), []).append(row)
                junk = covered(found.places, truth, size).mean() if len(found.places) else 0.0
                print(
                    f"{picker:10s} {kind:8s} {mass:4.0f} {density:8.0f} {seed:5d} {len(found.places):6d} "
                    f"{result[0]:10.3f} {result[1]:7.3f} {result[2]:6.3f} {best:8.3f} {area:6.3f} {junk:11.3f} "
                    f"{result[3]:11.1f} {spent:6.2f}",
                    flush=True,
                )
    for (picker, kind), rows in worst.items():
        if kind in ("plain", "hard"):
            least, together = np.array(rows).min(axis=0), np.array(rows).sum(axis=0)
            print(
                f"{picker} {kind}, worst: F1 {least[0]:.3f}, {least[1]:.3f} of the best, precision {least[2]:.3f}; "
                f"{together[3]:.0f} false of {together[4]:.0f} picks"
            )


def thickness(pickers: list[str], seeds: range, size: int) -> None:
    """Ice of 200 to 1000 Å and more within a micrograph, its grain with it: what is picked in each third of it.

    Noise is counted above `NOISE` with all seeds, particles are picked with the first three.
    """
    print("picker     seed  false: thin  middle  thick   precision: thin  middle  thick   recall: thin  middle  thick")
    every = {picker: np.zeros(3, int) for picker in pickers}
    for seed in seeds:
        for picker in pickers:
            rows = []
            for density in (0.0, 1500.0)[: 2 if seed < seeds.start + 3 else 1]:
                recipe = dataclasses.replace(
                    made("plain", 500.0, density, seed, size), ice=600.0, ice_gradient=800.0, ice_grain=True
                )
                movie = simulate(recipe, seed)
                image, diameter = movie.frames[0] * movie.gain, across(500.0, seed)
                search = searched(picker, image, movie.truth, recipe, seed, diameter)
                third = thirds(image)
                found = search(None if density else NOISE[picker])
                at = third(found.places)
                if not density:
                    rows += list(np.bincount(at, minlength=3))
                    every[picker] += np.bincount(at, minlength=3)
                    continue
                near = 0.4 * diameter / PIXEL
                right = at[pairs(found.places, movie.truth.positions, near)[:, 0]]
                wanted = movie.truth.positions[whole(movie.truth.positions, 0.5 * diameter / PIXEL, size)]
                there = third(wanted)
                met = there[pairs(found.places, wanted, near)[:, 1]]
                rows += [np.sum(right == part) / max((at == part).sum(), 1) for part in range(3)]
                rows += [(met == part).sum() / max((there == part).sum(), 1) for part in range(3)]
            print(f"{picker:10s} {seed:4d} " + " ".join(f"{value:8.3f}" for value in rows), flush=True)
    for picker, counts in every.items():
        print(f"{picker}, all false: {counts[0]} thin, {counts[1]} middle, {counts[2]} thick")


def thirds(image: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Which third of the thickness a place is in, 0 to 2: by a plane through the brightness."""
    height, width = (n // 64 for n in image.shape)
    mean = image[: height * 64, : width * 64].reshape(height, 64, width, 64).mean(axis=(1, 3))
    y, x = (grid.ravel() * 64 + 32 for grid in np.mgrid[:height, :width])
    plane = np.linalg.lstsq(np.stack([np.ones(y.size), y, x], 1), mean.ravel(), rcond=None)[0]
    dark = np.quantile(-(plane[1] * y + plane[2] * x), [1 / 3, 2 / 3])
    return lambda at: np.searchsorted(dark, -(at @ plane[1:]))


def made(kind: str, mass: float, density: float, seed: int, size: int) -> Recipe:
    recipe = Recipe(
        shape=(size, size), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=PIXEL,
        mass=mass, density=density, defocus=(8000.0, 25000.0), molecule=seed, hot=0.0, dead=0.0,
    )  # fmt: skip
    if kind in ("hard", "dirt"):
        return dataclasses.replace(hard(recipe), local=0.0, ripples=0, jitter=0.0, coincidence=0.0, ice_grain=True)
    return empty(recipe) if kind == "empty" else recipe


def across(mass: float, seed: int) -> float:
    """Diameter of a ball as large as the molecule, Å."""
    return float(2 * np.sqrt(5 / 3 * np.square(molecule.build(mass, seed)).sum(axis=1).mean()))


def searched(picker: str, image: np.ndarray, truth: Truth, recipe: Recipe, seed: int, diameter: float) -> Search:
    optics = recipe.optics
    lens = templates.Lens(
        truth.defocus_u, truth.defocus_v, truth.angle, optics.voltage, optics.cs, optics.amplitude_contrast
    )
    views = projections(recipe.mass, seed)
    if picker == "blobs":
        return lambda t: blobs.find(image, PIXEL, 0.8 * diameter, 1.2 * diameter, threshold=t)
    if picker == "texture":
        return lambda t: texture.find(image, PIXEL, diameter, threshold=t)
    if picker == "spheres":
        return lambda t: templates.find(image, PIXEL, diameter, lens=lens, threshold=t)
    return lambda t: templates.find(image, PIXEL, diameter, views, PROJECTED, lens, threshold=t)


@lru_cache(maxsize=8)
def projections(mass: float, seed: int, count: int = 16) -> np.ndarray:
    atoms = molecule.build(mass, seed)
    side = 2 * int(np.abs(atoms).max() / PROJECTED) + 9
    edges = np.arange(side + 1) - 0.5 - side // 2
    turns = molecule.rotations(count, np.random.default_rng([seed, 7]))
    return np.array(
        [np.histogram2d(*(turn[[1, 0]] @ atoms.T / PROJECTED), bins=(edges, edges))[0] for turn in turns], np.float32
    )


def judged(found: Found, truth: Truth, diameter: float, size: int) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and the root of the mean square distance in Å of what is right."""
    at, near = truth.positions, 0.4 * diameter / PIXEL
    paired = pairs(found.places, at, near)
    wanted = at[~covered(at, truth, size) & whole(at, 0.5 * diameter / PIXEL, size)]
    precision = len(paired) / max(len(found.places), 1)
    recall = len(pairs(found.places, wanted, near)) / max(len(wanted), 1)
    off = found.places[paired[:, 0]] - at[paired[:, 1]]
    centring = PIXEL * np.sqrt(np.mean(np.sum(off**2, axis=1))) if len(off) else 0.0
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9), float(centring)


def best_of(found: Found, truth: Truth, diameter: float, size: int) -> tuple[float, float]:
    """F1 at the best threshold, and the area under precision over recall."""
    at, near = truth.positions, 0.4 * diameter / PIXEL
    wanted = at[~covered(at, truth, size) & whole(at, 0.5 * diameter / PIXEL, size)]
    return curve(found, at, wanted, near)


def curve(found: Found, at: np.ndarray, wanted: np.ndarray, near: float) -> tuple[float, float]:
    if not len(found.places) or not len(wanted):
        return 0.0, 0.0
    right, met = np.zeros(len(found.places)), np.zeros(len(found.places))
    right[pairs(found.places, at, near)[:, 0]] = 1
    met[pairs(found.places, wanted, near)[:, 0]] = 1
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    recall = np.cumsum(met) / len(wanted)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(f1.max()), float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def covered(at: np.ndarray, truth: Truth, size: int) -> np.ndarray:
    """Places on film or dirt."""
    found = np.zeros(len(at), bool)
    if truth.carbon is not None and len(at):
        y, x = np.clip(np.rint(at).astype(int), 0, size - 1).T
        found |= truth.carbon[y, x] > 0.5
    for y, x, radius in truth.blobs:
        found |= np.hypot(at[:, 0] - y, at[:, 1] - x) <= radius
    return found


def whole(at: np.ndarray, reach: float, size: int) -> np.ndarray:
    return ((at > reach) & (at < size - reach)).all(axis=1)


def real(folder: Path, model: Path | None, pickers: list[str], pixel: float = 1.77, near: float = 54.0) -> None:
    print("picker     micrograph                     people  picks  precision  recall     F1  best F1  AUPRC  CPU s")
    views = of_map(model) if model else None
    for picker in pickers:
        if picker == "templates" and views is None:
            continue
        total = np.zeros(3)
        for name, image, centres in pictures(folder):
            search = {
                "blobs": lambda t, image=image: blobs.find(image, pixel, 120.0, 190.0, threshold=t),
                "spheres": lambda t, image=image: templates.find(image, pixel, 155.0, threshold=t),
                "texture": lambda t, image=image: texture.find(image, pixel, 155.0, threshold=t),
                "templates": lambda t, image=image: templates.find(
                    image, pixel, 190.0, *(views or ()), threshold=t, apart=100.0
                ),
            }[picker]
            began = time.process_time()
            found = search(None)
            spent = time.process_time() - began
            right = len(pairs(found.places, centres, near))
            precision, recall = right / max(len(found.places), 1), right / len(centres)
            best, area = curve(search(0.5), centres, centres, near)
            total += right, len(found.places), len(centres)
            print(
                f"{picker:10s} {name:30s} {len(centres):6d} {len(found.places):6d} {precision:10.3f} {recall:7.3f} "
                f"{2 * precision * recall / max(precision + recall, 1e-9):6.3f} {best:8.3f} {area:6.3f} {spent:6.2f}",
                flush=True,
            )
        precision, recall = total[0] / max(total[1], 1), total[0] / total[2]
        both = 2 * precision * recall / max(precision + recall, 1e-9)
        print(f"{picker}, all: precision {precision:.3f}, recall {recall:.3f}, F1 {both:.3f}")


def pictures(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    from PIL import Image

    for path in sorted((folder / "images").glob("*.jpg")):
        rows = list(csv.reader((folder / "centres" / f"{path.stem}.csv").read_text().splitlines()))[1:]
        with Image.open(path) as opened:
            image = np.asarray(opened.convert("L")).astype(np.float32) + 100
        yield path.stem, image, np.array([[float(row[1]), float(row[0])] for row in rows])


def of_map(path: Path, count: int = 16) -> tuple[np.ndarray, float]:
    """Projections of a map at random orientations, and their pixel size in Å."""
    import mrcfile

    with mrcfile.open(path, permissive=True) as opened:
        volume, size = np.array(opened.data, np.float32), float(opened.voxel_size.x)
    volume = np.maximum(volume - np.percentile(volume, 80), 0)
    middle = (np.array(volume.shape) - 1) / 2
    turns = molecule.rotations(count, np.random.default_rng(3))
    projected = [ndimage.affine_transform(volume, turn, middle - turn @ middle, order=1).sum(axis=0) for turn in turns]
    return np.array(projected), size


if __name__ == "__main__":
    main()
