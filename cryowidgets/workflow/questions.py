"""Open questions of a workflow document: what has to be known before it can begin."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from traitlets import Bool, Float, Int

from cryowidgets.protocols.base import Parameter

TYPES = ("string", "boolean", "path", "integer", "decimal", "file", "folder")
"""Of answers. A path, a file or a folder must exist; it may be empty where the default is."""


@dataclass(frozen=True)
class Question:
    """A value that a document leaves open, to be filled in a form or at the command line.

    Attributes
    ----------
    id : str
        What ``id=value`` at the command line calls it.
    label : str
        What a form calls it.
    default : str or None
        The answer where none is given; None where one must be given.
    type : str
        One of `TYPES`.
    targets : tuple of (step, parameter)
        The parameters that the answer fills; the step `SIMULATE` is the simulated microscope.
    help : str
        A sentence below the field.
    unit : str
        Unit of the number, that of the parameter which it fills.
    choices : tuple of str
        The only answers there are; empty where there are others.
    """

    id: str
    label: str
    default: str | None = None
    type: str = "string"
    targets: tuple[tuple[str, str], ...] = ()
    help: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()

    def refusal(self, text: str) -> str:
        """Why a text is no answer, as a sentence; empty where it is one."""
        if not text.strip() and self.type != "string":
            if self.type in ("path", "file", "folder") and self.default == "":
                return ""
            return f"{self.label} is empty: write {self.wanted}."
        if self.choices and text not in self.choices:
            return f"{self.label} does not take {text!r}: write {self.wanted}."
        try:
            self.value(text)
        except ValueError:
            return f"{self.label} does not take {text!r}: write {self.wanted}."
        there = _THERE.get(self.type)
        if there and not _holds(there, text):
            return f"{self.label} {text!r} does not exist: write {self.wanted} that does."
        return ""

    def value(self, text: str) -> Any:
        """The answer as a value of the type; a path from the root.

        Raises
        ------
        ValueError
            It is none.
        """
        if self.type == "boolean":
            return _BOOLEANS[text.strip().lower()] if text.strip().lower() in _BOOLEANS else _raise(text)
        if self.type == "integer":
            return int(text)
        if self.type == "decimal":
            number = float(text)
            return number if math.isfinite(number) else _raise(text)
        if self.type in _THERE and text.strip():
            return os.path.abspath(os.path.expanduser(text.strip()))
        return text

    @property
    def wanted(self) -> str:
        """What an answer looks like, in words."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        words = {"boolean": "true or false", "integer": "a whole number", "decimal": "a number", "string": "a text"}
        wanted = words.get(self.type) or f"the path of a {self.type}".replace("a path", "a file or folder")
        return f"{wanted} in {self.unit}" if self.unit else wanted

    def to_dict(self) -> dict[str, Any]:
        """The question as it stands in place of a value; `from_dict` makes the same of it."""
        content: dict[str, Any] = {"ask": self.id, "label": self.label, "type": self.type}
        if self.default is not None:
            content["default"] = self.default
        for name in ("help", "unit"):
            if getattr(self, name):
                content[name] = getattr(self, name)
        if self.choices:
            content["choices"] = list(self.choices)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], target: tuple[str, str]) -> Question:
        """The question that stands in place of the value of a parameter."""
        return cls(
            content["ask"],
            content.get("label") or content["ask"],
            spelled(content.get("default")),
            content.get("type", "string"),
            (target,),
            content.get("help", ""),
            content.get("unit", ""),
            tuple(content.get("choices", ())),
        )

    def of(self, parameter: Parameter) -> Question:
        """The same question with type, unit and choices of the parameter that it fills.

        Of a text the document may say more than the parameter does: that it is the path of a file.
        """
        trait = parameter.trait
        kind = trait.metadata.get("path", "string")
        for type, name in ((Bool, "boolean"), (Int, "integer"), (Float, "decimal")):
            kind = name if isinstance(trait, type) else kind
        if kind not in TYPES or kind == "string" and self.type in _THERE:
            kind = self.type if self.type in _THERE else "string"
        return replace(
            self,
            type=kind,
            help=self.help or parameter.help,
            unit=parameter.unit,
            choices=tuple(map(str, parameter.choices or ())),
        )


SIMULATE = "simulate"


def spelled(value: Any) -> str | None:
    """A value as one would type it as an answer."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_THERE: dict[str, Callable[[str], bool]] = {
    "path": os.path.exists,
    "file": os.path.isfile,
    "folder": os.path.isdir,
}


def _holds(there: Callable[[str], bool], text: str) -> bool:
    try:
        return there(os.path.expanduser(text.strip()))
    except (OSError, ValueError):  # too long a name, a NUL in it
        return False


def _raise(text: str) -> Any:
    raise ValueError(text)
