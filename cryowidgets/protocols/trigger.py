"""Steps at which items wait until enough have come, or long enough has passed."""

from __future__ import annotations

import numpy as np
from traitlets import Enum, Float, Int, Unicode

from cryowidgets.model import Item
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out

_SIGNAL = "Name of another trigger or counter: once its items begin, no more pass here; empty: none"


def _counts(protocol: DataCounter) -> bool:
    return protocol.until in ("count", "either")


def _clocks(protocol: DataCounter) -> bool:
    return protocol.until in ("time", "either")


class Trigger(Protocol):
    """Hold items back until so many have come.

    Picks, particles and classes count with the number of particles in them and are never divided; other items count
    as one each. In the mode 'static' the first so many pass, and what comes after this step ends with them. In
    'growing' all pass once so many have come. In 'batches' they pass so many at a time. When no more will come, those
    that wait pass, however few they are.
    """

    takes = Item
    gives = Item
    chooses = True

    count = Int(10000, min=1, help="How many must have come, particles or else items")
    mode = Enum(
        ["growing", "static", "batches"],
        default_value="growing",
        help="What passes then: 'growing' these and all that follow, 'static' these alone, 'batches' so many each time",
    )
    closed_by = Unicode("", help=_SIGNAL).tag(advanced=True)

    def opens(self, sizes: np.ndarray, last: bool, seconds: float) -> int:
        reached = np.cumsum(sizes)
        if self.mode == "static":
            first = int(np.searchsorted(reached, self.count)) + 1
            return min(first, len(sizes)) if first <= len(sizes) or last else 0
        if last or not len(sizes):
            return len(sizes)
        if self.mode == "growing":
            return len(sizes) if reached[-1] >= self.count else 0
        return _whole(reached, self.count)

    def full(self, sizes: np.ndarray) -> bool:
        return self.mode == "static" and int(sizes.sum()) >= self.count

    def process(self, item: Item, out: Out) -> Item:
        return item


class DataCounter(Protocol):
    """Hold items back until so many have come, or so long has passed since the first; then let all pass."""

    takes = Item
    gives = Item
    chooses = True

    until = Enum(
        ["count", "time", "either"], default_value="either", help="What is waited for: a count, a time, or either"
    )
    count = Int(10000, min=1, help="How many must have come, particles or else items").tag(when=_counts)
    hours = Float(1.0, min=0, help="Time since the first came").tag(unit="h", when=_clocks)
    closed_by = Unicode("", help=_SIGNAL).tag(advanced=True)

    def opens(self, sizes: np.ndarray, last: bool, seconds: float) -> int:
        enough = _counts(self) and int(sizes.sum()) >= self.count
        late = _clocks(self) and seconds >= 3600 * self.hours
        return len(sizes) if last or enough or late else 0

    def process(self, item: Item, out: Out) -> Item:
        return item


def _whole(reached: np.ndarray, count: int) -> int:
    """How many items the whole batches hold; each ends with the item by which it has reached `count`."""
    place, begin = 0, 0
    while True:
        end = int(np.searchsorted(reached, begin + count)) + 1
        if end > len(reached):
            return place
        place, begin = end, int(reached[end - 1])
