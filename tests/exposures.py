"""Exposures with known particles, shared by the tests of pickers."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from cryowidgets.kernels.templates import Lens
from cryowidgets.sim import molecule
from cryowidgets.sim.movie import Truth, simulate
from cryowidgets.sim.recipe import Recipe, empty, hard

SHAPE = (1000, 1100)
PLAIN = Recipe(shape=SHAPE, frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, density=2000.0, hot=0.0, dead=0.0)


@cache
def seen(kind: str, seed: int = 5) -> tuple[np.ndarray, Truth, float]:
    """One exposure as a corrected sum of frames would be, the truth, and the diameter of a molecule in Å.

    Kinds are "plain", "hard", "ice" (without molecules) and "empty" (nothing but electrons).
    """
    recipe = dataclasses.replace(PLAIN, molecule=seed)
    if kind == "hard":
        recipe = dataclasses.replace(hard(recipe), local=0.0, ripples=0, jitter=0.0, coincidence=0.0)
    elif kind == "empty":
        recipe = empty(recipe)
    elif kind == "ice":
        recipe = dataclasses.replace(recipe, density=0.0)
    made = simulate(recipe, seed)
    diameter = 2 * np.sqrt(5 / 3 * np.square(molecule.build(recipe.mass, recipe.molecule)).sum(axis=1).mean())
    return made.frames[0] * made.gain, made.truth, float(diameter)


def to_be_found(truth: Truth, diameter: float) -> np.ndarray:
    """Particles that are whole in the image, and neither on film nor under dirt."""
    at, reach = truth.positions, 0.5 * diameter / truth.pixel_size
    keep = ((at > reach) & (at < np.array(SHAPE) - reach)).all(axis=1)
    if truth.carbon is not None:
        y, x = np.clip(np.rint(at).astype(int), 0, np.array(SHAPE) - 1).T
        keep &= truth.carbon[y, x] < 0.5
    for y, x, radius in truth.blobs:
        keep &= np.hypot(at[:, 0] - y, at[:, 1] - x) > radius
    return at[keep]


def lens(truth: Truth) -> Lens:
    """What the lens did, by the truth."""
    optics = PLAIN.optics
    return Lens(truth.defocus_u, truth.defocus_v, truth.angle, optics.voltage, optics.cs, optics.amplitude_contrast)


@cache
def projections(seed: int, count: int = 8, pixel: float = 5.0) -> np.ndarray:
    """Projections of a molecule at random orientations, (count, side, side), in pixels of `pixel` Å."""
    atoms = molecule.build(PLAIN.mass, seed)
    side = 2 * int(np.abs(atoms).max() / pixel) + 5
    turns = molecule.rotations(count, np.random.default_rng(1))
    edges = np.arange(side + 1) - 0.5 - side // 2
    pictures = [np.histogram2d(*(turn[[1, 0]] @ atoms.T / pixel), bins=(edges, edges))[0] for turn in turns]
    return np.array(pictures, np.float32)
