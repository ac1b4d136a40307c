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
    """

    total: float
    early: float
    late: float
    worst: float


UNKNOWN = Path(math.nan, math.nan, math.nan, math.nan)


def path(shifts: np.ndarray, pixel_size: float, dose_per_frame: float = 0.0, pre_exposure: float = 0.0) -> Path:
    """Measure a trajectory.

    Parameters
    ----------
    shifts : (n, 2)
        Displacement of each frame, y, x in px.
    pixel_size : float
        Å/px.
    dose_per_frame, pre_exposure : float
        e/Å²; a `dose_per_frame` of 0 means unknown.
    """
    steps = np.linalg.norm(np.diff(np.asarray(shifts, float), axis=0), axis=1) * pixel_size
    total, worst = float(steps.sum()), float(steps.max(initial=0.0))
    if not dose_per_frame:
        return Path(total, math.nan, math.nan, worst)
    ends = pre_exposure + dose_per_frame * np.arange(2, len(steps) + 2)
    early = float(steps[ends <= EARLY + 1e-9].sum())
    return Path(total, early, total - early, worst)
