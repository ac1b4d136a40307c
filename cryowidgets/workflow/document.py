"""Workflows as data: steps and links, checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.protocols import registry

VERSION = 1


@dataclass(frozen=True)
class StepSpec:
    """A step as a workflow document describes it: `inputs` says which step each input comes from."""

    name: str
    protocol: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workflow:
    """A workflow document."""

    name: str
    description: str
    steps: tuple[StepSpec, ...]

    def to_json(self) -> str:
        """The document as text; `read` makes the same workflow of it."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


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
        if content["version"] != VERSION:
            raise WorkflowError(f"{name} has version {content['version']}; this program reads version {VERSION}.")
        steps = tuple(StepSpec(**step) for step in content["steps"])
        workflow = Workflow(content["name"], content.get("description", ""), steps)
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
        ready = [step for step in rest if set(step.inputs.values()) <= names]
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
