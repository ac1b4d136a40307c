"""What waits at a step that says when its items may begin: a trigger, a counter.

The protocol answers by the sizes of all that has come, in the order in which it came; the valve knows that order, over
restarts as well, and what the answer means for each item.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable

import numpy as np

from cryowidgets.model import Item
from cryowidgets.protocols.base import Protocol
from cryowidgets.store.database import Step
from cryowidgets.store.rows import column_types
from cryowidgets.store.store import Store, Todo
from cryowidgets.store.todo import SETTLED


class Valve:
    """Holds back the items of one step until its protocol lets them begin.

    Parameters
    ----------
    store : Store
    step : Step
    protocol : Protocol
        With the step's parameters.
    kind : type of Item
        Of the step's one input.
    """

    def __init__(self, store: Store, step: Step, protocol: Protocol, kind: type[Item]) -> None:
        self._store, self._protocol, self._kind = store, protocol, kind
        self._source = store.steps()[next(iter(step.inputs.values()))]
        self._size = 'r."count"' if column_types(kind).get("count") is int else "1"
        self._sizes = array("q")
        self._place: dict[int, int] = {}
        self._held: dict[int, Todo] = {}
        self._since = 0.0
        self._open = 0
        self._shut = False
        for exposure, row, size in self._begun(step):
            self._enter(exposure, row, size)
        self._open = len(self._sizes)
        self.full = self._protocol.full(self._begun_sizes())
        """Whether nothing more will begin."""

    @property
    def opened(self) -> bool:
        """Whether anything has begun."""
        return self._open > 0

    @property
    def held(self) -> int:
        """How many items wait for the others."""
        return len(self._held)

    def let(self, found: Iterable[Todo], last: bool, shut: bool = False) -> list[Todo]:
        """Those that may begin, of what has come now and of what was held back.

        With `last` no more will come; with `shut` nothing more may begin, whatever the protocol says.
        """
        free = []
        for todo in found:
            place = self._place.get(self._key(todo.exposure, todo.inputs[0]))
            if place is None:
                place = self._enter(todo.exposure, todo.inputs[0], self._size_of(todo.inputs[0]))
            if place < self._open:
                free.append(todo)  # made anew, or failed before: its place is that which it had
            else:
                self._held[place] = todo
        if not self._held and shut == self._shut:
            return free
        self._shut |= shut
        if self._held and not self._shut:
            opens = self._protocol.opens(np.array(self._sizes, np.int64), last, self._seconds())
            opens = min(opens, len(self._sizes))
            if opens > self._open:
                self._open = opens
                free += [self._held.pop(place) for place in sorted(p for p in self._held if p < opens)]
        self.full = self._shut or self._protocol.full(self._begun_sizes())
        return free

    def _begun_sizes(self) -> np.ndarray:
        return np.array(self._sizes[: self._open], np.int64)

    def _begun(self, step: Step) -> list[tuple]:
        """Exposure, row and size of what has begun already."""
        return self._store.query(
            f"SELECT t.exposure, CAST(t.inputs AS INTEGER), max(coalesce({self._size}, 1)) FROM task t "
            f"LEFT JOIN {self._kind.table()} r ON r.id = CAST(t.inputs AS INTEGER) "
            f"WHERE t.step = ? AND t.version >= ? AND t.state IN {SETTLED} GROUP BY 1, 2 ORDER BY 2",
            (step.id, step.valid_from),
        )

    def _enter(self, exposure: int | None, row: int, size: int) -> int:
        key = self._key(exposure, row)
        if key not in self._place:
            self._place[key] = len(self._sizes)
            self._sizes.append(max(size, 0))
        return self._place[key]

    def _size_of(self, row: int) -> int:
        if self._size == "1":
            return 1
        return self._store.query(f"SELECT {self._size} FROM {self._kind.table()} r WHERE r.id = ?", (row,))[0][0] or 0

    def _key(self, exposure: int | None, row: int) -> int:
        """An item is that of its exposure, however often it is made; what belongs to none is its row."""
        return exposure if exposure is not None else -row

    def _seconds(self) -> float:
        if not self._since:
            found = self._store.query(
                f"SELECT time FROM {self._kind.table()} WHERE step = ? AND version >= ? ORDER BY id LIMIT 1",
                (self._source.id, self._source.valid_from),
            )
            self._since = found[0][0] if found else 0.0
        return max(time.time() - self._since, 0.0) if self._since else 0.0
