"""One classification out of several: particles that were together every time stay together.

A classification is a partition of the particles. Where several are laid over each other, they cut the particles into
small groups that no classification divides; those are joined again, the two that were together most often first, up to
the step from which on what is joined was apart much more often. One that has no more in common with the others than by
chance is left out before. How far two classifications agree is measured by the adjusted Rand index (Hubert & Arabie,
J Classif 2, 193 (1985), doi:10.1007/BF01908075) and the normalised mutual information (Strehl & Ghosh, J Mach Learn
Res 3, 583 (2002)), and what partitions of the same sizes would do by chance is drawn by lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NONE = -1
"""Class of a particle that belongs to none."""

_APART = 0.75  # share of classifications: what was apart in more is not joined
_MOST = 500  # groups that are joined; of more, the smallest count as too small
_DRAWS = 200
_BEYOND = 4.0  # deviations of what partitions by lot reach, beyond which a classification belongs to the others
_ENOUGH = 20  # draws, to know that deviation


@dataclass(frozen=True)
class Consensus:
    """A common classification, and how far the given ones agree."""

    labels: np.ndarray
    """(n,) int: common class of each particle, the largest 0; -1 where it belongs to none."""
    consistency: np.ndarray
    """(n,) float: in what share of the classifications a particle is where most of its common class is; NaN for -1."""
    rand: np.ndarray
    """(classifications, classifications) adjusted Rand index: 1 the same, 0 as by chance."""
    kept: np.ndarray
    """(classifications,) bool: which went into it."""
    information: np.ndarray
    """(classifications, classifications) normalised mutual information, 0 to 1."""
    significance: np.ndarray
    """(classifications, classifications) share of partitions of the same sizes, drawn by lot, that agree as well."""
    costs: np.ndarray
    """(groups - 1,) distance of what was joined, step by step: 0 together in all classifications, 1 in none."""

    @property
    def count(self) -> int:
        return int(self.labels.max(initial=NONE)) + 1


def consensus(
    labels: Sequence[np.ndarray], *, least: int = 1, classes: int = 0, draws: int = _DRAWS, seed: int = 0
) -> Consensus:
    """Find the classes that several classifications of the same particles have in common.

    Parameters
    ----------
    labels : sequence of (n,) int
        Class of each particle in each classification; negative where it belongs to none, and such a particle has no
        common class. The numbers themselves mean nothing. Of three or more, one that agrees with the others no better
        than by chance is left out, where those do agree.
    least : int
        Groups that no classification divides, with fewer particles than this, are dropped.
    classes : int
        Number of common classes; 0 to have it found.
    draws : int
        How many partitions of the same sizes are drawn by lot; with less than 20, none is left out.
    seed : int
        Of these.

    Raises
    ------
    ValueError
        There is no classification, or they are not of the same particles.
    """
    table = _table(labels)
    rand, information, significance, beyond = (np.ones((len(table), len(table))) for _ in range(4))
    rng = np.random.default_rng(seed)
    for i in range(len(table)):
        significance[i, i] = 1 / (draws + 1)
        for j in range(i):
            both = (table[i] >= 0) & (table[j] >= 0)
            one, two = table[i][both], table[j][both]
            rand[i, j] = rand[j, i] = adjusted_rand(one, two)
            information[i, j] = information[j, i] = mutual_information(one, two)
            by_lot = chance(one, two, rng, draws)
            significance[i, j] = significance[j, i] = ((by_lot >= rand[i, j] - 1e-12).sum() + 1) / (draws + 1)
            if draws >= _ENOUGH:
                beyond[i, j] = beyond[j, i] = (rand[i, j] - by_lot.mean()) / max(by_lot.std(), 1e-9)
    kept = _kept(beyond) if draws >= _ENOUGH else np.ones(len(table), bool)
    table = table[kept]
    group, members, sizes = _intersected(table, least)
    between = np.mean(members[:, None, :] != members[None, :, :], axis=2)
    common, costs = _joined(between, sizes, classes)
    order = np.argsort(-np.bincount(common, sizes, minlength=1), kind="stable") if len(common) else np.zeros(0, int)
    place = np.argsort(order)
    found = np.full(table.shape[1], NONE)
    found[group >= 0] = place[common][group[group >= 0]] if len(common) else NONE
    return Consensus(found, _consistency(found, table), rand, kept, information, significance, costs)


def adjusted_rand(one: np.ndarray, two: np.ndarray) -> float:
    """Adjusted Rand index of two partitions (n,): 1 the same, 0 as much alike as by chance."""
    counts = _crossed(one, two)
    pairs, rows, columns = (_pairs(x) for x in (counts, counts.sum(axis=1), counts.sum(axis=0)))
    every = _pairs(np.array([counts.sum()]))
    expected = rows * columns / every if every else 0.0
    most = (rows + columns) / 2
    return float((pairs - expected) / (most - expected)) if most > expected else 1.0


def mutual_information(one: np.ndarray, two: np.ndarray) -> float:
    """Mutual information of two partitions (n,) over the geometric mean of their entropies; 1 for two of one class."""
    counts = _crossed(one, two)
    total = counts.sum()
    if not total:
        return 1.0
    joint, rows, columns = (_entropy(x / total) for x in (counts.ravel(), counts.sum(axis=1), counts.sum(axis=0)))
    if rows == 0 or columns == 0:
        return 1.0 if rows == columns else 0.0
    return float(max(rows + columns - joint, 0.0) / np.sqrt(rows * columns))


def chance(one: np.ndarray, two: np.ndarray, rng: np.random.Generator, draws: int = _DRAWS) -> np.ndarray:
    """Adjusted Rand indices (draws,) of a partition `two` with others of the sizes of `one`, drawn by lot."""
    return np.array([adjusted_rand(rng.permutation(one), two) for _ in range(draws)])


def _table(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Classifications (k, n) with classes counted from 0 in order of appearance of their numbers."""
    if not len(labels):
        raise ValueError("no classification is given: give one array of classes for each.")
    arrays = [np.asarray(x) for x in labels]
    if any(x.ndim != 1 or x.shape != arrays[0].shape for x in arrays):
        raise ValueError(
            f"classifications of {[len(np.atleast_1d(x)) for x in arrays]} particles: give them of the same."
        )
    return np.stack([np.where(x < 0, NONE, np.unique(np.maximum(x, NONE), return_inverse=True)[1]) for x in arrays])


