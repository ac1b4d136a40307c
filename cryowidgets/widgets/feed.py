"""What a window has read of the ledger so far, and what is new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cryowidgets.store.queries import Columns, Reader
from cryowidgets.widgets import figures
from cryowidgets.widgets.live_plot import LivePlot

GAP = 20.0
"""Seconds without a sample of the machine at least before something is missing."""


class StepRows:
    """The newest results of a step, for any number of plots.

    Parameters
    ----------
    step : str
        Name of the step.
    plots : sequence of LivePlot
        Made by `cryowidgets.widgets.figures`.
    keep : int
        How many rows to hold, as many as the plots.
    """

    def __init__(self, step: str, plots: Sequence[LivePlot], keep: int = figures.KEEP) -> None:
        self.step, self.plots, self._keep = step, list(plots), keep
        self._reader: Reader | None = None
        self._since = 0
        self._exposures: set[int] = set()
        self.newest: int | None = None
        """Exposure of the newest result."""

    def refresh(self, reader: Reader) -> None:
        """Hand what is new to the plots. Where a result was made again, they begin anew."""
        fresh = reader is not self._reader
        rows = reader.rows(self.step, 0 if fresh else self._since, self._keep)
        if not fresh and not self._exposures.isdisjoint(rows["exposure"].tolist()):
            fresh, rows = True, reader.rows(self.step, 0, self._keep)
        if fresh:
            self._reader = reader
            self._exposures.clear()
            self.newest = None
        elif not len(rows["id"]):
            return
        if len(rows["id"]):
            self._since = int(rows["id"][-1])
            self._exposures.update(rows["exposure"].tolist())
            self.newest = int(rows["exposure"][-1])
        for plot in self.plots:
            _hand(plot, rows, fresh)
            plot.note = figures.note(plot)


class SystemRows:
    """The newest samples of the machine's load, for any number of plots."""

    def __init__(self, plots: Sequence[LivePlot]) -> None:
        self.plots = list(plots)
        self._reader: Reader | None = None
        self._since = 0
        self._last: list[float] = []

    def refresh(self, reader: Reader) -> None:
        fresh = reader is not self._reader
        rows = reader.system(0 if fresh else self._since, figures.KEEP)
        self._reader = reader
        if not fresh and not len(rows["id"]):
            return
        before = [] if fresh else self._last
        self._last = [*before, *rows["time"][-2:].tolist()][-2:]
        rows = parted(rows, before)
        self._since = int(rows["id"][-1]) if len(rows["id"]) else 0
        for plot in self.plots:
            _hand(plot, rows, fresh, time="time")


def parted(rows: Columns, before: Sequence[float] = ()) -> Columns:
    """Samples with one of NaN before each that follows a gap, so that lines end there: nobody measured in between.

    Parameters
    ----------
    rows : dict of arrays
        ``time`` in s, ascending.
    before : sequence of float
        Times of the last two samples before these, as far as there are any.
    """
    times = np.concatenate([np.asarray(before, float), rows["time"]])
    steps = np.diff(times)
    # Old samples are thinned out, so a gap is one beside what is usual there.
    usual = np.maximum(np.append(steps[1:], 0), np.append(0, steps[:-1]))
    gaps = np.flatnonzero((steps > GAP) & (steps > 4 * usual)) + 1 - len(before)
    gaps = gaps[gaps >= 0]
    if not len(gaps):
        return rows
    same = ("id", "time")
    return {
        name: np.insert(*((v, gaps, v[gaps]) if name in same else (v.astype(float), gaps, np.nan)))
        for name, v in rows.items()
    }


def _hand(plot: LivePlot, rows: Columns, fresh: bool, time: str = "acquired") -> None:
    values = figures.rows(plot, rows, time)
    if fresh:
        plot.replace(values)
    else:
        plot.stream(values)
