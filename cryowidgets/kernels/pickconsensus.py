"""Which places two pickers agree on."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def pairs(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """Pair the places of two lists, the nearest first; a place has one partner at most.

    Parameters
    ----------
    first : (n, 2)
        y and x, px.
    second : (m, 2)
        The same in the same micrograph.
    radius : float
        How far two places of one particle are apart at most, px; as far as that is still near enough.

    Returns
    -------
    (k, 2) int
        Index in `first` and in `second` of each pair, the nearest pair first. Of pairs that are equally near the one
        earlier in `first`, then in `second`, comes first.
    """
    if not (len(first) and len(second)):
        return np.empty((0, 2), int)
    near = cKDTree(first).query_ball_point(second, radius * (1 + 1e-9))
    j = np.repeat(np.arange(len(second)), [len(found) for found in near])
    i = np.array([place for found in near for place in found], int)
    distance = np.hypot(*(first[i] - second[j]).T) if len(i) else np.empty(0)
    taken = []
    free = np.ones(len(first), bool), np.ones(len(second), bool)
    for k in np.lexsort((j, i, distance)):
        if free[0][i[k]] and free[1][j[k]]:
            free[0][i[k]] = free[1][j[k]] = False
            taken.append((i[k], j[k]))
    return np.array(taken, int).reshape(-1, 2)
