"""What a protocol is: a class with traits for parameters and one method that turns items into an item.

Four shapes, told by `takes`:

=====  ======================================  ==============================================================
map    ``takes = Micrograph``                  ``process(self, micrograph, out)``
join   ``takes = {"first": A, "second": B}``   ``process(self, first, second, out)``, once both exist for a movie
gate   any map or join                         ``process`` returns `Reject("why")`, or the item that it was given
fold   ``takes = Many(Particles, every=5000)`` ``process(self, items, last, out)``: the new items and the last result
=====  ======================================  ==============================================================

A result of a fold belongs to no exposure, and stands for all that came before it. So does what maps and joins make of
such results; they are handed the newest of each of their sources, and one that a newer one has overtaken never.

A protocol mentions no stream, step, thread, database, widget or run folder. One that passes on whatever it is given
takes and gives `Item`: then its kinds are those of the step that it is linked to. More ways to take items, for maps and
gates alike, are `Either`, `Without` and `Recent`; how many of those that wait may begin, `opens` and `full` say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cryowidgets.model import Item
from cryowidgets.protocols.parameters import Parameter, Parametrised, trait_takes_text

__all__ = ["Either", "Many", "Maybe", "Parameter", "Protocol", "Recent", "Without", "trait_takes_text"]


@dataclass(frozen=True)
class Many:
    """Input of a fold: hand over new items whenever `every` have come together, the rest when the stream closes.

    Parameters
    ----------
    kind : type of Item
    every : int or str
        A number, or the name of the parameter that holds it.
    first : int or str, optional
        The same of the first batch, where that differs.
    by : str
        Column of the kind whose sum is counted: with ``"count"`` particles instead of micrographs. A batch ends with
        the item by which it is reached.
    newest : bool
        Of results that stand for all before them, those of a fold, only the newest is handed over.
    beside : mapping, optional
        Further inputs by name, of steps whose results belong to no exposure; kinds, or `Maybe` of such. No batch is
        taken before there is one of each that is linked. The newest at the first batch is handed over with all, as
        ``process(self, items, last, out, name)``.
    """

    kind: type[Item]
    every: int | str = 1
    first: int | str | None = None
    by: str = ""
    newest: bool = False
    beside: Mapping[str, type[Item] | Maybe] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Maybe:
    """Input of a join, or beside a fold, that need not be linked; else `process` goes by its own default for it."""

    kind: type[Item]


@dataclass(frozen=True)
class Either:
    """Input of a map: items of one step and of another, one after the other; of one exposure, that of the first."""

    kind: type[Item]


@dataclass(frozen=True)
class Without:
    """Input of a map: items of one step of whose exposure another has given nothing by the time that it ends."""

    kind: type[Item]


@dataclass(frozen=True)
class Recent:
    """Input of a map: ``process(self, micrograph, recent, out)`` sees each item among the newest of its kind.

    `recent` are up to `count` items of the same step, the last of which is the item itself, in the order in which they
    were made. Where so few are older, it is filled up to `least` with those that follow. Both are numbers, or the names
    of parameters that hold them.
    """

    kind: type[Item]
    count: int | str
    least: int | str = 1


class Protocol(Parametrised):
    """Base of all protocols; see the module's text for what a subclass writes."""

    takes: ClassVar[type[Item] | Mapping[str, type[Item] | Maybe] | Many | Either | Without | Recent | None] = None
    gives: ClassVar[type[Item]]
    resources: ClassVar[Mapping[str, float]] = {}
    """What one task occupies, in the words of the executor, for instance ``{"GPU": 1}``."""
    chooses: ClassVar[bool] = False
    """Whether it only chooses among items: those that it leaves out are as good as those that pass."""
    on_demand: ClassVar[bool] = False
    """Whether it is done when a person asks: released, it is done once with all there is, and is held again."""
    by_hand: ClassVar[bool] = False
    """Whether a person has a hand in it: `Out.corrections` then says what, and each change does an exposure again."""
    cites: ClassVar[tuple[str, ...]] = ()
    """What to cite for its method, as ``"Authors (year) Journal volume, page. doi:…"``; reports list it."""
    closed_by: Any = ""
    """Of one that says when its items may begin: name of another such step, after which nothing more begins here."""

    def process(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no process()")

    def opens(self, sizes: np.ndarray, last: bool, seconds: float) -> int:
        """How many of the items that have come to this step may begin, counted from the first; by default all.

        Parameters
        ----------
        sizes : (n,) int
            Size of each in the order in which they came: the number of particles in it, or else 1.
        last : bool
            Whether no more will come.
        seconds : float
            Since the first came; 0 as long as none has.
        """
        return len(sizes)

    def full(self, sizes: np.ndarray) -> bool:
        """Whether nothing more will ever begin after items of these sizes, so that nobody need wait for more."""
        return False

    @classmethod
    def inputs(cls) -> dict[str, type[Item]]:
        """Name and kind of each input: that of `takes` for a join, else the kind in lower case."""
        if cls.takes is None:
            return {}
        if isinstance(cls.takes, Many | Recent):
            more = cls.takes.beside if isinstance(cls.takes, Many) else {}
            return {cls.takes.kind.word(): cls.takes.kind} | {name: _kind(kind) for name, kind in more.items()}
        if isinstance(cls.takes, Either | Without):
            return {"first": cls.takes.kind, "second": cls.takes.kind}
        if isinstance(cls.takes, Mapping):
            return {name: _kind(kind) for name, kind in cls.takes.items()}
        return {cls.takes.word(): cls.takes}

    @classmethod
    def needed(cls) -> list[str]:
        """Names of the inputs without which a step cannot be."""
        given = cls.takes.beside if isinstance(cls.takes, Many) else cls.takes if isinstance(cls.takes, Mapping) else {}
        return [name for name in cls.inputs() if not isinstance(given.get(name), Maybe)]

    @classmethod
    def kinds(cls, sources: Mapping[str, type[Item]]) -> tuple[dict[str, type[Item]], type[Item]]:
        """Kinds of the inputs and of the results, where those that the inputs are linked to are given.

        An input that need not be linked is there only where it is.
        """
        wanted = {name: kind for name, kind in cls.inputs().items() if name in sources or name in cls.needed()}
        inputs = {name: sources.get(name, kind) if kind is Item else kind for name, kind in wanted.items()}
        return inputs, next(iter(inputs.values()), Item) if cls.gives is Item else cls.gives

    @classmethod
    def waits(cls) -> bool:
        """Whether it has a say in when items begin."""
        return cls.opens is not Protocol.opens

    @classmethod
    def is_fold(cls) -> bool:
        return isinstance(cls.takes, Many)

    @classmethod
    def takes_newest(cls) -> bool:
        """Whether it is a fold that of results of folds takes only the newest."""
        return isinstance(cls.takes, Many) and cls.takes.newest


def _kind(given: type[Item] | Maybe) -> type[Item]:
    return given.kind if isinstance(given, Maybe) else given
