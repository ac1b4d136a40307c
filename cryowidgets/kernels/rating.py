"""One number for how good an exposure is, and what speaks against it.

Each measure x has a limit at which people of the field are in two minds. The odds against an exposure, as far as this
measure goes, are ``(x / limit) ** steepness``: a logistic curve in the logarithm of x that is ½ at the limit. Odds
against add up, so that the score ``1 / (1 + Σ odds)`` is never better than its worst part, one thing that is very wrong
is enough, and what could not be measured has no say. A measure that is infinite says that nothing can be seen at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """Where a measure halves the score by itself, in its own unit, and how steeply that comes about.

    With a steepness of 4 a measure of half the limit takes 6 % from the score, and of twice the limit 94 %.
    """

    at: float
    steepness: float = 4.0


@dataclass(frozen=True)
class Rating:
    """A score from 0 to 1, NaN where nothing was measured.

    Attributes
    ----------
    score : float
    parts : dict of str to float
        What the score would be if each measure were the only one; NaN where it was not measured.
    worst : str
        The measure that speaks most against the exposure; empty where nothing was measured.
    """

    score: float
    parts: dict[str, float]
    worst: str


def rate(measures: Mapping[str, float], limits: Mapping[str, Limit]) -> Rating:
    """Rate an exposure.

    Parameters
    ----------
    measures : mapping of str to float
        Values that are the worse the larger they are, 0 or more; NaN where there is none.
    limits : mapping of str to Limit
        One of each measure.
    """
    against = {name: _odds(value, limits[name]) for name, value in measures.items()}
    parts = {name: 1 / (1 + odds) for name, odds in against.items()}
    known = {name: odds for name, odds in against.items() if not math.isnan(odds)}
    if not known:
        return Rating(math.nan, parts, "")
    return Rating(1 / (1 + sum(known.values())), parts, max(known, key=known.__getitem__))


def _odds(value: float, limit: Limit) -> float:
    if math.isnan(value):
        return math.nan
    if not limit.at:  # nothing is allowed
        return math.inf if value > 0 else 0.0
    return float(min(max(value, 0.0) / limit.at, 1e30) ** limit.steepness)
