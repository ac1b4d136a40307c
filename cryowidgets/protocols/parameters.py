"""Parameters as traits: declared once on the class that uses them, and read by forms, flags, templates and tables."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from traitlets import Bytes, Container, Dict, Enum, HasTraits, TraitError, TraitType, Unicode

from cryowidgets.errors import ParameterError


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


class Parametrised(HasTraits):
    """Base of all that has parameters; one that is unknown or a value that does not fit is refused with a sentence."""

    lasting: ClassVar[tuple[str, ...]] = ()
    """Of a fold: parameters that hold from its first batch on, so that with another value it has to begin anew."""

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

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The parameters in the order of the class body, those of base classes first."""
        found: dict[str, Parameter] = {}
        for base in reversed(cls.__mro__):
            if not issubclass(base, Parametrised):
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
