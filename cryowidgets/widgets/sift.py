"""Which exposures are listed, and in what order: by columns of the overview, so that 49,000 take milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.thresholds import Cut

ORDERS = ("acquired", "name", "state")
"""What exposures can be sorted by, beside their numbers."""
MARKS = ("marked", "flagged", "noted", "within", "outside")


@dataclass
class Sift:
    """What is to be listed; all of it where nothing is said.

    Attributes
    ----------
    text : str
        Part of the name or of the note, in either case.
    states : set of str
        Of `STATES`.
    marks : set of str
        Of `MARKS`: marked by this person, flagged, with a note, within the session's thresholds, outside of them; the
        last two as `Overview.count` has them.
    ranges : dict
        Least and largest value of numbers, as thresholds have them.
    key : str
        What to sort by: one of `ORDERS` or a number's key.
    """

    text: str = ""
    states: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    ranges: Cut = field(default_factory=dict)
    key: str = "acquired"
    descending: bool = True

    @property
    def all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.text.strip() or self.states or self.marks or self.ranges)

    def clear(self) -> None:
        """Leave nothing out any more; the order stays."""
        self.text = ""
        self.states.clear()
        self.marks.clear()
        self.ranges.clear()

    def sort(self, key: str, overview: Overview) -> None:
        """Sort by something; the same again turns the order. The worst comes first where one can say what that is."""
        if key == self.key:
            self.descending = not self.descending
        else:
            metric = overview.metrics.get(key)
            self.key, self.descending = key, key != "name" and (metric is None or metric.better != "high")

    def mask(self, overview: Overview, cut: Cut, marked: np.ndarray) -> np.ndarray | None:
        """Rows that are listed, (n,) of bool; None for all.

        `cut` are the session's thresholds, `marked` the ids of exposures that are marked.
        """
        if self.all:
            return None
        keep = np.ones(len(overview), dtype=bool)
        if self.states:
            keep &= np.isin(overview.state, [STATES.index(state) for state in self.states])
        if "marked" in self.marks:
            keep &= np.isin(overview.id, marked)
        if "flagged" in self.marks:
            keep &= overview.flag
        if "noted" in self.marks:
            noted = np.zeros(len(overview), dtype=bool)
            noted[[row for row, note in overview.notes.items() if note]] = True
            keep &= noted
        if "within" in self.marks:
            keep &= overview.accepted(cut)
        if "outside" in self.marks:
            keep &= outside(overview, cut)
        keep &= inside(overview, self.ranges)
        text = self.text.strip().lower()
        if text:
            named = np.fromiter((text in name.lower() for name in overview.names), bool, len(overview))
            for row, note in overview.notes.items():
                named[row] |= text in note.lower()
            keep &= named
        return keep

    def rows(self, overview: Overview, cut: Cut, marked: np.ndarray) -> np.ndarray:
        """Rows of the overview that are listed, in their order."""
        if self.key not in ORDERS and self.key not in overview.values:
            self.key, self.descending = "acquired", True  # the workflow is another
        return overview.order(self.key, self.descending, self.mask(overview, cut, marked))


def inside(overview: Overview, ranges: Cut) -> np.ndarray:
    """Rows that have every number of some ranges, and within them: (n,) of bool. Whatever became of them."""
    keep = np.ones(len(overview), dtype=bool)
    for key, (low, high) in ranges.items():
        values = overview.values.get(key)
        if values is None:
            continue
        keep &= np.isfinite(values)
        if low is not None:
            keep &= values >= low
        if high is not None:
            keep &= values <= high
    return keep


def outside(overview: Overview, cut: Cut) -> np.ndarray:
    """Rows that thresholds keep out: a number is known to be beyond its bounds, and nobody has rejected them before."""
    beyond = np.zeros(len(overview), dtype=bool)
    for key, (low, high) in cut.items():
        values = overview.values.get(key)
        if values is None:
            continue
        if low is not None:
            beyond |= values < low  # False where it is not known
        if high is not None:
            beyond |= values > high
    return beyond & (overview.state != STATES.index("rejected"))


def is_beyond(value: float, bounds: tuple[float | None, float | None] | None) -> bool:
    """Whether a value is known to be outside of its bounds."""
    low, high = bounds or (None, None)
    return bool((low is not None and value < low) or (high is not None and value > high))


def places(overview: Overview, ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Rows of exposures, of those that are there."""
    wanted = np.asarray(ids, dtype=np.int64)
    if not len(overview):
        return np.zeros(0, dtype=np.int64)
    rows = np.minimum(np.searchsorted(overview.id, wanted), len(overview) - 1)
    return rows[overview.id[rows] == wanted]
