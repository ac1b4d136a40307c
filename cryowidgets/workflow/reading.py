"""A document's text becomes a workflow, or a list of everything that is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Parameter
from cryowidgets.workflow import watching
from cryowidgets.workflow.checks import check, near
from cryowidgets.workflow.document import CHANNELS, MONITORS, VERSION, Inert, StepSpec, Workflow
from cryowidgets.workflow.questions import SIMULATE, TYPES, Question, spelled
from cryowidgets.workflow.simulation import Simulation


def parse(text: str | bytes) -> tuple[Workflow | None, list[str]]:
    """The workflow of a document's text, and all that is wrong with it.

    Parameters
    ----------
    text : str or bytes
        JSON, UTF-8.

    Returns
    -------
    workflow : Workflow or None
        As far as it can be understood; None where it is no document at all. Only one without faults can be used.
    faults : list of str
        A sentence each.
    """
    content, faults = _json(text)
    if faults:
        return None, faults
    if not isinstance(content, dict):
        return None, [f"a workflow document is an object in braces with steps, but this is {_what(content)}"]
    reading = _Reading(content)
    return reading.workflow(), reading.faults


class _Reading:
    """One document being read; whatever it holds, the faults are collected and the reading goes on."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.faults: list[str] = []
        self.questions: dict[str, Question] = {}

    def workflow(self) -> Workflow:
        content = self._checked(self.content, _DOCUMENT, "the document")
        version = self.content.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
            said = "has no version" if version is None else f"has version {_shown(version)}"
            self.faults.append(f"the document {said}; this program reads versions 1 to {VERSION}")
        if "name" not in self.content:
            self.faults.append("the document lacks its 'name'")
        if "steps" not in self.content:
            self.faults.append("the document lacks its 'steps', a list")
        steps = [StepSpec(**part) for part in self._parts(content.get("steps", []), _STEP, "step")]
        inert = [Inert(**part) for part in self._parts(content.get("inert", []), _INERT, "inert step")]
        simulate = self._simulate(content.get(SIMULATE))
        if simulate is not None and not any(step.protocol == "ImportMovies" for step in steps):
            self.faults.append("a microscope is simulated, but no step imports movies (ImportMovies)")
        if simulate is not None and any(part.name == SIMULATE for part in (*steps, *inert)):
            self.faults.append(f"a step beside a simulated microscope cannot be called {SIMULATE!r}")
        monitors, channels = content.get(MONITORS, {}), content.get(CHANNELS, [])
        self.faults += check(steps, inert) + watching.faults(monitors, channels)
        self._defaults(steps)
        return Workflow(
            content.get("name", ""),
            content.get("description", ""),
            tuple(steps),
            tuple(inert),
            tuple(self.questions.values()),
            content.get("category", ""),
            simulate,
            monitors,
            tuple(channel for channel in channels if isinstance(channel, str)),
        )

    def _parts(self, listed: list[Any], fields: Mapping[str, Any], what: str) -> Iterator[dict[str, Any]]:
        """The steps of a list as far as they can be made."""
        for number, found in enumerate(listed, 1):
            if not isinstance(found, dict):
                self.faults.append(f"{what} {number} is {_what(found)}: write an object in braces")
                continue
            name = found.get("name")
            where = f"{what} {name!r}" if isinstance(name, str) and name else f"{what} {number}"
            part = self._checked(found, fields, where)
            lacking = [field for field in _NEEDED if field in fields and not part.get(field)]
            self.faults += [f"{where} lacks its {field!r}" for field in lacking if field not in found]
            self.faults += [f"{where} has an empty {field!r}" for field in lacking if part.get(field) == ""]
            if lacking:
                continue
            of = _parameters(part["protocol"]) if "protocol" in part else None
            part["params"] = self._asked(part.get("params", {}), part["name"], where, of)
            for field, value in list(part.get("inputs", {}).items()):
                if not isinstance(value, str):
                    self.faults.append(f"{where} takes {field!r} from {_what(value)}: write the name of a step")
                    del part["inputs"][field]
            if not all(isinstance(waited, str) for waited in part.get("after", ())):
                self.faults.append(f"{where}: 'after' is a list of names of steps")
                part["after"] = [waited for waited in part["after"] if isinstance(waited, str)]
            if "after" in part:
                part["after"] = tuple(part["after"])
            yield part

    def _checked(self, found: dict[str, Any], fields: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Those fields that there are and that have the right type; the others are faults."""
        good = {}
        for name, value in found.items():
            if name not in fields:
                nearest = near(name, fields) or f"; it may have {', '.join(fields)}"
                self.faults.append(f"{where} has no field {_shown(name)}{nearest}")
            elif not isinstance(value, fields[name]) or isinstance(value, bool) and fields[name] is int:
                self.faults.append(f"{where}: {name!r} is {_what(value)}; write {_TYPES[fields[name]]}")
            else:
                good[name] = value
        return good

    def _asked(
        self, params: Mapping[str, Any], step: str, where: str, of: Mapping[str, Parameter] | None
    ) -> dict[str, Any]:
        """The parameters that have a value; those that ask for one are noted as questions."""
        known = {}
        for name, value in params.items():
            if isinstance(value, dict) and "ask" in value:
                question = self._question(value, (step, name), f"{where}, parameter {name!r}")
                parameter = of.get(name) if of else None
                if question and parameter:
                    question = question.of(parameter)
                elif question and of is not None:
                    self.faults.append(f"{where} has no parameter {name!r} to ask for{near(name, of)}")
                    continue
                if question:
                    self._add(question, f"{where}, parameter {name!r}")
            else:
                known[name] = value
        return known

    def _question(self, found: dict[str, Any], target: tuple[str, str], where: str) -> Question | None:
        before = len(self.faults)
        self._checked(found, _QUESTION, where)
        id = found["ask"]
        if isinstance(id, str) and not _ID.fullmatch(id):
            self.faults.append(f"{where} asks for {_shown(id)}: write letters, digits, _, . and - alone")
        if isinstance(found.get("default"), (dict, list)):
            self.faults.append(
                f"{where}: 'default' is {_what(found['default'])}; write a text, a number, true or false"
            )
        if "type" in found and found["type"] not in TYPES:
            self.faults.append(f"{where}: there is no type {_shown(found['type'])}; write one of {', '.join(TYPES)}")
        if not all(isinstance(choice, str) for choice in found.get("choices") or ()):
            self.faults.append(f"{where}: 'choices' is a list of texts")
        return Question.from_dict(found, target) if len(self.faults) == before else None

    def _add(self, question: Question, where: str) -> None:
        """Note a question; one of the same id fills one parameter more."""
        first = self.questions.get(question.id)
        if first is None:
            self.questions[question.id] = question
            return
        for field in ("label", "default"):
            mine, theirs = getattr(question, field), getattr(first, field)
            if theirs in (None, question.id):
                first = replace(first, **{field: mine})
            elif mine not in (None, question.id, theirs):
                self.faults.append(
                    f"{where} asks for {question.id!r} with another {field} ({mine!r}) than before ({theirs!r}): "
                    "write it once"
                )
        kind = min(first, question, key=lambda q: _NARROW.index(q.type))
        choices = tuple(c for c in first.choices if c in question.choices) or first.choices or question.choices
        self.questions[first.id] = replace(
            first,
            targets=first.targets + question.targets,
            type=kind.type,
            unit=first.unit or question.unit,
            help=first.help or question.help,
            choices=choices,
        )

    def _simulate(self, found: dict[str, Any] | None) -> dict[str, Any] | None:
        if found is None:
            return None
        known = self._asked(found, SIMULATE, SIMULATE, Simulation.parameters())
        self.faults += [f"{SIMULATE}: {fault}" for fault in Simulation.faults(known).values()]
        return known

    def _defaults(self, steps: list[StepSpec]) -> None:
        """Defaults that no parameter takes. Whether a file is there is asked only when the answers are given."""
        protocols = {step.name: step.protocol for step in steps}
        for question in self.questions.values():
            if question.default is None:
                continue
            if question.type in ("boolean", "integer", "decimal") or question.choices:
                if said := question.refusal(question.default):
                    self.faults.append(f"question {question.id!r}, default: {said}")
                    continue
            for step, name in question.targets:
                parameters = Simulation if step == SIMULATE and step not in protocols else None
                try:
                    parameters = parameters or registry.get(protocols.get(step, ""))
                except CryowidgetsError:
                    continue
                said = parameters.faults({name: question.default}).get(name)
                self.faults += [f"question {question.id!r}, default: {said}"] if said else []


_DOCUMENT = {
    "version": object,
    "name": str,
    "description": str,
    "category": str,
    SIMULATE: dict,
    MONITORS: dict,
    CHANNELS: list,
    "steps": list,
    "inert": list,
}
_STEP = {
    "name": str,
    "protocol": str,
    "params": dict,
    "inputs": dict,
    "label": str,
    "comment": str,
    "after": list,
    "hold": bool,
}
_INERT = {"name": str, "origin": str, "params": dict, "inputs": dict, "label": str, "comment": str}
_QUESTION = {
    "ask": str,
    "label": str,
    "default": object,
    "type": str,
    "help": str,
    "unit": str,
    "choices": list,
}
_NEEDED = ("name", "protocol", "origin")
_TYPES = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list in brackets",
    dict: "an object in braces",
}
_NARROW = ("integer", "decimal", "boolean", "file", "folder", "path", "string")
_ID = re.compile(r"[\w.-]+")


def _json(text: str | bytes) -> tuple[Any, list[str]]:
    faults: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            faults.append(f"an object has {', '.join(map(_shown, twice))} more than once")
        return found

    def no_number(word: str) -> None:
        faults.append(f"{word} is no value: write a number")

    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        content = json.loads(decoded, object_pairs_hook=once, parse_constant=no_number)
        json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        return None, [f"line {error.lineno}, column {error.colno}: it is not JSON: {error.msg}"]
    except UnicodeDecodeError as error:
        return None, [f"it is not text in UTF-8: byte {error.start} is not"]
    except UnicodeEncodeError:
        return None, ["it holds half of a character (\\ud800 to \\udfff), which no text has"]
    except RecursionError:
        return None, ["its brackets are nested too deep"]
    except ValueError as error:  # a number of thousands of digits
        return None, [f"it holds a number that cannot be read: {error}"]
    return content, faults


def _parameters(protocol: str) -> dict[str, Parameter] | None:
    try:
        return registry.get(protocol).parameters()
    except CryowidgetsError:
        return None  # `check` tells


def _what(value: Any) -> str:
    """What a value is, in words."""
    for kind, word in ((bool, "true or false"), (str, "a text"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return f"{word}, {_shown(value)}" if kind in (bool, str) else word
    return "nothing (null)" if value is None else f"a number, {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else spelled(value) or ""
    return text if len(text) <= 60 else text[:57] + "…"
