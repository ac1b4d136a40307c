"""Laws of the transforms, with numpy and with a strict library of the array API standard."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import fourier
from cryowidgets.kernels.xp import asnumpy

LIBRARIES = pytest.mark.parametrize("library", [np, array_api_strict], ids=["numpy", "strict"])
SHAPES = pytest.mark.parametrize("shape", [(16, 24), (15, 24), (16, 21), (17, 19)])


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def smooth(shape, seed=0, keep=3):
    """An image without frequencies above `keep` per field."""
    y, x = np.arange(shape[0])[:, None] / shape[0], np.arange(shape[1])[None, :] / shape[1]
    rng, image = np.random.default_rng(seed), np.full(shape, 2.0)
    for i in range(-keep, keep + 1):
        for j in range(keep + 1):
            image += rng.standard_normal() * np.cos(2 * np.pi * (i * y + j * x) + rng.uniform(0, 6))
    return image.astype(np.float32)


@LIBRARIES
@SHAPES
def test_round_trip_in_single_precision(library, shape):
    image = library.asarray(noise(shape))
    half = fourier.rfft2(image)
    assert half.dtype == library.complex64
    assert half.shape == (shape[0], shape[1] // 2 + 1)
    back = fourier.irfft2(half, shape)
    assert back.dtype == library.float32
    np.testing.assert_allclose(asnumpy(back), asnumpy(image), atol=1e-6)


@LIBRARIES
def test_counts_are_transformed_in_single_precision(library):
    counts = library.asarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    half = fourier.rfft2(counts)
    assert half.dtype == library.complex64
    assert complex(half[0, 0]) == 2016


@SHAPES
def test_libraries_agree_with_numpy(shape):
    image = noise(shape)
    expected = np.fft.rfft2(image)
    for library in (np, array_api_strict):
        half = asnumpy(fourier.rfft2(library.asarray(image)))
        assert np.linalg.norm(half - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(("n", "fast"), [(1, 2), (7, 8), (97, 100), (1024, 1024), (4092, 4096), (5761, 5832)])
def test_fast_lengths_are_even_and_enough(n, fast):
    got = fourier.fast_length(n)
    assert got % 2 == 0 and n <= got <= fast
    rest = got
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1


@LIBRARIES
@SHAPES
@pytest.mark.parametrize("new", [(12, 10), (11, 9), (12, 40), (64, 33)])
def test_crop_samples_the_same_image_elsewhere(library, shape, new):
    """A field without high frequencies is the same function on any grid."""
    image = smooth(shape)
    half = fourier.crop(fourier.rfft2(library.asarray(image)), shape, new)
    got = asnumpy(fourier.irfft2(half, new))
    np.testing.assert_allclose(got, smooth(new), atol=2e-5)
    assert got.mean() == pytest.approx(image.mean(), rel=1e-5)


def test_crop_keeps_stacks_and_the_same_size():
    stack = noise((3, 16, 24))
    half = fourier.rfft2(stack)
    assert fourier.crop(half, (16, 24), (16, 24)) is half
    cut = fourier.crop(half, (16, 24), (8, 12))
    np.testing.assert_array_equal(cut[1], fourier.crop(half[1], (16, 24), (8, 12)))


@LIBRARIES
@SHAPES
def test_shift_by_whole_pixels_rolls(library, shape):
    image = smooth(shape)
    moved = fourier.shift(library.asarray(image), (2, -3))
    np.testing.assert_allclose(asnumpy(moved), np.roll(image, (2, -3), (0, 1)), atol=2e-5)


@LIBRARIES
def test_shifts_add_up(library):
    image = library.asarray(smooth((16, 24)))
    twice = fourier.shift(fourier.shift(image, (0.3, 1.7)), (1.2, -0.4))
    np.testing.assert_allclose(asnumpy(twice), asnumpy(fourier.shift(image, (1.5, 1.3))), atol=2e-5)


@LIBRARIES
@SHAPES
def test_radial_average_agrees_with_the_whole_plane(library, shape):
    power = np.abs(np.fft.fft2(noise(shape))) ** 2
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    ring = np.rint(np.hypot(ky, kx) * max(shape)).astype(int).ravel()
    expected = np.bincount(ring, power.ravel()) / np.bincount(ring)
    half = library.asarray(power[:, : shape[1] // 2 + 1])
    np.testing.assert_allclose(asnumpy(fourier.radial_average(half, shape)), expected, rtol=1e-9)


@LIBRARIES
def test_rings_spread_undoes_mean(library):
    shape = (16, 24)
    like = library.asarray(noise((16, 13)))
    rings = fourier.Rings(fourier.ring_numbers(shape), fourier.plane_weight(shape), like)
    curve = np.arange(len(rings.weight_sum), dtype=np.float64)
    flat = rings.spread(curve)
    assert flat.dtype == library.float32
    np.testing.assert_allclose(asnumpy(rings.mean(flat)), curve)
    assert rings.weight_sum.sum() == 16 * 24
