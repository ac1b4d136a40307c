"""Looking through a door as often as it takes."""

from __future__ import annotations

import time

from cryowidgets.engine.sources import Arrival, Door, Refusal


def poll(door: Door) -> tuple[list[Arrival], list[Refusal]]:
    """Look as soon as the door is willing to."""
    time.sleep(max(0.0, door.due - time.time()))
    return door.poll()


def look(
    door: Door, times: int = 4, until: int | None = None, patience: float = 20.0
) -> tuple[list[Arrival], list[Refusal]]:
    """Look some times, or until so many movies have come."""
    arrivals: list[Arrival] = []
    refusals: list[Refusal] = []
    end = time.monotonic() + patience
    while times > 0 or (until and len(arrivals) < until and time.monotonic() < end):
        came, refused = poll(door)
        arrivals, refusals, times = arrivals + came, refusals + refused, times - 1
    return arrivals, refusals
