"""What a change of a step reaches in its workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cryowidgets.errors import WorkflowError
from cryowidgets.store.database import Step

SCOPES = ("new", "branch", "all")
"""What a change of a parameter reaches: new items, this step and all that came of it, all from the import on."""


def reached(steps: Mapping[str, Step], step: str, scope: str) -> list[Step]:
    """The steps whose results a change makes anew, in the order of the workflow; an import keeps its movies.

    Raises
    ------
    WorkflowError
        There is no such scope.
    """
    if scope not in SCOPES:
        raise WorkflowError(f"There is no scope {scope!r}: write one of {', '.join(SCOPES)}.")
    if scope == "new":
        return []
    begin = {step} if scope == "branch" else {s.name for s in steps.values() if not s.inputs}
    names = downstream(steps, begin)
    return [s for s in steps.values() if s.inputs and (s.name in begin or s.name in names)]


def downstream(steps: Mapping[str, Step], begin: Iterable[str]) -> list[str]:
    """Names of all steps that depend on some steps, directly or not, in the order of the workflow."""
    found: list[str] = []
    there = set(begin)
    for step in steps.values():
        if there & set(step.inputs.values()):
            there.add(step.name)
            found.append(step.name)
    return found


def upstream(steps: Mapping[str, Step], step: str) -> list[str]:
    """Names of all steps that a step depends on, the nearest first."""
    found: list[str] = []
    front = list(steps[step].inputs.values())
    while front:
        name = front.pop(0)
        if name not in found and name in steps:
            found.append(name)
            front += steps[name].inputs.values()
    return found
