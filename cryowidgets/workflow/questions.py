"""Open questions of a workflow document: what has to be known before it can begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TYPES = ("string", "boolean", "path", "integer", "decimal", "file", "folder")


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
        One of `TYPES`. A path, a file or a folder must exist.
    targets : tuple of (step, parameter)
        The parameters that the answer fills.
    help : str
        A sentence below the field.
    unit : str
        Unit of the number, of the parameter that it fills.
    """

    id: str
    label: str
    default: str | None = None
    type: str = "string"
    targets: tuple[tuple[str, str], ...] = ()
    help: str = ""
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The question as it stands in place of a value; `from_dict` makes the same of it."""
        content: dict[str, Any] = {"ask": self.id, "label": self.label, "type": self.type}
        if self.default is not None:
            content["default"] = self.default
        for name in ("help", "unit"):
            if getattr(self, name):
                content[name] = getattr(self, name)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], target: tuple[str, str]) -> Question:
        """The question that stands in place of the value of a parameter."""
        default = content.get("default")
        if default is not None and not isinstance(default, str):
            default = str(default).lower() if isinstance(default, bool) else f"{default}"
        return cls(
            content["ask"],
            content.get("label") or content["ask"],
            default,
            content.get("type", "string"),
            (target,),
            content.get("help", ""),
            content.get("unit", ""),
        )
