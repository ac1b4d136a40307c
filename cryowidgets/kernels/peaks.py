"""Peaks of a score: where they are, and from which height on they are more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

CHANCE = 0.05
"""Places that noise alone may give in a micrograph, where no threshold is given."""
FALSE = 0.05
"""Part of the places that may be noise, where there are more of them than that."""
LOWEST = 3.5
"""No lower threshold is chosen."""
WIDTH = 0.08
"""Least width over which scores are counted to find a valley between two kinds of them, of their logarithm."""
DIP = 0.7
"""Depth of such a valley: of the lower of the two hills."""
LEAST_KIND = 12
"""Places of the higher kind, less than which tell nothing of its scores."""


@dataclass(frozen=True)
class Found:
    """Places and how sure they are, the surest first.

    Attributes
    ----------
    places : (n, 2)
        y, x in px of the micrograph.
    scores : (n,)
        Standard deviations of the noise.
    diameters : (n,)
        Å, of the filter that answers most.
    threshold : float
        Least score.
    refused : float
        Share of the micrograph where nothing was looked for: film, dirt and edges.
    """

    places: NDArray[np.float64]
    scores: NDArray[np.float64]
    diameters: NDArray[np.float64]
    threshold: float
    refused: float


def nothing(threshold: float | None, refused: float) -> Found:
    """What is found where there is nothing to search."""
    none = np.zeros(0)
    return Found(np.zeros((0, 2)), none, none, threshold or math.inf, refused)


def maxima(
    score: np.ndarray, radius: float, least: float = -math.inf, use: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """y and x of the highest places first, none within `radius` of a higher one that was taken.

    Only those above `least` and, where that is given, in `use` count: the slope of a peak that lies beside is none.
    """
    top = (score > least) & np.isfinite(score)
    if use is not None:
        top &= use
    y, x = np.nonzero((score == ndimage.maximum_filter(score, 3)) & top)
    order = np.argsort(-score[y, x], kind="stable")
    y, x = y[order], x[order]
    places = np.stack([y, x], axis=-1)
    taken = np.zeros(len(y), bool)
    free = np.ones(len(y), bool)
    near = cKDTree(places).query_ball_point(places, radius) if len(y) else []
    for i, around in enumerate(near):
        if free[i]:
            taken[i] = True
            free[around] = False
    return y[taken], x[taken]


def level(scores: np.ndarray, cells: float) -> float:
    """Threshold for sorted scores, the highest first, in an image of so many `cells`, squares of a filter's radius."""
    levels = np.arange(LOWEST, 9.0, 0.05)
    noise = expected_by_chance(levels, cells)
    found = np.searchsorted(-scores, -levels)
    sure = levels[np.argmax(noise <= CHANCE)]
    return float(min(sure, levels[np.argmax(noise <= np.maximum(CHANCE, FALSE * found))]))


def expected_by_chance(level: Any, cells: float) -> Any:
    """Maxima of a smooth field of Gaussian noise above a high level, in standard deviations.

    Their density goes as (t² − 1) exp(−t²/2) (Adler, The Geometry of Random Fields, 1981, ch. 6).
    """
    return cells * (level**2 - 1) * np.exp(-0.5 * level**2) / (2 * math.pi) ** 1.5


def valley(scores: np.ndarray) -> float:
    """Least frequent score between two kinds of them, of which the higher ones are many and stand apart; else 0.

    What answers beside a particle, or half of one, is no chance; but where the filter fits, particles rise above it.
    """
    if len(scores) < LEAST_KIND:
        return 0.0
    logs = np.log(np.maximum(scores, 1e-3))
    width = max(WIDTH, 0.3 * len(scores) ** -0.2)
    grid = np.arange(math.log(LOWEST), logs.max() + 0.1, 0.02)
    density = np.exp(-0.5 * np.square((grid[:, None] - logs) / width)).sum(axis=1)
    top = int(np.argmax(np.where(grid > grid[0] + 2 * width, density * np.exp(grid), 0)))
    left = np.maximum.accumulate(density[: top + 1])
    depth = density[: top + 1] / np.maximum(np.minimum(left, density[top]), 1e-12)
    low = int(np.argmin(depth))
    enough = np.count_nonzero(logs > grid[low]) >= LEAST_KIND
    return float(np.exp(grid[low])) if enough and depth[low] < DIP else 0.0


def two_kinds(scores: np.ndarray) -> float:
    """Threshold between two kinds of maxima (Otsu, IEEE Trans. SMC 9 (1979) 62): where noise is not what it was."""
    if len(scores) < 2:
        return math.inf
    ranks = np.arange(1, len(scores))
    sums = np.cumsum(scores)
    above, below = sums[:-1] / ranks, (sums[-1] - sums[:-1]) / (len(scores) - ranks)
    return float(scores[int(np.argmax(ranks * (len(scores) - ranks) * np.square(above - below))) + 1])


def refined(score: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tops of parabolas through maxima and their neighbours: a fraction of a pixel. None lies on the rim."""

    def offset(below: np.ndarray, at: np.ndarray, above: np.ndarray) -> np.ndarray:
        bend = below - 2 * at + above
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(bend < 0, np.clip(0.5 * (below - above) / bend, -0.5, 0.5), 0.0)

    at = score[y, x].astype(np.float64)
    return (
        y + offset(score[y - 1, x], at, score[y + 1, x]),
        x + offset(score[y, x - 1], at, score[y, x + 1]),
    )
