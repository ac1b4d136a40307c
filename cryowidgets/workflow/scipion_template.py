"""Dynamic templates of Scipion: a workflow as text with fields ``~label|default|type|cmdId~`` to be filled.

A field stands in quotes or bare in place of a value. Its type is a number, see `TYPES`; without a cmdId it is called by
its label. ``%(NAME)s`` is the environment variable NAME, ``%%`` a percent sign. What stands before the list describes
the template. Values are written as JSON, so that quotes and backslashes in them stay what they are, and defaults are
asked the same as answers. Fields are found before variables are put in, so that a ``~`` or ``|`` in those does no harm.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryowidgets.errors import WorkflowError
from cryowidgets.workflow import scipion
from cryowidgets.workflow.document import Workflow
from cryowidgets.workflow.questions import Question, spelled
from cryowidgets.workflow.scipion_entries import decode, split, text_of
from cryowidgets.workflow.templates import Template, unanswered

TYPES = ("string", "boolean", "path", "integer", "decimal", "file", "folder")
"""What the number of a type means; file and folder must exist, as a path must."""
ENDING = ".json.template"
UNDESCRIBED = "Not provided"

_FIELD = re.compile(r"~[^~\n]*\|[^~\n]*~")
_PERCENT = re.compile(r"%(?:%|\((?P<name>\w+)\)s|)")


@dataclass(frozen=True)
class Field:
    """One field of a template.

    Attributes
    ----------
    question : Question
        Its own: with the label, type and default that stand in it.
    quoted : bool
        Whether it stands inside of a JSON text.
    line : int
    lacks : str
        Environment variables of its default that are not set.
    """

    question: Question
    quoted: bool
    line: int
    lacks: str = ""

    def json(self, text: str) -> str:
        """A valid answer as it is put in place of the field."""
        if self.quoted:
            return json.dumps(text, ensure_ascii=False)[1:-1]
        if self.question.type in ("boolean", "integer", "decimal"):
            value = self.question.value(text)
            if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
                value = int(value)
            return json.dumps(value)
        return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class ScipionTemplate(Template):
    """A dynamic template of Scipion.

    Attributes
    ----------
    fields : tuple of Field
    pieces : tuple of str
        The text around the fields: one more than there are fields.
    folder : path or None
        From which relative paths count.
    """

    fields: tuple[Field, ...] = ()
    pieces: tuple[str, ...] = ()
    folder: Path | None = None

    def check(self, answers: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with some answers, the defaults included; one that several fields share is asked of each."""
        said = unanswered(self.questions, answers)
        faults = {id: sentence for id, sentence in said.items() if id not in {q.id for q in self.questions}}
        for field in self.fields:
            id = field.question.id
            text = spelled(answers.get(id, field.question.default))
            if text is None:
                faults.setdefault(id, f"{field.question.label} (line {field.line}): {_not_set(field.lacks)}, or {id}=…")
            elif sentence := field.question.refusal(text):
                faults.setdefault(id, sentence)
        if not faults and any(f.question.default is None for f in self.fields):
            try:
                scipion.read(decode(self._text(answers), self.name)[1], self.name, folder=self.folder)
            except WorkflowError as error:
                faults[""] = str(error)
        return faults

    def fill(self, answers: Mapping[str, Any]) -> Workflow:
        """The workflow with the answers, and the defaults where there are none.

        Raises
        ------
        WorkflowError
            With a line for each field that is wrong.
        """
        faults = self.check(answers)
        if faults:
            lines = "".join(f"\n- {id + ': ' if id else ''}{sentence}" for id, sentence in faults.items())
            raise WorkflowError(f"{self.name} cannot be filled:{lines}")
        return self.imported(answers).workflow

    def imported(self, answers: Mapping[str, Any]) -> scipion.Imported:
        """The same with notes of what became of each protocol; of answers that `check` found nothing wrong with."""
        return scipion.read(decode(self._text(answers), self.name)[1], self.name, self.description, self.folder)

    def filled(self, answers: Mapping[str, Any]) -> str:
        """The list of protocols as text, for Scipion itself."""
        return self._text(answers)

    def _text(self, answers: Mapping[str, Any]) -> str:
        values = (f.json(spelled(answers.get(f.question.id, f.question.default)) or "") for f in self.fields)
        return "".join(piece + value for piece, value in zip(self.pieces, (*values, ""), strict=True))


