"""Local power: of noise 1, of what stands out more, and the same whatever scale, gradient or company."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryowidgets.kernels import power

PIXEL, DIAMETER = 2.0, 100.0
PLACES = np.array([(y, x) for y in range(100, 700, 150) for x in range(100, 800, 150)], float)


def field(seed: int, contrast: float = 0.0, radius: float = DIAMETER / PIXEL / 2) -> np.ndarray:
    """Electrons, and discs at every second place that take away a part of them."""
    y, x = np.mgrid[:720, :860]
    mean = np.full(y.shape, 40.0)
    for a, b in PLACES[::2]:
        mean[np.hypot(y - a, x - b) < radius] *= 1 - contrast
    return np.random.default_rng(seed).poisson(mean).astype(np.float32)


def test_of_noise_alone_it_is_one():
    found = power.local_power(field(1), PIXEL, PLACES, DIAMETER)
    assert abs(np.mean(found) - 1) < 0.08 and 0.7 < found.min() and found.max() < 1.4


def test_it_is_what_a_slow_loop_says():
    """Away from all interpolation: at a centre of a binned pixel, the plain mean over the disc."""
    image, place, step = field(2, 0.08), np.array([[104.5, 104.5]]), 6  # the centre of binned pixel 17
    flat = image[:720, : 860 // step * step].reshape(120, step, 860 // step, step).mean(axis=(1, 3))
    across = DIAMETER / PIXEL / step
    flat = flat - ndimage.gaussian_filter(flat, 1.5 * across, mode="nearest", truncate=3.0)
    y, x = np.mgrid[: flat.shape[0], : flat.shape[1]]

    def rms(a: int, b: int) -> float:
        return float(np.sqrt(np.mean(flat[np.hypot(y - a, x - b) <= across / 2] ** 2)))

    ratio = power.local_power(image, PIXEL, np.array([[104.5, 104.5], [182.5, 200.5]]), DIAMETER)
    assert ratio[0] / ratio[1] == pytest.approx(rms(17, 17) / rms(30, 33), rel=1e-3)
    assert power.local_power(image, PIXEL, place, DIAMETER)[0] == ratio[0]


def test_it_grows_with_what_is_there():
    faint = power.local_power(field(3, 0.04), PIXEL, PLACES, DIAMETER)
    strong = power.local_power(field(3, 0.3), PIXEL, PLACES, DIAMETER)
    assert faint[::2].min() > 1.2 > 1.15 > np.median(faint[1::2])
    assert strong[::2].min() > 2 * faint[::2].max()


@settings(max_examples=6)
@given(st.floats(0.1, 1e4), st.floats(-1e3, 1e3), st.lists(st.integers(0, len(PLACES) - 1), min_size=1, max_size=9))
def test_neither_scale_nor_company_change_it(scale, offset, chosen):
    image = field(4, 0.05)
    whole = power.local_power(image, PIXEL, PLACES, DIAMETER)
    changed = power.local_power(image * np.float32(scale) + np.float32(offset * scale), PIXEL, PLACES[chosen], DIAMETER)
    np.testing.assert_allclose(changed, whole[chosen], rtol=5e-3)


def test_a_gradient_of_the_ice_is_background():
    slope = np.linspace(0, 20, 860, dtype=np.float32)
    image = field(5, 0.05)
    plain = power.local_power(image, PIXEL, PLACES, DIAMETER)
    assert np.abs(power.local_power(image + slope, PIXEL, PLACES, DIAMETER) / plain - 1).max() < 0.15


def test_where_nothing_can_be_said_it_is_not_a_number():
    image = field(6)
    assert np.isnan(power.local_power(image, PIXEL, PLACES, np.nan)).all()
    assert np.isnan(power.local_power(image, np.nan, PLACES, DIAMETER)).all()
    assert np.isnan(power.local_power(image[:60], PIXEL, PLACES, DIAMETER)).all()
    assert np.isnan(power.local_power(np.ones((720, 720)), PIXEL, PLACES, DIAMETER)).all()
    assert power.local_power(image, PIXEL, np.zeros((0, 2)), DIAMETER).shape == (0,)
