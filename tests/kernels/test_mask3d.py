"""Masks that are found by themselves: the right place, the right width, one piece, and none where nothing is."""

import numpy as np
import pytest

from cryowidgets.kernels.mask3d import automask, low_pass

SHAPE, PIXEL = (48, 44, 51), 3.0


def distance(centre):
    axes = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    return PIXEL * np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)))


def noise(seed, strength):
    return np.random.default_rng(seed).normal(0, strength, SHAPE).astype(np.float32)


BALL = (distance((24, 20, 27)) < 36).astype(np.float32)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_a_ball_is_found_and_widened_as_asked(strength):
    found = automask(BALL + noise(1, strength), PIXEL, widen=6, soft=9)
    r = distance((24, 20, 27))
    assert found.reason == ""
    assert found.values[r < 36].min() == 1
    assert found.values[(r > 36 + 6 + 9 + 12)].max() == 0  # 12 Å: smoothed to 15 Å, cut where the solvent ends
    assert np.logical_and(found.values > 0, found.values < 1).any()
    assert found.volume == pytest.approx(float(found.values.sum()) * PIXEL**3, rel=1e-5)


def test_the_larger_of_two_pieces_is_kept_and_its_hole_filled():
    shell = BALL * (distance((24, 20, 27)) > 25)
    dust = (distance((10, 38, 44)) < 12).astype(np.float32)
    found = automask(shell + dust + noise(2, 0.1), PIXEL)
    assert found.values[24, 20, 27] == 1
    assert found.values[10, 38, 44] == 0


def test_scale_and_offset_change_nothing():
    volume = BALL + noise(3, 0.3)
    plain, other = automask(volume, PIXEL), automask(50 * volume - 7, PIXEL)
    assert np.mean(np.abs(plain.values - other.values)) < 1e-3
    assert other.level == pytest.approx(50 * plain.level - 7, rel=1e-2)


def test_a_level_may_be_given():
    loose, tight = automask(BALL, PIXEL, level=0.1), automask(BALL, PIXEL, level=0.8)
    assert loose.level == 0.1 and tight.volume < loose.volume


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (noise(4, 1.0), "stands out of the noise"),
        (np.zeros(SHAPE), "same density everywhere"),
        (np.full(SHAPE, np.nan), "not numbers"),
    ],
)
def test_where_nothing_is_the_reason_is_said(volume, why):
    found = automask(volume, PIXEL)
    assert why in found.reason and not found.values.any() and found.volume == 0


def test_a_picture_is_refused():
    with pytest.raises(ValueError, match="three dimensions"):
        automask(np.zeros((8, 8)), PIXEL)


def test_a_wave_at_the_resolution_is_halved():
    x = np.arange(40)
    wave = np.broadcast_to(np.cos(2 * np.pi * x / 8), (6, 6, 40)).astype(np.float32)
    np.testing.assert_allclose(low_pass(wave, 2.0, 16.0), wave / 2, atol=1e-5)
