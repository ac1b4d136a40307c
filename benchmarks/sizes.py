"""Size of particles by `kernels.particlesize`: simulated micrographs, and real ones where they are.

    python benchmarks/sizes.py [--seeds 31:34] [--size 2048] [--real FOLDER]

Each seed is a micrograph of a molecule of its own; what is given is the estimate over the diameter of the ball with the
molecule's radius of gyration. FOLDER has ``images/*.jpg``; pictures of EMPIAR-10017 at 1.77 Å/px are meant. Not a test:
nothing fails here.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np

from cryowidgets.kernels import particlesize
from cryowidgets.sim import molecule
from cryowidgets.sim.movie import simulate
from cryowidgets.sim.recipe import Recipe, empty, hard

PIXEL = 1.2
CASES = [
    ("plain", 60.0, 3000.0),
    ("plain", 150.0, 3000.0),
    ("plain", 500.0, 1500.0),
    ("plain", 1500.0, 600.0),
    ("hard", 500.0, 2500.0),
    ("hard", 150.0, 3000.0),
    ("ice", 500.0, 0.0),
    ("empty", 500.0, 0.0),
    ("crowded", 150.0, 11000.0),
    ("crowded", 500.0, 5000.0),
    ("crowded", 1500.0, 2400.0),
]
"""Specimen, kDa, particles/µm². Those crowded cover a field of half the side once over, as the demo's do."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="31:34")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    if options.real:
        real(options.real)
        return
    print("specimen    kDa  diameter/Å  found over true, each micrograph     median  CPU s each")
    for kind, mass, density in CASES:
        ratios, diameters, spent = [], [], 0.0
        for seed in range(*map(int, options.seeds.split(":"))):
            size = options.size // 2 if kind == "crowded" else options.size
            image, diameter = micrograph(kind, mass, density, seed, size)
            began = time.process_time()
            ratios.append(particlesize.measure(image, PIXEL).diameter / diameter)
            spent += time.process_time() - began
            diameters.append(diameter)
        told = [ratio for ratio in ratios if np.isfinite(ratio)]
        median = f"{np.median(told):6.2f}" if told else "  none"
        each = "  ".join(f"{ratio:5.2f}" if np.isfinite(ratio) else " none" for ratio in ratios)
        print(
            f"{kind:9s} {mass:5.0f} {np.mean(diameters):11.0f}  {each:35s} {median} {spent / len(ratios):10.1f}",
            flush=True,
        )


def micrograph(kind: str, mass: float, density: float, seed: int, size: int) -> tuple[np.ndarray, float]:
    recipe = Recipe(
        shape=(size, size), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=PIXEL,
        mass=mass, density=density, defocus=(8000.0, 25000.0), molecule=seed, hot=0.0, dead=0.0,
    )  # fmt: skip
    if kind == "hard":
        recipe = dataclasses.replace(hard(recipe), local=0.0, ripples=0, jitter=0.0, coincidence=0.0)
    elif kind == "empty":
        recipe = empty(recipe)
    made = simulate(recipe, seed)
    return made.frames[0] * made.gain, 2 * np.sqrt(5 / 3 * np.square(molecule.build(mass, seed)).sum(axis=1).mean())


def real(folder: Path, pixel: float = 1.77) -> None:
    from PIL import Image

    sizes = []
    for path in sorted((folder / "images").glob("*.jpg")):
        image = np.asarray(Image.open(path).convert("L")).astype(np.float32) + 100
        size = particlesize.measure(image, pixel)
        sizes.append(size.diameter)
        print(f"{path.stem}: {size.diameter:.0f} Å by {size.count} particles {size.reason}", flush=True)
    diameter, error, reason = particlesize.together(np.array(sizes))
    print(f"all: {diameter:.0f} ± {error:.0f} Å {reason}")


if __name__ == "__main__":
    main()
