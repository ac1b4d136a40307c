"""Laws of smoothing: what is certain is kept, noise is lowered, jumps survive, error bars are honest."""

import numpy as np
import pytest

from cryowidgets.kernels import trajectory
from cryowidgets.sim import track


def settling(seed, frames=30, drift=8.0, jitter=0.05, dose=1.5):
    path = track.draw(frames, dose, drift, jitter, 0.0, np.random.default_rng(seed)).shifts
    return path - path.mean(axis=0)


def rms(x):
    return np.sqrt(np.square(x).sum(axis=1).mean())


def test_a_straight_line_stays():
    t = np.arange(20.0)
    line = np.stack([0.3 * t, -0.1 * t + 5], axis=1)
    got, _ = trajectory.smooth(line, np.full(20, 0.01))
    np.testing.assert_allclose(got, line - line.mean(axis=0), atol=1e-3)


def test_precise_shifts_are_kept_and_noisy_ones_smoothed():
    truth = settling(0)
    noise = np.random.default_rng(1).standard_normal(truth.shape)
    got, _ = trajectory.smooth(truth + 0.002 * noise, np.full(30, 0.002**2), 1.5)
    assert rms(got - truth) < 0.005
    noisy = truth + 0.2 * noise
    got, _ = trajectory.smooth(noisy, np.full(30, 0.2**2), 1.5)
    assert rms(got - truth) < 0.7 * rms(noisy - noisy.mean(axis=0) - truth)


def test_error_bars_are_honest():
    pulls = []
    for seed in range(40):
        rng, truth = np.random.default_rng(1000 + seed), settling(seed)
        got, covariance = trajectory.smooth(truth + 0.1 * rng.standard_normal(truth.shape), np.full(30, 0.01), 1.5)
        pulls.append(np.square((got - truth) / np.sqrt(np.diag(covariance))[:, None]).mean())
    assert 0.6 < np.sqrt(np.mean(pulls)) < 1.5


@pytest.mark.parametrize("dose", [0.0, 1.5])
def test_a_jump_of_the_stage_stays_a_jump(dose):
    truth = np.zeros((24, 2))
    truth[12:] = 60, -20
    truth -= truth.mean(axis=0)
    noise = 0.1 * np.random.default_rng(2).standard_normal(truth.shape)
    got, _ = trajectory.smooth(truth + noise, np.full(24, 0.01), dose)
    assert np.abs(got - truth).max() < 0.5


def test_a_frame_that_tells_nothing_follows_its_neighbours():
    truth = settling(3)
    measured, variance = truth.copy(), np.full(30, 1e-4)
    measured[15] += 40
    variance[15] = 1e4
    got, covariance = trajectory.smooth(measured, variance, 1.5)
    assert np.abs(got[15] - truth[15]).max() < 0.3
    assert covariance[15, 15] > 4 * covariance[14, 14]


def test_few_frames_are_left_as_measured():
    measured = np.array([[0.0, 1.0], [5.0, -3.0], [2.0, 2.0]])
    got, covariance = trajectory.smooth(measured, np.full(3, 0.09))
    np.testing.assert_allclose(got, measured - measured.mean(axis=0))
    np.testing.assert_allclose(np.diag(covariance), 0.09 * 2 / 3)
