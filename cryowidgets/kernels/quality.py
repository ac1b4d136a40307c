"""How far a specimen moved, in the numbers that people judge a movie by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EARLY = 4.0
"""e/Å² that divide early from late motion, as in RELION."""


@dataclass(frozen=True)
class Path:
    """Lengths along a trajectory, Å; NaN where it cannot be told.

    Attributes
    ----------
    total : float
        Of all steps together.
    early, late : float
        Of the steps into frames that end within the first `EARLY` e/Å² of exposure, and of the others. NaN where the
        exposure is unknown.
    worst : float
        The longest step.
    total_error, early_error, late_error, worst_error : float
        Their standard errors.
    """

    total: float
    early: float
    late: float
    worst: float
    total_error: float = math.nan
    early_error: float = math.nan
    late_error: float = math.nan
    worst_error: float = math.nan


UNKNOWN = Path(math.nan, math.nan, math.nan, math.nan)


def path(
    shifts: np.ndarray,
    pixel_size: float,
    dose_per_frame: float = 0.0,
    pre_exposure: float = 0.0,
    covariance: np.ndarray | None = None,
) -> Path:
    """Measure a trajectory.

    Parameters
    ----------
    shifts : (n, 2)
        Displacement of each frame, y, x in px.
    pixel_size : float
        Å/px.
    dose_per_frame, pre_exposure : float
        e/Å²; a `dose_per_frame` of 0 means unknown.
    covariance : (n, n), optional
        Of the errors of `shifts` along one axis, px².
    """
    steps = np.diff(np.asarray(shifts, float), axis=0) * pixel_size
    lengths = np.linalg.norm(steps, axis=1)
    ends = pre_exposure + dose_per_frame * np.arange(2, len(steps) + 2)
    parts = {"total": np.ones(len(steps), bool), "worst": np.arange(len(steps)) == np.argmax([*lengths, -1])}
    if dose_per_frame:
        parts["early"] = ends <= EARLY + 1e-9
        parts["late"] = ~parts["early"]
    found = {"early": math.nan, "late": math.nan}
    for name, part in parts.items():
        found[name] = float(lengths[part].sum())
        if covariance is not None:
            found[f"{name}_error"] = _error(steps, part, covariance * pixel_size**2)
    return Path(**found)


def _error(steps: np.ndarray, part: np.ndarray, covariance: np.ndarray) -> float:
    """Standard error of the length of some steps, by the direction of each."""
    direction = np.where(part[:, None], steps, 0) / np.maximum(np.linalg.norm(steps, axis=1), 1e-12)[:, None]
    slope = np.zeros((len(steps) + 1, 2))
    slope[1:] += direction
    slope[:-1] -= direction
    return math.sqrt(max(float(np.einsum("ic,ij,jc->", slope, covariance, slope)), 0.0))


def oddities(
    shifts: np.ndarray, raw: np.ndarray, raw_error: np.ndarray, covariance: np.ndarray, pixel_size: float
) -> str:
    """What is odd about a trajectory, in words; empty where nothing is.

    Parameters
    ----------
    shifts, raw : (n, 2)
        Smoothed and as measured frame by frame, px.
    raw_error : (n,)
        Standard error of `raw` along one axis, px.
    covariance : (n, n)
        Of the errors of `shifts`, px².
    pixel_size : float
        Å/px.
    """
    found = []
    away = raw - shifts
    away = np.linalg.norm(away - np.median(away, axis=0), axis=1)
    out = np.flatnonzero((away > OUTLYING * raw_error) & (away * pixel_size > JUMP / 4))
    if len(out):
        frames = ", ".join(str(j + 1) for j in out[:5]) + (", …" if len(out) > 5 else "")
        found.append(f"Frame{'s' if len(out) > 1 else ''} {frames} lie off the path of the others.")
    steps = np.linalg.norm(np.diff(shifts, axis=0), axis=1) * pixel_size
    usual = np.median(steps) if len(steps) else 0.0
    for j in np.flatnonzero(steps > np.maximum(JUMP, 6 * usual)):
        if j >= SETTLING and j + 1 not in out and j not in out:
            found.append(f"The stage jumped by {steps[j]:.0f} Å before frame {j + 2}.")
    return " ".join(found)


OUTLYING = 5.0
"""Standard errors by which a frame is off the path."""

JUMP = 8.0
"""Å from one frame to the next that no settling specimen goes."""

SETTLING = 3
"""Frames at the begin, where specimens do move fast."""
