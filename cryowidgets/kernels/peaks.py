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
LOWEST = 3.0
"""No lower threshold is chosen."""
ROUNDS = 3
"""In which particles and the noise between them are told apart."""
REFERENCE = 320
"""Side in px of the fields of noise in which chance is counted."""
COUNTED = 40
"""Peaks of noise, the highest, of which chance is told."""
_LEVELS = np.arange(LOWEST, 9.0, 0.05)


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
    return Found(np.zeros((0, 2)), none, none, math.inf if threshold is None else threshold, refused)


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


def threshold(scores: np.ndarray, places: np.ndarray, use: np.ndarray, density: float, diameter: float) -> float:
    """Threshold for the sorted scores, the highest first, of places (n, 2) in px of what was searched.

    Noise of itself makes peaks everywhere, but none is found within a diameter (px) of a particle. So it is expected
    only between those that are found, in as many cells as that is pixels times their `density`: see `cells_of`. What
    is found is first what no noise reaches, then what is above the threshold that follows from that, and so on.
    """
    sure = least = level(np.zeros(0), density * float(use.sum()))
    for _ in range(ROUNDS):
        free = away(use, np.rint(places[scores > min(sure, least)]).astype(int), diameter)
        least = level(scores, density * float(free.sum()))
    return least


def level(scores: np.ndarray, cells: float) -> float:
    """Threshold for sorted scores, the highest first, in so many `cells` where there may be noise.

    Of the levels above which no more than `FALSE` of the places are noise, or `CHANCE` of them at all, that is taken
    which promises the highest F1: what is found above a level and is not noise is particles.
    """
    noise = expected_by_chance(_LEVELS, cells)
    found = np.searchsorted(-scores, -_LEVELS)
    kept = noise <= np.maximum(CHANCE, FALSE * found)
    if not found[kept].any():
        return lowest(cells, 0.0)
    # So many at least, but for one deviation: else the best of many levels is that at which noise is a bit more.
    particles = np.maximum(found - noise - np.sqrt(noise), 0)
    promised = np.where(kept, particles / (found + particles.max()), -1)
    return float(_LEVELS[np.argmax(promised)])


def away(use: np.ndarray, places: np.ndarray, radius: float) -> NDArray[np.bool_]:
    """Pixels in use that are farther than `radius` from all places (n, 2)."""
    free = np.ones(use.shape, bool)
    free[tuple(places.T)] = False
    return use & (ndimage.distance_transform_edt(free) > radius) if len(places) else use


def lowest(cells: float, room: float) -> float:
    """No lower threshold is chosen in an image of so many `cells` that has `room` for so many particles."""
    return float(_LEVELS[np.argmax(expected_by_chance(_LEVELS, cells) <= max(CHANCE, FALSE * room))])


def cells_of(chance: np.ndarray, radius: float) -> float:
    """Independent places in a pixel of a score, from the highest maxima that it has in pure noise."""
    heights = np.sort(chance[maxima(chance, radius)])[::-1]
    rank = min(COUNTED, len(heights) // 4)  # the lower ones hide each other
    return rank / float(expected_by_chance(float(heights[rank]), 1.0)) / chance.size


def expected_by_chance(level: Any, cells: float) -> Any:
    """Maxima of a smooth field of Gaussian noise above a high level, in standard deviations.

    Their density goes as (t² − 1) exp(−t²/2) (Adler, The Geometry of Random Fields, 1981, ch. 6).
    """
    return cells * (level**2 - 1) * np.exp(-0.5 * level**2) / (2 * math.pi) ** 1.5


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