def _kept(beyond: np.ndarray) -> np.ndarray:
    """Which classifications agree with the others beyond chance, by so many deviations; all, where no two do."""
    left = np.arange(len(beyond))
    while len(left) > 1:
        among = beyond[np.ix_(left, left)]
        own = (among.sum(axis=1) - np.diag(among)) / (len(left) - 1)
        if own.min() >= _BEYOND:
            return np.isin(np.arange(len(beyond)), left)
        left = np.delete(left, np.argmin(own))
    return np.ones(len(beyond), bool)


def _intersected(table: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group of each particle (n,), -1 for those in none; classes (groups, k) and sizes (groups,) of the groups."""
    whole = np.flatnonzero((table >= 0).all(axis=0))
    members, first, inverse, sizes = np.unique(table[:, whole], True, True, True, axis=1)
    order = np.lexsort(
        (first, -sizes)
    )  # of equal size, that of the first particle: the numbers of classes mean nothing
    kept = order[sizes[order] >= least][:_MOST]
    place = np.full(len(sizes), NONE)
    place[kept] = np.arange(len(kept))
    group = np.full(table.shape[1], NONE)
    group[whole] = place[np.ravel(inverse)]
    return group, members[:, kept].T, sizes[kept]


def _joined(between: np.ndarray, sizes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Common class of each group, and the distances at which groups were joined, those of all steps up to one class.

    The distance of two joined groups is the mean over all pairs of a particle of the one and of the other.
    """
    count = len(sizes)
    apart = between.astype(float)
    np.fill_diagonal(apart, np.inf)
    weight, steps, costs = sizes.astype(float), [], np.zeros(max(count - 1, 0))
    for step in range(count - 1):
        i, j = sorted(np.unravel_index(int(np.argmin(apart)), apart.shape))
        costs[step] = apart[i, j]
        steps.append((i, j))
        mean = (weight[i] * apart[i] + weight[j] * apart[j]) / (weight[i] + weight[j])
        apart[i], apart[:, i] = mean, mean
        apart[i, i] = apart[j] = np.inf
        apart[:, j] = np.inf
        weight[i] += weight[j]
    common = np.arange(count)
    for i, j in steps[: max(count - classes, 0) if classes else elbow(costs)]:
        common[common == j] = i
    return np.unique(common, return_inverse=True)[1], costs


def elbow(costs: np.ndarray) -> int:
    """How many of the steps of rising cost are taken: those before the largest rise, to 1 at the end.

    None, where already the first joins what was mostly apart.
    """
    if not len(costs) or costs[0] > _APART:
        return 0
    return int(np.argmax(np.diff(np.append(costs, 1.0)))) + 1


def _consistency(found: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Share of classifications in which a particle is where most of its common class is."""
    out = np.full(len(found), np.nan)
    for k in range(found.max(initial=NONE) + 1):
        here = np.flatnonzero(found == k)
        usual = np.array([_largest(own[here]) for own in table])
        out[here] = np.mean(table[:, here] == usual[:, None], axis=0)
    return out


def _largest(classes: np.ndarray) -> int:
    """The class of most particles; of several, that of the first particle."""
    return int(classes[np.argmax(np.bincount(classes)[classes])])


def _crossed(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """How many particles are in each class of the one and of the other."""
    a, i = np.unique(one, return_inverse=True)
    b, j = np.unique(two, return_inverse=True)
    return np.bincount(i * len(b) + j, minlength=len(a) * len(b)).reshape(len(a), len(b)).astype(float)


def _pairs(counts: np.ndarray) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _entropy(shares: np.ndarray) -> float:
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum()) + 0.0
