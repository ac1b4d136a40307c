"""What waits at one step, what is under way there, and which goes next."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from cryowidgets.engine.valve import Valve
from cryowidgets.model import Item
from cryowidgets.protocols.base import Protocol
from cryowidgets.store.store import Todo

BACKLOG = 3
"""Every so many hand-outs of a step the oldest waiting item goes first."""


@dataclass
class Lane:
    """Open tasks of one step, to be taken from either end."""

    protocol: type[Protocol]
    kinds: dict[str, type[Item]]
    gives: type[Item]
    every: int = 1
    first: int | None = None
    """of a fold: what a batch takes, and the first one where that differs"""
    by: str = ""
    """column whose sum is counted for that, or empty for items"""
    beside: tuple[str, ...] = ()
    """of a fold: further inputs that are linked"""
    newest_only: bool = False
    """it takes the newest result of each of its sources, which belong to no exposure"""
    valve: Valve | None = None
    closed_by: str = ""
    newest: list[tuple[float, int, Todo]] = field(default_factory=list)
    oldest: list[tuple[float, int, Todo]] = field(default_factory=list)
    waiting: dict[str, Todo] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    """exposures under way"""
    parked: dict[int, Todo] = field(default_factory=dict)
    """what is to be done again as soon as the older task with the same exposure, and the same files, has ended"""
    lacking: list[Todo] = field(default_factory=list)
    """what waits for files that were cleaned and are made again"""
    flying: int = 0
    handed: int = 0

    def add(self, item: Todo) -> None:
        if item.key in self.waiting:
            return
        if item.exposure in self.busy:
            self.parked[item.exposure] = item
            return
        self.waiting[item.key] = item
        heapq.heappush(self.newest, (-item.acquired, -item.inputs[0], item))
        heapq.heappush(self.oldest, (item.acquired, item.inputs[0], item))

    def take(self) -> Todo:
        self.handed += 1
        heap = self.oldest if self.handed % BACKLOG == 0 else self.newest
        while True:
            item = heapq.heappop(heap)[2]
            if self.waiting.pop(item.key, None) is not None:
                return item

    def put_in_place(self, items: list[Todo]) -> None:
        """Have the last of these wait in place of all that waits: it stands for what came before it."""
        if items and items[-1].key not in self.waiting:
            self.waiting.clear()
            self.newest.clear()
            self.oldest.clear()
            self.add(items[-1])

    def begin(self, exposure: int | None) -> None:
        self.flying += 1
        if exposure is not None:
            self.busy.add(exposure)

    def end(self, exposure: int | None) -> None:
        self.flying -= 1
        if exposure is not None:
            self.busy.discard(exposure)
            if exposure in self.parked:
                self.add(self.parked.pop(exposure))
