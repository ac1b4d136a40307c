"""The course of a session: its numbers against acquisition time, all over the same stretch, marked alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import ipywidgets as W
import numpy as np

from cryowidgets.store.overview import Overview
from cryowidgets.widgets import texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.look import HOUR, Look
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.strip import PACE, PARTS, PaceStrip, Strip
from cryowidgets.widgets.window import box

LAST_HOUR, SESSION = "last hour", "session"
MARK, ZOOM = "mark", "zoom"
SHOW, CLEAR, BACK = "show in Exposures", "clear marks", "end zoom"
BY = {"one colour": "", "grid square": "square", "hole": "hole", "optics group": "optics"}
FIRST = ("drift", "defocus", "astigmatism", "resolution", PACE)
"""What is shown until a person chooses."""
HIDDEN = ("angle", *(key for parts in PARTS.values() for key in parts))
"""Numbers that are drawn with others."""
NAMES = {"resolution": "fit", "phase_shift": "phase", "astigmatism": "astig."}
"""Short names for the choice of plots."""
SLOWLY = 4.0
"""Seconds between two drawings of bins while nothing but data changes: of 49,000 exposures nobody sees one more."""
SHORTEST = 5.0
"""Seconds that can be zoomed to."""
Moved = Callable[[str, float | None, float | None, bool], None]


class Course(W.Box):
    """Strips of plots and histograms, and what chooses among them.

    Parameters
    ----------
    page : Page
    moved : callable
        Called where a person moves a threshold, see `Strip`.
    """

    def __init__(self, page: Page, moved: Moved) -> None:
        self._page, self._moved = page, moved
        self.strips: dict[str, Strip | PaceStrip] = {}
        """By key of their number, as far as somebody has looked at them."""
        self.stretch = Choice([LAST_HOUR, SESSION], self._stretched, "Show")
        self.drag = Choice([MARK, ZOOM], lambda _: None, "Drag to")
        self.drag.hints = {
            MARK: "draw a box in a plot: the exposures in it are marked in all of them",
            ZOOM: "draw a box in a plot: all of them show that stretch; click twice to go back",
        }
        self.by = Choice([], lambda _: page.wake(), "Colour")
        self.legend = Choice([], self._mark_group, "", kind="press")
        self.plots = Choice([], lambda _: self._arrange(), "Plots", kind="many")
        self.marks = Choice([], self._press, "", kind="press")
        self.tools = box([self.stretch, self.drag, self.by, self.legend, self.plots, self.marks], "cw-tools")
        self._keys: dict[str, str] = {}  # of the strips that may be chosen, by their short name
        self._zoom: tuple[float, float] | None = None
        self._decided = False  # whether to show the last hour or the session at first
        self._drawn: dict[str, tuple] = {}  # what each strip shows, but for what is new in it
        self._drawn_at = 0.0
        self._late: set[str] = set()  # strips whose bins lag behind
        self._rung: dict[str, tuple] = {}
        self._selected: int | None = None
        self.look: Look | None = None
        super().__init__([])
        self.add_class("cw-strips")

    @property
    def chosen(self) -> list[str]:
        """Keys of the strips in view."""
        return [self._keys[name] for name in self.plots.chosen]

    def refresh(self, changed: np.ndarray | None) -> None:
        """Draw what is new: all where `changed` is None, else these rows of the overview."""
        overview = self._page.overview
        if changed is None or len(changed):
            self._offer(overview)
        if not len(overview):
            for key in self.chosen:
                self._drawn.pop(key, None)
            return
        self.look = look = self._aim(overview)
        if look.legend() != self.legend.colours:
            with self.legend.hold_sync():
                self.legend.names, self.legend.colours = list(look.legend()), look.legend()
        self._draw(look, changed)
        self._ring(look)
        self._say(look)

    def bound(self) -> None:
        """Place all handles where the thresholds of the page are."""
        for key in self.chosen:
            strip = self.strips[key]
            if isinstance(strip, Strip):
                strip.bound(self._page.cut, self._page.overview)

    # What there is to choose ------------------------------------------------------------------------------------

    def _offer(self, overview: Overview) -> None:
        there = [key for key in overview.metrics if key not in HIDDEN and np.isfinite(overview.values[key]).any()]
        begun = [key for key in FIRST if key in overview.metrics or key == PACE]
        keys = begun + [key for key in there if key not in begun]
        names = {_name(overview, key): key for key in keys}
        if names != self._keys:
            known = set(self._keys.values())
            chosen = {*self.chosen, *(key for key in keys if key in FIRST and key not in known)}
            self._keys = names
            with self.plots.hold_sync():
                self.plots.names = list(names)
                self.plots.chosen = [name for name, key in names.items() if key in chosen]
                self.plots.hints = {n: overview.metrics[key].help for n, key in names.items() if key != PACE}
            self._arrange(wake=False)
        by = [name for name, key in BY.items() if not key or key in overview.groupings]
        if by != self.by.names and (len(by) > 1 or self.by.names):
            with self.by.hold_sync():
                self.by.names, self.by.chosen = by, [n for n in self.by.chosen if n in by] or by[:1]
        if not self._decided and len(overview):
            self._decided = True
            if time.time() - float(overview.acquired.max()) > HOUR:
                self.stretch.chosen = [SESSION]

    def _arrange(self, wake: bool = True) -> None:
        """Show the strips that are chosen; those that come into view are drawn anew."""
        for key in self.chosen:
            if key not in self.strips:
                self.strips[key] = self._make(key)
        shown = [self.strips[key] for key in self.chosen]
        for key in [key for key in self._drawn if key not in self.chosen]:
            del self._drawn[key]
        if list(self.children) != shown:
            self.children = shown
        if wake:
            self._page.wake()

    def _make(self, key: str) -> Strip | PaceStrip:
        strip: Strip | PaceStrip
        if key == PACE:
            strip = PaceStrip()
        else:
            metrics = self._page.overview.metrics
            parts = [part for part in PARTS.get(key, []) if part in metrics]
            strip = Strip(metrics[key], parts, self._moved, fields=self._page.control)
        strip.plot.on_tap(self._tapped)
        strip.plot.on_range(lambda x0, x1, y0, y1: self._boxed(strip, x0, x1, y0, y1))
        strip.plot.on_reset(self._back)
        return strip

    # Drawing ----------------------------------------------------------------------------------------------------

    def _aim(self, overview: Overview) -> Look:
        first, last = float(overview.acquired.min()), float(overview.acquired.max())
        if self._zoom is not None:
            first, last = self._zoom
        elif self.stretch.chosen == [LAST_HOUR]:
            first = max(first, last - HOUR)
        return Look(overview, first, last, BY.get(next(iter(self.by.chosen), ""), ""))

    def _draw(self, look: Look, changed: np.ndarray | None) -> None:
        picture = (tuple(self.stretch.chosen), self._zoom, look.by, look.groups, look.binned)
        due = time.monotonic() - self._drawn_at > max(SLOWLY, look.stale)
        if changed is None or len(changed):
            self._late.update(self.chosen)
        for key in self.chosen:
            anew = changed is None or self._drawn.get(key) != picture
            if anew or (key in self._late and (due or not look.binned)):
                strip = self.strips[key]
                strip.draw(look, None if anew else changed)
                if isinstance(strip, Strip) and (due or anew):
                    strip.count(look.overview)
                self._drawn[key] = picture
                self._late.discard(key)
                if anew:
                    self._rung.pop(key, None)
        if due:
            self._drawn_at = time.monotonic()

    def _ring(self, look: Look) -> None:
        """Show in every strip what is marked, and which exposure is in view."""
        page = self._page
        anew = page.shown != self._selected
        self._selected = page.shown
        for key in self.chosen:
            marked = (page.marked.tobytes(), self._drawn_at if look.binned else len(look.rows))
            if self._rung.get(key) != marked:
                self.strips[key].mark(look, page.marked)
            if anew or key not in self._rung:
                self.strips[key].select(look, page.shown)
            self._rung[key] = marked

    def _say(self, look: Look) -> None:
        marked = len(self._page.marked)
        there = [SHOW] if self._page.has("Exposures") else []
        names = ([*there, CLEAR] if marked else []) + ([BACK] if self._zoom else [])
        label = f"{texts.count(marked, 'marked', 'marked')}" if marked else ""
        if names != self.marks.names or label != self.marks.label:
            with self.marks.hold_sync():
                self.marks.names, self.marks.label = names, label

    # What people do ---------------------------------------------------------------------------------------------

    def _stretched(self, name: str) -> None:
        self._decided, self._zoom = True, None
        self._page.wake()

    def _tapped(self, exposure: int) -> None:
        if exposure > 0:  # a bar without any movie has no exposure
            self._page.choose(exposure)

    def _boxed(self, strip: Strip | PaceStrip, x0: float, x1: float, y0: float, y1: float) -> None:
        if self.look is None or not (abs(x0) < 1e14 and abs(x1) < 1e14):
            return
        first, last = texts.from_plot(x0), texts.from_plot(x1)
        if self.drag.chosen == [ZOOM]:
            overview = self._page.overview
            ends = max(first, float(overview.acquired.min())), min(last, float(overview.acquired.max()))
            if ends[1] - ends[0] >= SHORTEST:
                self._zoom = ends
                self._page.wake()
            return
        overview = self._page.overview
        inside = (overview.acquired >= first) & (overview.acquired <= last) & strip.inside(overview, y0, y1)
        self._page.mark(overview.id[inside])

    def _back(self) -> None:
        """Twice clicked: the zoom ends, or else the marks go."""
        if self._zoom is not None:
            self._zoom = None
            self._page.wake()
        elif len(self._page.marked):
            self._page.mark([])

    def _press(self, name: str) -> None:
        if name == SHOW:
            self._page.go("Exposures")
        elif name == CLEAR:
            self._page.mark([])
        elif name == BACK:
            self._zoom = None
            self._page.wake()

    def _mark_group(self, name: str) -> None:
        """Mark what of a group is in view."""
        look = self.look
        if look is None or not look.by:
            return
        codes, labels = look.overview.groups(look.by)
        if name in labels:
            rows = look.rows[codes[look.rows] == labels.index(name)]
            self._page.mark(look.overview.id[rows])


def _name(overview: Overview, key: str) -> str:
    return "movies/h" if key == PACE else NAMES.get(key, overview.metrics[key].label)
