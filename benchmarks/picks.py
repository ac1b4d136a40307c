"""Picking by size: precision, recall and CPU time on simulated micrographs, and on real ones where they are.

    python benchmarks/picks.py [--seeds 31:34] [--size 2048] [--real FOLDER]

FOLDER has ``images/*.jpg`` and ``centres/*.csv`` of the same names, with x and y in px of the picture in the first two
columns; pictures of EMPIAR-10017 at 1.77 Å/px are meant. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import time
from pathlib import Path

import numpy as np

from cryowidgets.kernels import blobs
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.sim import molecule
from cryowidgets.sim.movie import Truth, simulate
from cryowidgets.sim.recipe import Recipe, empty, hard

PIXEL = 1.2
CASES = [
    ("plain", 500.0, 1500.0),
    ("plain", 500.0, 2500.0),
    ("plain", 150.0, 3000.0),
    ("hard", 500.0, 2500.0),
    ("hard", 150.0, 3000.0),
    ("ice", 500.0, 0.0),
    ("empty", 500.0, 0.0),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="31:34")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    if options.real:
        real(options.real)
        return
    first, last = map(int, options.seeds.split(":"))
    print("specimen    kDa  per µm²  seed  picks  precision  recall    F1  on film or dirt  centring/Å  CPU s")
    for kind, mass, density in CASES:
        for seed in range(first, last):
            simulated(kind, mass, density, seed, options.size)


def simulated(kind: str, mass: float, density: float, seed: int, size: int) -> None:
    recipe = Recipe(
        shape=(size, size), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=PIXEL,
        mass=mass, density=density, defocus=(8000.0, 25000.0), molecule=seed, hot=0.0, dead=0.0,
    )  # fmt: skip
    if kind == "hard":
        recipe = dataclasses.replace(hard(recipe), local=0.0, ripples=0, jitter=0.0, coincidence=0.0)
    elif kind == "empty":
        recipe = empty(recipe)
    made = simulate(recipe, seed)
    diameter = 2 * np.sqrt(5 / 3 * np.square(molecule.build(mass, seed)).sum(axis=1).mean())
    image = made.frames[0] * made.gain
    began = time.process_time()
    found = blobs.find(image, PIXEL, 0.8 * diameter, 1.2 * diameter)
    spent = time.process_time() - began
    at, near = made.truth.positions, 0.4 * diameter / PIXEL
    paired = pairs(found.places, at, near)
    wanted = at[~covered(at, made.truth, size) & whole(at, 0.5 * diameter / PIXEL, size)]
    precision = len(paired) / max(len(found.places), 1)
    recall = len(pairs(found.places, wanted, near)) / max(len(wanted), 1)
    off = found.places[paired[:, 0]] - at[paired[:, 1]]
    centring = PIXEL * np.sqrt(np.mean(np.sum(off**2, axis=1))) if len(off) else 0.0
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    junk = int(covered(found.places, made.truth, size).sum())
    print(
        f"{kind:9s} {mass:5.0f} {density:8.0f} {seed:5d} {len(found.places):6d} {precision:10.3f} {recall:7.3f} "
        f"{f1:5.3f} {junk:16d} {centring:11.1f} {spent:6.2f}",
        flush=True,
    )


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


def real(folder: Path, pixel: float = 1.77, near: float = 54.0) -> None:
    from PIL import Image

    print("micrograph                     people  picks  precision  recall    F1  best F1  CPU s")
    total = np.zeros(3)
    for path in sorted((folder / "images").glob("*.jpg")):
        image = np.asarray(Image.open(path).convert("L")).astype(np.float32) + 100
        rows = list(csv.reader((folder / "centres" / f"{path.stem}.csv").read_text().splitlines()))[1:]
        centres = np.array([[float(row[1]), float(row[0])] for row in rows])
        began = time.process_time()
        found = blobs.find(image, pixel, 120.0, 190.0)
        spent = time.process_time() - began
        every = blobs.find(image, pixel, 120.0, 190.0, threshold=0.5)
        best = max(f1(every.places[every.scores > t], centres, near)[2] for t in np.arange(0.6, 6, 0.1))
        precision, recall, both = f1(found.places, centres, near)
        total += len(pairs(found.places, centres, near)), len(found.places), len(centres)
        print(
            f"{path.stem:30s} {len(centres):6d} {len(found.places):6d} {precision:10.3f} {recall:7.3f} {both:5.3f} "
            f"{best:8.3f} {spent:6.2f}"
        )
    print(f"all: precision {total[0] / total[1]:.3f}, recall {total[0] / total[2]:.3f}")


def f1(places: np.ndarray, centres: np.ndarray, near: float) -> tuple[float, float, float]:
    right = len(pairs(places, centres, near))
    precision, recall = right / max(len(places), 1), right / max(len(centres), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


if __name__ == "__main__":
    main()
