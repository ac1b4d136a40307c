"""`LiveTable`: a table of any length of which a page holds only what is on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from traitlets import Bool, Dict, List, Unicode

from cryowidgets.widgets.part import Part, esm

MOST = 200
"""Rows that a page may ask for at once."""
VIEWS = 16
"""Pages that are told of changes; of more, those that asked last."""


@dataclass(frozen=True)
class Column:
    """A column: what stands above it, and how wide it is in the words of a CSS grid."""

    label: str
    unit: str = ""
    align: str = "left"
    width: str = "minmax(0, 1fr)"
    key: str = ""
    """What a click on its head asks to be sorted by; empty where it cannot be."""
    help: str = ""


@dataclass(frozen=True)
class Row:
    """A row: its id, a state that colours it (done, running, waiting, rejected, failed), and a text for each column."""

    id: int
    state: str
    cells: Sequence[str]
    hint: str = ""
    """What to say to who points at it."""
    marked: bool = False
    """Whether it is one of several that were selected."""
    beyond: Sequence[int] = ()
    """Columns whose value is outside of what it should be."""
    image: str = ""
    """Of a gallery: names its picture; another name is another picture."""


class LiveTable(Part):
    """Rows are fetched while people scroll, and fetched again on `refresh`.

    Parameters
    ----------
    columns : sequence of Column
    fetch : callable
        ``fetch(first, count)`` returns the total number of rows and `count` of them from number `first` on. It is
        called where `refresh` is, never while a message is received.
    wake : callable
        Called when a page asks for other rows; it is to see to it that `refresh` is called soon.
    empty : str
        What to say while there are no rows.
    many : bool
        Whether several rows may be selected and the keyboard steps through them: see `on`.
    """

    _esm = esm("rolling.js", "live_table.js")

    columns = List().tag(sync=True)
    empty = Unicode().tag(sync=True)
    many = Bool().tag(sync=True)
    order = Dict(help="key and descending: how the rows are sorted, to be shown in the head").tag(sync=True)

    def __init__(
        self,
        columns: Sequence[Column],
        fetch: Callable[[int, int], tuple[int, Sequence[Row]]],
        wake: Callable[[], None],
        empty: str = "",
        many: bool = False,
    ) -> None:
        self.fetch, self._wake = fetch, wake
        self._windows: dict[str, tuple[int, int]] = {}
        self._sent: dict[str, dict] = {}
        self._tap: list[Callable[[int], None]] = []
        self._calls: dict[str, Callable[..., None]] = {}
        self._chosen: int | None = None
        super().__init__(columns=[vars(c) for c in columns], empty=empty, many=many)

    def refresh(self) -> None:
        """Fetch again what the pages show; those for which nothing changed hear nothing."""
        fetched: dict[tuple[int, int], dict] = {}
        for view, window in list(self._windows.items()):
            if window not in fetched:
                total, rows = self.fetch(*window)
                fetched[window] = {"first": window[0], "total": total, "rows": [_plain(row) for row in rows]}
            message = {"type": "rows", "view": view, **fetched[window]}
            if self._sent.get(view) != message:
                self._sent[view] = message
                self.send(message)
                self.send({"type": "select", "id": self._chosen})

    def select(self, id: int | None, place: int | None = None) -> None:
        """Mark a row in all pages; none where None. With its `place` in the table it is scrolled to."""
        self._chosen = id
        if self._windows:
            self.send({"type": "select", "id": id, "place": place})

    def on_tap(self, call: Callable[[int], None]) -> None:
        """Call with the id of a row that a person clicked."""
        self._tap.append(call)

    def on(self, what: str, call: Callable[..., None]) -> None:
        """Call where a person does something with rows, if the table lets them.

        ==========  ===========================================================================================
        `what`      `call`
        ==========  ===========================================================================================
        ``sort``    ``call(key)``: a head was clicked
        ``pick``    ``call(id, how)``: a row is to be ``toggle``d, or all up to it are to be selected (``range``)
        ``step``    ``call(by, extend)``: go on by so many rows, past either end too; with shift select them
        ``all``     ``call()``: select all
        ``none``    ``call()``: select none
        ``key``     ``call(key)``: another key was pressed, of one letter
        ==========  ===========================================================================================
        """
        self._calls[what] = call

    def _receive(self, message: dict) -> None:
        kind, view = message.get("type"), message.get("view")
        if kind == "need" and isinstance(view, str) and _counts(message, "first", "count"):
            self._windows.pop(view[:64], None)
            self._sent.pop(view[:64], None)
            self._windows[view[:64]] = (message["first"], min(message["count"], MOST))
            while len(self._windows) > VIEWS:
                self._sent.pop(next(iter(self._windows)), None)
                del self._windows[next(iter(self._windows))]
            self._wake()
        elif kind == "gone" and isinstance(view, str):
            self._windows.pop(view[:64], None)
            self._sent.pop(view[:64], None)
        elif kind == "tap" and _counts(message, "id"):
            for call in self._tap:
                call(message["id"])
        elif isinstance(kind, str) and kind in self._calls:
            self._do(kind, message)

    def _do(self, kind: str, message: dict) -> None:
        call = self._calls[kind]
        if kind == "sort" and any(c["key"] and c["key"] == message.get("key") for c in self.columns):
            call(message["key"])
        elif not self.many:
            return
        elif kind == "pick" and _counts(message, "id") and message.get("how") in ("toggle", "range"):
            call(message["id"], message["how"])
        elif kind == "step" and type(message.get("by")) is int and abs(message["by"]) <= 2**31:
            call(message["by"], message.get("extend") is True)
        elif kind in ("all", "none"):
            call()
        elif kind == "key" and isinstance(message.get("key"), str) and len(message["key"]) == 1:
            call(message["key"])


def _plain(row: Row) -> dict:
    made = {"id": row.id, "state": row.state, "cells": list(row.cells), "hint": row.hint}
    rest = {"marked": row.marked, "beyond": list(row.beyond), "image": row.image}
    return made | {name: value for name, value in rest.items() if value}


def _counts(message: dict, *names: str) -> bool:
    return all(isinstance(message.get(n), int) and 0 <= message[n] < 2**53 for n in names)
