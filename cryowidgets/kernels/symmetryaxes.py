"""Turn a map so that its axes of symmetry lie where its point group has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize

from cryowidgets.kernels.alignvolumes import Pair, apply
from cryowidgets.kernels.directions import everywhere, group, turns

_WAVES = 9.0  # over the box, that are compared
_STEP = 15.0  # degrees
_CLIMBED = 3


def onto_axes(volume: np.ndarray, symmetry: str) -> tuple[np.ndarray, float]:
    """Turn and shift a map (n, n, n) so that it looks as much as it can like itself after the group's rotations.

    Returns
    -------
    map : (n, n, n) float32
    correlation : float
        Of the map with its copies, mean over the group without the identity; 1 where there is but the identity.
    """
    others = _few(group(symmetry)[1:])
    if not len(others):
        return np.asarray(volume, np.float32), 1.0
    pair = Pair(volume, volume, min(_WAVES, volume.shape[0] / 2 - 1), min(_WAVES, volume.shape[0] / 2 - 1))

    def likeness(axes: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Mean correlation (r,) with copies, of axes turned by rotations (r, 3, 3) about places (r, 3) of x, y, z."""
        copies = np.einsum("rij,gjk,rlk->rgil", axes, others, axes)
        shifts = centre[:, None] - np.einsum("rgij,rj->rgi", copies, centre)
        scores = pair.scores(pair.coarse, copies.reshape(-1, 3, 3), shifts.reshape(-1, 3))
        return scores.reshape(len(axes), -1).mean(axis=1)

    grid = everywhere(_STEP)
    found = likeness(grid, np.broadcast_to(pair.centre, (len(grid), 3)))
    best = (-np.inf, grid[0], pair.centre)
    for i in np.argsort(-found)[:_CLIMBED]:
        best = max(best, _climb(likeness, grid[i], pair.centre), key=lambda end: end[0])
    value, axes, centre = best
    return apply(volume, axes.T, (-axes.T @ centre)[::-1]), value


def _climb(
    likeness: Callable[[np.ndarray, np.ndarray], np.ndarray], axes: np.ndarray, centre: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (turns(x[None, :3] * 0.1) @ axes), (centre + x[3:])[None]

    start = np.concatenate([np.zeros((1, 6)), np.eye(6)]) - 0.15
    options = {"initial_simplex": start, "xatol": 1e-2, "fatol": 1e-5, "maxfev": 200, "adaptive": True}
    end = scipy.optimize.minimize(
        lambda x: -float(likeness(*at(x))[0]), start[0], method="Nelder-Mead", options=options
    )
    turned, place = at(end.x)
    return -float(end.fun), turned[0], place[0]


def _few(rotations: np.ndarray, most: int = 3) -> np.ndarray:
    """Some of the rotations of a group, spread over it: they say as much as all."""
    return rotations if len(rotations) <= most else rotations[np.linspace(0, len(rotations) - 1, most).astype(int)]
