"""The tab Overview: how a session gets on, what thresholds would leave of it, and its newest exposure."""

from __future__ import annotations

import time

import ipywidgets as W

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import recent
from cryowidgets.widgets.course import Course
from cryowidgets.widgets.exposure import ExposureView
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.polar import PolarPlot
from cryowidgets.widgets.strip import Strip
from cryowidgets.widgets.threshold_bar import ThresholdBar
from cryowidgets.widgets.window import box, put, show_if

COMPARED = ("drift", "defocus", "astigmatism", "resolution", "ice", "particles", "picks", "quality", "latency")
"""Numbers whose last values are compared with the session's, where there are any."""
SLOWLY = 2.0
"""Seconds between two comparisons while nothing but data changes."""


class OverviewTab(Tab):
    """Numbers against acquisition time with their distribution and thresholds; the last ones against the session."""

    title = "Overview"
    place = 10

    def __init__(self, page: Page) -> None:
        self.course = Course(page, self._moved)
        self.bar = ThresholdBar(page, self._set)
        self.polar = PolarPlot()
        self.polar.plot.on_tap(page.choose)
        self.exposure = ExposureView(page.send if page.control else None)
        self._summary = W.HTML()
        self._compared: tuple = ()
        self._compared_at = 0.0
        self._polar: tuple = ()
        left = box([self.course, self.bar], "cw-course")
        right = box([box([self._summary, self.polar.plot], "cw-compare"), self.exposure], "cw-beside")
        super().__init__(page, [self.course.tools, left, right])
        self.add_class("cw-tab-fill")
        self.add_class("cw-overview")

    def refresh(self, reader: Reader) -> None:
        overview, change = self.page.overview, self.page.news(self)
        self.course.refresh(None if change.fresh else change.rows)
        if change.fresh or len(change.rows):
            self._compared = ()
        self._set_side_by_side()
        self._bound()
        self.bar.refresh(reader)
        show_if(self.polar.plot, "angle" in overview.metrics)
        self.exposure.show(reader, self.page.shown, held=self.page.held)

    def _set_side_by_side(self) -> None:
        """The summary and the polar plot; both need all exposures, so at most so often."""
        page, look = self.page, self.course.look
        state = (repr(page.cut), page.marked.tobytes(), look and (look.first, look.by))
        due = time.monotonic() - self._compared_at > max(SLOWLY, look.stale / 2 if look is not None else 0.0)
        if look is None or self._compared == state or (not self._compared and not due):
            return
        self._compared, self._compared_at = state, time.monotonic()
        keys = [key for key in COMPARED if key in page.overview.metrics]
        put(self._summary, recent.table(recent.compare(page.overview, keys, page.cut, page.marked), len(page.marked)))
        self.polar.draw(look)
        self.polar.mark(look, page.marked)
        self.polar.plot.select(page.shown)

    def _bound(self) -> None:
        self.bar.count(self.page.overview.count(self.page.cut))
        self.course.bound()

    def _set(self) -> None:
        """Thresholds were set at once: all handles move."""
        self._bound()
        self.page.wake()

    def _moved(self, key: str, low: float | None, high: float | None, done: bool) -> None:
        """A handle moves: while it does, only what is counted follows."""
        cut = {name: bounds for name, bounds in self.page.cut.items() if name != key}
        if low is not None or high is not None:
            cut[key] = (low, high)
        self.page.cut = {name: cut[name] for name in self.page.overview.metrics if name in cut}
        self.bar.count(self.page.overview.count(self.page.cut))
        strip = self.course.strips[key]
        if isinstance(strip, Strip):
            strip.bound(self.page.cut, self.page.overview, plot=done)
        if done:
            self.page.wake()
