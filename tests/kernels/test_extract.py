"""Particles cut out: equal to a slow reference, background as promised, waves that a crop keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample

from cryowidgets.kernels import ctf as lens
from cryowidgets.kernels import extract


def slow_boxes(image, places, side):
    pictures = np.empty((len(places), side, side), np.float32)
    inside = np.empty(len(places))
    for n, (y, x) in enumerate(places):
        count = 0
        for i in range(side):
            for j in range(side):
                a, b = int(np.floor(y + 0.5)) + i - side // 2, int(np.floor(x + 0.5)) + j - side // 2
                count += 0 <= a < image.shape[0] and 0 <= b < image.shape[1]
                pictures[n, i, j] = image[min(max(a, 0), image.shape[0] - 1), min(max(b, 0), image.shape[1] - 1)]
        inside[n] = count / side**2
    return pictures, inside


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.sampled_from([4, 8, 14]),
    st.lists(st.tuples(st.floats(0, 29), st.floats(0, 39)), min_size=1, max_size=5),
)
def test_boxes_equal_a_slow_reference(seed, side, places):
    image = np.random.default_rng(seed).normal(size=(30, 40)).astype(np.float32)
    pictures, rests, inside = extract.boxes(image, np.array(places), side)
    expected, part = slow_boxes(image, places, side)
    np.testing.assert_array_equal(pictures, expected)
    np.testing.assert_allclose(inside, part)
    assert np.abs(rests).max() <= 0.5


def test_background_is_as_promised():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:64, :64]
    pictures = rng.normal(50, 7, (20, 64, 64)).astype(np.float32) + 0.3 * y.astype("f4") - 0.2 * x.astype("f4")
    pictures[:, 24:40, 24:40] += 40
    assert extract.normalise(pictures, 24.0).all()
    outside = pictures[:, extract.background(64, 24.0)].astype(np.float64)
    assert np.abs(outside.mean(axis=1)).max() < 1e-4
    np.testing.assert_allclose(outside.std(axis=1), 1, atol=1e-3)
    mask = extract.background(64, 24.0)
    for axis in (y, x):
        assert np.abs(outside @ (axis[mask] - axis[mask].mean())).max() < 1e-3 * mask.sum()
    flat = np.full((2, 16, 16), 3.0, np.float32)
    assert not extract.normalise(flat, 6.0).any() and np.abs(flat).max() < 1e-5


def test_a_plane_is_taken_away_and_the_particle_stays():
    y, x = np.mgrid[:48, :48]
    particle = np.exp(-((y - 24) ** 2 + (x - 24) ** 2) / 20.0)
    noise = np.random.default_rng(4).normal(0, 1, (48, 48))
    plain, tilted = ((particle * 10 + noise + plane)[None].astype("f4") for plane in (0, 0.5 * y - 0.3 * x))
    extract.normalise(plain, 18.0)
    extract.normalise(tilted, 18.0)
    np.testing.assert_allclose(plain, tilted, atol=2e-4)


@pytest.mark.parametrize("side", [24, 32])
def test_a_crop_keeps_the_mean_and_every_wave_that_fits(side):
    rng = np.random.default_rng(1)
    picture = rng.normal(5, 1, (3, 48, 48))
    half = np.fft.rfft2(picture)
    ky, kx = np.abs(np.fft.fftfreq(48, 1 / 48))[:, None], np.arange(25)
    picture = np.fft.irfft2(half * ((ky < side // 2) & (kx < side // 2)), s=(48, 48)).astype(np.float32)
    small = extract.scale(picture, side)
    np.testing.assert_allclose(small, resample(resample(picture, side, axis=1), side, axis=2), atol=2e-5)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), picture.mean(axis=(1, 2)), rtol=1e-5)
    assert extract.scale(picture, 48) is picture


def test_of_two_waves_that_become_one_the_one_of_positive_frequency_stays():
    y, x = np.mgrid[:12, :12]
    kept, lost = ((2 * np.pi * (4 * sign * y + x) / 12) for sign in (1, -1))
    small = extract.scale(np.stack([np.cos(kept), np.cos(lost), np.sin(4 * np.pi * x / 12)]).astype("f4"), 8)
    y, x = np.mgrid[:8, :8]
    np.testing.assert_allclose(small[0], np.cos(2 * np.pi * (4 * y + x) / 8), atol=1e-6)
    np.testing.assert_allclose(small[1], 0, atol=1e-6)
    np.testing.assert_allclose(small[2], np.sin(4 * np.pi * x / 8), atol=1e-6)


def test_dust_becomes_noise_of_the_background():
    pictures = np.random.default_rng(0).normal(size=(10, 32, 32)).astype(np.float32)
    pictures[:, 3, 3], pictures[:, 20, 20] = 30.0, -30.0
    kept = pictures.copy()
    assert extract.dust(pictures, 8.0, 0.0, np.random.default_rng(1)) == 10
    assert np.abs(pictures[:, 3, 3]).max() < 6 and (pictures[:, 20, 20] == -30).all()
    assert (pictures != kept).sum() == 10
    again = kept.copy()
    extract.dust(again, 8.0, 0.0, np.random.default_rng(1))
    np.testing.assert_array_equal(again, pictures)


def test_flipped_phases_are_all_of_one_sign():
    """An image of a point through a lens, flipped, has a transform that is nowhere positive."""
    shape, optics = (128, 160), (300.0, 2.7, 0.1)
    function = lens.ctf_2d(shape, 1.5, 15000.0, 14000.0, 30.0, *optics)
    point = np.fft.irfft2(function, s=shape).astype(np.float32)
    flipped = extract.flip_phases(point, 1.5, 15000.0, 14000.0, 30.0, *optics)
    found, expected = np.fft.rfft2(flipped).real, -np.abs(function)
    inner = np.s_[np.arange(128) != 64, :-1]  # at the highest frequencies two waves are one
    np.testing.assert_allclose(found[inner], expected[inner], atol=2e-5)
