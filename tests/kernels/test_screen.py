"""Screening: ice is told by what ice alone would give, and dirt by the others."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import extract, screen

SIDE, DIAMETER, OUTSIDE = 64, 36.0, 48.0


def clean(count, snr, rng):
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    made = np.zeros((count, SIDE, SIDE), np.float32)
    for picture in made:
        for a, b in rng.normal(0, 6, (14, 2)):
            picture += rng.uniform(0.5, 1.5) * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 9)
    return made * np.sqrt(snr / made.var(axis=(1, 2)).mean())


def particles(count, snr, rng):
    made = clean(count, snr, rng)
    return normalised(made + rng.normal(size=made.shape))


def normalised(pictures):
    pictures = pictures.astype(np.float32)
    extract.normalise(pictures, OUTSIDE / 2)
    return pictures


@pytest.mark.parametrize("gain", [1.0, 30.0])
def test_ice_is_as_far_from_ice_as_its_errors_say(gain):
    rng = np.random.default_rng(1)
    ice = normalised(gain * rng.normal(size=(600, SIDE, SIDE)))
    signal = screen.screen(ice, DIAMETER, OUTSIDE).signal
    assert abs(signal.mean()) < 0.4 and 0.85 < signal.std() < 1.15


def test_particles_stand_out_of_ice():
    rng = np.random.default_rng(2)
    mixed = np.concatenate([particles(200, 0.05, rng), normalised(rng.normal(size=(60, SIDE, SIDE)))])
    signal = screen.screen(mixed, DIAMETER, OUTSIDE).signal
    assert (signal[:200] > 2).mean() > 0.97
    assert (signal[200:] > 2).mean() <= 0.05


def test_dirt_is_unlike_the_others():
    rng = np.random.default_rng(3)
    pictures = particles(120, 0.1, rng)
    pictures[7, :, 40:] += 4  # the edge of a film
    pictures[50, 30:34, 30:34] += 25  # ice
    odd = screen.screen(pictures, DIAMETER, OUTSIDE).oddness
    assert set(np.flatnonzero(odd > 6)) == {7, 50}


def test_few_pictures_none_and_blank_ones_say_nothing():
    rng = np.random.default_rng(4)
    assert not screen.screen(particles(screen.ENOUGH - 1, 0.1, rng), DIAMETER, OUTSIDE).oddness.any()
    assert screen.screen(np.zeros((0, SIDE, SIDE), np.float32), DIAMETER, OUTSIDE).signal.shape == (0,)
    blank = screen.screen(np.zeros((30, SIDE, SIDE), np.float32), DIAMETER, OUTSIDE)
    assert not blank.signal.any() and not blank.oddness.any()


def test_neighbours_in_the_background_are_not_taken_for_ice():
    rng = np.random.default_rng(5)
    alone = particles(200, 0.05, rng)
    crowded = alone + np.roll(clean(200, 0.05, rng), 28, axis=2)  # each has another one in its background
    before, after = (screen.screen(p, DIAMETER, OUTSIDE).signal for p in (alone, crowded))
    assert np.median(after) > 0.7 * np.median(before)
