"""Laws of the Fourier shell correlation, known answers, and what its correction for a mask takes away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels import fsc
from tests.libraries import LIBRARIES

SHAPES = [(24, 24, 24), (21, 21, 21), (16, 20, 27), (25, 18, 12)]


def noise(seed, shape=(24, 24, 24)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def slow(a, b):
    """Shell by shell over the whole space."""
    one, two = np.fft.fftn(a.astype(float)), np.fft.fftn(b.astype(float))
    k = np.sqrt(sum(np.meshgrid(*(np.fft.fftfreq(n) ** 2 for n in a.shape), indexing="ij")))
    out = []
    for shell in range(max(a.shape) // 2 + 1):
        here = np.rint(k * max(a.shape)) == shell
        p, q = one[here], two[here]
        out.append((p * q.conj()).sum().real / math.sqrt((abs(p) ** 2).sum() * (abs(q) ** 2).sum()))
    return np.array(out)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_half_space_says_what_the_whole_one_does(shape):
    a = noise(1, shape)
    b = a + noise(2, shape)
    frequency, curve = fsc.fsc(a, b)
    np.testing.assert_allclose(curve, slow(a, b), atol=2e-6)
    assert frequency[0] == 0 and frequency[-1] == (max(shape) // 2) / max(shape)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shape=st.sampled_from(SHAPES))
@settings(max_examples=15, deadline=None)
def test_a_map_agrees_with_itself_at_any_contrast_and_nobody_comes_first(seed, scale, shape):
    a, b = noise(seed, shape), noise(seed + 1, shape)
    np.testing.assert_allclose(fsc.fsc(a, np.float32(scale) * a)[1], 1, atol=1e-5)
    np.testing.assert_allclose(fsc.fsc(a, -a)[1], -1, atol=1e-5)
    np.testing.assert_allclose(fsc.fsc(a, b)[1], fsc.fsc(b, a)[1], atol=1e-6)


def test_the_curve_is_that_of_the_signal_to_noise_ratio():
    shape = (48, 48, 48)
    k2 = fsc.squared_frequencies(shape)
    shape_of_signal = np.exp(-60 * k2)
    signal = 3 * fsc.irfftn(fsc.rfftn(noise(3, shape)) * shape_of_signal, shape)
    frequency, curve = fsc.fsc(signal + noise(4, shape), signal + noise(5, shape))
    ratio = 9 * np.exp(-120 * frequency**2)
    np.testing.assert_allclose(curve[4:], (ratio / (1 + ratio))[4:], atol=0.1)
    exact = math.sqrt(math.log(9 / (fsc.HALVES / (1 - fsc.HALVES))) / 120)
    assert fsc.crossing(frequency, curve, pixel_size=1.5) == pytest.approx(1.5 / exact, rel=0.04)


def test_crossings():
    frequency = np.arange(6) / 10
    assert fsc.crossing(frequency, np.array([0, 1, 0.8, 0.6, 0.2, 0.1]), 0.4, 2.0) == pytest.approx(2 / 0.35)
    assert fsc.crossing(frequency, np.ones(6), 0.143, 2.0) == 4.0  # a limit
    assert math.isnan(fsc.crossing(frequency, np.zeros(6)))
    assert fsc.crossing(frequency, np.array([0, 1, 0, 1, 1, 1.0]), 0.5) == pytest.approx(1 / 0.15)  # the first counts
    assert fsc.crossing(frequency, np.array([1, 1, 1, np.nan, 1, 1]), 0.5) == pytest.approx(1 / 0.3)


def test_what_a_tight_mask_adds_is_taken_away():
    shape, cut = (48, 48, 48), 0.16
    z, y, x = (np.arange(n) - n // 2 for n in shape)
    mask = ((z[:, None, None] ** 2 + (y[:, None] - 2) ** 2 + x**2) < 15**2).astype(np.float32)  # a hard edge
    below = fsc.squared_frequencies(shape) < cut**2
    signal = 8 * fsc.irfftn(fsc.rfftn(noise(6, shape)) * below, shape)
    curves = fsc.corrected(signal + noise(7, shape), signal + noise(8, shape), mask)
    beyond = curves.frequency > cut + 0.1  # three times the width of what the mask does to one wave
    assert curves.masked[beyond].mean() > 0.06  # its edge makes details agree that are not there
    assert abs(curves.corrected[beyond].mean()) < 0.04
    assert 1 / cut > fsc.crossing(curves.frequency, curves.corrected) > fsc.crossing(curves.frequency, curves.masked)
    assert cut - 0.03 < curves.randomised_from < cut + 0.03
    again = fsc.corrected(signal + noise(7, shape), signal + noise(8, shape), mask)
    np.testing.assert_array_equal(curves.corrected, again.corrected)


def test_maps_that_agree_everywhere_have_nothing_to_randomise():
    curves = fsc.corrected(noise(1), noise(1), np.ones((24, 24, 24)))
    assert math.isnan(curves.randomised_from)
    np.testing.assert_allclose(curves.corrected, 1, atol=1e-5)


def test_an_empty_map_agrees_with_nothing():
    assert not fsc.fsc(noise(1), np.zeros((24, 24, 24), np.float32))[1].any()


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        fsc.fsc(noise(1), noise(1, (24, 24, 23)))
    with pytest.raises(ValueError, match="cannot be compared"):
        fsc.corrected(noise(1), noise(2), np.ones((24, 24)))


@LIBRARIES
def test_other_libraries_agree(library):
    a, b = noise(1, (16, 20, 27)), noise(2, (16, 20, 27)) + noise(1, (16, 20, 27))
    np.testing.assert_allclose(fsc.fsc(library(a), library(b))[1], fsc.fsc(a, b)[1], atol=1e-5)
    mask = np.ones(a.shape, np.float32)
    curves = fsc.corrected(library(a), library(b), library(mask))
    np.testing.assert_allclose(curves.corrected, fsc.corrected(a, b, mask).corrected, atol=1e-4)
