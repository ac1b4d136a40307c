"""Sums of moved frames: the weighted sum against that of single frames, what moving keeps, and laws of both."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import dose, fourier, sums, warp
from cryowidgets.kernels.xp import asnumpy
from tests.libraries import LIBRARIES

SHAPE, PIXEL_SIZE = (160, 224), 1.1


def movie(n=12, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.poisson(2.0, (n, *shape)).astype(np.uint8)
    return frames, np.cumsum(rng.standard_normal((n, 2)), axis=0)


def add_up(frames, shifts, exposures=None, **changes):
    shape = frames.shape[1:]
    known = {"gain": None, "displacement": warp.uniform(shifts, shape), "shape": shape, "pixel_size": PIXEL_SIZE}
    return sums.add_up([(0, frames)], exposures=exposures, **{**known, **changes})


def alone(frames, which):
    """The movie with all other frames empty, which moves its frames as the whole one does."""
    others = np.zeros_like(frames)
    others[which] = frames[which]
    return others


def smooth_images(n, shape=SHAPE, seed=1, highest=0.4):
    """Images without detail beyond `highest` cycles/px, as float32."""
    noise = np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)
    ky, kx = fourier.frequencies(shape)
    return fourier.irfft2((fourier.rfft2(noise) * (np.hypot(ky, kx) < highest)).astype(np.complex64), shape)


def relative(a, b):
    return np.linalg.norm(asnumpy(a) - b) / np.linalg.norm(b)


@pytest.mark.parametrize(("voltage", "step"), [(300.0, 1.3), (200.0, 0.7), (100.0, 2.5)])
def test_the_weighted_sum_is_that_of_its_frames(voltage, step):
    """A few sums with weights stand for a transform of each frame, to 2e-4."""
    frames, shifts = movie(24)
    exposures = 3.0 + step * np.arange(1, len(frames) + 1)
    ky, kx = fourier.frequencies(SHAPE, PIXEL_SIZE)
    q = dose.weights(exposures[:, None, None], np.hypot(ky, kx), voltage)
    moved = [fourier.rfft2(add_up(alone(frames, j), shifts).plain) for j in range(len(frames))]
    expected = fourier.irfft2((np.stack(moved) * q).sum(axis=0) / np.sqrt((q * q).sum(axis=0)), SHAPE)
    found = add_up(frames, shifts, exposures, voltage=voltage)
    assert found.weighted.dtype == np.float32
    assert relative(found.weighted, expected) < 2e-4
    assert relative(found.plain, fourier.irfft2(sum(moved), SHAPE)) < 1e-5


def test_exposures_need_not_be_evenly_spaced():
    frames, shifts = movie(8)
    exposures = np.array([1.0, 2.0, 3.0, 10.0, 10.5, 11.0, 30.0, 50.0])
    ky, kx = fourier.frequencies(SHAPE, PIXEL_SIZE)
    q = dose.weights(exposures[:, None, None], np.hypot(ky, kx))
    moved = np.stack([fourier.rfft2(add_up(alone(frames, j), shifts).plain) for j in range(8)])
    expected = fourier.irfft2((moved * q).sum(axis=0) / np.sqrt((q * q).sum(axis=0)), SHAPE)
    assert relative(add_up(frames, shifts, exposures).weighted, expected) < 2e-4


def test_without_exposure_the_weighted_sum_is_the_plain_one():
    """Up to the root of the number of frames, by which the restored noise is lower."""
    frames, shifts = movie(9)
    found = add_up(frames, shifts, np.zeros(9))
    np.testing.assert_allclose(found.weighted, found.plain / 3, rtol=1e-4, atol=1e-4)


def test_noise_is_restored_at_every_frequency():
    """Wherever content is moved, and up to 0.4 cycles/px, noise has the power of one frame."""
    rng = np.random.default_rng(4)
    frames = rng.standard_normal((20, 256, 256)).astype(np.float32)
    found = add_up(frames, 3 * rng.standard_normal((20, 2)), 2.0 * np.arange(1, 21))
    power = fourier.radial_average(np.abs(fourier.rfft2(found.weighted)) ** 2 / 256**2, (256, 256))
    for rings in np.split(power[20:100], 4):
        assert rings.mean() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("shift", [(0.0, 0.5), (0.5, 0.25), (0.1, 0.9)])
def test_noise_has_no_direction(shift):
    """Frames that all move by one fraction of a pixel leave noise as strong along x as along y."""
    frames = np.random.default_rng(6).standard_normal((4, 512, 512)).astype(np.float32)
    power = np.abs(fourier.rfft2(add_up(frames, np.array([shift] * 4)).plain)) ** 2 / (4 * 512**2)
    ky, kx = fourier.frequencies((512, 512))
    ring = (np.hypot(ky, kx) > 0.2) & (np.hypot(ky, kx) < 0.43)
    along_y, along_x = (power[ring & (np.abs(a) > 2 * np.abs(b))].mean() for a, b in ((ky, kx), (kx, ky)))
    assert along_y / along_x == pytest.approx(1, abs=0.03)


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
    found = add_up(frames, np.zeros((n, 2)), exposures, pixel_size=1.0)

    def correlation(other, low, high):
        band = (k > low) & (k < high)
        a, b = image[band], fourier.rfft2(other)[band]
        return (a * b.conj()).real.sum() / np.sqrt((abs(a) ** 2).sum() * (abs(b) ** 2).sum())

    assert correlation(found.weighted, 0.2, 0.3) > 1.2 * correlation(found.plain, 0.2, 0.3)
    assert correlation(found.weighted, 0.0, 0.02) == pytest.approx(correlation(found.plain, 0.0, 0.02), abs=0.02)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (3.25, 7.8), (-11.4, 2.1)])
def test_moved_content_lies_where_it_was(shift):
    """Content that went 3.25 px to higher rows comes back; what moving changes is little, whatever the fraction."""
    image = smooth_images(1, highest=0.35)[0]
    seen = fourier.shift(image, shift)
    found = add_up(np.stack([seen] * 2), np.array([shift, shift])).plain / 2
    inner = (slice(16, -16),) * 2
    assert relative(found[inner], image[inner]) < 0.03


def test_content_that_moves_differently_in_parts():
    """Each tile is moved by its own displacement: here its columns go apart like an accordion."""
    y, x = np.mgrid[0.0:256, 0:256].astype(np.float32)
    pattern = lambda y, x: np.cos(0.6 * x + 0.2 * y) + np.cos(0.5 * y - 0.1 * x)  # noqa: E731
    tile_y, tile_x = warp.tiles((256, 256))
    away = lambda x: 4e-3 * (x - 128)  # noqa: E731
    seen = pattern(y, x - away(x))
    displacement = np.zeros((1, len(tile_y), len(tile_x), 2))
    displacement[..., 1] = away(tile_x)
    found = sums.add_up([(0, seen[None])], None, displacement, (256, 256), 1.0).plain
    inner = (slice(16, -16),) * 2
    assert relative(found[inner], pattern(y, x)[inner]) < 0.04
    assert relative(seen[inner], pattern(y, x)[inner]) > 0.1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_frames_come_in_blocks_and_any_type(dtype):
    frames, shifts = movie(7)
    gain = np.random.default_rng(2).uniform(0.9, 1.1, SHAPE).astype(np.float32)
    whole = add_up(frames, shifts, 1.5 * np.arange(1, 8), gain=gain)
    parts = [(0, frames[:3].astype(dtype)), (3, frames[3:].astype(dtype))]
    found = sums.add_up(parts, gain, warp.uniform(shifts, SHAPE), SHAPE, PIXEL_SIZE, 1.5 * np.arange(1, 8))
    assert relative(found.weighted, whole.weighted) < 1e-5


def test_even_and_odd_frames_make_up_the_sum():
    frames, shifts = movie(9)
    found = add_up(frames, shifts, halves=True)
    assert relative(found.even + found.odd, found.plain) < 1e-5
    assert relative(found.odd, add_up(alone(frames, slice(0, None, 2)), shifts).plain) < 1e-5  # frames 1, 3, 5, …


@pytest.mark.parametrize("at_once", [1, 2, 9])
@pytest.mark.parametrize("cut", [1, 3, 4, 9])
def test_groups_are_shown_one_after_the_other(monkeypatch, at_once, cut):
    """However the frames come in blocks, and however many groups are held at once."""
    monkeypatch.setattr(sums, "_GROUPS", at_once * 4 * SHAPE[0] * SHAPE[1])
    frames, shifts = movie(9)
    group = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3])
    seen = []
    blocks = [(i, frames[i : i + cut]) for i in range(0, 9, cut)]
    still = warp.uniform(0 * shifts, SHAPE)
    sums.add_up(blocks, None, still, SHAPE, PIXEL_SIZE, group=group, see=lambda image: seen.append(image.copy()))
    assert len(seen) == 4
    for g, image in enumerate(seen):
        np.testing.assert_allclose(image, frames[group == g].sum(axis=0), atol=1e-4)


@pytest.mark.parametrize("small", [(80, 112), (90, 126)])
def test_cropping_is_that_of_the_full_sums(small):
    frames, shifts = movie()
    exposures = 1.5 * np.arange(1, 13)
    full, found = add_up(frames, shifts, exposures), add_up(frames, shifts, exposures, new_shape=small)
    for a, b in ((found.plain, full.plain), (found.weighted, full.weighted)):
        expected = fourier.irfft2(fourier.crop(fourier.rfft2(b), SHAPE, small), small)
        assert relative(a, expected) < 1e-4


@LIBRARIES
def test_other_libraries_give_the_same(library):
    """numba on the host and the array standard elsewhere, to 1e-5."""
    frames, shifts = movie(5)
    gain = np.random.default_rng(3).uniform(0.9, 1.1, SHAPE).astype(np.float32)
    options = {"exposures": 2.0 * np.arange(1, 6), "halves": True, "group": np.array([0, 0, 1, 1, 1])}
    groups, groups_there = [], []
    host = add_up(frames, shifts, gain=gain, see=lambda image: groups.append(image.copy()), **options)
    there = (library(a) for a in (frames, gain))
    keep = lambda image: groups_there.append(asnumpy(image).copy())  # noqa: E731
    device = add_up(next(there), shifts, gain=next(there), see=keep, **options)
    for name in ("plain", "weighted", "even", "odd"):
        assert type(getattr(device, name)) is type(library(gain))
        assert relative(getattr(device, name), getattr(host, name)) < 1e-5
    assert relative(np.stack(groups_there), np.stack(groups)) < 1e-5


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="no frames"):
        sums.add_up([], None, np.zeros((0, 1, 1, 2)), (32, 32), 1.0)
