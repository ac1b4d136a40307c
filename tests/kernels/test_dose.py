"""Exposure weighting: known values of the paper, the direct sum as reference, and laws."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import dose, fourier
from cryowidgets.kernels.xp import asnumpy

LIBRARIES = pytest.mark.parametrize("library", [np, array_api_strict], ids=["numpy", "strict"])
SHAPE, PIXEL_SIZE = (96, 128), 1.1


def movie(n=12, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.poisson(2.0, (n, *shape)).astype(np.float32)
    return frames, np.cumsum(rng.standard_normal((n, 2)), axis=0)


def direct(frames, shifts, exposures, voltage=300.0):
    """Equation 9 written down frame by frame, in double precision."""
    shape = frames.shape[1:]
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    k = np.hypot(ky, kx) / PIXEL_SIZE
    with np.errstate(divide="ignore"):
        critical = (0.24499 * k**-1.6649 + 2.8141) * {300.0: 1, 200.0: 0.8, 100.0: 0.64}[voltage]
    total, squares = 0, 0
    for frame, (y, x), exposure in zip(frames, shifts, exposures, strict=True):
        q = np.exp(-exposure / (2 * critical))
        total = total + q * np.fft.rfft2(frame.astype(float)) * np.exp(2j * np.pi * (ky * y + kx * x))
        squares = squares + q * q
    return np.fft.irfft2(total / np.sqrt(squares), s=shape)


def test_critical_exposures_of_the_paper():
    # Figure 3 of the paper: about 4 e/Å² at 3 Å and about 25 at 20 Å
    k = np.array([1 / 3, 1 / 20, 0.0])
    got = dose.critical_exposure(k)
    assert got[0] == pytest.approx(0.24499 * 3**1.6649 + 2.8141)
    assert 4 < got[0] < 5 and 35 < got[1] < 45
    assert got[2] == np.inf


def test_voltage_scale_is_continuous_and_rises():
    volts = np.linspace(60, 400, 200)
    scale = np.array([dose.voltage_scale(v) for v in volts])
    assert (np.diff(scale) > 0).all() and np.diff(scale).max() < 0.02
    assert [dose.voltage_scale(v) for v in (100, 200, 300)] == pytest.approx([0.64, 0.8, 1])
    assert dose.voltage_scale(120) == pytest.approx(0.672)


@LIBRARIES
@pytest.mark.parametrize("voltage", [300.0, 200.0, 100.0])
def test_equals_the_direct_sum(library, voltage):
    frames, shifts = movie()
    exposures = 3.0 + 1.3 * np.arange(1, len(frames) + 1)
    sums = dose.align_and_sum(
        (library.asarray(f) for f in frames[::-1]), shifts[::-1], PIXEL_SIZE, exposures[::-1], voltage
    )
    expected = direct(frames, shifts, exposures, voltage)
    assert sums.weighted.dtype == library.float32
    assert np.linalg.norm(asnumpy(sums.weighted) - expected) < 1e-5 * np.linalg.norm(expected)
    plain = direct(frames, shifts, np.zeros(len(frames))) * np.sqrt(len(frames))
    assert np.linalg.norm(asnumpy(sums.plain) - plain) < 1e-5 * np.linalg.norm(plain)


def test_exposures_need_not_be_evenly_spaced():
    frames, shifts = movie(8)
    exposures = np.array([1.0, 2.0, 3.0, 10.0, 10.5, 11.0, 30.0, 50.0])
    sums = dose.align_and_sum(frames[::-1], shifts[::-1], PIXEL_SIZE, exposures[::-1])
    expected = direct(frames, shifts, exposures)
    assert np.linalg.norm(sums.weighted - expected) < 1e-5 * np.linalg.norm(expected)


def test_without_exposure_the_weighted_sum_is_the_plain_one():
    """Up to the root of the number of frames, by which the restored noise is lower."""
    frames, shifts = movie(9)
    sums = dose.align_and_sum(frames[::-1], shifts[::-1], PIXEL_SIZE, np.zeros(9))
    np.testing.assert_allclose(sums.weighted, sums.plain / 3, rtol=1e-5)


def test_noise_is_restored_at_every_frequency():
    rng = np.random.default_rng(4)
    frames = rng.standard_normal((20, 256, 256)).astype(np.float32)
    exposures = 2.0 * np.arange(1, 21)
    sums = dose.align_and_sum(frames[::-1], np.zeros((20, 2)), 1.0, exposures[::-1])
    power = fourier.radial_average(np.abs(fourier.rfft2(sums.weighted)) ** 2 / 256**2, (256, 256))
    assert power[20:150] == pytest.approx(1, abs=0.3)
    assert power[20:150].mean() == pytest.approx(1, abs=0.02)


def test_the_weighted_sum_keeps_more_of_what_fades():
    """Signal to noise of an image that fades as the model says: better at high frequency, the same at low."""
    rng = np.random.default_rng(5)
    shape, n = (256, 256), 20
    ky, kx = fourier.frequencies(shape)
    k = np.hypot(ky, kx)
    image = fourier.rfft2(rng.standard_normal(shape).astype(np.float32))
    exposures = 2.0 * np.arange(1, n + 1)
    frames = np.stack([fourier.irfft2((image * dose.weights(e, k)).astype(np.complex64), shape) for e in exposures])
    frames += 2 * rng.standard_normal(frames.shape).astype(np.float32)
    sums = dose.align_and_sum(frames[::-1], np.zeros((n, 2)), 1.0, exposures[::-1])

    def correlation(other, low, high):
        band = (k > low) & (k < high)
        a, b = image[band], fourier.rfft2(other)[band]
        return (a * b.conj()).real.sum() / np.sqrt((abs(a) ** 2).sum() * (abs(b) ** 2).sum())

    assert correlation(sums.weighted, 0.2, 0.3) > 1.2 * correlation(sums.plain, 0.2, 0.3)
    assert correlation(sums.weighted, 0.0, 0.02) == pytest.approx(correlation(sums.plain, 0.0, 0.02), abs=0.02)


@LIBRARIES
def test_cropping_is_that_of_the_full_sums(library):
    frames, shifts = movie()
    exposures = 1.5 * np.arange(1, 13)
    full = dose.align_and_sum(frames[::-1], shifts[::-1], PIXEL_SIZE, exposures[::-1])
    frames = (library.asarray(f) for f in frames[::-1])
    small = dose.align_and_sum(frames, shifts[::-1], PIXEL_SIZE, exposures[::-1], shape=(48, 64))
    for a, b in ((small.plain, full.plain), (small.weighted, full.weighted)):
        expected = fourier.irfft2(fourier.crop(fourier.rfft2(b), SHAPE, (48, 64)), (48, 64))
        assert np.linalg.norm(asnumpy(a) - expected) < 1e-5 * np.linalg.norm(expected)


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="no frames"):
        dose.align_and_sum([], np.zeros((0, 2)), 1.0)
