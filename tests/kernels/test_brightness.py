"""The brightness of ice beside what is darker, and micrographs made smaller by it."""

import numpy as np
import pytest

from cryowidgets.kernels.brightness import ice, standardised


@pytest.mark.parametrize("dark", [0.0, 0.03, 0.1, 0.3])
def test_ice_is_told_from_what_is_darker(dark):
    rng = np.random.default_rng(int(100 * dark))
    image = rng.normal(100, 5, (400, 500))
    image[: int(400 * dark)] -= 35
    mean, deviation = ice(image.astype("f4"))
    assert mean == pytest.approx(100, abs=0.1) and deviation == pytest.approx(5, rel=0.01)


def test_brightness_and_contrast_of_the_file_do_not_matter():
    image = np.random.default_rng(1).normal(0, 1, (120, 90)).astype("f4")
    image[:20] -= 6
    image[50, 50] = 4000  # a hot pixel
    np.testing.assert_allclose(standardised(image * 37 + 900), standardised(image), atol=5e-3)


def test_a_smaller_picture_keeps_waves_and_places():
    y, x = np.mgrid[:100, :130]
    image = (np.cos(2 * np.pi * y / 25) + np.sin(2 * np.pi * x / 16)).astype("f4")
    small = standardised(image, 4)
    assert small.shape == (25, 32)
    y, x = np.mgrid[:25, :32] * 4
    waves = np.cos(2 * np.pi * y / 25) + np.sin(2 * np.pi * x / 16)
    assert np.corrcoef(small.ravel(), waves.ravel())[0, 1] > 0.99999


def test_nothing_to_see_is_zero():
    assert not standardised(np.full((40, 40), 7, np.float32), 2).any()
