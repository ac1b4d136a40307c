"""One number of a session: its course against time and, beside it, how it is distributed."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as W
import numpy as np

from cryowidgets.store.metrics import Metric
from cryowidgets.store.overview import Overview
from cryowidgets.store.thresholds import Cut
from cryowidgets.widgets import figures, look, texts
from cryowidgets.widgets.colours import BLUE, ORANGE, PURPLE, TEAL
from cryowidgets.widgets.figures import RECENT
from cryowidgets.widgets.histogram import Histogram
from cryowidgets.widgets.look import Look
from cryowidgets.widgets.window import put

PACE = "pace"
"""Key of the strip that shows movies per hour."""
PARTS = {"drift": ["early", "late"]}
"""Numbers that are drawn beside another one."""
_COLOURS = {"defocus": TEAL, "astigmatism": PURPLE, "resolution": ORANGE}
STALE = 0.05
"""Share of points that may lie before the stretch in view until all are sent anew."""
LISTED = 3
"""Pauses that are named, the longest."""
Moved = Callable[[str, float | None, float | None, bool], None]


class Strip(W.Box):
    """The course of a number and its histogram.

    Parameters
    ----------
    metric : Metric
    moved : callable
        Called with the key, the least and the largest value allowed in the ledger's units, and whether the handle was
        let go.
    fields : bool
        With fields to type bounds into.
    """

    def __init__(self, metric: Metric, parts: list[str], moved: Moved, fields: bool) -> None:
        self.metric, self.numbers = metric, [metric.key, *parts]
        title = texts.heading(metric.label, metric.unit)
        self.plot = figures.series(title, f"no {metric.label} yet", bool(parts))
        self.histogram = Histogram(metric.label, metric.unit, metric.digits, self._moved, fields)
        self._tell = moved
        self._drawn: dict[int, float] = {}  # value by row of what is drawn as points
        super().__init__([self.plot, self.histogram])
        self.add_class("cw-strip")

    def draw(self, look_: Look, changed: np.ndarray | None) -> None:
        """Draw all, or where `changed` are rows of the overview only what is new among them."""
        self.plot.view(*look_.span)
        if look_.binned:
            self._drawn = {}
            self.plot.replace(look.bins(look_, self.numbers, self._colour))
        elif changed is None or not self._add(look_, changed):
            rows = self._known(look_, look_.rows)
            self._drawn = dict(zip(rows.tolist(), look_.overview.values[self.metric.key][rows].tolist(), strict=True))
            self.plot.replace(look.points(look_, self.numbers, rows, self._colour))
        self.plot.note = note(look_.overview, self.metric)

    def count(self, overview: Overview) -> None:
        """Draw the histogram of all exposures."""
        edges, counts = overview.histogram(self.metric.key)
        self.histogram.show(edges * self.metric.factor, counts)

    def bound(self, cut: Cut, overview: Overview, plot: bool = True) -> None:
        """Place the handles, say how many are beyond them and, with `plot`, shade what is."""
        bounds = cut.get(self.metric.key, (None, None))
        low, high = (None if value is None else value * self.metric.factor for value in bounds)
        self.histogram.bound(low, high)
        values = overview.values[self.metric.key]
        beyond = np.zeros(len(values), dtype=bool)
        if bounds[0] is not None:
            beyond |= values < bounds[0]
        if bounds[1] is not None:
            beyond |= values > bounds[1]
        note = f"{texts.count(int(np.count_nonzero(beyond)), 'outside', 'outside')}" if self.metric.key in cut else ""
        if note != self.histogram.note:
            self.histogram.note = note
        if plot:
            self.plot.limits(low, high)

    def mark(self, look_: Look, exposures: np.ndarray) -> None:
        """Ring exposures, or the bins that they lie in."""
        if look_.binned:
            self.plot.mark(look.examples_of(look_, self.metric.key, exposures).tolist())
        else:
            shown = look_.overview.id[self._known(look_, look_.rows)]
            self.plot.mark(shown[np.isin(shown, exposures)].tolist())

    def select(self, look_: Look, exposure: int | None) -> None:
        """Show which exposure is in view, or the bin that it lies in."""
        if look_.binned and exposure is not None:
            found = look.examples_of(look_, self.metric.key, np.array([exposure]))
            exposure = int(found[0]) if len(found) else None
        self.plot.select(exposure)

    def inside(self, overview: Overview, low: float, high: float) -> np.ndarray:
        """Which rows have any of its numbers between these two, in the unit shown."""
        factor = self.metric.factor
        found = np.zeros(len(overview), dtype=bool)
        for key in self.numbers:
            values = overview.values[key] * factor
            found |= (values >= low) & (values <= high)
        return found

    def _add(self, look_: Look, changed: np.ndarray) -> bool:
        """Stream what is new; False where something that is drawn already has changed, or too much of it is old."""
        values = look_.overview.values[self.metric.key]
        known = self._known(look_, changed[np.isin(changed, look_.rows)])
        there = [row for row in known.tolist() if row in self._drawn]
        if any(self._drawn[row] != values[row] for row in there):
            return False
        drawn = np.fromiter(self._drawn, dtype=np.int64, count=len(self._drawn))
        if np.count_nonzero(look_.overview.acquired[drawn] < look_.first) > STALE * len(drawn):
            return False
        new = np.array([row for row in known.tolist() if row not in self._drawn], dtype=np.int64)
        self._drawn.update(zip(new.tolist(), values[new].tolist(), strict=True))
        self.plot.stream(look.points(look_, self.numbers, new, self._colour))
        return True

    def _known(self, look_: Look, rows: np.ndarray) -> np.ndarray:
        return rows[np.isfinite(look_.overview.values[self.metric.key][rows])]

    @property
    def _colour(self) -> str:
        return _COLOURS.get(self.metric.key, BLUE)

    def _moved(self, low: float | None, high: float | None, done: bool) -> None:
        factor = self.metric.factor
        bounds = (None if value is None else value / factor for value in (low, high))
        self._tell(self.metric.key, *bounds, done)


class PaceStrip(W.Box):
    """Movies per hour: how fast the microscope is, and where it stood still."""

    def __init__(self) -> None:
        self.plot = figures.series("Movies per hour", figures.WAITING)
        self._pauses = W.HTML()
        super().__init__([self.plot, self._pauses])
        self.add_class("cw-strip")

    def draw(self, look_: Look, changed: np.ndarray | None) -> None:
        """Draw all of it: there are few bars."""
        self.plot.view(*look_.span)
        self.plot.replace(look.pace(look_, BLUE))
        recorded = len(look_.rows)
        self.plot.note = f"{texts.count(recorded, 'movie')} in {texts.duration(look_.last - look_.first)}"
        found = look.pauses(look_)
        longest = sorted(sorted(found, key=lambda pause: -pause[1])[:LISTED])
        lines = "".join(f"<li>{texts.duration(long)} from {texts.clock(at)[:5]}</li>" for at, long in longest)
        said = f"{texts.count(len(found), 'pause')}, {texts.duration(sum(long for _, long in found))} in all"
        put(self._pauses, f"<div class='cw-pauses'>{said if found else 'no pause'}<ul>{lines}</ul></div>")

    def mark(self, look_: Look, exposures: np.ndarray) -> None:
        """A bar is no exposure."""

    def select(self, look_: Look, exposure: int | None) -> None:
        """A bar is no exposure."""

    def inside(self, overview: Overview, low: float, high: float) -> np.ndarray:
        """A box in it is a stretch of time."""
        return np.ones(len(overview), dtype=bool)


def note(overview: Overview, metric: Metric) -> str:
    """What the newest values come to, for those who cannot read an axis from across the hall."""
    values = recent(overview, metric.key)
    if not len(values):
        return ""
    which = f"the last {len(values)}" if len(values) == RECENT else f"all {len(values)}"
    return f"median of {which}: {metric.text(float(np.median(values)))}"


def recent(overview: Overview, key: str, count: int = RECENT) -> np.ndarray:
    """The values, in the ledger's unit, of the newest exposures for which it is known, at most `count` of them."""
    values, acquired = overview.values[key], overview.acquired
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) > count:
        rows = rows[np.argpartition(acquired[rows], -count)[-count:]]
    return values[rows]
