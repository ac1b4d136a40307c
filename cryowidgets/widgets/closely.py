"""One exposure in full: pictures to zoom into, motion, CTF, all that is known of it, and what was done with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as W
import numpy as np

from cryowidgets.errors import CryowidgetsError, InputError
from cryowidgets.io import mrcheader
from cryowidgets.model import Ctf, Micrograph, Particles, Picks, Quality
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import ExposureRow, Reader
from cryowidgets.store.thresholds import Cut
from cryowidgets.widgets import details, figures, panels, shots, texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.micrograph_view import MicrographView, Shot
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.sift import is_beyond
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import box, put, show_if

MODES = ("Pictures", "Micrograph", "Motion", "CTF", "Details", "Log")


class Closely(W.Box):
    """Shows the exposure that it is told to.

    Parameters
    ----------
    page : Page
        Of a page without control no paths, parameters and tracebacks are shown.
    step : callable
        Called with +1 or −1 where a person wants the next or the previous exposure.
    """

    def __init__(self, page: Page, step: Callable[[int], None]) -> None:
        self._page = page
        self._head, self._trouble, self._numbers = W.HTML(), W.HTML(), W.HTML()
        self._details, self._log = W.HTML(), W.HTML()
        self.micrograph = MicrographView("no micrograph yet", page.wake, step)
        self.spectrum = MicrographView("no CTF yet", page.wake, step, plain=True, reciprocal=True)
        self.trajectory, self.curve = figures.trajectory(), figures.spectrum_curve()
        self._plotted: dict[str, tuple | None] = {}
        self.modes = Tabs(MODES, lambda _: self._open(), "What is shown of the exposure")
        self._pictures = box([self.micrograph, self.trajectory, self.spectrum, self.curve], "cw-ex-pictures")
        self._numbers.add_class("cw-ex-numbers")
        for part in (self._details, self._log):
            part.add_class("cw-ex-text")
        self.overlay = Choice([], self._lay_over, "Picks by")
        self._overlay = ""  # what a person chose of it
        parts = [self._head, self._trouble, self.modes, self.overlay]
        parts += [self._pictures, self._details, self._log, self._numbers]
        super().__init__(parts)
        self.add_class("cw-ex-closely")
        self._open()

    def show(self, reader: Reader, id: int | None, held: bool) -> None:
        """Show an exposure as it is now; `held` where a person chose it."""
        row = None
        if id is not None:
            try:
                row = reader.exposure(id)
            except CryowidgetsError:
                pass
        if row is None:
            self._nothing()
            return
        overview = self._page.overview
        at = overview.row(row.id)
        put(self._head, _head(row, held, overview.notes.get(at, ""), bool(overview.flag[at])))
        put(self._trouble, panels.troubles(row, self._page.control) + _beyond(overview, reader.thresholds(), at))
        micrograph, ctf, picks = _first(row, Micrograph), _last(row, Ctf), self._picks(row)
        self.micrograph.show(shots.of_micrograph(row, micrograph, picks, self.micrograph.shot))
        self.spectrum.show(_of_ctf(row, ctf, self.spectrum.shot))
        self.micrograph.refresh()
        self.spectrum.refresh()
        self._plot(micrograph, ctf)
        items = (micrograph, ctf, _last(row, Quality))
        counts = [(i, n) for i, n in ((picks, "picks"), (_last(row, Particles), "particles")) if i is not None]
        put(self._numbers, panels.numbers([i for i in items if i is not None]) + _counts(counts))
        if self.modes.shown == "Details":
            put(self._details, details.about(reader, row, self._page.control))
        elif self.modes.shown == "Log":
            put(self._log, details.attempts(row, self._page.control))

    def _picks(self, row: ExposureRow) -> Picks | None:
        """Those of the step that a person chose; of the last one where there are several and nobody has."""
        found = {step: item for step, item in row.items.items() if isinstance(item, Picks)}
        step = self._overlay if self._overlay in found else next(reversed(found), "")
        names = list(found) if len(found) > 1 else []
        if (names, [step]) != (self.overlay.names, self.overlay.chosen):
            with self.overlay.hold_sync():
                self.overlay.names, self.overlay.chosen = names, [step]
        return found.get(step)

    def _lay_over(self, step: str) -> None:
        self._overlay = step
        self._page.wake()

    def _nothing(self) -> None:
        put(self._head, "<div class='cw-title'>Exposure</div>")
        for part in (self._trouble, self._numbers, self._details, self._log):
            put(part, "")
        self.micrograph.show(None)
        self.spectrum.show(None)
        self._plot(None, None)

    def _plot(self, micrograph: Micrograph | None, ctf: Ctf | None) -> None:
        keys = {
            "micrograph": micrograph and (micrograph.id, micrograph.exposure),
            "ctf": ctf and (ctf.id, ctf.exposure),
        }
        if keys["micrograph"] != self._plotted.get("micrograph", ()):
            shifts = micrograph.shifts if micrograph is not None and micrograph.shifts is not None else np.zeros((0, 2))
            self.trajectory.replace({"x": shifts[:, 1], "y": shifts[:, 0], "frame": np.arange(1, len(shifts) + 1)})
        if keys["ctf"] != self._plotted.get("ctf", ()):
            names = ["frequency", "observed", "fitted", "agreement"]
            self.curve.replace(dict(zip(names, panels.curve(ctf.curve if ctf else ""), strict=True)))
        self._plotted = keys

    def _open(self) -> None:
        mode = self.modes.shown
        for name in MODES[:4]:
            (self._pictures.add_class if name == mode else self._pictures.remove_class)(f"cw-ex-mode-{name.lower()}")
        self.micrograph.motion = mode == "Motion"
        show_if(self._pictures, mode in MODES[:4])
        show_if(self.overlay, mode in MODES[:3])
        show_if(self._details, mode == "Details")
        show_if(self._log, mode == "Log")
        self._page.wake()


def _of_ctf(row: ExposureRow, ctf: Any, before: Shot | None) -> Shot | None:
    if ctf is None:
        return None
    key = f"{row.id}:{ctf.id}"
    if before is not None and before.key == key:
        return before
    pixel = 0.0
    if ctf.spectrum:
        try:
            pixel = mrcheader.read_header(ctf.spectrum).pixel_size
        except InputError:
            pass  # the picture alone then, without a scale
    picture = Path(ctf.picture) if ctf.picture else None
    return Shot(key, f"power spectrum of {row.name} and its fit", picture, 512, 512, pixel)


def _head(row: ExposureRow, held: bool, note: str, flag: bool) -> str:
    how = "chosen" if held else "newest"
    hint = "click its row again to follow the newest" if held else "click a row or a picture to choose one"
    flagged = "<b class='cw-ex-flag' title='flagged'>⚑ flagged</b> " if flag else ""
    said = f"<p class='cw-ex-note-of'>✎ {texts.safe(note)}</p>" if note else ""
    return (
        f"<div class='cw-title' data-exposure='{row.id}' title='{hint}'><em>{how}</em> {flagged}"
        f"<span>{texts.clock(row.acquired, date=True)}</span> {texts.safe(row.name)}</div>{said}"
    )


def _beyond(overview: Overview, cut: Cut, at: int) -> str:
    """Which of its numbers are outside of the session's thresholds."""
    said = []
    for key, (low, high) in cut.items():
        value = float(overview.values[key][at]) if key in overview.values else float("nan")
        if is_beyond(value, (low, high)):
            metric = overview.metrics[key]
            bound = f"≤ {metric.text(high)}" if high is not None and value > high else f"≥ {metric.text(low or 0.0)}"
            said.append(f"{metric.label} {metric.text(value)} ({bound})")
    return f"<p class='cw-rejected'>Outside of the thresholds: {texts.safe(', '.join(said))}</p>" if said else ""


def _counts(items: list[tuple[Any, str]]) -> str:
    cells = "".join(f"<div><span>{name}</span><b>{item.count}</b></div>" for item, name in items)
    return f"<div class='cw-numbers'>{cells}</div>" if cells else ""


def _first(row: ExposureRow, kind: type) -> Any:
    """The first step's: a gate behind it hands on the same."""
    return next((item for item in row.items.values() if isinstance(item, kind)), None)


def _last(row: ExposureRow, kind: type) -> Any:
    found = [item for item in row.items.values() if isinstance(item, kind)]
    return found[-1] if found else None
