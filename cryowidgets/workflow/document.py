"""Workflows as data: steps and links, checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.protocols import registry
from cryowidgets.workflow.questions import Question

VERSION = 2
"""Version 1 had steps with name, protocol, params and inputs alone; it is read still."""


@dataclass(frozen=True)
class StepSpec:
    """A step as a workflow document describes it: `inputs` says which step each input comes from.

    The step does not begin before those named in `after` have ended. With `hold` nothing is begun at it until a
    person releases it. `label` and `comment` are for people.
    """

    name: str
    protocol: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    comment: str = ""
    after: tuple[str, ...] = ()
    hold: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The step as a document holds it: what is empty is left out."""
        return _lean(asdict(self), ("name", "protocol", "params", "inputs"))


@dataclass(frozen=True)
class Inert:
    """A step of another program that has no counterpart here: kept, shown and handed back, but never run.

    `origin` says what it was, for instance ``scipion:XmippProtMovieGain``; `inputs` name steps or inert steps.
    """

    name: str
    origin: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    comment: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The step as a document holds it: what is empty is left out."""
        return _lean(asdict(self), ("name", "origin", "params", "inputs"))


@dataclass(frozen=True)
class Workflow:
    """A workflow document: its steps, those that cannot be run here, and the questions that it leaves open."""

    name: str
    description: str
    steps: tuple[StepSpec, ...]
    inert: tuple[Inert, ...] = ()
    questions: tuple[Question, ...] = ()
    category: str = ""

    def to_json(self) -> str:
        """The document as text; `read` makes the same workflow of it.

        An open question stands where its answer goes: ``{"ask": "id", "label": "…", "default": …}``.
        """
        content: dict[str, Any] = {"version": VERSION, "name": self.name, "description": self.description}
        if self.category:
            content["category"] = self.category
        content["steps"] = [step.to_dict() for step in self.steps]
        if self.inert:
            content["inert"] = [step.to_dict() for step in self.inert]
        parts = {part["name"]: part for part in (*content["steps"], *content.get("inert", ()))}
        for question in self.questions:
            asked = question.to_dict()
            for step, parameter in question.targets:
                parts[step]["params"] = {**parts[step]["params"], parameter: asked}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def templates() -> dict[str, str]:
    """Names and descriptions of the workflows that come with the package."""
    found = {}
    for file in sorted(files("cryowidgets.templates").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            found[file.name.removesuffix(".json")] = json.loads(file.read_text("utf-8"))["description"]
    return found


def read(name: str | Path) -> Workflow:
    """The workflow of a template's name or of a file.

    Raises
    ------
    WorkflowError
        There is none, it is not a workflow document, or its steps do not fit: every fault is named.
    """
    file = files("cryowidgets.templates").joinpath(f"{name}.json")
    path = Path(name)
    if file.is_file():
        text = file.read_text("utf-8")
    elif path.is_file():
        text = path.read_text("utf-8")
    else:
        known = ", ".join(templates())
        raise WorkflowError(f"There is no template or file {str(name)!r}. Templates: {known}.")
    try:
        content = json.loads(text)
        if content["version"] not in range(1, VERSION + 1):
            raise WorkflowError(f"{name} has version {content['version']}; this program reads version {VERSION}.")
        questions: dict[str, Question] = {}
        steps = tuple(_part(StepSpec, step, questions) for step in content["steps"])
        inert = tuple(_part(Inert, step, questions) for step in content.get("inert", ()))
        workflow = Workflow(
            content["name"],
            content.get("description", ""),
            steps,
            inert,
            tuple(questions.values()),
            content.get("category", ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WorkflowError(f"{name} is not a workflow document: {type(error).__name__}: {error}.") from None
    faults = check(workflow.steps)
    if faults:
        raise WorkflowError(f"{name} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults))
    return workflow


def check(steps: Iterable[StepSpec]) -> list[str]:
    """All that is wrong with some steps: names, protocols, parameters, links, kinds, cycles."""
    steps = list(steps)
    faults = []
    gives = {}
    known = {step.name: step for step in steps}
    for step in steps:
        if not step.name.isidentifier():
            faults.append(f"step {step.name!r}: a name is made of letters, digits and _ and begins with a letter")
        if list(s.name for s in steps).count(step.name) > 1 and known[step.name] is step:
            faults.append(f"step {step.name!r} is there more than once")
        try:
            protocol = registry.get(step.protocol)
            gives[step.name] = protocol.gives
            protocol(**step.params)
        except CryowidgetsError as error:
            faults.append(f"step {step.name!r}: {error}")
    for step in steps:
        if step.name not in gives:
            continue
        wanted = registry.get(step.protocol).inputs()
        for name in step.inputs:
            if name not in wanted:
                faults.append(f"step {step.name!r} has no input {name!r}; it has {', '.join(wanted) or 'none'}")
        for name, kind in wanted.items():
            source = step.inputs.get(name)
            if source is None:
                fitting = ", ".join(s for s, k in gives.items() if issubclass(k, kind) and s != step.name) or "none yet"
                faults.append(
                    f"step {step.name!r} lacks its input {name!r}, a {kind.__name__}; steps that fit: {fitting}"
                )
            elif source not in known:
                faults.append(f"step {step.name!r} takes {name!r} from {source!r}, which is not a step")
            elif source in gives and not issubclass(gives[source], kind):
                faults.append(
                    f"step {step.name!r} takes a {kind.__name__} as {name!r}, but {source!r} gives a "
                    f"{gives[source].__name__}"
                )
    return faults + _cycles(known)


def ordered(steps: Iterable[StepSpec]) -> list[StepSpec]:
    """The same steps, each after those that it depends on, else in the given order; they have no cycles."""
    rest = list(steps)
    done: list[StepSpec] = []
    while rest:
        names = {step.name for step in done}
        ready = [step for step in rest if {*step.inputs.values(), *step.after} <= names]
        if not ready:
            raise WorkflowError(f"Steps depend on each other in a circle: {', '.join(s.name for s in rest)}.")
        done.append(ready[0])
        rest.remove(ready[0])
    return done


def _cycles(known: Mapping[str, StepSpec]) -> list[str]:
    faults = []
    for start in known:
        seen, front = set(), set(known[start].inputs.values())
        while front:
            seen |= front
            front = {s for name in front if name in known for s in known[name].inputs.values()} - seen
        if start in seen:
            faults.append(f"step {start!r} depends on itself")
    return faults


def _part(kind: type, content: Mapping[str, Any], questions: dict[str, Question]) -> Any:
    """A step of a document, and what it asks added to the questions of the others."""
    params = {}
    for name, value in content.get("params", {}).items():
        if isinstance(value, Mapping) and "ask" in value:
            question = Question.from_dict(value, (content["name"], name))
            first = questions.get(question.id)
            questions[question.id] = replace(first, targets=first.targets + question.targets) if first else question
        else:
            params[name] = value
    content = {**content, "params": params}
    if "after" in content:
        content["after"] = tuple(content["after"])
    return kind(**content)


def _lean(content: dict[str, Any], always: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value or name in always}
