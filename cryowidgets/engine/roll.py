"""Who works here: the workers of an executor as rows of the ledger, those that were lost among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

QUIET = 30.0
"""Seconds without a sign after which a worker is called silent."""
SCALED = 60.0
"""Seconds after a wish for fewer workers in which those that go are not called lost."""

Doing = tuple[str, int | None]
"""Step and exposure."""


@dataclass(frozen=True)
class Hand:
    """A worker as its executor knows it."""

    key: str
    """its address, or the name of its thread"""
    name: str
    host: str
    task: int | None = None
    """what it does, as the ledger counts tasks"""
    cpu: float | None = None
    """% of one core"""
    memory: float | None = None
    """MB"""
    silent: float = 0.0
    """s since its last sign"""


class Roll:
    """Remembers the workers that there were, and tells who was lost from who left."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._done: dict[str, int] = {}
        self._wanted: int | None = None
        self._lowered = -SCALED

    def did(self, key: str) -> None:
        """A worker has finished a task."""
        self._done[key] = self._done.get(key, 0) + 1

    def call(self, hands: Iterable[Hand], wanted: int | None, doing: Callable[[int], Doing | None]) -> list[dict]:
        """Rows for the ledger's table `worker`: all that are there, and those that went since this was last asked.

        Parameters
        ----------
        hands : iterable of Hand
        wanted : int, optional
            How many workers there ought to be; None where others decide, as with a cluster that grows on demand:
            there a worker that goes without a task in hand has not been lost.
        doing : callable
            Step and exposure of a task; None where the ledger gave it up.
        """
        now = time.time()
        if wanted is not None and self._wanted is not None and wanted < self._wanted:
            self._lowered = now
        self._wanted = wanted
        there = {hand.key: hand for hand in hands}
        rows = [self._row(hand, now, doing) for hand in there.values()]
        for key in self._rows.keys() - there.keys():
            gone = self._rows.pop(key)
            busy = gone["state"] == "working"
            lost = busy if wanted is None else busy or now - self._lowered > SCALED
            done = self._done.pop(key, gone["done"])
            rows.append({**gone, "state": "lost" if lost else "left", "done": done, "last": now})
        return rows

    def _row(self, hand: Hand, now: float, doing: Callable[[int], Doing | None]) -> dict[str, Any]:
        before = self._rows.get(hand.key)
        step, exposure = (doing(hand.task) if hand.task is not None else None) or (None, None)
        same = before and (before["step"], before["exposure"]) == (step, exposure)
        state = "silent" if hand.silent > QUIET else "working" if step else "idle"
        row = {
            "key": hand.key,
            "name": hand.name,
            "host": hand.host,
            "state": state,
            "step": step,
            "exposure": exposure,
            "begun": before["begun"] if before and same else now,
            "done": self._done.get(hand.key, 0),
            "first": before["first"] if before else now,
            "last": now - hand.silent,
            "cpu": hand.cpu,
            "memory": hand.memory,
        }
        self._rows[hand.key] = row
        return row
