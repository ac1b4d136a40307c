"""Which places several pickers agree on.

Places of different pickers that lie within a radius of each other are one particle. They are put together as in
complete linkage (Defays, Comput. J. 20 (1977) 364, doi:10.1093/comjnl/20.4.364): the nearest first, and only as long as
*all* places of a particle are within the radius of each other and no two of one picker. So nothing depends on the order
of the pickers or of their places, and no picker votes twice.

The scales of pickers' scores have nothing in common; what they share is how far others confirm them. The score of a
picker's place becomes the chance that another picker has found it too, as it grows with the rank of the score in the
micrograph; the chance of a particle is that of at least one of its pickers being right, if they err independently. It
is of one kind for all pickers and micrographs, so that one threshold means the same for all.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit
from scipy.stats import rankdata

PRIOR = 1.0
"""Confirmed and unconfirmed places that each picker is credited with beforehand: a curve needs data to be steep."""
LEAST = 20
"""Common places of two pickers from which on their errors are told from their distances."""


@dataclass(frozen=True)
class Consensus:
    """Particles, those with the most votes and the best score first.

    Attributes
    ----------
    members : (n, pickers) int
        Index of the place in each picker's list; -1 where a picker has none. Each place is in one particle.
    places : (n, 2)
        y, x in px: the mean of the members, those of precise pickers with more weight.
    scores : (n,)
        Chance that the particle is one, 0 to 1.
    """

    members: NDArray[np.int64]
    places: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def votes(self) -> NDArray[np.int64]:
        """How many pickers have found each, (n,)."""
        return (self.members >= 0).sum(axis=1)


def agree(places: Sequence[np.ndarray], radius: float, scores: Sequence[np.ndarray] | None = None) -> Consensus:
    """Put the places of several pickers in one micrograph together.

    Parameters
    ----------
    places : of (n, 2)
        y and x of each picker's places, px.
    radius : float
        How far two places of one particle are apart at most, px.
    scores : of (n,), optional
        Of each place, in the picker's own scale, larger better; NaN where there is none.
    """
    members = together(places, radius)
    listed = [np.asarray(p, float).reshape(-1, 2) for p in places]
    given = [np.full(len(p), math.nan) for p in listed] if scores is None else [np.asarray(s, float) for s in scores]
    found = members >= 0
    weights = 1 / np.square(errors(listed, members))
    at = np.stack([_taken(p, members[:, i]) for i, p in enumerate(listed)], axis=1)
    weighted = np.where(found, weights, 0)
    fused = (np.nan_to_num(at) * weighted[..., None]).sum(axis=1) / weighted.sum(axis=1)[:, None]
    wrong = np.ones(len(members))
    for i, own in enumerate(given):
        mine = found[:, i]
        wrong[mine] *= 1 - confirmed(own[members[mine, i]], found[mine].sum(axis=1) > 1)
    order = np.lexsort((*np.round(fused.T, 6), np.round(wrong, 9), -found.sum(axis=1)))
    return Consensus(members[order], fused[order], 1 - wrong[order])


def together(places: Sequence[np.ndarray], radius: float) -> NDArray[np.int64]:
    """Members of the particles, (n, pickers); -1 where a picker has none.

    Of pairs that are equally near, that whose place has the least y, then the least x, comes first.
    """
    pickers = len(places)
    owner = np.repeat(np.arange(pickers), [len(p) for p in places])
    index = np.concatenate([np.arange(len(p)) for p in places]) if pickers else np.zeros(0, int)
    at = np.concatenate([np.asarray(p, float).reshape(-1, 2) for p in places]) if pickers else np.zeros((0, 2))
    order = np.lexsort((owner, at[:, 1], at[:, 0]))
    at, owner, index = at[order], owner[order], index[order]
    groups = _linked(at, owner, radius * (1 + 1e-9))
    members = np.full((len(groups), pickers), -1, np.int64)
    for row, group in zip(members, groups, strict=True):
        row[owner[group]] = index[group]
    return members


def _linked(at: np.ndarray, owner: np.ndarray, radius: float) -> list[list[int]]:
    """Groups of places, each named by its first; joined by the least of their largest distances, from a heap."""
    groups = {i: [i] for i in range(len(at))}
    near: dict[int, dict[int, float]] = {i: {} for i in range(len(at))}
    if len(at):
        for i, j in cKDTree(at).query_pairs(radius, output_type="ndarray").tolist():
            if owner[i] != owner[j]:
                near[i][j] = near[j][i] = math.hypot(*(at[i] - at[j]))
    heap = [(distance, i, j) for i, others in near.items() for j, distance in others.items() if i < j]
    heapq.heapify(heap)
    voters = {i: 1 << int(picker) for i, picker in enumerate(owner)}
    while heap:
        distance, i, j = heapq.heappop(heap)
        if i not in groups or j not in groups or near[i].get(j) != distance:
            continue  # one of them was joined to another meanwhile
        groups[i] += groups.pop(j)
        voters[i] |= voters.pop(j)
        others, mine = near.pop(j), near.pop(i)
        near[i] = {}
        for k in {*others, *mine} - {i, j}:
            near[k].pop(j, None)
            near[k].pop(i, None)
            if k in others and k in mine and not voters[k] & voters[i]:
                far = max(others[k], mine[k])
                near[i][k] = near[k][i] = far
                heapq.heappush(heap, (far, min(i, k), max(i, k)))
    return list(groups.values())


def errors(places: Sequence[np.ndarray], members: np.ndarray) -> NDArray[np.float64]:
    """Standard error of each picker's places, px: (pickers,), up to a common factor where all that is known is equal.

    The mean square distance of two pickers' places of the same particles, here by its median as some are of others, is
    the sum of their variances; of three or more pickers each variance follows (Grubbs, J. Am. Stat. Assoc. 43 (1948)
    243, doi:10.1080/01621459.1948.10483261). With less to go by all count as equally precise.
    """
    pickers = len(places)
    rows, sums = [], []
    for i in range(pickers):
        for j in range(i + 1, pickers):
            both = (members[:, i] >= 0) & (members[:, j] >= 0)
            if both.sum() >= LEAST:
                apart = places[i][members[both, i]] - places[j][members[both, j]]
                rows.append([float(k in (i, j)) for k in range(pickers)])
                sums.append(float(np.median(np.square(apart).sum(axis=1))) / math.log(2))
    if not rows or np.linalg.matrix_rank(np.array(rows)) < pickers:
        return np.ones(pickers)
    variances = np.linalg.lstsq(np.array(rows), np.array(sums), rcond=None)[0]
    # None is far better than the rest: the least that these distances can tell of.
    return np.sqrt(np.maximum(variances, 0.1 * np.mean(sums) / 2))


def confirmed(scores: np.ndarray, others: np.ndarray) -> NDArray[np.float64]:
    """Chance that another picker has found a place, by one picker's scores (n,) and whether it has been (n,).

    A logistic curve of the rank of the score that never falls; places without a score have that of the middle rank.
    """
    scores = np.asarray(scores, float)
    known = np.isfinite(scores)
    x = np.zeros(len(scores))
    if known.any():
        x[known] = 2 * (rankdata(scores[known]) - 0.5) / known.sum() - 1
    y = np.asarray(others, float)
    level, slope = 0.0, 0.0
    design = np.stack([np.ones_like(x), x], axis=1)
    # The prior is one place of each kind at either end, and in the middle: it keeps both numbers finite.
    ends = np.array([[1.0, -1.0], [1.0, 1.0]])
    for free in ([0, 1], [0]):
        level, slope = _logistic(np.concatenate([design, ends])[:, free], y, len(free))
        if slope >= 0:
            break
    return expit(level + slope * x)


def _logistic(design: np.ndarray, y: np.ndarray, free: int) -> tuple[float, float]:
    """Level and slope of a logistic curve by Newton's method; the last two rows of the design are the prior."""
    weight = np.r_[np.ones(len(y)), np.full(2, 2 * PRIOR)]
    target = np.r_[y, 0.5, 0.5]
    found = np.zeros(free)
    for _ in range(50):
        p = expit(design @ found)
        gradient = design.T @ (weight * (target - p))
        bend = design.T @ (design * (weight * np.maximum(p * (1 - p), 1e-9))[:, None])
        step = np.linalg.solve(bend, gradient)
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return float(found[0]), float(found[1]) if free > 1 else 0.0


def jaccard(members: np.ndarray) -> NDArray[np.float64]:
    """Share of the particles of either that both of two pickers have found, (pickers, pickers); NaN where none is."""
    found = (np.asarray(members) >= 0).astype(float)
    both = found.T @ found
    either = np.diag(both)[:, None] + np.diag(both)[None, :] - both
    return np.divide(both, either, out=np.full(both.shape, math.nan), where=either > 0)


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


def _taken(places: np.ndarray, index: np.ndarray) -> NDArray[np.float64]:
    """Places by index, NaN where the index is -1."""
    found = np.full((len(index), 2), math.nan)
    found[index >= 0] = places[index[index >= 0]]
    return found
