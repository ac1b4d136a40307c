"""The list of exposures: a table or pictures of them; sorted, sifted, marked, and stepped through by keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as W
import numpy as np

from cryowidgets.store.overview import STATES
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut
from cryowidgets.widgets import texts
from cryowidgets.widgets.filters import Filters
from cryowidgets.widgets.gallery import Gallery
from cryowidgets.widgets.live_table import Column, LiveTable, Row
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.sift import Sift, is_beyond
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import box, show_if

TABLE = "Table"
_CAPTIONS = {"Micrographs": ("drift", "resolution"), "Spectra": ("defocus", "resolution"), "Picks": ("picks", "drift")}
PICTURES = {"Micrographs": ("Micrograph", "thumbnail"), "Spectra": ("Ctf", "picture"), "Picks": ("Picks", "thumbnail")}
"""Kinds of pictures: the item that has them, and its column."""
NUMBERS = ("drift", "defocus", "astigmatism", "resolution", "ice", "quality", "picks", "particles")
"""What the table shows, as far as the workflow measures it."""
_HEADS = {"resolution": "fit", "defocus": "def.", "astigmatism": "astig.", "ice": "ice", "particles": "parts"}


class ExposureList(W.Box):
    """All exposures, of which a page holds those on the screen.

    Parameters
    ----------
    page : Page
        With control there is a field to search for names; without it nothing that takes text.
    key : callable
        Called with a letter that was pressed.
    """

    def __init__(self, page: Page, key: Callable[[str], None] = lambda key: None) -> None:
        self._page = page
        self.sift = Sift()
        self.filters = Filters(self.sift, page.wake)
        self.table = LiveTable([], self._table_rows, page.wake, "no exposures", many=True)
        self.gallery = Gallery(self._gallery_rows, self._pictures, page.wake, "no exposures")
        self.kinds = Tabs([TABLE], lambda _: self._open(), "How the exposures are listed")
        self.listed = np.zeros(0, dtype=np.int64)
        """Rows of the overview, in the order of the list."""
        self._reader: Reader | None = None
        self._cut: Cut = {}
        self._spec: object = None
        self._times = 0  # that there was news
        self._measured: list[str] = []  # numbers that any exposure has
        self._anchor: int | None = None
        self._shown: int | None = None
        self._stepped = False
        self._affixes = ("", "")
        self._named = 0
        for part in (self.table, self.gallery):
            part.on_tap(self._tap)
            part.on("sort", self._sort)
            part.on("pick", self._pick)
            part.on("step", self.step)
            part.on("all", self._all)
            part.on("none", lambda: page.mark([]))
            part.on("key", key)
        head: list[W.Widget] = [self.kinds]
        if page.control:
            self.search = W.Text(placeholder="name or note")
            self.search.observe(self._search, names="value")
            head.append(self.search)
        super().__init__([self.filters, box(head, "cw-ex-kinds"), self.table, self.gallery])
        self.add_class("cw-ex-list")
        self._open()

    def refresh(self, reader: Reader) -> None:
        """Show what is new of what is on the screens."""
        page = self._page
        self._reader = reader
        cut = self._cut = reader.thresholds()
        self._list(cut)
        self._name()
        self._offer(reader)
        stamp = (self._times, self._spec)
        self.filters.refresh(page.overview, self._measured, cut, len(page.marked), len(self.listed), stamp)
        if self.kinds.shown == TABLE:
            self._head()
            self.table.refresh()
        else:
            self.gallery.refresh()
        if page.shown != self._shown or self._stepped:
            self._shown = page.shown
            for part in (self.table, self.gallery):
                part.select(page.shown, self._position(page.shown) if self._stepped else None)
            self._stepped = False

    # The list -------------------------------------------------------------------------------------------------------

    def _list(self, cut: Cut) -> None:
        """Sift and sort anew where that may give something else."""
        sift, page = self.sift, self._page
        news = page.news(self)
        marked = page.marked.tobytes() if "marked" in sift.marks else b""
        sifted = (sift.text, frozenset(sift.states), frozenset(sift.marks), tuple(sorted(sift.ranges.items())))
        spec = (*sifted, sift.key, sift.descending, tuple(cut.items()), marked)
        new = news.fresh or len(news.rows) > 0
        if new:
            self._times += 1
            values = page.overview.values
            known = set() if news.fresh else set(self._measured)
            rows = slice(None) if news.fresh else news.rows
            known |= {key for key in values if np.isfinite(values[key][rows]).any()}
            self._measured = [key for key in page.overview.metrics if key in known]
        if new or spec != self._spec:
            self._spec = spec
            self.listed = sift.rows(page.overview, cut, page.marked)

    def _name(self) -> None:
        """What all names begin and end with says nothing; looked for again each time there are twice as many."""
        names = self._page.overview.names
        if self._named and self._named <= len(names) < 2 * self._named:
            return
        self._named = len(names)
        some = names[:: max(1, len(names) // 200)]
        short = texts.distinct(some)
        at = some[0].find(short[0]) if some else 0
        self._affixes = (some[0][:at], some[0][at + len(short[0]) :]) if some and len(some) > 1 else ("", "")

    def _short(self, name: str) -> str:
        begin, end = self._affixes
        if name.startswith(begin) and name.endswith(end) and len(name) > len(begin) + len(end):
            return name[len(begin) : len(name) - len(end)]
        return name

    def _offer(self, reader: Reader) -> None:
        made = {step.gives for step in reader.steps().values()}
        names = [TABLE, *(name for name, (kind, _) in PICTURES.items() if kind in made)]
        if names != self.kinds.names:
            self.kinds.names = names
            if self.kinds.shown not in names:
                self.kinds.choose(TABLE)

    def _head(self) -> None:
        overview = self._page.overview
        columns = [
            Column("", width="2.9ch", help="⚑ flagged, ✎ with a note"),
            Column(
                "time",
                width="11ch" if self._days() else "7.9ch",
                key="acquired",
                help="when it was recorded, by the clock of this host",
            ),
            Column("movie", width="minmax(80px, 1fr)", key="name"),
        ]
        for key in self._numbers():
            metric = overview.metrics[key]
            label = _HEADS.get(key, metric.label)
            width = f"{max(len(label) + len(metric.unit) + (2.2 if key == self.sift.key else 0.4), 5.2):g}ch"
            columns.append(Column(label, metric.unit, "right", width, key, f"{metric.label}: {metric.help}"))
        columns.append(Column("state", width="8ch", key="state"))
        made = [vars(column) for column in columns]
        if made != self.table.columns:
            self.table.columns = made
        order = {"key": self.sift.key, "descending": self.sift.descending}
        if order != self.table.order:
            self.table.order = order

    def _days(self) -> bool:
        """Whether the session is so long that times need a date."""
        acquired = self._page.overview.acquired
        return len(acquired) > 1 and float(acquired.max() - acquired.min()) > 20 * 3600

    def _numbers(self) -> list[str]:
        return [key for key in NUMBERS if key in self._measured]

    def _table_rows(self, first: int, count: int) -> tuple[int, list[Row]]:
        overview = self._page.overview
        numbers = self._numbers()
        days = self._days()
        made = []
        for row, why, marked in self._slice(first, count):
            sign = ("⚑" if overview.flag[row] else "") + ("✎" if row in overview.notes else "")
            values = [overview.metrics[key].text(float(overview.values[key][row]), unit=False) for key in numbers]
            state = STATES[overview.state[row]]
            name = self._short(overview.names[row])
            when = texts.clock(float(overview.acquired[row]), date=days)
            cells = [sign, when[5:16] if days else when, name, *values, state]
            beyond = [i for i, key in enumerate(numbers, 3) if is_beyond(overview.values[key][row], self._cut.get(key))]
            hint = " · ".join(filter(None, [overview.names[row], why, overview.notes.get(row, "")]))
            made.append(Row(int(overview.id[row]), state, cells, hint, marked, beyond))
        return len(self.listed), made

    def _gallery_rows(self, first: int, count: int) -> tuple[int, list[Row]]:
        overview = self._page.overview
        found = self._slice(first, count)
        pictures = self._pictures([int(overview.id[row]) for row, _, _ in found])
        said = [key for key in _CAPTIONS[self.kinds.shown] if key in overview.values]
        made = []
        for row, why, marked in found:
            id, state = int(overview.id[row]), STATES[overview.state[row]]
            values = [(overview.metrics[key], float(overview.values[key][row])) for key in said]
            numbers = [m.text(v) + (" picks" if m.key == "picks" else "") for m, v in values if np.isfinite(v)]
            sign = ("⚑" if overview.flag[row] else "") + ("✎" if row in overview.notes else "")
            line = " · ".join([state, *numbers] if state != "done" else numbers)
            hint = " · ".join(filter(None, [overview.names[row], state, why, overview.notes.get(row, "")]))
            cells = [f"{sign} {self._short(overview.names[row])}".strip(), line]
            made.append(Row(id, state, cells, hint, marked, image=pictures[id][0] if id in pictures else ""))
        return len(self.listed), made

    def _slice(self, first: int, count: int) -> list[tuple[int, str, bool]]:
        """Rows of the overview in a part of the list, why they were rejected or failed, and whether they are marked."""
        overview = self._page.overview
        rows = self.listed[first : first + count]
        ids = overview.id[rows]
        bad = np.isin(overview.state[rows], (STATES.index("rejected"), STATES.index("failed")))
        assert self._reader is not None
        why = _reasons(self._reader, ids[bad].tolist())
        marked = np.isin(ids, self._page.marked)
        return [(int(r), why.get(int(i), ""), bool(m)) for r, i, m in zip(rows, ids, marked, strict=True)]

    def _pictures(self, ids: Sequence[int]) -> dict[int, tuple[str, Path]]:
        """Name and file of the pictures of some exposures, of the kind in view."""
        kind, column = PICTURES.get(self.kinds.shown, ("", ""))
        if not kind or not ids or self._reader is None:
            return {}
        steps = [step.name for step in self._reader.steps().values() if step.gives == kind]
        found: dict[int, tuple[str, Path]] = {}
        for step in steps[:1] if kind == "Micrograph" else steps[-1:]:
            rows = self._reader.rows(step, exposures=list(ids))
            for exposure, item, path in zip(rows["exposure"], rows["id"], rows[column], strict=True):
                if path:
                    found[int(exposure)] = (f"{kind}{item}", self._reader.folder / path)
        return found

    # Hands ----------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        table = self.kinds.shown == TABLE
        show_if(self.table, table)
        show_if(self.gallery, not table)
        self.gallery.aspect = 1.0 if self.kinds.shown == "Spectra" else 0.75
        self._page.wake()

    def _sort(self, key: str) -> None:
        self.sift.sort(key, self._page.overview)
        self._page.wake()

    def _search(self, change: dict) -> None:
        self.sift.text = str(change["new"])[:200]
        self._page.wake()

    def _position(self, exposure: int | None) -> int | None:
        """Place of an exposure in the list; None where it is not in it."""
        found = np.flatnonzero(self._page.overview.id[self.listed] == exposure) if exposure is not None else []
        return int(found[0]) if len(found) else None

    def _tap(self, id: int) -> None:
        if self._position(id) is None:
            return
        self._anchor = id
        self._page.mark([])
        self._page.choose(id)

    def _pick(self, id: int, how: str) -> None:
        at = self._position(id)
        if at is None:
            return
        if how == "range":
            self._mark_to(at)
            return
        marked = set(self._page.marked.tolist())
        if not marked and self._page.held and self._page.shown is not None:
            marked.add(self._page.shown)  # what was clicked before belongs to it
        self._anchor = id
        self._page.mark(sorted(marked ^ {id}))

    def step(self, by: int, extend: bool) -> None:
        """Go on to another exposure of the list."""
        if not len(self.listed):
            return
        at = self._position(self._page.shown)
        to = 0 if at is None else min(max(at + by, 0), len(self.listed) - 1)
        id = int(self._page.overview.id[self.listed[to]])
        if extend:
            self._anchor = self._page.shown if self._anchor is None else self._anchor
            self._mark_to(to)
        else:
            self._anchor = id
        self._stepped = True
        if id != self._page.shown or not self._page.held:
            self._page.choose(id)

    def _mark_to(self, at: int) -> None:
        anchor = self._position(self._anchor)
        first, last = sorted((at if anchor is None else anchor, at))
        self._page.mark(self._page.overview.id[self.listed[first : last + 1]])

    def _all(self) -> None:
        self._page.mark(self._page.overview.id[self.listed])


def _reasons(reader: Reader, ids: Sequence[int]) -> dict[int, str]:
    """Why exposures were rejected or failed: a person's word before a step's, of steps the newest."""
    if not ids:
        return {}
    marks = ", ".join("?" * len(ids))
    tasks = (
        f"SELECT exposure, error FROM task WHERE exposure IN ({marks}) AND state IN ('rejected', 'failed') ORDER BY id"
    )
    found = {int(id): error or "" for id, error in reader.query(tasks, ids)}
    by_hand = f"SELECT id, rejected FROM exposure WHERE id IN ({marks}) AND rejected IS NOT NULL"
    return found | {int(id): why for id, why in reader.query(by_hand, ids)}
