"""Compiled transforms of the host beside those of numpy in double precision."""

import numpy as np
import pytest

from cryowidgets import cpu
from cryowidgets.kernels import fourier, hostfft, patches


def image(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def close(found, expected, atol=3e-6):
    np.testing.assert_allclose(found, expected, atol=atol * np.abs(expected).std())


# every factor, alone and with others; primes in the middle and twice; and what is left to scipy: 37, 40 × 41, 16
@pytest.mark.parametrize(
    "shape", [(32, 81), (34, 125), (64, 48), (120, 33), (62, 93), (49, 77), (341, 132), (37, 64), (40, 41), (16, 500)]
)
def test_transform_and_inverse(shape):
    pixels = image(*shape)
    half = fourier.rfft2(pixels)
    assert half.dtype == np.complex64
    close(half, np.fft.rfft2(pixels.astype(float)))
    kept = half.copy()
    close(fourier.irfft2(half, shape), pixels)
    np.testing.assert_array_equal(half, kept)
    close(fourier.irfft2(half, shape, overwrite=True), pixels)


@pytest.mark.parametrize("shape", [(96, 70), (70, 96), (37, 74)])
@pytest.mark.parametrize(("first", "last", "columns"), [(5, 4, 3), (1, 0, 1), (20, 17, 33)])
def test_low_frequencies_of_a_stack(shape, first, last, columns):
    stack = image(3, *shape)
    expected = np.fft.rfft2(stack.astype(float))
    expected = np.concatenate([expected[:, :first, :columns], expected[:, shape[0] - last :, :columns]], axis=1)
    close(hostfft.low(stack, (first, last), columns), expected, 1e-5)


def test_a_real_image_ignores_what_cannot_be_of_one():
    """The imaginary parts of elements that stand for themselves."""
    half = fourier.rfft2(image(64, 96))
    odd = half.copy()
    odd[0, 0] += 3j
    odd[32, 48] -= 2j
    close(fourier.irfft2(odd, (64, 96)), fourier.irfft2(half, (64, 96)))


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(hostfft, "_LARGE", 1000)
    pixels = image(200, 324)
    one = fourier.rfft2(pixels)
    back = fourier.irfft2(one, pixels.shape)
    before = cpu.threads()
    cpu.set_threads(3)
    try:
        np.testing.assert_array_equal(fourier.rfft2(pixels), one)
        np.testing.assert_array_equal(fourier.irfft2(one, pixels.shape), back)
    finally:
        cpu.set_threads(before)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize(("block", "side"), [(1, 37), (2, 28), (3, 19)])
@pytest.mark.parametrize("corrected", [True, False], ids=["gain", "plain"])
def test_pieces_of_all_kinds_of_frames(kind, block, side, corrected):
    """What the loops cut is what the functions of any array library cut."""
    array_api_strict = pytest.importorskip("array_api_strict")
    rng = np.random.default_rng(block)
    raw = rng.integers(-9 if np.dtype(kind).kind != "u" else 0, 90, (5, 90, 101)).astype(kind)
    gain = rng.uniform(0.9, 1.1, (90, 101)).astype(np.float32) if corrected else None
    corner = np.stack([rng.integers(0, 90 - side * block + 1, 5), rng.integers(0, 101 - side * block + 1, 5)], axis=1)
    corner[-1] = 90 - side * block, 101 - side * block
    group = np.array([0, 0, 1, 2, 2])
    grid = patches.Grid((90, 101), np.zeros((1, 2)), (1, 1), side * block, block)
    window = fourier.cosine_edges(side, 0.2)
    found = patches._cut(raw, gain, corner, group, grid, window)
    strict = [None if x is None else array_api_strict.asarray(x) for x in (raw, gain)]
    expected = np.asarray(patches._cut(*strict, corner, group, grid, window))
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.std())
