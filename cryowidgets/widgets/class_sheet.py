"""What a page shows of a sorting into classes: a table of them, and all averages side by side as one small JPEG."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg, mrc
from cryowidgets.model import NAN, Classes
from cryowidgets.protocols import classfiles

SIDE = 96
"""px of an average that a page gets at most."""
MOST = 400
"""Classes that are shown at most, those with the most particles."""
ORDERS = ("share", "resolution", "score", "age")


@dataclass(frozen=True)
class Table:
    """The classes that have particles, one row each; NaN where the program does not say."""

    identity: np.ndarray
    """Number that a class keeps for as long as it lives; of other programs the place in their stack, from 1."""
    slot: np.ndarray
    """Place of its average in the stack, from 0."""
    parent: np.ndarray
    """Identity of the class that it came from, 0 where from none."""
    share: np.ndarray
    particles: np.ndarray
    resolution: np.ndarray
    """Å"""
    size: np.ndarray
    """Å"""
    score: np.ndarray
    good: np.ndarray
    """1 looks like particles, 0 does not, NaN not judged"""
    age: np.ndarray
    """batches that it has lived through"""

    def __len__(self) -> int:
        return len(self.identity)

    def rows(self, chosen: np.ndarray) -> Table:
        """Some of the rows, or all in another order."""
        return Table(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    def order(self, by: str = "share") -> np.ndarray:
        """Rows as they are shown: by one of `ORDERS`, the best first; what is unknown comes last."""
        values = {
            "share": -self.share,
            "resolution": self.resolution,
            "score": -self.score,
            "age": -self.age,
        }[by]
        return np.lexsort((self.identity, -self.share, values))


@dataclass(frozen=True)
class Sheet:
    """A table and the picture of its classes: tiles of `side` px, `across` in a line, in the order of the rows."""

    key: str
    """Another one for another picture."""
    table: Table
    picture: bytes
    side: int
    across: int


def read(classes: Classes) -> Sheet:
    """The newest averages of a result, of ours or of another program.

    Raises
    ------
    InputError
        A file is missing or is not what it should be.
    """
    stack = mrc.read_stack(classes.path)
    table = table_of(classes)
    if len(table) and int(table.slot.max()) >= len(stack):
        raise InputError(f"{classes.model} has more classes than {classes.path} has averages.")
    return drawn(stamp(classes), table, stack)


def stamp(classes: Classes) -> str:
    """Another one where the files were written anew."""
    try:
        return f"{classes.id}:{os.stat(classes.path).st_mtime_ns}"
    except OSError:
        return f"{classes.id}:"


def drawn(key: str, table: Table, stack: np.ndarray) -> Sheet:
    """A sheet of the classes with the most particles; each average is stretched on its own.

    Parameters
    ----------
    stack : (slots, y, x) array
    """
    table = _largest(table)
    tiles = {int(slot): _shrunk(stretched(stack[slot])) for slot in table.slot}
    return spread(key, table, tiles)


def spread(key: str, table: Table, tiles: Any) -> Sheet:
    """A sheet of pictures that are greys already: `tiles` gives one, square and of bytes, for each slot."""
    table = _largest(table)
    across = max(math.ceil(math.sqrt(len(table))), 1)
    side = tiles[int(table.slot[0])].shape[0] if len(table) else 1
    whole = np.full((max(-(-len(table) // across), 1) * side, across * side), 128, np.uint8)
    for i, slot in enumerate(table.slot.tolist()):
        y, x = i // across * side, i % across * side
        whole[y : y + side, x : x + side] = tiles[slot]
    return Sheet(key, table, jpeg.encoded(whole), side, across)


def stretched(picture: np.ndarray) -> np.ndarray:
    """A picture as greys, uint8; its extremes are cut off."""
    return jpeg.greys(np.nan_to_num(np.asarray(picture, np.float32), posinf=0, neginf=0))


def table_of(classes: Classes) -> Table:
    """The classes that have particles, of ours or of another program.

    RELION does not say how many particles a class has: its share of all is taken, rounded.

    Raises
    ------
    InputError
        The file of the model is missing or has no classes.
    """
    model = classfiles.read_model(classes.model)
    ends = np.rint(np.cumsum(np.nan_to_num(model.share)) * classes.particles).astype(np.int64)
    others = np.diff(ends, prepend=0)  # so that they add up to all
    count = len(model)
    table = Table(
        identity=model.identity,
        slot=np.arange(count),
        parent=model.parent,
        share=model.share,
        particles=others if classes.program else model.particles,
        resolution=model.resolution,
        size=model.size,
        score=model.score,
        good=np.full(count, NAN) if classes.program else model.good.astype(np.float64),
        age=np.full(count, NAN) if classes.program else model.age.astype(np.float64),
    )
    return table.rows(np.flatnonzero((table.particles > 0) & np.isfinite(table.share)))


def _largest(table: Table) -> Table:
    if len(table) <= MOST:
        return table
    return table.rows(np.sort(np.argsort(-table.particles, kind="stable")[:MOST]))


def _shrunk(tile: np.ndarray) -> np.ndarray:
    """At most `SIDE` px wide, by the mean of whole blocks; square, as class averages are."""
    step = -(-max(tile.shape) // SIDE)
    if step == 1:
        return tile
    side = min(tile.shape) // step
    blocks = tile[: side * step, : side * step].reshape(side, step, side, step)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
