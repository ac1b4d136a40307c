"""A workflow as a list of protocols of Scipion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.workflow.checks import ordered
from cryowidgets.workflow.document import Inert, StepSpec, Workflow
from cryowidgets.workflow.scipion_entries import CLASS, COMMENT, HOLDS, ID, LABEL, OURS, WAITS
from cryowidgets.workflow.scipion_rules import AT_IMPORT, About, Counterpart
from cryowidgets.workflow.scipion_table import OUTPUTS, TABLE

ORIGIN = "scipion:"


def dump(workflow: Workflow) -> str:
    """The list of protocols that Scipion imports, as text.

    Steps with a counterpart are written with their parameters and links; ``"cryowidgets"`` beside them holds all that
    `load` needs to make the same steps again, which Scipion passes over. Inert steps of Scipion are written as they
    came. Steps that Scipion has not are left out, see `lacking`.
    """
    return json.dumps(list(_Writing(workflow).parts()), indent=4, ensure_ascii=False, allow_nan=False) + "\n"


def lacking(workflow: Workflow) -> dict[str, str]:
    """Steps that `dump` leaves out, and why."""
    found = {s.name: f"Scipion has nothing like {s.protocol}" for s in workflow.steps if _counterpart(s) is None}
    other = {
        p.name: f"it is of {p.origin.partition(':')[0]}" for p in workflow.inert if not p.origin.startswith(ORIGIN)
    }
    return {**found, **other}


class _Writing:
    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.steps = {step.name: step for step in workflow.steps}
        self.ids = _ids(workflow)
        self.gives = _gives(workflow)
        self.values = {step.name: _all(step) for step in workflow.steps}

    def parts(self) -> Iterator[dict[str, Any]]:
        parts = {}
        for step in self.workflow.steps:
            counterpart = _counterpart(step)
            if counterpart is not None:
                parts[step.name] = self._step(step, counterpart)
        for step in self.workflow.steps:
            sender = parts.get(str(step.params.get("closed_by", "")))
            if step.name in parts and sender is not None:
                parts[step.name]["triggerWait"] = True
                sender |= {"triggerSignal": True, "triggerProt": self.ids[step.name]}
        yield from parts.values()
        for part in self.workflow.inert:
            if part.name in self.ids:
                yield self._inert(part)

    def _step(self, step: StepSpec, counterpart: Counterpart) -> dict[str, Any]:
        part: dict[str, Any] = {
            CLASS: counterpart.theirs[0],
            ID: self.ids[step.name],
            LABEL: step.label or step.name,
            COMMENT: step.comment,
            WAITS: ", ".join(self.ids[name] for name in step.after if name in self.ids),
        }
        if step.hold:
            part[HOLDS] = True
        part |= counterpart.fixed
        values = self._values(step)
        about = About(self._pixel_size(step))
        for rule in counterpart.rules:
            try:
                part |= rule.write(values, about)
            except (KeyError, ValueError, TypeError, OverflowError):
                continue  # what they cannot hold stands beside
        for name, source in step.inputs.items():
            pointers = counterpart.inputs.get(name, ())
            if pointers and source in self.ids:
                _point(part, pointers[0], f"{self.ids[source]}.{self._output(source, pointers[0])}")
        part[OURS] = {"name": step.name, "label": step.label, "protocol": step.protocol, "params": dict(step.params)}
        return part

    def _inert(self, part: Inert) -> dict[str, Any]:
        params = {key: value for key, value in part.params.items() if key != ID}
        for key, source in part.inputs.items():
            if source not in self.ids:
                _point(params, key, None)
                continue
            name, _, place = key.rpartition(".")
            inside = key not in params and isinstance(params.get(name), list)
            rest = params[name][int(place)] if inside else params.get(key, ".")
            text = f"{self.ids[source]}{rest}" if len(str(rest)) > 1 else self.ids[source]
            _point(params, key, text)
        head = {CLASS: part.origin.removeprefix(ORIGIN), ID: self.ids[part.name], LABEL: part.label}
        return {**head, COMMENT: part.comment, **params}

    def _output(self, source: str, pointer: str) -> str:
        """What Scipion calls the output of a step that a pointer wants."""
        gives = self.gives.get(source)
        named = {"inputMovies": "outputMovies", "inputMicrographs": "outputMicrographs"}.get(pointer)
        return named or OUTPUTS.get(gives.__name__ if gives else "", "output")

    def _values(self, step: StepSpec) -> dict[str, Any]:
        """All parameters of a step, and those of its import."""
        values = dict(self.values[step.name])
        source = self._import(step)
        if source is not None and source is not step:
            values |= {AT_IMPORT + name: value for name, value in self.values[source.name].items()}
        return values

    def _import(self, step: StepSpec) -> StepSpec | None:
        front, seen = [step], set()
        while front:
            for found in front:
                if found.protocol == "ImportMovies":
                    return found
            seen.update(found.name for found in front)
            sources = (name for found in front for name in found.inputs.values())
            front = [self.steps[name] for name in sources if name in self.steps and name not in seen]
        return None

    def _pixel_size(self, step: StepSpec) -> float:
        """Of the images that a step gets, Å/px."""
        binning, seen = 1.0, set()
        while step.inputs and step.name not in seen:
            seen.add(step.name)
            above = self.steps.get(next(iter(step.inputs.values())))
            if above is None:
                return 0.0
            step = above
            if step.protocol == "ImportMovies":
                return float(self.values[step.name].get("pixel_size", 0.0)) * binning
            binning *= float(self.values[step.name].get("binning", 1.0))
        return 0.0


def _counterpart(step: StepSpec) -> Counterpart | None:
    """The first of the table that stands for a step: the nearest comes first."""
    if step.protocol not in registry.names():
        return None
    fitting = (c for c in TABLE if c.ours == step.protocol and (c.fits is None or c.fits(step.params)))
    return next(fitting, None)


def _gives(workflow: Workflow) -> dict[str, type[Item]]:
    """What each step gives; those that pass things on, what they are given."""
    found: dict[str, type[Item]] = {}
    try:
        steps = ordered(workflow.steps)
    except CryowidgetsError:
        steps = list(workflow.steps)
    for step in steps:
        if step.protocol in registry.names():
            sources = {name: found[source] for name, source in step.inputs.items() if source in found}
            found[step.name] = registry.get(step.protocol).kinds(sources)[1]
    return found


def _all(step: StepSpec) -> dict[str, Any]:
    try:
        return registry.get(step.protocol)(**step.params).values()
    except CryowidgetsError:
        return dict(step.params)


def _ids(workflow: Workflow) -> dict[str, str]:
    """An id for each step: that which it had, or one to which nothing points yet."""
    ids: dict[str, str] = {}
    inert = [part for part in workflow.inert if part.origin.startswith(ORIGIN)]
    for part in inert:
        id = part.params.get(ID)
        if isinstance(id, str | int) and not isinstance(id, bool) and str(id).strip() not in ("", *ids.values()):
            ids[part.name] = str(id).strip()
    taken = {*ids.values(), *(n for part in inert for n in _numbers(part.params))}
    number = 1
    for name in (*(s.name for s in workflow.steps if _counterpart(s)), *(part.name for part in inert)):
        if name in ids:
            continue
        while str(number) in taken:
            number += 1
        taken.add(str(number))
        ids[name] = str(number)
    return ids


def _numbers(params: Mapping[str, Any]) -> Iterator[str]:
    """Numbers in texts that may be pointers to what is not there."""
    for value in params.values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (found := re.match(r"\s*(\d+)(\.[A-Za-z_]|\s*$)", text)):
                yield found[1]


def _point(part: dict[str, Any], key: str, text: str | None) -> None:
    """Set a pointer, which may be one of a list: ``inputSets.1``."""
    name, _, place = key.rpartition(".")
    if not (name and place.isdecimal()) or key in part:
        part[key] = text
        return
    listed = list(part[name]) if isinstance(part.get(name), list) else []
    listed += [None] * (int(place) + 1 - len(listed))
    listed[int(place)] = text
    part[name] = listed
