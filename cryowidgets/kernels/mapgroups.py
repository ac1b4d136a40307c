"""Which of several maps belong together, by how they agree two by two and how unrelated maps would.

Agreement is measured on a scale with two marks: 0 is what unrelated maps reach by chance, 1 what the others reach among
each other. Both depend on the maps, so that no constant correlation tells a wrong map from a noisy one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryowidgets.kernels.fsc import MAPS

CERTAIN = 3.0
"""Deviations of chance by which maps of a group must agree beyond it."""

_BETTER = 0.75  # quantile of pairs that stands for how maps agree that do
_SPREAD, _KNOWN = 0.12, 6  # deviation of chance from molecule to molecule, and for how many unrelated maps that counts


@dataclass(frozen=True)
class Groups:
    """The maps that belong together."""

    kept: np.ndarray
    """(maps,) bool; all of them where nobody can tell."""
    agreement: np.ndarray
    """(maps, maps) mean correlation up to where the maps that are kept agree; 1 of a map with itself."""
    chance: float
    """What of that unrelated maps reach."""
    told: bool
    """Whether there is one group that agrees beyond chance, and no other is as large."""
    rivals: bool
    """Whether that is so because there are two that are equally large."""


def together(curves: np.ndarray, unrelated: np.ndarray, of: np.ndarray, agrees: float) -> Groups:
    """Find the largest group of maps that agree.

    From all maps the one that agrees least with the others is taken away until each that is left is nearer to how the
    others agree among each other than to chance. What remains must agree beyond chance.

    Parameters
    ----------
    curves : (maps, maps, shells)
        Fourier shell correlations.
    unrelated : (tried, shells)
        Of maps with unrelated ones.
    of : (tried, 2)
        Which map each of these is like, and which it was laid upon.
    agrees : float
        Where between chance, 0, and the agreement of the others, 1, a map must be at least.
    """
    everybody = np.arange(len(curves))
    group = _largest(curves, unrelated, of, agrees, everybody)
    rest = np.setdiff1d(everybody, group)
    other = _largest(curves, unrelated, of, agrees, rest) if len(group) <= len(rest) else rest[:0]
    told, rivals = len(group) > 1, len(other) >= max(len(group), 2)
    kept = np.zeros(len(curves), bool)
    kept[group if told and not rivals else everybody] = True
    weights = _weights(curves, np.flatnonzero(kept))
    by_chance = float((_among(unrelated, of, np.flatnonzero(kept)) @ weights).mean())
    return Groups(kept, curves @ weights, by_chance, told and not rivals, rivals)


def _largest(curves: np.ndarray, unrelated: np.ndarray, of: np.ndarray, agrees: float, maps: np.ndarray) -> np.ndarray:
    """The maps that are left; none, where they agree no better than by chance."""
    while len(maps) > 1:
        weights = _weights(curves, maps)
        by_chance = _among(unrelated, of, maps) @ weights
        beyond = curves[np.ix_(maps, maps)] @ weights - by_chance.mean()
        np.fill_diagonal(beyond, 0)
        count = len(maps)
        pairs = beyond[np.triu_indices(count, 1)]
        own = beyond.sum(axis=1) / (count - 1)
        others = (pairs.sum() - beyond.sum(axis=1)) / max((count - 1) * (count - 2) / 2, 1)
        if count == 2 or ((own >= agrees * others).all() and pairs.min() >= agrees * np.quantile(pairs, _BETTER)):
            return maps if _deviations(pairs + by_chance.mean(), by_chance) >= CERTAIN else maps[:0]
        maps = np.delete(maps, np.argmin(own))
    return maps[:0]


def _among(unrelated: np.ndarray, of: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Of the curves of unrelated maps those that are about some maps alone; all, where there is but one such."""
    about = np.isin(of, maps).all(axis=1)
    return unrelated[about] if about.sum() > 1 else unrelated


def _weights(curves: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """How much each shell counts, (shells,): by its radius, up to where the better pairs agree to one half."""
    one, two = np.triu_indices(len(maps), 1)
    ends = [int(np.argmax(np.append(curves[maps[i], maps[j], 1:] < MAPS, True))) for i, j in zip(one, two, strict=True)]
    radius = np.arange(curves.shape[2])
    weights = np.where(radius <= max(np.quantile(ends, _BETTER), 1) if ends else True, radius, 0.0)
    return weights / weights.sum()


def _deviations(pairs: np.ndarray, by_chance: np.ndarray) -> float:
    """By how many deviations pairs agree better than one more unrelated map would, by those tried and what is usual.

    On the scale of Fisher's transform, on which correlations near 1 are as far apart as others.
    """
    one, two = (np.arctanh(np.clip(values, -0.99, 0.99)) for values in (pairs, by_chance))
    count = len(two)
    variance = (_KNOWN * _SPREAD**2 + np.square(two - two.mean()).sum()) / (_KNOWN + count - 1)
    return float((one.mean() - two.mean()) / np.sqrt(variance * (1 + 1 / count)))
