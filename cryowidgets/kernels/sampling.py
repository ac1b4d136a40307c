"""Choosing some of many so that they cover a range evenly."""

from __future__ import annotations

import numpy as np


def balanced(values: np.ndarray, count: int, bins: int, seed: int = 0) -> np.ndarray:
    """Choose some of many values so that equal parts of their range have equally many.

    Parameters
    ----------
    values : (n,)
        NaN is never chosen.
    count : int
        How many to choose; all, where there are no more.
    bins : int
        Equal parts into which the range from the smallest to the largest value is divided. Each gives one in turn until
        it has no more.
    seed : int
        Which of a part are chosen, and which part begins, is random but the same for the same seed.

    Returns
    -------
    (count,) or fewer, int
        Indices of those that are chosen, in ascending order.
    """
    values = np.asarray(values, float)
    there = np.flatnonzero(np.isfinite(values))
    if not len(there):
        return there
    low, span = values[there].min(), np.ptp(values[there])
    part = np.minimum((values[there] - low) / (span or 1.0) * bins, bins - 1).astype(int)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(there))
    rank = np.empty(len(there), int)
    for number in range(bins):
        inside = order[part[order] == number]
        rank[inside] = np.arange(len(inside))
    turn = rng.permutation(bins)[part]
    return np.sort(there[np.lexsort((turn, rank))][:count])
