"""`LiveTable`: a table of any length of which a page holds only what is on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from traitlets import List, Unicode

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


@dataclass(frozen=True)
class Row:
    """A row: its id, a state that colours it (done, running, waiting, rejected, failed), and a text for each column."""

    id: int
    state: str
    cells: Sequence[str]
    hint: str = ""
    """What to say to who points at it."""


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
    """

    _esm = esm("live_table.js")

    columns = List().tag(sync=True)
    empty = Unicode().tag(sync=True)

    def __init__(
        self,
        columns: Sequence[Column],
        fetch: Callable[[int, int], tuple[int, Sequence[Row]]],
        wake: Callable[[], None],
        empty: str = "",
    ) -> None:
        self.fetch, self._wake = fetch, wake
        self._windows: dict[str, tuple[int, int]] = {}
        self._sent: dict[str, dict] = {}
        self._tap: list[Callable[[int], None]] = []
        self._chosen: int | None = None
        super().__init__(columns=[vars(c) for c in columns], empty=empty)

    def refresh(self) -> None:
        """Fetch again what the pages show; those for which nothing changed hear nothing."""
        fetched: dict[tuple[int, int], dict] = {}
        for view, window in list(self._windows.items()):
            if window not in fetched:
                total, rows = self.fetch(*window)
                cells = [{"id": r.id, "state": r.state, "cells": list(r.cells), "hint": r.hint} for r in rows]
                fetched[window] = {"first": window[0], "total": total, "rows": cells}
            message = {"type": "rows", "view": view, **fetched[window]}
            if self._sent.get(view) != message:
                self._sent[view] = message
                self.send(message)
                self.send({"type": "select", "id": self._chosen})

    def select(self, id: int | None) -> None:
        """Mark a row in all pages; none where None."""
        self._chosen = id
        if self._windows:
            self.send({"type": "select", "id": id})

    def on_tap(self, call: Callable[[int], None]) -> None:
        """Call with the id of a row that a person clicked."""
        self._tap.append(call)

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


def _counts(message: dict, *names: str) -> bool:
    return all(isinstance(message.get(n), int) and 0 <= message[n] < 2**53 for n in names)
