"""What a window has read of the ledger so far, and what is new."""

from __future__ import annotations

from collections.abc import Sequence

from cryowidgets.store.queries import Columns, Reader
from cryowidgets.widgets import figures
from cryowidgets.widgets.live_plot import LivePlot


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

    def refresh(self, reader: Reader) -> None:
        fresh = reader is not self._reader
        rows = reader.system(0 if fresh else self._since, figures.KEEP)
        self._reader = reader
        if not fresh and not len(rows["id"]):
            return
        self._since = int(rows["id"][-1]) if len(rows["id"]) else 0
        for plot in self.plots:
            _hand(plot, rows, fresh, time="time")


def _hand(plot: LivePlot, rows: Columns, fresh: bool, time: str = "acquired") -> None:
    values = figures.rows(plot, rows, time)
    if fresh:
        plot.replace(values)
    else:
        plot.stream(values)
