"""When a disk will be full."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

WINDOW = 4 * 3600.0
"""Seconds of the past that say what is to come."""
LEAST = 600.0
"""Seconds that samples must span before anything is said."""
FURTHEST = 30 * 86400.0
"""Seconds ahead; what lies beyond is no forecast."""
BINS = 48
"""The window is cut into so many parts: files that come and go within minutes are no trend."""
JUMP = 3.0
"""A part in which so many times more became free than usually changes is one in which somebody cleaned up."""


def full_at(times: Sequence[float] | np.ndarray, free: Sequence[float] | np.ndarray) -> float:
    """When a disk will be full if it goes on being filled as in the last hours.

    The slope is the median of the slopes of all pairs of points (Theil, 1950; Sen, 1968), which bursts do not move.
    Parts of the past in which much became free at once are cut out, and what is left is joined: a disk that was
    cleaned up goes on being filled as before.

    Parameters
    ----------
    times : array (n,)
        UTC s, ascending.
    free : array (n,)
        Free space, in any unit; NaN where it was not known.

    Returns
    -------
    float
        UTC s; NaN where it does not become less, where it would take longer than 30 days, or where less than ten
        minutes are known.
    """
    when, left = np.asarray(times, dtype=float), np.asarray(free, dtype=float)
    known = np.isfinite(when) & np.isfinite(left)
    when, left = when[known], left[known]
    recent = when >= (when[-1] if when.size else 0.0) - WINDOW
    when, left = when[recent], left[recent]
    if when.size < 5 or when[-1] - when[0] < LEAST:
        return math.nan
    if left[-1] <= 0:
        return float(when[-1])
    slope, noise = _slope(*_joined(*_binned(when, left)))
    ahead = left[-1] / -slope if slope < 0 else math.inf
    if ahead > FURTHEST or -slope * (when[-1] - when[0]) < 2 * noise:
        return math.nan
    return float(when[-1] + ahead)


def _binned(times: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians of the parts that hold anything."""
    part = np.minimum((times - times[0]) / (times[-1] - times[0]) * BINS, BINS - 1).astype(int)
    return _medians(times, part), _medians(free, part)


def _medians(values: np.ndarray, part: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(part)) + 1
    return np.array([statistics.median(some) for some in np.split(values, edges)])  # of a few: numpy's takes longer


def _joined(times: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the parts in which somebody cleaned up: neither their time nor what they freed counts."""
    steps, spans = np.diff(free), np.diff(times)
    usual = np.median(np.abs(steps))
    kept = steps <= JUMP * usual
    grow = np.concatenate([[0.0], np.cumsum(np.where(kept, steps, 0.0))])
    passed = np.concatenate([[0.0], np.cumsum(np.where(kept, spans, 0.0))])
    return passed, grow


def _slope(times: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Median slope of all pairs, and how far points lie from the line: the median distance."""
    first, second = np.triu_indices(times.size, 1)
    apart = times[second] - times[first]
    pairs = apart > 0
    if not pairs.any():
        return 0.0, 0.0
    slope = float(np.median((values[second] - values[first])[pairs] / apart[pairs]))
    rest = values - slope * times
    return slope, float(np.median(np.abs(rest - np.median(rest))))
