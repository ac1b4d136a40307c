"""The size of particles nobody has told of: discs, molecules of the simulator, and nothing where nothing is."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.kernels import particlesize
from cryowidgets.sim import molecule
from cryowidgets.sim.movie import simulate
from cryowidgets.sim.recipe import Recipe

PIXEL = 3.0


def balls(diameter: float, seed: int, contrast: float = 0.06, shape=(700, 800), bright: bool = False) -> np.ndarray:
    """Electrons behind projections of balls that lie at random, a quarter of the field, and do not touch."""
    rng = np.random.default_rng(seed)
    radius = diameter / 2 / PIXEL
    reach, mean, placed = int(radius) + 2, np.full(shape, 40.0), []
    while len(placed) < 0.25 * shape[0] * shape[1] / (np.pi * radius**2):
        at = rng.uniform(reach, np.array(shape) - reach - 1)
        if placed and np.hypot(*(np.array(placed) - at).T).min() < 2.1 * radius:
            continue
        placed.append(at)
        around = tuple(slice(int(c) - reach, int(c) + reach + 1) for c in at)
        y, x = np.mgrid[around]
        high = np.sqrt(np.clip(1 - ((y - at[0]) ** 2 + (x - at[1]) ** 2) / radius**2, 0, None))
        mean[around] *= 1 + contrast * high if bright else 1 - contrast * high
    return rng.poisson(mean).astype(np.float32)


@pytest.mark.parametrize("diameter", [110.0, 240.0])
def test_balls_have_the_size_that_they_have(diameter):
    size = particlesize.measure(balls(diameter, 7), PIXEL)
    assert size.reason == "" and size.count >= particlesize.LEAST
    assert size.diameter == pytest.approx(diameter, rel=0.15)
    at = particlesize.diameters(60, 600)
    assert at[size.curve.argmax()] == pytest.approx(size.diameter, rel=0.15)
    edge = np.concatenate([size.picture[:4].ravel(), size.picture[-4:].ravel()])
    assert size.picture[28:36, 28:36].mean() > 5 * np.abs(edge).mean()  # it stands in the middle of the picture


def test_bright_particles_are_seen_where_they_are_asked_for():
    image = balls(160.0, 8, bright=True)
    assert particlesize.measure(image, PIXEL, bright=True).diameter == pytest.approx(160, rel=0.15)


@pytest.mark.parametrize("mass, density", [(500.0, 2000.0)])
def test_molecules_are_not_taken_for_their_domains(mass, density):
    recipe = Recipe(
        shape=(900, 900), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=2.0, mass=mass,
        density=density, defocus=(8000.0, 25000.0), molecule=21, hot=0.0, dead=0.0,
    )  # fmt: skip
    radius = math.sqrt(5 / 3 * np.square(molecule.build(mass, 21)).sum(axis=1).mean())
    sizes = []
    for seed in (21, 22, 23):
        made = simulate(recipe, seed)
        sizes.append(particlesize.measure(made.frames[0] * made.gain, 2.0).diameter)
    diameter, error, reason = particlesize.together(np.array(sizes))
    assert reason == "" and diameter == pytest.approx(2 * radius, rel=0.12)
    assert 0 <= error < 0.1 * diameter


def test_where_particles_lie_on_one_another_their_domains_are_not_taken_for_them():
    """Molecules of 234 Å that cover the field once over: parts of 65 Å are all that stays the same."""
    crowd = Recipe(
        shape=(1024, 1024), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=1.2, mass=1500.0,
        density=2400.0, defocus=(8000.0, 25000.0), molecule=32, hot=0.0, dead=0.0,
    )  # fmt: skip
    made = simulate(crowd, 32)
    size = particlesize.measure(made.frames[0] * made.gain, 1.2)
    assert math.isnan(size.diameter) and "lies too close to tell one" in size.reason


def test_where_nothing_is_nothing_is_told():
    ice = Recipe(shape=(800, 800), frames=1, dose_per_frame=40.0, drift=0.0, jitter=0.0, pixel_size=2.0, density=0.0)
    made = simulate(dataclasses.replace(ice, hot=0.0, dead=0.0), 3)
    size = particlesize.measure(made.frames[0] * made.gain, 2.0)
    assert math.isnan(size.diameter) and "were found, and 8 are needed" in size.reason
    small = particlesize.measure(balls(160.0, 9)[:60, :60], PIXEL)
    assert math.isnan(small.diameter) and "too small for particles" in small.reason
    assert math.isnan(particlesize.measure(np.full((600, 600), 40.0, np.float32), PIXEL).diameter)


@given(st.lists(st.floats(100, 110), min_size=3, max_size=12), st.integers(0, 1000))
def test_some_wrong_micrographs_change_little(right, seed):
    rng = np.random.default_rng(seed)
    wrong = [400.0] * ((len(right) - 1) // 2) + [math.nan] * 3
    sizes = rng.permutation(right + wrong)
    diameter, error, reason = particlesize.together(sizes)
    assert 100 <= diameter <= 110 and reason == "" and 0 <= error < 40
    np.testing.assert_allclose(particlesize.together(2 * sizes)[:2], (2 * diameter, 2 * error))


def test_micrographs_that_contradict_each_other_tell_nothing():
    _, _, few = particlesize.together(np.array([100.0, math.nan, 101.0]))
    assert few == "2 of 3 micrographs tell a size, and 3 are needed"
    diameter, error, reason = particlesize.together(np.array([70.0, 150, 300, 80, 290, 500]))
    assert math.isnan(diameter) and math.isnan(error) and "tell different sizes, most from" in reason
