"""Steps that choose among items, or put those of two steps together, whatever they are."""

from __future__ import annotations

import numpy as np
from traitlets import Enum, Float, Int

from cryowidgets.errors import ParameterError
from cryowidgets.model import NOT_CHOSEN, Item, Reason, Reject
from cryowidgets.protocols.base import Either, Protocol, Without
from cryowidgets.protocols.out import Out


class JoinSets(Protocol):
    """Put the items of two steps together; where both have one of the same exposure, that of the first stands."""

    takes = Either(Item)
    gives = Item

    def process(self, item: Item, out: Out) -> Item:
        return item


class SubsetSet(Protocol):
    """Let those items pass of whose exposure another step has given something as well.

    So the micrographs pass whose CTF has passed, or the picks of accepted micrographs.
    """

    takes = {"first": Item, "second": Item}
    gives = Item
    chooses = True

    def process(self, first: Item, second: Item, out: Out) -> Item:
        return first


class DifferenceSet(Protocol):
    """Let those items pass of whose exposure another step has given nothing: what a gate has held back, for instance.

    Something may come of every exposure as long as the other step is at work, so items pass when it has ended.
    """

    takes = Without(Item)
    gives = Item
    chooses = True

    def process(self, item: Item, out: Out) -> Item:
        return item


class Sampler(Protocol):
    """Let a random share of the items pass: of each batch of exposures, in the order of their arrival, the same share.

    Which they are follows from the seed and the exposure alone: the same whatever the order of processing, and the
    same for everything that comes of one exposure.
    """

    takes = Item
    gives = Item
    chooses = True

    share = Float(25.0, min=0, max=100, help="Share of the items that passes").tag(unit="%")
    batch = Int(10000, min=1, help="Exposures among which the share is exact; smaller batches spread the sample evenly")
    seed = Int(0, min=0, help="Another seed is another sample").tag(advanced=True)

    def process(self, item: Item, out: Out) -> Item | Reject:
        if _drawn(item, self.batch, self.seed) < round(self.share / 100 * self.batch):
            return item
        return Reject(f"Not in the sample of {self.share:g} %.", (Reason(NOT_CHOSEN),))


class SplitSet(Protocol):
    """Divide the items into parts of the same size and let one of them pass; one such step for each part.

    Parts differ by one exposure at most. The same seed gives the same parts.
    """

    takes = Item
    gives = Item
    chooses = True

    parts = Int(2, min=2, max=1000, help="How many parts there are")
    part = Int(1, min=1, max=1000, help="Which of them passes, counted from 1")
    order = Enum(
        ["in turn", "random"],
        default_value="random",
        help="How exposures are dealt out: 'in turn' as they arrive, or each round of them at 'random'",
    )
    seed = Int(0, min=0, help="Another seed is another division").tag(
        advanced=True, when=lambda protocol: protocol.order == "random"
    )

    def check(self) -> None:
        if self.part > self.parts:
            raise ParameterError(f"SplitSet.part {self.part} is not one of {self.parts} parts: count from 1.")

    def process(self, item: Item, out: Out) -> Item | Reject:
        place = _drawn(item, self.parts, self.seed) if self.order == "random" else (_number(item) - 1) % self.parts
        if place == self.part - 1:
            return item
        return Reject(f"In part {place + 1} of {self.parts}.", (Reason(NOT_CHOSEN),))


def _number(item: Item) -> int:
    """Exposures are counted from 1 as they arrive; what belongs to none is counted by itself."""
    return item.exposure or item.id


def _drawn(item: Item, batch: int, seed: int) -> int:
    """Place of an item in its batch of exposures after shuffling, from 0."""
    which, place = divmod(_number(item) - 1, batch)
    return int(np.random.default_rng([seed, which]).permutation(batch)[place])
