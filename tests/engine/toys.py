"""Small protocols of every shape, as a plug-in would bring them: importable by workers through PYTHONPATH."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from traitlets import Float, Int, Unicode

from cryowidgets.errors import InputError
from cryowidgets.model import Item, Movie, Reject, column
from cryowidgets.protocols.base import Many, Maybe, Protocol


@dataclass(frozen=True, kw_only=True)
class Number(Item):
    value: float = column("a number")
    path: str = column("a file that holds it", default="", file=True)


class Measure(Protocol):
    """A map: the number of pixels of a movie of bytes; fails or dies on demand."""

    takes = Movie
    gives = Number

    factor = Float(1.0)
    seconds = Float(0.0)
    fail = Unicode("", help="names that fail")
    heal = Unicode("", help="a file whose presence heals them")
    die = Unicode("", help="names that kill their worker")

    def process(self, movie, out):
        time.sleep(self.seconds)
        pixels = movie.size - 1024
        out.file(".txt").write_text(str(pixels))
        if self.die and re.search(self.die, movie.name):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fail and re.search(self.fail, movie.name) and not (self.heal and Path(self.heal).exists()):
            raise InputError(f"{movie.path} is marked to fail.")
        return Number(value=pixels * self.factor, path=out.name(".txt"))


class Double(Protocol):
    takes = Number
    gives = Number

    def process(self, number, out):
        return Number(value=number.value * 2)


class AtMost(Protocol):
    """A gate."""

    takes = Number
    gives = Number

    limit = Float(100.0)

    def process(self, number, out):
        return number if number.value <= self.limit else Reject(f"{number.value:g} is more than {self.limit:g}")


class Sum(Protocol):
    """A join."""

    takes = {"first": Number, "second": Number}
    gives = Number

    def process(self, first, second, out):
        assert first.exposure == second.exposure
        return Number(value=first.value + second.value)


class Total(Protocol):
    """A fold."""

    takes = Many(Number, every=4)
    gives = Number

    offset = Int(0)

    def process(self, items, last, out):
        return Number(value=sum(i.value for i in items) + (last.value if last else self.offset))


class Portion(Protocol):
    """A fold that counts what is in its items."""

    takes = Many(Number, every="amount", first="begin", by="value")
    gives = Number

    amount = Int(20, min=1)
    begin = Int(50, min=1)

    def process(self, items, last, out):
        out.file(".txt").write_text(" ".join(item.name for item in items))
        return Number(value=sum(item.value for item in items), path=out.name(".txt"))


class Begun(Protocol):
    """A fold that goes on from what it began with."""

    takes = Many(Number, every="amount")
    gives = Number
    lasting = ("offset",)

    offset = Int(0)
    amount = Int(4, min=1)

    def process(self, items, last, out):
        return Number(value=sum(item.value for item in items) + (last.value if last else self.offset))


class Newest(Protocol):
    """A fold that takes the newest of what folds give; its value is a chain of all that it was given."""

    takes = Many(Number, newest=True, every="spaced")
    gives = Number

    spaced = Int(1, min=1)

    def process(self, items, last, out):
        (item,) = items
        assert item.exposure == 0
        return Number(value=item.value + 1000 * (last.value // 1000 + 1 if last else 1))


class Scaled(Protocol):
    """A fold with something beside its batches: what comes, times what stands beside."""

    takes = Many(Number, every=4, beside={"scale": Maybe(Number)})
    gives = Number

    def process(self, items, last, out, scale=None):
        before = last.value if last else 0
        return Number(value=before + sum(i.value for i in items) * (scale.value if scale else 1))


class WhenAsked(Protocol):
    """What a person asks for: the sum of all there is and how often it was asked, a thousand for each time."""

    takes = Many(Number, newest=True)
    gives = Number
    on_demand = True

    fail = Unicode("")

    def process(self, items, last, out):
        if self.fail:
            raise InputError("asked to fail")
        before = last.value if last else 0
        return Number(value=before + 1000 + sum(item.value for item in items))
