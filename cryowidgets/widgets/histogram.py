"""`Histogram`: how a number is distributed, with two handles that bound it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from traitlets import Bool, Float, Int, List, Unicode

from cryowidgets.widgets.part import Part, esm, finite


class Histogram(Part):
    """A histogram; its handles are dragged, moved by arrow keys, or set in fields beside them.

    Parameters
    ----------
    label, unit : str
        What is drawn, as people say it.
    digits : int
        Decimals of the numbers shown.
    moved : callable
        Called with low, high (None where that side is open) and whether the handle was let go. The page waits for an
        answer before it tells of the next movement, so a slow kernel is not flooded.
    fields : bool
        With fields to type numbers into; a page that only shows has none.
    sides : sequence of str
        Of "low" and "high" those that have a handle; none for a histogram that only shows.
    """

    _esm = esm("bounds.js", "histogram.js")

    label = Unicode().tag(sync=True)
    unit = Unicode().tag(sync=True)
    digits = Int().tag(sync=True)
    note = Unicode().tag(sync=True)
    fields = Bool().tag(sync=True)
    sides = List().tag(sync=True)
    edges = List().tag(sync=True)
    counts = List().tag(sync=True)
    low = Float(None, allow_none=True).tag(sync=True)
    high = Float(None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        label: str,
        unit: str,
        digits: int,
        moved: Callable[[float | None, float | None, bool], None],
        fields: bool = False,
        sides: Sequence[str] = ("low", "high"),
    ) -> None:
        self._moved = moved
        super().__init__(label=label, unit=unit, digits=digits, fields=fields, sides=list(sides))

    def show(self, edges: Sequence[float] | np.ndarray, counts: Sequence[int] | np.ndarray) -> None:
        """Draw these bins: n + 1 edges in the unit shown, n counts."""
        edges, counts = [float(f"{edge:.6g}") for edge in edges], [int(count) for count in counts]
        if edges != self.edges or counts != self.counts:
            with self.hold_sync():
                self.edges, self.counts = edges, counts

    def bound(self, low: float | None, high: float | None) -> None:
        """Place the handles, in the unit shown."""
        if (low, high) != (self.low, self.high):
            with self.hold_sync():
                self.low, self.high = low, high

    def _receive(self, message: dict) -> None:
        if message.get("type") != "move":
            return
        low, high = message.get("low"), message.get("high")
        if _bound(low) and _bound(high) and not (low is not None and high is not None and low > high):
            self._moved(low, high, message.get("done") is True)
        self.send({"type": "heard"})


def _bound(value: Any) -> bool:
    return value is None or finite(value, most=1e12)
