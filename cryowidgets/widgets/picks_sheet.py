"""What the tab Picks shows: a micrograph with its picks and what a cut would leave, the last ones, counts of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import ipywidgets as W
import numpy as np

from cryowidgets.errors import CryowidgetsError
from cryowidgets.io.corrections import Corrections
from cryowidgets.model import Micrograph, Picks
from cryowidgets.store.database import Step
from cryowidgets.store.queries import ExposureRow, Reader
from cryowidgets.widgets import figures, shots, texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.gallery import Gallery
from cryowidgets.widgets.histogram import Histogram
from cryowidgets.widgets.live_table import Row
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.particle_size import SizePanel
from cryowidgets.widgets.picks_data import (
    BY_HAND,
    RECENT,
    Picked,
    corrections,
    filter_of,
    first_shown,
    steps_with_picks,
)
from cryowidgets.widgets.picks_hand import PicksByHand
from cryowidgets.widgets.picks_orders import CutOrders, HandOrders
from cryowidgets.widgets.picks_view import PicksCut, PicksView
from cryowidgets.widgets.window import box, put, show_if

STRIP = 12
"""Micrographs in the strip of thumbnails."""
BINS = 24


class PicksSheet:
    """The micrograph in view with its picks, sliders, the last micrographs, and counts of all.

    With control also what hands a cut to the session, picking by hand, and the approval of a size.

    Parameters
    ----------
    page : Page

    Attributes
    ----------
    left, right : Box
        The picture with its sliders and the last micrographs; counts, and what may be done.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self._chosen = ""  # the step that a person wants to see
        self._picked: Picked | None = None
        self._particles: Picked | None = None
        self._reader: Reader | None = None
        self._exposure: int | None = None
        self._points: dict[tuple[str, int], int] = {}  # rows of the ledger that are drawn, by name and exposure
        self._sources: dict[str, str] = {}  # the steps that they are of
        self._head = W.HTML()
        self.steps = Choice([], self._choose, "Picks by")
        self.orders = self.by_hand = None
        if page.control:
            self.orders, self.by_hand = CutOrders(page), HandOrders(page, self._go)
            self.view: PicksView = PicksByHand(
                "no micrograph yet", page.wake, self._step, self._moved, self._hold, self.by_hand.save, self._to_hand
            )
        else:
            self.view = PicksView("no micrograph yet", page.wake, self._step)
        nothing = "no micrographs with picks yet"
        self.strip = Gallery(self._strip_rows, self._pictures, page.wake, nothing, width=72, most=STRIP)
        self.strip.aspect = 0.75
        self.strip.on_tap(page.choose)
        self.strip.on("step", lambda by, extend: self._step(-by))
        self.strip.add_class("cw-picks-strip")
        self.size = SizePanel(page)
        self.course = figures.per_micrograph()
        self.course.on_tap(page.choose)
        self.counts = Histogram("picks per micrograph", "", 0, lambda low, high, done: None, sides=())
        self._counts_title = W.HTML()
        counts = box([self._counts_title, self.counts], "cw-picks-card", "cw-picks-numbers")
        cards = [part for part in (self.orders, self.by_hand) if part is not None]
        self.left = box([box([self._head, self.steps], "cw-picks-head"), self.view, self.strip], "cw-picks-left")
        self.right = box([*cards, self.size, self.course, counts], "cw-picks-right")

    def refresh(self, reader: Reader) -> None:
        """Show what is new."""
        self._reader = reader
        steps = reader.steps()
        names = steps_with_picks(steps)
        shown = self._chosen if self._chosen in names else first_shown(steps)
        self._offer(names, shown)
        fresh = self.page.news(self).fresh
        self._follow(reader, steps, shown, fresh)
        self._show(reader, steps, shown)
        applied, filtered = _applied(steps, shown)
        self.view.cut(shown, applied)
        self.view.compare(self._picked.worth if self._picked is not None else {})
        self.view.refresh()
        self.strip.refresh()
        self.strip.select(self._exposure)
        self.size.refresh(reader, steps)
        if self.view.size != self.size.diameter:
            self.view.size = self.size.diameter
        if self.orders is not None:
            self.orders.show(reader, filtered, applied)
            show_if(self.orders, self._picked is not None and bool(self._picked.rows))

    # What is shown --------------------------------------------------------------------------------------------------

    def _offer(self, names: list[str], shown: str) -> None:
        if (names, [shown]) != (self.steps.names, self.steps.chosen):
            with self.steps.hold_sync():
                self.steps.names, self.steps.chosen = names, [shown] if shown else []
        show_if(self.steps, len(names) > 1)

    def _follow(self, reader: Reader, steps: Mapping[str, Step], shown: str, fresh: bool) -> None:
        """Read what is new of the picks in view, and of what was cut out of them."""
        cut_out = [step.name for step in steps.values() if step.gives == "Particles" and not step.fold]
        particles = cut_out[-1] if cut_out else ""
        changed = False
        for name, attribute in ((shown, "_picked"), (particles, "_particles")):
            before = getattr(self, attribute)
            if not name:
                made = None
            else:
                made = before if before is not None and before.step == name else Picked(name, name == shown)
                changed |= made.refresh(reader, fresh)
            changed |= made is not before
            setattr(self, attribute, made)
        if changed:
            self._draw()
        if self._picked is not None and not self._picked.whole:
            self.page.wake()

    def _show(self, reader: Reader, steps: Mapping[str, Step], shown: str) -> None:
        """The micrograph: that which a person chose, else the newest with picks."""
        page, picked = self.page, self._picked
        rows = picked.rows if picked is not None else []
        id = page.shown if page.held or not rows else rows[-1].exposure
        self._exposure = id
        row = _exposure(reader, id)
        if row is None:
            put(self._head, "<div class='cw-title'>Picks</div>")
            self.view.show(None)
            return
        step = steps.get(shown)
        item = row.items.get(shown)
        found = item if isinstance(item, Picks) else None
        micrograph = _micrograph(row, step)
        put(self._head, _head(row, found, shown, page.held))
        corrected = corrections(reader, step, row.id)
        self.view.show(shots.of_micrograph(row, micrograph, found, self.view.shot, corrected))
        if self.by_hand is not None and picked is not None:
            self._by_hand(reader, steps, step, row.id, corrected)
        elif self.by_hand is not None:
            show_if(self.by_hand, False)

    def _by_hand(
        self, reader: Reader, steps: Mapping[str, Step], step: Step | None, id: int, found: Corrections
    ) -> None:
        """Whether picks can be changed here, or where else."""
        view = self.view
        assert isinstance(view, PicksByHand) and self.by_hand is not None and self._picked is not None
        if not view.keep:
            session = f"{self.page.folder} {reader.settings().get('created', '')}"
            view.keep = blake2b(session.encode(), digest_size=12).hexdigest()
        hands = [step.name for step in steps.values() if step.protocol in BY_HAND]
        allowed = step is not None and step.name in hands
        hand = step.name if allowed and step is not None else (hands or [""])[-1]
        if (view.hand, view.allowed) != (hand, allowed):
            with view.hold_sync():
                view.hand, view.allowed = hand, allowed
        self.by_hand.show(reader, view, hand if allowed else "", id, found, self._picked)

    def _draw(self) -> None:
        """Counts against time, and how they are distributed."""
        sources = {"picks": self._picked, "particles": self._particles}
        there = {(name, row.exposure): row for name, one in sources.items() for row in (one.rows if one else [])}
        again = any(key in there and there[key].id != id for key, id in self._points.items())
        again |= any(one is not None and one.step != self._sources.get(name) for name, one in sources.items())
        new = [key for key in there if again or key not in self._points]
        new.sort(key=lambda key: (there[key].acquired, key))
        columns: dict[str, Any] = {
            "id": [there[key].exposure for key in new],
            "time": texts.plot_times([there[key].acquired for key in new]),
            "name": [there[key].name for key in new],
        }
        for name in sources:
            columns[name] = [there[key].count if key[0] == name else np.nan for key in new]
        (self.course.replace if again else self.course.stream)(columns)
        self._points = {key: row.id for key, row in there.items()}
        self._sources = {name: one.step for name, one in sources.items() if one is not None}
        counts = np.array([row.count for row in self._picked.rows] if self._picked is not None else [], np.int64)
        if len(counts):
            last = int(np.median(counts[-RECENT:]))
            self.course.note = f"median {last} picks" + (f", last {RECENT}" if len(counts) > RECENT else "")
            high = max(int(counts.max()), BINS)
            heights, edges = np.histogram(counts, bins=BINS, range=(0, high))
            self.counts.show(edges, heights)
        whole = f"<em>{texts.count(len(counts), 'micrograph')}</em>" if len(counts) else ""
        put(self._counts_title, f"<div class='cw-title'>{whole}Picks per micrograph</div>")

    def _strip_rows(self, first: int, count: int) -> tuple[int, Sequence[Row]]:
        """The newest first."""
        rows = self._picked.rows[-STRIP:][::-1] if self._picked is not None else []
        made = [
            Row(row.exposure, "done", (f"{row.count} picks", texts.clock(row.acquired)), row.name, image=f"{row.id}")
            for row in rows
        ]
        return len(made), made[first : first + count]

    def _pictures(self, ids: Sequence[int]) -> dict[int, tuple[str, Path]]:
        if self._picked is None or self._reader is None:
            return {}
        found = [row for row in map(self._picked.row, ids) if row is not None and row.thumbnail]
        return {row.exposure: (f"{row.id}", self._reader.folder / row.thumbnail) for row in found}

    # What a person does ---------------------------------------------------------------------------------------------

    def _choose(self, step: str) -> None:
        self._chosen = step
        self.page.wake()

    def _go(self, exposure: int) -> None:
        """Show an exposure, whether it is in view already or not."""
        if not (self.page.held and self.page.shown == exposure):
            self.page.choose(exposure)

    def _step(self, by: int) -> None:
        """Go on to the next or the previous micrograph with picks; past the newest, follow it."""
        found = self._picked.beside(self._exposure, by) if self._picked is not None else None
        if found is not None:
            self._go(found)
        elif by > 0:
            self.page.choose(None)

    def _moved(self, cut: PicksCut) -> None:
        if self.orders is not None:
            self.orders.moved(cut)
        self.page.wake()

    def _hold(self, exposure: int) -> None:
        """A micrograph on which a person works stays, whatever comes in."""
        if not self.page.held:
            self.page.choose(exposure)
        self.page.wake()

    def _to_hand(self) -> None:
        hand = getattr(self.view, "hand", "")
        if hand:
            self._choose(hand)


