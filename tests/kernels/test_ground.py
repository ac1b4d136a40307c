"""What is not to be searched is found, and what is to be searched stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryowidgets.kernels.ground import ground


def noise(shape=(600, 700), dose=60.0, seed=1):
    return np.random.default_rng(seed).poisson(dose, shape).astype(np.float32)


@pytest.mark.parametrize("mode", ["edge", "constant"])
@pytest.mark.parametrize("widths", [(0, 0, 0, 0), (24, 0, 0, 16), (16, 40, 32, 0), (16, 16, 16, 16)])
def test_borders_that_somebody_has_filled_are_left_out(widths, mode):
    """Rows and columns at the sides that repeat their neighbours, or have one value: none of them, and all others."""
    top, bottom, left, right = widths
    inner = noise((600 - top - bottom, 704 - left - right))
    seen = ground(np.pad(inner, ((top, bottom), (left, right)), mode=mode), 1.0, 128.0, 128.0)
    assert (seen.step, seen.counts) == (8, True)
    margin = 7  # 0.4 of 128 Å, in pixels of 8 Å, rounded up: centres nearer to a side are those of particles cut off
    inside = np.zeros(seen.use.shape, bool)
    inside[top // 8 + margin : (600 - bottom) // 8 - margin, left // 8 + margin : (704 - right) // 8 - margin] = True
    assert not seen.use[~inside].any()
    assert seen.use[inside].mean() > 0.87, "but for two rows beside a border, at most"


def test_an_edge_of_film_in_a_filtered_image_is_left_out():
    """Where film is not told by its grain, the bright line at its edge tells where not to look."""
    rng = np.random.default_rng(3)
    image = gaussian_filter(rng.normal(size=(800, 800)), 10.0)
    image /= image.std()
    y, x = np.mgrid[:800, :800]
    away = x + 0.3 * y - 500
    image += 6 * np.exp(-np.square(away / 15)) - 5 * np.exp(-np.square((away - 45) / 15))
    picture = np.clip(128 + 14 * image, 0, 255).astype(np.uint8)
    seen = ground(picture, 1.0, 100.0, 120.0)
    assert not seen.counts
    at = away[:: seen.step, :: seen.step][: seen.use.shape[0], : seen.use.shape[1]]
    assert not seen.use[np.abs(at) < 50].any()
    assert seen.use[30:-30, 30:-30][np.abs(at[30:-30, 30:-30]) > 150].mean() > 0.9
    searched = ground(picture, 1.0, 100.0, 120.0, masked=False)
    assert searched.use.mean() > seen.use.mean()


def test_signal_is_the_part_of_the_electrons_that_is_missing():
    image = noise(dose=400.0)
    y, x = np.mgrid[:600, :700]
    image -= np.where(np.hypot(y - 300, x - 300) < 40, 40.0, 0)
    seen = ground(image, 1.0, 80.0, 80.0)
    at = tuple(int(v) for v in (np.array([300, 300]) + 0.5) / seen.step)
    around = (slice(at[0] - 3, at[0] + 4), slice(at[1] - 3, at[1] + 4))
    assert seen.signal[around].mean() == pytest.approx(0.1, abs=0.015)
    assert ground(image, 1.0, 80.0, 80.0, bright=True).signal[around].mean() == pytest.approx(-0.1, abs=0.015)
    assert seen.noise.mean() * seen.step == pytest.approx(400**-0.5, rel=0.1)
    np.testing.assert_allclose(seen.whole(np.array([[0.0, 2.0]])), [[0.5 * seen.step - 0.5, 2.5 * seen.step - 0.5]])


def test_there_is_nothing_to_search_where_all_is_one_value():
    assert ground(np.full((300, 300), 5.0), 1.0, 60.0, 60.0) is None
