"""The orientation of a gain: right where it is told, and told only where the frames tell it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryowidgets.io import gain as files
from cryowidgets.io import gainterms
from cryowidgets.kernels import orientation
from cryowidgets.sim import detector
from tests.libraries import LIBRARIES

SHAPE = (512, 512)


@lru_cache
def scene(shape, seed):
    """Ice of uneven thickness, particles, and an edge of carbon."""
    rng = np.random.default_rng(seed)
    scene = np.ones(shape, np.float32)
    for scale, depth in ((3, 0.1), (16, 0.1)):
        rough = gaussian_filter(rng.standard_normal(shape, np.float32), scale)
        scene += depth * rough / rough.std()
    y, x = np.indices(shape)
    scene[x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1) > rng.uniform(100, 400)] *= 0.8
    return scene


def counts(sensitivity, electrons, seed):
    """The raw sum of a movie, with hot pixels."""
    rng = np.random.default_rng(seed)
    total = rng.poisson(np.clip(electrons * scene(sensitivity.shape, 70 + seed % 5) * sensitivity, 0, None))
    total.flat[rng.choice(total.size, 50)] = 60000
    return total


def spread(shape, percent, seed):
    return 1 + np.float32(percent / 100) * np.random.default_rng(seed).standard_normal(shape, np.float32)


def filed(gain, rotation, flip):
    """The gain that has to be turned so to fit."""
    return next(
        back
        for r, f in orientation.ORIENTATIONS
        if orientation.turn(back := orientation.turn(gain, r, f), rotation, flip).shape == gain.shape
        and np.array_equal(orientation.turn(back, rotation, flip), gain)
    )


def test_turns_agree_with_those_of_files():
    image = np.arange(6.0).reshape(2, 3)
    seen = set()
    for rotation in gainterms.ROTATIONS:
        for flip in gainterms.FLIPS:
            turned = files.turn(image, rotation, flip)
            same = orientation.canonical(rotation, flip)
            assert same in orientation.ORIENTATIONS
            np.testing.assert_array_equal(orientation.turn(image, rotation, flip), turned)
            np.testing.assert_array_equal(orientation.turn(image, *same), turned)
            seen.add(same)
    assert len(seen) == 8


def test_fifty_sessions_are_all_told_right():
    """1.5 % spread and 20 counts per pixel, and every orientation, also of gains that divide."""
    for session in range(50):
        sensitivity = spread(SHAPE, 1.5, 1000 + session)
        rotation, flip = orientation.ORIENTATIONS[session % 8]
        gain = filed(1 / sensitivity, rotation, flip)
        divides = session % 3 == 0
        found = orientation.find(counts(sensitivity, 20, session), 1 / gain if divides else gain)
        assert found.decided, found.why
        assert (found.rotation, found.flip, found.divides) == (rotation, flip, divides)
        assert found.possible == ((rotation, flip, divides),)


def test_a_real_camera_with_columns_blocks_and_defects_that_is_not_square():
    camera = detector.make((384, 640), 1e-4, 1e-4, 7)
    total = np.random.default_rng(1).poisson(30 * (camera.sensitivity + camera.glow))
    for rotation, flip in orientation.ORIENTATIONS:
        found = orientation.find(total, filed(camera.gain, rotation, flip))
        assert (found.decided, found.rotation, found.flip, found.divides) == (True, rotation, flip, False)
    with pytest.raises(ValueError, match="cannot lie on"):
        orientation.find(total, camera.gain[:, :-2])


@pytest.mark.parametrize("electrons", [1, 20, 400])
def test_the_gain_of_another_camera_is_never_taken(electrons):
    for seed in range(6):
        mine = detector.make(SHAPE, 1e-4, 1e-4, seed)
        total = np.random.default_rng(seed).poisson(electrons * mine.sensitivity)
        found = orientation.find(total, detector.make(SHAPE, 1e-4, 1e-4, 100 + seed).gain)
        assert not found.decided and not found.possible
        assert "no trace" in found.why


def test_few_counts_are_undecided_or_right():
    decided = 0
    for seed in range(10):
        sensitivity = spread(SHAPE, 1.5, 2000 + seed)
        rotation, flip = orientation.ORIENTATIONS[seed % 8]
        found = orientation.find(counts(sensitivity, 1, seed), filed(1 / sensitivity, rotation, flip))
        decided += found.decided
        assert not found.decided or (found.rotation, found.flip) == (rotation, flip)
        assert orientation.find(counts(sensitivity, 0.02, seed), 1 / sensitivity).decided is False
    assert decided < 10


def test_flat_frames_gains_and_corrected_frames_are_undecided():
    total = counts(np.ones(SHAPE, np.float32), 50, 1)
    flat = np.ones(SHAPE, np.float32)
    flat[3, 5:9] = 0
    assert "flat" in orientation.find(total, flat).why
    assert "flat" in orientation.find(total, np.full(SHAPE, 2.5, np.float32)).why
    sensitivity = spread(SHAPE, 3, 3004)
    raw = counts(sensitivity, 50, 2)
    assert "no trace" in orientation.find(raw / sensitivity, 1 / sensitivity).why
    assert "not finite" in orientation.find(raw, np.zeros(SHAPE, np.float32)).why
    assert "counts" in orientation.find(np.zeros(SHAPE), 1 / sensitivity).why


def test_a_symmetric_gain_fits_in_several_ways_and_all_are_named():
    half = spread((512, 256), 3, 5)
    sensitivity = np.concatenate([half, half[::-1, ::-1]], axis=1)
    found = orientation.find(counts(sensitivity, 40, 3), 1 / sensitivity)
    assert not found.decided and "2 orientations" in found.why
    assert set(found.possible) == {(0, "none", False), (180, "none", False)}


def test_a_gain_out_of_place_is_said_to_be():
    sensitivity = spread(SHAPE, 3, 3006)
    found = orientation.find(counts(sensitivity, 40, 3), np.roll(1 / sensitivity, (1, -2), (0, 1)))
    assert not found.decided
    assert "moved by -1 px in y and 2 px in x" in found.why


@LIBRARIES
def test_any_library_gives_the_same_figures(library):
    sensitivity = spread((256, 320), 3, 8)
    total, gain = counts(sensitivity, 40, 3), filed(1 / sensitivity, 90, "up-down")
    here = orientation.find(total, gain)
    there = orientation.find(library(total), library(gain))
    assert here.decided and (here.possible, here.why) == (there.possible, there.why)
    assert there.correlation == pytest.approx(here.correlation, rel=1e-4)
    assert there.sigmas == pytest.approx(here.sigmas, rel=1e-3)
