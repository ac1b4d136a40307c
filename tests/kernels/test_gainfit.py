"""A gain from movies alone: as good as counting statistics allow, better by shrinkage, and honest before."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryowidgets.kernels import gainfit
from cryowidgets.kernels.xp import asnumpy
from cryowidgets.sim import detector
from tests.libraries import LIBRARIES

SHAPE = (512, 640)
CAMERA = detector.make(SHAPE, 1e-4, 1e-4, 3)
SOUND = (CAMERA.sensitivity > 0) & (CAMERA.glow == 0)


@pytest.fixture(scope="module")
def sums():
    """Raw sums of 25 movies of 40 counts per pixel, each of another field, one after the other added up."""
    rng = np.random.default_rng(11)
    total, kept = np.zeros(SHAPE, np.int64), {}
    for number in range(1, 26):
        particles = gaussian_filter(rng.standard_normal(SHAPE, np.float32), 3, truncate=2.5)
        y, x = (np.arange(n) / n for n in SHAPE)
        ice = 1 + 0.2 * np.cos(rng.uniform(1, 5) * y + rng.uniform(0, 6))[:, None] * np.cos(rng.uniform(1, 5) * x)
        scene = ice + 0.05 * particles / particles.std()
        total = total + rng.poisson(40 * CAMERA.sensitivity * scene + 20 * CAMERA.glow)
        kept[number] = total
    return kept


def truth():
    """What can be told: the sensitivity over its own smooth version."""
    s = np.where(SOUND, CAMERA.sensitivity, 0).astype(np.float32)
    level = gainfit.smooth(s, SOUND.astype(np.float32))
    return np.where(SOUND, s / level, 1)


def error(gain):
    used = SOUND & (gain > 0)
    found, true = 1 / gain[used].astype("f8"), truth()[used]
    return float(np.std(found / found.mean() - true / true.mean()))


@pytest.mark.parametrize("movies", [2, 10, 25])
def test_the_error_is_that_of_counting_and_less_by_shrinkage(sums, movies):
    plain, shrunk = (gainfit.estimate(sums[movies], shrink) for shrink in (False, True))
    limit = plain.counts**-0.5
    assert plain.counts == pytest.approx(40 * movies, rel=0.05)
    assert error(plain.gain) <= 1.15 * limit
    assert error(shrunk.gain) <= 0.8 * limit
    assert shrunk.error == pytest.approx(error(shrunk.gain), rel=0.4)
    assert plain.gain[plain.gain > 0].mean() == pytest.approx(1, abs=1e-4)


def test_it_says_when_it_is_worth_being_used(sums):
    early, late = gainfit.estimate(sums[2]), gainfit.estimate(sums[25])
    assert not early.usable
    pixel = float(np.std(truth()[SOUND]))
    assert late.spread == pytest.approx(pixel, rel=0.1)
    assert late.needed == pytest.approx(4 / pixel**2, rel=0.2)
    assert gainfit.estimate(sums[25] * 4).usable


def test_defects_are_zero_and_no_others_are(sums):
    found = gainfit.estimate(sums[25])
    zero = found.gain == 0
    assert zero[~SOUND].mean() > 0.99
    assert (zero & SOUND).sum() <= 20 and found.defects == zero.sum()


def test_a_flat_camera_gets_a_flat_gain():
    rng = np.random.default_rng(3)
    found = gainfit.estimate(rng.poisson(200, SHAPE))
    assert np.std(found.gain[found.gain > 0]) < 0.01 and not found.usable
    nothing = gainfit.estimate(np.zeros(SHAPE, np.int64))
    assert not nothing.usable and nothing.counts == 0


def test_edges_are_rough_and_ice_is_not():
    rng = np.random.default_rng(4)
    ice = 1 + 0.1 * np.sin(np.arange(SHAPE[1]) / 200)[None, :] * np.ones(SHAPE)
    edge = np.where(np.arange(SHAPE[1])[None, :] > 300, 0.6, 1.0) * np.ones(SHAPE)
    calm, rough = (gainfit.roughness(rng.poisson(40 * scene)) for scene in (ice, edge))
    assert calm < 0.03 < 0.05 < rough
    assert gainfit.roughness(np.zeros(SHAPE)) == np.inf


def test_what_is_left_of_a_gain_is_told(sums):
    total, gain = sums[2], CAMERA.gain
    share, sigma = gainfit.residual(total, gain)
    assert abs(share) < max(5 * sigma, 0.02) and sigma < 0.02
    assert gainfit.residual(total, gain[::-1])[0] == pytest.approx(-1, abs=0.05), "the wrong way round"
    assert gainfit.residual(total * gain, gain)[0] == pytest.approx(-1, abs=0.05), "corrected already"
    half = np.where(gain > 0, 1 + (gain - 1) / 2, 0).astype(np.float32)
    assert gainfit.residual(total, half)[0] == pytest.approx(1, abs=0.1), "as much is left as was taken away"
    assert np.isnan(gainfit.residual(total, np.ones(SHAPE, np.float32))[0])


def test_the_monitors_figures():
    values = np.linspace(0.5, 1.5, 100_001).reshape(1, -1)
    found = gainfit.figures(np.concatenate([values, np.zeros_like(values)]))
    assert found.deviation == pytest.approx(1 / 12**0.5, rel=1e-3)
    assert found.width == pytest.approx(1.475 / 0.525, rel=1e-3)
    assert found.peak == pytest.approx(1.5 / 1.475, rel=1e-3)
    assert np.isnan(gainfit.figures(np.zeros((3, 3))).deviation)


def test_smoothing_keeps_what_is_smooth_and_fills_what_is_missing():
    y, x = np.indices((200, 330)) / 330
    image = (1 + 0.3 * x + 0.2 * y).astype(np.float32)
    level = gainfit.smooth(image, sigma=24)
    inner = (slice(60, -60), slice(60, -60))
    np.testing.assert_allclose(level[inner], image[inner], rtol=0.01)
    holes = np.random.default_rng(0).random(image.shape) > 0.2
    filled = gainfit.smooth(np.where(holes, image, 0).astype("f4"), holes.astype("f4"), sigma=24)
    np.testing.assert_allclose(filled, level, rtol=0.01)
    np.testing.assert_allclose(gainfit.smooth(np.full((40, 70), 3.0, np.float32)), 3.0, rtol=1e-5)


@LIBRARIES
def test_any_library_gives_the_same_gain(sums, library):
    here = gainfit.estimate(sums[10])
    there = gainfit.estimate(library(sums[10]))
    np.testing.assert_allclose(asnumpy(there.gain), here.gain, atol=2e-5)
    assert (there.defects, there.usable) == (here.defects, here.usable)
    assert there.needed == pytest.approx(here.needed, rel=1e-3)
    one = gainfit.residual(sums[2], CAMERA.gain)
    assert gainfit.residual(library(sums[2]), library(CAMERA.gain)) == pytest.approx(one, abs=1e-4)
    assert gainfit.roughness(library(sums[2])) == pytest.approx(gainfit.roughness(sums[2]), rel=1e-3)