def read_template(path: str | Path) -> ScipionTemplate:
    """Read a dynamic template.

    Raises
    ------
    WorkflowError
        It cannot be read, or its fields or variables are written wrongly: each is named with its line.
    """
    text, name, folder = text_of(Path(path))
    found = parse(text, name, folder)
    return replace(found, name=name.removesuffix(ENDING).removesuffix(".json"), path=Path(path))


def parse(text: str, name: str, folder: Path | None = None) -> ScipionTemplate:
    """The template of a text.

    Raises
    ------
    WorkflowError
        See `read_template`.
    """
    description, body, first = split(text)
    pieces, faults = body.split("~"), []
    lines = [first + sum(piece.count("\n") for piece in pieces[:place]) for place in range(len(pieces))]
    if len(pieces) % 2 == 0:
        faults.append(f"line {lines[-1]}: a ~ begins a field that does not end; inside a text write \\u007e for it")
    fields: list[Field] = []
    around: list[str] = []
    quoted = False
    for place in range(0, len(pieces), 2):
        piece, quoted, wrong = _around(pieces[place], lines[place], quoted)
        around.append(piece)
        faults += wrong
        if place + 1 < len(pieces) and len(pieces) % 2:
            field = _field(pieces[place + 1], lines[place + 1], quoted)
            if isinstance(field, Field):
                fields.append(field)
            else:
                faults.append(field)
                around[-1] += "null"
                around.append("")
    around[0] = "\n" * (first - 1) + around[0]  # so that lines are those of the file
    faults += _twice(fields)
    if faults:
        raise WorkflowError(f"{name} cannot be used:" + "".join(f"\n- {fault}" for fault in faults))
    found = ScipionTemplate(
        name,
        description or UNDESCRIBED,
        fields=tuple(fields),
        pieces=tuple(around),
        questions=tuple(_merged(fields)),
        folder=folder,
    )
    sample = {f.question.id: _SAMPLE.get(f.question.type, "") for f in fields if _useless(f)}
    workflow = scipion.read(decode(found._text(sample), name)[1], name, found.description, folder).workflow
    return replace(found, workflow=replace(workflow, questions=found.questions))


def with_defaults(text: str, name: str, folder: Path | None = None) -> tuple[str, list[scipion.Note]]:
    """The text with each field at its default, and a note of each.

    Raises
    ------
    WorkflowError
        A field has no default that can be used.
    """
    found = parse(text, name, folder)
    faults = found.check({})
    if faults:
        lines = "".join(f"\n- {id}: {sentence}" for id, sentence in faults.items())
        raise WorkflowError(
            f"{name} has open fields whose defaults cannot be used; answer them with 'cryowidgets template':{lines}"
        )
    notes = [
        scipion.Note(
            "",
            "field",
            f"The open field {f.question.label!r} ({f.question.id}) is at its default {f.question.default!r}.",
        )
        for f in found.fields
    ]
    return found._text({}), notes


def is_template(text: str, name: str) -> bool:
    """Whether a text has fields, or a file the ending of a template."""
    return name.endswith(".template") or _FIELD.search(text) is not None


_SAMPLE = {"boolean": "false", "integer": "0", "decimal": "0"}


def _useless(field: Field) -> bool:
    """Whether its default is none, so that a look at the workflow needs something else in its place."""
    default = field.question.default
    return default is None or field.question.type in _SAMPLE and bool(field.question.refusal(default))


