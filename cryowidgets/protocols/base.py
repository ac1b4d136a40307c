"""What a protocol is: a class with traits for parameters and one method that turns items into an item.

Four shapes, told by `takes`:

=====  ======================================  ==============================================================
map    ``takes = Micrograph``                  ``process(self, micrograph, out)``
join   ``takes = {"first": A, "second": B}``   ``process(self, first, second, out)``, once both exist for a movie
gate   any map or join                         ``process`` returns `Reject("why")`, or the item that it was given
fold   ``takes = Many(Particles, every=5000)`` ``process(self, items, last, out)``: the new items and the last result
=====  ======================================  ==============================================================

A protocol mentions no stream, step, thread, database, widget or run folder. One that passes on whatever it is given
takes and gives `Item`: then its kinds are those of the step that it is linked to. More ways to take items, for maps and
gates alike, are `Either`, `Without` and `Recent`; how many of those that wait may begin, `opens` and `full` say.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from traitlets import Bytes, Container, Dict, Enum, HasTraits, TraitError, TraitType, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.model import Item


@dataclass(frozen=True)
class Many:
    """Input of a fold: hand over new items whenever `every` have come together, the rest when the stream closes.

    `every` is a number, or the name of the parameter that holds it.
    """

    kind: type[Item]
    every: int | str = 1


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


@dataclass(frozen=True)
class Parameter:
    """One trait of a protocol as forms, flags, templates and documentation see it.

    Declared on the class as ``Int(512, min=128, help="…").tag(unit="px", advanced=True, group="Fit", when=f)``;
    `when(protocol)` tells whether the parameter means anything with the present values of the others.
    """

    name: str
    trait: TraitType
    default: Any
    help: str
    unit: str
    group: str
    advanced: bool
    when: Callable[[Any], bool] | None

    @cached_property
    def choices(self) -> tuple | None:
        values = getattr(self.trait, "values", None)
        return tuple(values) if values is not None else None

    @property
    def minimum(self) -> float | None:
        return getattr(self.trait, "min", None)

    @property
    def maximum(self) -> float | None:
        return getattr(self.trait, "max", None)


class Protocol(HasTraits):
    """Base of all protocols; see the module's text for what a subclass writes."""

    takes: ClassVar[type[Item] | Mapping[str, type[Item]] | Many | Either | Without | Recent | None] = None
    gives: ClassVar[type[Item]]
    resources: ClassVar[Mapping[str, float]] = {}
    """What one task occupies, in the words of the executor, for instance ``{"GPU": 1}``."""
    chooses: ClassVar[bool] = False
    """Whether it only chooses among items: those that it leaves out are as good as those that pass."""
    closed_by: Any = ""
    """Of one that says when its items may begin: name of another such step, after which nothing more begins here."""

    def __init__(self, **values: Any) -> None:
        known = self.parameters()
        for name in values:
            if name not in known:
                raise ParameterError(_unknown(type(self).__name__, name, known))
        super().__init__()
        for name, value in values.items():
            self._put(known[name], value)
        self.check()

    def check(self) -> None:
        """Refuse values that are wrong together. Raise `ParameterError`; called after each construction."""

    @classmethod
    def faults(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """All that is wrong with some values, by parameter; what is wrong only of all together has the key ''."""
        known, found, bare = cls.parameters(), {}, cls()
        for name, value in values.items():
            if name not in known:
                found[name] = _unknown(cls.__name__, name, known)
                continue
            try:
                bare._put(known[name], value)
            except ParameterError as error:
                found[name] = str(error)
        if not found:
            try:
                cls(**values)
            except ParameterError as error:
                found[""] = str(error)
            except Exception as error:  # a path that cannot be looked at; whatever else the check of a plug-in does
                found[""] = f"{cls.__name__} cannot check its parameters: {type(error).__name__}: {error}."
        return found

    def _put(self, parameter: Parameter, value: Any) -> None:
        trait = parameter.trait
        try:
            if isinstance(value, str) and not trait_takes_text(trait):
                value = json.loads(value) if isinstance(trait, Container | Dict) else trait.from_string(value)
            setattr(self, parameter.name, value)
        except (TraitError, ValueError, OverflowError, RecursionError) as error:
            raise ParameterError(_refused(type(self).__name__, parameter, value, error)) from None

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
    def parameters(cls) -> dict[str, Parameter]:
        """The parameters in the order of the class body, those of base classes first."""
        found: dict[str, Parameter] = {}
        for base in reversed(cls.__mro__):
            if not issubclass(base, Protocol):
                continue
            for name, trait in vars(base).items():
                if isinstance(trait, TraitType):
                    tag = trait.metadata
                    found[name] = Parameter(
                        name=name,
                        trait=trait,
                        default=trait.default(),
                        help=trait.help or "",
                        unit=tag.get("unit", ""),
                        group=tag.get("group", ""),
                        advanced=tag.get("advanced", False),
                        when=tag.get("when"),
                    )
        return found

    @classmethod
    def known(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some recorded values that are parameters still: another version may have had others."""
        there = cls.parameters()
        return {name: value for name, value in values.items() if name in there}

    def values(self) -> dict[str, Any]:
        """The present value of every parameter: what is recorded with a result."""
        return {name: getattr(self, name) for name in self.parameters()}

    @classmethod
    def inputs(cls) -> dict[str, type[Item]]:
        """Name and kind of each input: that of `takes` for a join, else the kind in lower case."""
        if cls.takes is None:
            return {}
        if isinstance(cls.takes, Many | Recent):
            return {cls.takes.kind.word(): cls.takes.kind}
        if isinstance(cls.takes, Either | Without):
            return {"first": cls.takes.kind, "second": cls.takes.kind}
        if isinstance(cls.takes, Mapping):
            return dict(cls.takes)
        return {cls.takes.word(): cls.takes}

    @classmethod
    def kinds(cls, sources: Mapping[str, type[Item]]) -> tuple[dict[str, type[Item]], type[Item]]:
        """Kinds of the inputs and of the results, where those that the inputs are linked to are given."""
        inputs = {name: sources.get(name, kind) if kind is Item else kind for name, kind in cls.inputs().items()}
        return inputs, next(iter(inputs.values()), Item) if cls.gives is Item else cls.gives

    @classmethod
    def waits(cls) -> bool:
        """Whether it has a say in when items begin."""
        return cls.opens is not Protocol.opens

    @classmethod
    def is_fold(cls) -> bool:
        return isinstance(cls.takes, Many)


def trait_takes_text(trait: TraitType) -> bool:
    """Whether a text is a value of the trait as it stands, rather than the spelling of one."""
    if isinstance(trait, Enum):
        return all(isinstance(v, str) for v in trait.values or ())
    return isinstance(trait, Unicode | Bytes)


def _unknown(protocol: str, name: str, known: Mapping[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{protocol} has no parameter {name!r}.{hint} It has: {', '.join(known)}."


def _refused(protocol: str, parameter: Parameter, value: Any, error: Exception) -> str:
    if parameter.choices:
        wanted = "one of " + ", ".join(map(repr, parameter.choices))
    else:
        low, high = parameter.minimum, parameter.maximum
        wanted = parameter.trait.info()
        if low is not None and high is not None:
            wanted += f" from {low:g} to {high:g}"
        elif low is not None:
            wanted += f" of at least {low:g}"
        elif high is not None:
            wanted += f" of at most {high:g}"
    unit = f" {parameter.unit}" if parameter.unit else ""
    return f"{protocol}.{parameter.name} does not take {value!r}: write {wanted}{unit} (default {parameter.default!r})."
