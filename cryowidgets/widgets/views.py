"""What a step's results look like: a view by the name of its protocol, a table for all others.

A plug-in brings its own view as it brings its protocol, by one line in an entry point group, see `cryowidgets.plugins`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as W

from cryowidgets import plugins
from cryowidgets.errors import PluginError
from cryowidgets.model import Ctf, Gain, Item, Micrograph, Quality
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import figures, panels, texts
from cryowidgets.widgets.feed import StepRows
from cryowidgets.widgets.live_table import Column, LiveTable, Row
from cryowidgets.widgets.window import box, put


class ResultView(W.Box):
    """Base of all views of a step's results.

    Parameters
    ----------
    step : Step
        As the ledger has it.
    wake : callable
        To be called when something was clicked, so that `refresh` is called soon.
    """

    def __init__(self, step: Step, wake: Callable[[], None], parts: list[W.Widget]) -> None:
        self.step, self._wake = step, wake
        super().__init__(parts)
        self.add_class("cw-results")

    def refresh(self, reader: Reader) -> None:
        """Show what is new."""
        raise NotImplementedError


class PlotsAndItem(ResultView):
    """Live plots of all results, and one result closely: the newest, or the one that was clicked."""

    plots: tuple[Callable[[], Any], ...] = ()
    panel: Callable[[], Any]
    kind: type[Item]

    def __init__(self, step: Step, wake: Callable[[], None]) -> None:
        plots = [make() for make in type(self).plots]
        self.item = type(self).panel()
        self._numbers = W.HTML()
        self._rows = StepRows(step.name, plots)
        self._chosen: int | None = None
        for plot in plots:
            plot.on_tap(self._choose)
        super().__init__(step, wake, [box(plots, "cw-plots"), box([self.item, self._numbers], "cw-item")])

    def refresh(self, reader: Reader) -> None:
        self._rows.refresh(reader)
        shown = self._chosen if self._chosen is not None else self._rows.newest
        for plot in self._rows.plots:
            plot.select(shown)
        item = reader.exposure(shown).items.get(self.step.name) if shown is not None else None
        self.item.show(item)
        name = f"<div class='cw-title'>{texts.safe(item.name)}</div>" if item else ""
        put(self._numbers, name + panels.numbers([item]) if item else "")

    def _choose(self, exposure: int) -> None:
        self._chosen = None if exposure == self._chosen else exposure
        self._wake()


class AlignMovieView(PlotsAndItem):
    """Drift of all micrographs; picture and trajectory of one."""

    plots = (figures.drift,)
    panel = panels.MicrographPanel
    kind = Micrograph


class EstimateCtfView(PlotsAndItem):
    """Defocus and fit resolution of all CTFs; spectrum and fit of one."""

    plots = (figures.defocus, figures.resolution)
    panel = panels.CtfPanel
    kind = Ctf


class ScoreExposureView(PlotsAndItem):
    """Scores of all exposures; what one of them is made of."""

    plots = (figures.quality,)
    panel = panels.QualityPanel
    kind = Quality


class EstimateGainView(ResultView):
    """The gain that the movies tell: its picture, its figures as movies come, and what it says of the one in use."""

    def __init__(self, step: Step, wake: Callable[[], None]) -> None:
        self.plots = [figures.gain_ratios(), figures.gain_deviation()]
        self.item = panels.GainPanel()
        self._numbers = W.HTML()
        self._reader: Reader | None = None
        self._since = 0
        self._chosen: int | None = None
        for plot in self.plots:
            plot.on_tap(self._choose)
        super().__init__(step, wake, [box(self.plots, "cw-plots"), box([self.item, self._numbers], "cw-item")])

    def refresh(self, reader: Reader) -> None:
        fresh, self._reader = reader is not self._reader, reader
        rows = reader.rows(self.step.name, 0 if fresh else self._since, figures.KEEP)
        if len(rows["id"]):
            self._since = int(rows["id"][-1])
        by_row = {**rows, "exposure": rows["id"]}  # it belongs to no exposure
        for plot in self.plots:
            values = figures.rows(plot, by_row, time="time")
            if fresh:
                plot.replace(values)
            else:
                plot.stream(values)
            plot.select(self._chosen)
        gain = reader.result(self.step.name, self._chosen)
        assert gain is None or isinstance(gain, Gain)
        self.item.show(gain)
        put(self._numbers, panels.numbers([gain]) if gain else "")

    def _choose(self, row: int) -> None:
        self._chosen = None if row == self._chosen else row
        self._wake()


class TableView(ResultView):
    """The columns of any kind as a table, the newest results first."""

    keep = 1000

    def __init__(self, step: Step, wake: Callable[[], None]) -> None:
        self._reader: Reader | None = None
        self._table: LiveTable | None = None
        super().__init__(step, wake, [])

    def refresh(self, reader: Reader) -> None:
        rows = reader.rows(self.step.name, limit=self.keep)
        kind = Item.kinds.get(self.step.gives)
        files = {n for n, field in kind.columns().items() if field.metadata.get("file")} if kind else set()
        names = [n for n in rows if n not in {"id", "exposure", "time"} | files]
        if self._table is None:
            columns = [_column(name, rows[name]) for name in names]
            self._table = LiveTable(columns, lambda first, count: (0, []), self._wake, "no results yet")
            self.children = [self._table]
        made = [
            Row(int(id), "done", [_text(name, rows[name][i]) for name in names]) for i, id in enumerate(rows["id"])
        ][::-1]
        self._table.fetch = lambda first, count: (len(made), made[first : first + count])
        self._table.refresh()


VIEWS: dict[str, type[ResultView]] = {
    "AlignMovie": AlignMovieView,
    "EstimateCtf": EstimateCtfView,
    "EstimateGain": EstimateGainView,
    "ScoreExposure": ScoreExposureView,
}
"""Our views by the name of their protocol."""


def view(step: Step, wake: Callable[[], None]) -> ResultView:
    """The view of a step's results: a plug-in's, ours, or a table. One that is broken is said and gives way."""
    plugin = plugins.installed(plugins.VIEWS).get(step.protocol)
    ours = VIEWS.get(step.protocol, TableView)
    if plugin is None:
        return ours(step, wake)
    try:
        return plugins.load(plugin, fault)(step, wake)
    except PluginError as error:
        said = str(error)
    except Exception as error:
        said = f"{plugins.capital(plugin)} cannot be used: {type(error).__name__}: {error}."
    instead = ours(step, wake)
    return ViewInstead(step, wake, instead, said)


def fault(found: Any) -> str:
    """Why something is no view of results; empty where it is one."""
    if isinstance(found, type) and issubclass(found, ResultView):
        return ""
    return "its line names something that is not derived from cryowidgets.widgets.views.ResultView."


class ViewInstead(ResultView):
    """What is shown where a plug-in's view is broken, and why."""

    def __init__(self, step: Step, wake: Callable[[], None], instead: ResultView, said: str) -> None:
        self.instead = instead
        super().__init__(step, wake, [W.HTML(f"<span class='cw-failed'>{texts.safe(said)}</span>"), instead])

    def refresh(self, reader: Reader) -> None:
        self.instead.refresh(reader)


def _column(name: str, values: Any) -> Column:
    number = not isinstance(values, list)
    return Column(name.replace("_", " "), align="right" if number else "left", width="minmax(70px, 1fr)")


def _text(name: str, value: Any) -> str:
    if name == "acquired":
        return texts.clock(float(value), date=True)
    if isinstance(value, str):
        return value
    value = float(value)
    if not math.isfinite(value):
        return texts.NONE
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
