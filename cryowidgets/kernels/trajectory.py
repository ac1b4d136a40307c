"""Smoothing a trajectory: what is known of how specimens move, weighed against what was measured of each frame.

A specimen settles: its speed changes less and less under the beam. So the displacement is taken for the sum of a
straight line, a random walk (each frame may jump a little) and an integrated random walk (the speed may change, in the
first few e/Å² more than later), and of all strengths of the two those are taken under which the measured shifts are
likeliest. This is a smoothing spline whose stiffness comes from the data: noisy shifts are smoothed much, precise ones
hardly, and a stage that jumps keeps its jump.

The equations are those of Gaussian process regression: Rasmussen & Williams, Gaussian Processes for Machine Learning
(2006), chapters 2 and 5.
"""

from __future__ import annotations

import numpy as np

_WALK = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.6, 10.0, 40.0)
"""Steps of the random walk that are tried, px per frame."""

_BEND = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Changes of speed that are tried, px per frame and frame, under a fresh specimen."""

_SETTLES, _CREEPS = 4.0, 0.03
"""The variance of changes of speed falls with this exposure (e/Å²), to this fraction."""

_FEWEST = 5


def smooth(
    shifts: np.ndarray, variance: np.ndarray, dose_per_frame: float = 0.0, pre_exposure: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest trajectory, and how well it is known.

    Parameters
    ----------
    shifts : (n, 2)
        Measured shifts, px.
    variance : (n,)
        Variance of each along one axis, px².
    dose_per_frame, pre_exposure : float
        e/Å²; a `dose_per_frame` of 0 means unknown, and changes of speed are as likely late as early.

    Returns
    -------
    shifts : (n, 2)
        With a mean of zero. Fewer than five frames are left as measured.
    covariance : (n, n)
        Of the errors along one axis, relative to the mean of the trajectory, px².
    """
    n = len(shifts)
    centred = np.eye(n) - 1 / n
    if n < _FEWEST:
        return centred @ shifts, centred @ np.diag(variance) @ centred
    t = np.arange(n, dtype=float)
    walk = np.minimum.outer(t, t)
    bend = turning(t, dose_per_frame, pre_exposure)
    line = 1e4 * (1 + np.outer(t - t.mean(), t - t.mean()) / n**2)  # as good as unknown
    noise = np.diag(variance)

    step, change = (v.ravel()[:, None, None] for v in np.meshgrid(np.square(_WALK), np.square(_BEND)))
    priors = line + step * walk + change * bend
    factor = np.linalg.cholesky(priors + noise)
    white = np.linalg.solve(factor, np.broadcast_to(shifts, (len(priors), *shifts.shape)))
    # both axes share one prior
    logs = -0.5 * np.square(white).sum(axis=(1, 2))
    logs -= shifts.shape[1] * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    best = priors[np.argmax(logs)]
    gain = np.linalg.solve(best + noise, best).T
    covariance = centred @ (best - gain @ best) @ centred
    return centred @ gain @ shifts, covariance


def resampled(shifts: np.ndarray, n: int) -> np.ndarray:
    """A trajectory (m, 2) at the middles of `n` frames that share the exposure equally, linear in between."""
    if len(shifts) == n:
        return np.asarray(shifts, float)
    there, wanted = (np.arange(len(shifts)) + 0.5) / len(shifts), (np.arange(n) + 0.5) / n
    return np.stack([np.interp(wanted, there, axis) for axis in np.asarray(shifts, float).T], axis=1)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation along each axis of two trajectories (n, 2); 0 where one of them does not move at all."""
    a, b = (np.asarray(t, float) - np.mean(t, axis=0, dtype=float) for t in (first, second))
    scale = np.sqrt(np.square(a).sum(axis=0) * np.square(b).sum(axis=0))
    return np.where(scale > 0, (a * b).sum(axis=0) / np.where(scale > 0, scale, 1), 0.0)


def turning(t: np.ndarray, dose_per_frame: float, pre_exposure: float = 0.0) -> np.ndarray:
    """Covariance of an integrated random walk: each frame may change the speed of all that follow."""
    exposure = pre_exposure + dose_per_frame * t
    change = np.exp(-exposure / _SETTLES) + _CREEPS if dose_per_frame else np.ones(len(t))
    lever = np.maximum(t[:, None] - t[None, :], 0)
    return (lever * change) @ lever.T
