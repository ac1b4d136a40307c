"""The low frequencies of a frame are those of its whole transform."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels.band import Band, Spectra
from cryowidgets.kernels.xp import asnumpy

SHAPE = (48, 64)


def waves(shape, seed=0, dy=0.0, dx=0.0):
    """A smooth periodic image that is dark at its edges, moved by dy, dx px."""
    y, x = np.arange(shape[0])[:, None] - dy, np.arange(shape[1])[None, :] - dx
    rng, image = np.random.default_rng(seed), np.zeros(shape)
    for i in range(1, 6):
        for j in range(1, 6):
            image += rng.standard_normal() * np.cos(2 * np.pi * (i * y / shape[0] + j * x / shape[1]))
    return (image * np.sin(np.pi * y / shape[0]) ** 4 * np.sin(np.pi * x / shape[1]) ** 4).astype(np.float32)


@pytest.mark.parametrize("library", [np, array_api_strict], ids=["numpy", "strict"])
@pytest.mark.parametrize("highest", [0.1, 0.25, 0.45])
def test_a_band_is_a_part_of_the_transform(library, highest):
    """Of the image without its rows' and columns' means, its outermost pixels halved (2 % of 48 px are one)."""
    band = Band(SHAPE, highest)
    image = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32) + 100
    got = asnumpy(band.transform(library.asarray(image)))
    assert got.dtype == np.complex64 and got.shape == (2 * band.m + 1, band.c + 1)
    plain = image - image.mean(axis=0, dtype=float) - image.mean(axis=1, dtype=float, keepdims=True) + image.mean()
    plain[[0, -1]] *= 0.5
    plain[:, [0, -1]] *= 0.5
    whole = np.fft.rfft2(plain)
    expected = np.concatenate([whole[: band.m + 1], whole[-band.m :]])[:, : band.c + 1]
    np.testing.assert_allclose(got, expected, atol=1e-4 * abs(expected).max())


def test_frequencies_weights_and_rings_belong_together():
    band = Band(SHAPE, 0.25)
    assert band.ky.shape == (25, 1) and band.kx.shape == (1, 17)
    k = np.hypot(band.ky, band.kx)
    assert (k[band.weight > 0] <= 0.25 + 0.5 / 64).all()
    assert not band.weight[0].any() and not band.weight[:, 0].any()
    inner = band.ring < band.rings - 1
    assert np.abs(band.radius[band.ring[inner]] - k[inner]).max() <= 0.5 / 64 + 1e-9


def test_phases_undo_a_displacement():
    band = Band(SHAPE, 0.25)
    moved, still = band.transform(waves(SHAPE, dy=1.3, dx=-2.6)), band.transform(waves(SHAPE))
    y, x = band.phases((1.3, -2.6), still)
    used = band.weight > 0
    np.testing.assert_allclose((moved * y * x)[used], still[used], atol=2e-2 * abs(still).max())


def test_binning_changes_little_but_the_scale():
    plain, binned = Band(SHAPE, 0.1), Band(SHAPE, 0.1, 2)
    image = waves(SHAPE)
    a, b = plain.transform(image), binned.transform(image)
    assert a.shape == b.shape
    used = plain.weight > 0
    correlation = abs((a * b.conj())[used]).sum() / np.sqrt((abs(a[used]) ** 2).sum() * (abs(b[used]) ** 2).sum())
    assert correlation > 0.999


def test_a_smaller_band_lies_within():
    band = Band(SHAPE, 0.4)
    small, rows = band.within(0.2)
    np.testing.assert_allclose(band.ky[rows], small.ky)
    np.testing.assert_allclose(band.kx[:, : small.c + 1], small.kx)
    assert band.within(3.0)[0].highest == 0.4


def test_resolution_decides_until_frames_are_large():
    assert Band.up_to(5.0, (1024, 1024), 1.0).highest == pytest.approx(0.2)
    assert Band.up_to(1.0, (512, 512), 1.0).highest == 0.45
    large = Band.up_to(3.0, (8184, 11520), 0.4)
    assert large.ring.size < 410_000 and large.bin > 2
    assert large.shape[0] % large.bin == 0 and 8184 - large.shape[0] < large.bin


def test_signal_and_noise_of_each_ring_are_told_apart():
    """White noise of variance 1 in each frame, and an image of a tenth of its power."""
    rng, n, shape = np.random.default_rng(1), 10, (256, 256)
    image = np.sqrt(0.1) * rng.standard_normal(shape)
    band = Band(shape, 0.4)
    bands = [band.transform((image + rng.standard_normal(shape)).astype(np.float32)) for _ in range(n)]
    spectra = Spectra(bands, band, np.ones((n, band.rings)), 1.0)
    _, total = spectra.aligned(np.zeros((n, 2)))
    signal, noise = spectra.signal_and_noise(total)
    inner = slice(20, 100)
    assert np.mean(signal[inner]) / np.mean(noise[inner]) == pytest.approx(0.1, rel=0.1)
    assert np.mean(noise[inner] + signal[inner]) == pytest.approx(np.mean(spectra.power[inner]))
