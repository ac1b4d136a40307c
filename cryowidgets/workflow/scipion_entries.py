"""The text of a workflow of Scipion, taken apart: its protocols, and what points to which."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import WorkflowError

CLASS, ID, LABEL, COMMENT = "object.className", "object.id", "object.label", "object.comment"
WAITS, HOLDS, OURS = "_prerequisites", "forceSchedule", "cryowidgets"
"""What a protocol waits for, whether scheduling halts at it, and what we alone read: they skip names not theirs."""

_START = re.compile(r'\[\s*(\{\s*["}]|\])')
_OUTPUT = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_MARKERS = re.compile(r"__(attribute|itemid)__")
_NO_POINTER = re.compile(r"gpu|list|param|thread|mpi|iter|symm|select|range|number|size|pattern|label", re.IGNORECASE)


@dataclass(frozen=True)
class Pointer:
    """A protocol by its id, and which of its outputs: "" for the protocol itself."""

    id: str
    output: str

    @property
    def rest(self) -> str:
        """What stands after the id, from the dot on."""
        return f".{self.output}"


@dataclass(frozen=True)
class Entry:
    """One protocol of the list.

    Attributes
    ----------
    id : str
    kind : str
        Name of its class.
    label, comment : str
    values : dict
        Everything that it holds, as it stands.
    pointers : dict
        By parameter, and by parameter and place for those in a list: ``inputSets.0``.
    """

    id: str
    kind: str
    label: str
    comment: str
    values: Mapping[str, Any]
    pointers: Mapping[str, Pointer]


def text_of(text_or_path: str | Path) -> tuple[str, str, Path | None]:
    """Text, what to call it in an error, and the folder in which it lies.

    Raises
    ------
    WorkflowError
        There is no such file, or it cannot be read.
    """
    if isinstance(text_or_path, str) and _is_text(text_or_path):
        return text_or_path, "The text", None
    path = Path(text_or_path)
    try:
        return path.read_bytes().decode("utf-8-sig"), path.name, path.absolute().parent
    except UnicodeDecodeError as error:
        raise WorkflowError(f"{path} is not text: byte {error.start} is not UTF-8.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise WorkflowError(f"{path} cannot be read: {why}.") from None


def split(text: str) -> tuple[str, str, int]:
    """Description, list, and the line on which the list begins: people write text before it."""
    found = _START.search(text)
    if found is None or _is_json(text):
        return "", text, 1
    before = text[: found.start()]
    return " ".join(before.split()), text[found.start() :], before.count("\n") + 1


def decode(text: str, name: str) -> tuple[str, list[Any]]:
    """The description before a list, and the list.

    Raises
    ------
    WorkflowError
        It is not JSON, or not a list; the line is named.
    """
    description, body, first = split(text)
    try:
        content = json.loads(body, parse_constant=str, parse_float=_float)
    except json.JSONDecodeError as error:
        line = error.lineno + first - 1
        raise WorkflowError(f"{name}, line {line}: this is not JSON: {error.msg} (column {error.colno}).") from None
    except RecursionError:
        raise WorkflowError(f"{name} cannot be read as JSON: it is nested too deeply.") from None
    except ValueError as error:  # a number of thousands of digits
        raise WorkflowError(f"{name} cannot be read as JSON: {error}.") from None
    if _SURROGATE.search(body):
        content = _writable(content)
    if not isinstance(content, list):
        raise WorkflowError(f"{name} is not a workflow of Scipion: that is a list in [ ] of protocols, each in braces.")
    return description, content


def is_scipion(content: Any) -> bool:
    """Whether some JSON is a list of protocols as Scipion exports it."""
    return isinstance(content, list) and any(isinstance(part, dict) and CLASS in part for part in content)


def entries(content: list[Any]) -> Iterator[Entry | int]:
    """The protocols of a list; the place, counted from 1, of what is none."""
    known = {_id(part.get(ID)) for part in content if isinstance(part, dict)} - {""}
    for place, part in enumerate(content, 1):
        if not isinstance(part, dict):
            yield place
            continue
        yield Entry(
            _id(part.get(ID)),
            _text(part.get(CLASS)),
            _text(part.get(LABEL)),
            _text(part.get(COMMENT)),
            part,
            dict(_pointers(part, known)),
        )


def waits(entry: Entry) -> list[str]:
    """Ids of the protocols that it waits for."""
    value = entry.values.get(WAITS)
    parts = value if isinstance(value, list) else re.split(r"[,\s]+", str(value or ""))
    return [found for part in parts if (found := _id(part))]


def _pointers(part: Mapping[str, Any], known: set[str]) -> Iterator[tuple[str, Pointer]]:
    for name, value in part.items():
        if name in (CLASS, ID, LABEL, COMMENT, WAITS, HOLDS, OURS, "_queueParams"):
            continue
        if isinstance(value, str):
            pointer = _pointer(name, value, known)
            if pointer:
                yield name, pointer
        elif isinstance(value, list):
            found = [_pointer(name, v, known) if isinstance(v, str) else None for v in value]
            if value and all(found):
                yield from ((f"{name}.{place}", pointer) for place, pointer in enumerate(found) if pointer)


def _pointer(name: str, value: str, known: set[str]) -> Pointer | None:
    id, dot, output = value.strip().partition(".")
    output = re.sub(r"\.{2,}", ".", _MARKERS.sub("", output)).strip(".")
    if dot and _OUTPUT.fullmatch(output) and (id in known or id.isdecimal()):
        return Pointer(id, output)
    if dot or _NO_POINTER.search(name):
        return None
    if id in known or id.isdecimal() and name.lower().startswith("input"):
        return Pointer(id, "")
    return None


def _is_text(text: str) -> bool:
    start = text.lstrip("\ufeff \t\r\n")
    return not start or start[0] in "[{" or "\n" in text or CLASS in text or "\0" in text or len(text) > 4096


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _float(text: str) -> float | str:
    """A number that JSON can hold again; the text of one that is too large."""
    value = float(text)
    return value if math.isfinite(value) else text


def _writable(value: Any) -> Any:
    """Without halves of characters, which no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_writable(part) for part in value]
    if isinstance(value, dict):
        return {_writable(key): _writable(part) for key, part in value.items()}
    return value


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value).strip()
    except ValueError:  # a number of thousands of digits
        return ""


def _text(value: Any) -> str:
    """A text that can be written to a file, whatever was there."""
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""
