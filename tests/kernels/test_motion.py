"""Whole-frame motion: accuracy against known answers, and laws that keep it from being pulled aside."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import fixedpattern, fourier, motion
from cryowidgets.kernels.xp import asnumpy

SMALL = {"shape": (512, 512), "frames": 12, "dose_per_frame": 2.0, "drift": 6.0}


def align(movie, frames=None, **changes):
    recipe = movie.recipe
    known = {"pixel_size": recipe.pixel_size, "dose_per_frame": recipe.dose_per_frame, "voltage": recipe.voltage}
    return motion.align(movie.frames() if frames is None else frames, **{**known, **changes})


@pytest.fixture(scope="module")
def small(corrected_movie):
    return corrected_movie(1, **SMALL)


@pytest.fixture(scope="module")
def found(small):
    return align(small)


def test_accuracy_on_movies_of_1024_px(corrected_movie):
    """Within 0.15 px at the median, and error bars of the right size."""
    errors, told, slopes = [], [], []
    for seed, dose in ((201, 1.25), (202, 1.6), (203, 2.0)):
        movie = corrected_movie(seed, dose_per_frame=dose)
        result = align(movie)
        assert result.ok and result.shifts.shape == (20, 2)
        assert not result.shifts[0].any()
        errors.append(movie.error(result.shifts))
        told.append(np.sqrt(2 * np.square(result.error).mean()))
        slopes.append(movie.slope(result.shifts))
    assert np.median(errors) <= 0.13 and max(errors) <= 0.2
    assert 0.5 < np.median(errors) / np.median(told) < 1.7
    assert np.median(slopes) == pytest.approx(1, abs=0.03)


def test_sign_and_axes():
    """Content that goes 3 px to higher columns and 5 px to lower rows has the shift (-5, 3)."""
    image = fourier.irfft2(
        fourier.rfft2(np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)), (256, 256)
    )
    rng = np.random.default_rng(1)
    frames = [np.roll(image, (round(-5 * j / 4), round(3 * j / 4)), (0, 1)) for j in range(5)]
    frames = [frame + 0.5 * rng.standard_normal(frame.shape).astype(np.float32) for frame in frames]
    result = motion.align(frames, pixel_size=3.0, resolution=8.0)
    expected = [[round(-5 * j / 4), round(3 * j / 4)] for j in range(5)]
    np.testing.assert_allclose(result.raw, expected, atol=0.05)


def test_smoothing_helps(small, found):
    assert small.error(found.shifts) < small.error(found.raw)
    assert small.error(found.shifts) < 0.25


@pytest.mark.parametrize("reference", ["none", "wrong"])
def test_a_missing_or_wrong_gain_does_not_pull_shifts_to_zero(small, found, reference):
    pattern = 1 + 0.05 * np.random.default_rng(3).standard_normal(small.recipe.shape).astype(np.float32)
    frames = small.frames(None if reference == "none" else small.movie.gain * pattern)
    result = align(small, frames)
    assert small.error(result.shifts) < small.error(found.shifts) + 0.05
    assert small.slope(result.shifts) == pytest.approx(small.slope(found.shifts), abs=0.03)


def test_a_slow_drift_is_not_held_back_by_a_fixed_pattern(corrected_movie):
    movie = corrected_movie(2, **{**SMALL, "drift": 1.5, "jitter": 0.02})
    pattern = 1 + 0.05 * np.random.default_rng(4).standard_normal(movie.recipe.shape).astype(np.float32)
    result = align(movie, movie.frames(movie.movie.gain * pattern))
    assert movie.slope(result.shifts) == pytest.approx(movie.slope(align(movie).shifts), abs=0.06)


def test_hot_pixels_do_not_pull(small, found, monkeypatch):
    """One hot pixel in 1000 changes the error by less than 0.02 px if repaired; without any care it ruins all."""
    counts = small.movie.frames.copy()
    hot = np.random.default_rng(5).choice(counts[0].size, counts[0].size // 1000, replace=False)
    counts.reshape(len(counts), -1)[:, hot] += 60
    result = align(small, small.frames(counts=counts))
    assert small.error(result.shifts) == pytest.approx(small.error(found.shifts), abs=0.02)
    monkeypatch.setattr(fixedpattern, "FINEST", 0.0)
    careless = align(small, small.frames(counts=counts, repair=False))
    assert small.error(careless.shifts) > 1


def test_stripes_and_offsets_do_not_matter(small, found):
    rng = np.random.default_rng(6)
    stripes = 0.5 * rng.standard_normal((1, 512)) + 0.5 * rng.standard_normal((512, 1)) + 1000
    result = align(small, [frame + stripes.astype(np.float32) for frame in small.frames()])
    np.testing.assert_allclose(result.shifts, found.shifts, atol=0.02)


def test_uneven_illumination_does_not_matter(small, found):
    y, x = np.linspace(-1, 1, 512, dtype=np.float32)[:, None], np.linspace(-1, 1, 512, dtype=np.float32)[None, :]
    result = align(small, [frame * (1 - 0.2 * x - 0.2 * y * y) for frame in small.frames()])
    assert small.error(result.shifts) < small.error(found.shifts) + 0.05


@pytest.mark.parametrize("factor", [1e-4, 3e4])
def test_the_scale_of_intensities_does_not_matter(small, found, factor):
    result = align(small, [frame * np.float32(factor) for frame in small.frames()])
    np.testing.assert_allclose(result.shifts, found.shifts, atol=1e-3)


def test_backwards_is_the_same_motion(small):
    forth = align(small, dose_per_frame=0.0)
    back = align(small, small.frames()[::-1], dose_per_frame=0.0)
    np.testing.assert_allclose(back.shifts[::-1] - back.shifts[-1], forth.shifts, atol=0.02)


def test_mirrored_frames_move_the_other_way(small, found):
    result = align(small, [frame[::-1, ::-1] for frame in small.frames()])
    np.testing.assert_allclose(result.shifts, -found.shifts, atol=0.02)


def test_a_stage_that_jumps(small):
    """Content moved by 60 px within the movie is found where it is."""
    frames = [np.roll(f, (60, -30), (0, 1)) if j >= 7 else f for j, f in enumerate(small.frames())]
    jump = np.where(np.arange(12)[:, None] >= 7, [60, -30], [0, 0])
    result = align(small, frames)
    assert small.error(result.shifts - jump) < 0.5


def test_a_blank_frame_follows_its_neighbours(small, found):
    frames = small.frames()
    frames[6] = np.random.default_rng(8).poisson(2.0, frames[6].shape).astype(np.float32)
    result = align(small, frames)
    assert np.abs(result.shifts[6] - found.shifts[6]).max() < 0.5
    assert small.error(result.shifts) < small.error(found.shifts) + 0.1


def test_weak_frames_are_found_by_running_sums(corrected_movie):
    movie = corrected_movie(3, shape=(512, 512), frames=60, dose_per_frame=0.15, drift=8.0)
    result = align(movie)
    assert result.ok and movie.error(result.shifts) < 0.6


def test_large_frames_are_binned_without_harm(small, found, monkeypatch):
    from cryowidgets.kernels import band

    monkeypatch.setattr(band, "MOST", 512 * 512 // 20)
    frames = [frame[:-1, :-3] for frame in small.frames()]
    assert band.Band.up_to(5.0, frames[0].shape, 1.2).bin == 1
    monkeypatch.setattr(band, "MOST", 512 * 512 // 40)
    assert band.Band.up_to(5.0, frames[0].shape, 1.2).bin == 2
    result = align(small, frames)
    assert small.error(result.shifts) < small.error(found.shifts) + 0.1


@pytest.mark.parametrize("what", ["noise", "pattern", "zeros", "constant"])
def test_nothing_to_see_is_said_not_guessed(what):
    rng = np.random.default_rng(9)
    pattern = 1 + 0.05 * rng.standard_normal((256, 256))
    frames = {
        "noise": [rng.poisson(3.0, (256, 256)).astype(np.float32) for _ in range(12)],
        "pattern": [rng.poisson(3.0 * pattern).astype(np.float32) for _ in range(12)],
        "zeros": [np.zeros((256, 256), np.float32)] * 12,
        "constant": [np.full((256, 256), 7.0, np.float32)] * 12,
    }[what]
    result = motion.align(frames, 1.2, 1.5)
    assert not result.ok
    assert "standard deviations" in result.why and result.agreement < motion.LEAST
    assert not result.shifts.any() and np.isnan(result.error).all()


def test_one_frame_and_none():
    one = motion.align([np.ones((64, 64), np.float32)], 1.0)
    assert one.shifts.shape == (1, 2) and "single frame" in one.why
    assert motion.align([], 1.0).shifts.shape == (0, 2)


def test_two_frames(small):
    movie_frames = small.frames()
    early, late = sum(movie_frames[:3]), sum(movie_frames[-3:])
    result = align(small, [early, late], dose_per_frame=0.0)
    expected = small.truth[-3:].mean(axis=0) - small.truth[:3].mean(axis=0)
    assert result.ok
    np.testing.assert_allclose(result.shifts[1], expected, atol=0.7)


def test_a_strict_library_gives_the_same(small, found):
    strict = align(small, [array_api_strict.asarray(frame) for frame in small.frames()])
    np.testing.assert_allclose(strict.shifts, found.shifts, atol=1e-3)
    np.testing.assert_allclose(strict.error, found.error, rtol=1e-2)


@pytest.mark.gpu
def test_a_gpu_gives_the_same(small, found):
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    if not cupy.cuda.is_available():
        pytest.skip("no GPU")
    there = align(small, [cupy.asarray(frame) for frame in small.frames()])
    np.testing.assert_allclose(there.shifts, found.shifts, atol=2e-3)


def test_a_fixed_pattern_is_taken_away_and_no_more():
    """The frames become independent where it is; without it nothing is taken."""
    rng, n = np.random.default_rng(10), 20
    static = 0.2 * rng.standard_normal((256, 256))
    frames = [(static + rng.standard_normal((256, 256))).astype(np.float32) for _ in range(n)]
    measured, clean = fixedpattern.Pattern(), fixedpattern.Pattern()
    for frame in frames:
        measured.add(frame)
        clean.add(rng.standard_normal((256, 256)).astype(np.float32))
    assert clean.share() < 2e-3
    assert measured.share() == pytest.approx(1 - np.sqrt(1 / (1 + n * 0.04)), abs=0.01)
    spectra = [fourier.rfft2(frame) for frame in frames]
    fixedpattern.remove(spectra, measured.share())
    even, odd = sum(spectra[::2]), sum(spectra[1::2])
    correlation = asnumpy(even * odd.conj()).real.sum() / np.sqrt((abs(even) ** 2).sum() * (abs(odd) ** 2).sum())
    assert abs(correlation) < 0.02