def _exposure(reader: Reader, id: int | None) -> ExposureRow | None:
    if id is None:
        return None
    try:
        return reader.exposure(id)
    except CryowidgetsError:
        return None


def _micrograph(row: ExposureRow, step: Step | None) -> Micrograph | None:
    """The one in which the step has looked, else the first."""
    sources = list(step.inputs.values()) if step is not None else []
    found = [item for item in map(row.items.get, sources) if isinstance(item, Micrograph)]
    return (found + [item for item in row.items.values() if isinstance(item, Micrograph)] + [None])[0]


def _applied(steps: Mapping[str, Step], shown: str) -> tuple[PicksCut, Step | None]:
    """What the filter behind some picks does at present, and the filter; all pass where there is none."""
    step = filter_of(steps, shown)
    if step is None:
        return PicksCut(), None
    score, low, high = (step.params.get(name) for name in ("score_min", "power_min", "power_max"))
    return PicksCut(score, low or None, high or None), step


def _head(row: ExposureRow, found: Picks | None, step: str, held: bool) -> str:
    how = "chosen" if held else "newest"
    hint = "click its picture again to follow the newest" if held else "click a picture to choose one"
    words = [texts.count(found.count, "pick") if found is not None else f"no picks by {step} yet"] if step else []
    if found is not None and np.isfinite(found.diameter):
        words.append(f"{found.diameter:.0f} Å across")
    if found is not None and (found.added or found.removed):
        words.append(f"{found.added} added and {found.removed} removed by hand")
    return (
        f"<div class='cw-title' data-exposure='{row.id}' title='{texts.safe(hint)}'><em>{how}</em>"
        f"{texts.safe(', '.join(words))} <span title='{texts.safe(row.name)}'>{texts.safe(row.name)}, "
        f"{texts.clock(row.acquired, date=True)}</span></div>"
    )