def _field(text: str, line: int, quoted: bool) -> Field | str:
    """A field, or what is wrong with it."""
    parts = text.split("|")
    shown = f"the field ~{' '.join(text.split())[:60]}~"
    rule = "write ~label|default|type|cmdId~"
    if len(parts) < 3:
        return f"line {line}: {shown} lacks its {'type' if len(parts) == 2 else 'default and type'}: {rule}"
    if len(parts) > 4:
        return f"line {line}: {shown} has {len(parts)} parts, and may have four: {rule}; a | cannot be inside of one"
    label, default, kind, *ids = parts
    label, id = label.strip(), (ids[0].strip() if ids else "")
    if not label:
        return f"line {line}: {shown} has no label: {rule}"
    if not (kind.strip().isdecimal() and int(kind) < len(TYPES)):
        types = ", ".join(f"{number} {word}" for number, word in enumerate(TYPES))
        return f"line {line}: {shown} has the type {kind.strip()!r}; write one of {types}"
    lacks: list[str] = []
    try:
        value = _PERCENT.sub(lambda found: _variable(found, lacks), default)
    except ValueError:
        return f"line {line}: {shown} has a bare % in its default: write %% for it"
    question = Question(id or _slug(label), label, None if lacks else value, TYPES[int(kind)])
    return Field(question, quoted, line, ", ".join(lacks))


def _around(text: str, line: int, quoted: bool) -> tuple[str, bool, list[str]]:
    """The text between two fields with its variables put in, whether it ends inside a JSON text, and faults."""
    out, faults, at = [], [], 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quoted:
            out.append(text[at : at + 2])
            at += 2
            continue
        if char == '"':
            quoted = not quoted
        line += char == "\n"
        if char != "%":
            out.append(char)
            at += 1
            continue
        found = _PERCENT.match(text, at)
        assert found is not None
        at = found.end()
        lacks: list[str] = []
        try:
            value = _variable(found, lacks)
        except ValueError:
            faults.append(f"line {line}: a bare %: write %% for it, or %(NAME)s for an environment variable")
            continue
        if lacks:
            faults.append(f"line {line}: {_not_set(lacks[0])}")
        elif quoted:
            out.append(json.dumps(value, ensure_ascii=False)[1:-1])
        elif value == "%" or _is_json(value):
            out.append(value)
        else:
            faults.append(
                f'line {line}: {found[0]} is {value!r}, which is no JSON outside of quotes: write "{found[0]}"'
            )
    return "".join(out), quoted, faults


def _variable(found: re.Match[str], lacks: list[str]) -> str:
    name = found["name"]
    if name is None:
        if found[0] != "%%":
            raise ValueError
        return "%"
    if name not in os.environ:
        lacks.append(name)
        return ""
    return os.environ[name]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _not_set(names: str) -> str:
    return f"the environment variable {names} is not set: set it"


def _twice(fields: list[Field]) -> Iterator[str]:
    """Fields of one label: which is meant could not be told."""
    first: dict[str, int] = {}
    for field in fields:
        label = field.question.label
        if label in first:
            before = f"stands in line {first[label]} already"
            yield f"line {field.line}: the label {label!r} {before}: give each field its own"
        first.setdefault(label, field.line)


def _merged(fields: list[Field]) -> Iterator[Question]:
    """One question for the fields of one cmdId; it fills them all."""
    same: dict[str, list[Question]] = {}
    for field in fields:
        same.setdefault(field.question.id, []).append(field.question)
    for asked in same.values():
        labels = ", ".join(question.label for question in asked)
        narrow = min(asked, key=lambda q: _NARROW.index(q.type))
        yield replace(asked[0], label=labels, type=narrow.type)


_NARROW = ("boolean", "integer", "decimal", "file", "folder", "path", "string")

_slug: Callable[[str], str] = lambda label: re.sub(r"\W+", "_", label.lower()).strip("_") or "field"  # noqa: E731
