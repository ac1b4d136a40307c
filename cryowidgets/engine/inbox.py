"""Commands to the engine are files in the project's inbox, found as movies are; so each leaves a trace."""

from __future__ import annotations

import getpass
import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import CommandError, ProjectError

COMMANDS = {
    "pause": "hand out no new tasks; what is under way is finished",
    "resume": "go on after a pause",
    "stop": "take in the movies that are there, close the stream, finish",
    "reopen": "look for movies again after the stream was closed",
    "retry": "try failed tasks again: step=, exposure= to choose",
    "set": "give a step other parameters: step=, values=, scope= new, branch or all",
    "add": "add a step: step=, as a workflow document holds it",
    "link": "have a step take an input from another step: step=, input=, source=",
    "hold": "begin nothing at a step until it is released: step=",
    "release": "let a step go on that was held, stopped or reset: step=",
    "stop_branch": "begin nothing more at a step and at what depends on it: step=",
    "restart": "do a step again, and all that came of it: step=",
    "reset": "take away what a step made, and all that came of it: step=",
    "reject": "let exposures flow no further: exposure= or exposures=, why=",
    "readmit": "let rejected exposures flow again: exposure= or exposures=",
    "flag": "mark exposures to be found again: exposure= or exposures=, on=",
    "note": "write something of exposures: exposure= or exposures=, text=",
    "pick": "correct picks by hand: step=, exposure=, add= and remove= [[y, x], …] in px of the micrograph",
    "unpick": "forget what was corrected of picks by hand: step=, exposure=",
    "approve_size": "give a picker the size of particles that a step has found, and release it: step=, picker=",
    "threshold": "save thresholds: values= {'drift': [null, 20]}; gate=true has the particle branch go by them",
    "monitor": "give a monitor other values, or switch it: name=, values=, on=",
    "channels": "say where alerts go to: names=, of channels that the person who runs the engine has",
    "acknowledge": "say that somebody knows of an alert: alert=, by=",
    "clean": "take away files that can be made again: what=, exposures=, why=; raw_of_rejected= the session's name",
    "restore": "make files again that were cleaned: exposures=, step= to choose",
    "scale": "change the number of workers: workers=",
    "quit": "end the engine; the stream stays open for the next one",
}


@dataclass(frozen=True)
class Command:
    """What somebody wants of the engine, and the file in which they said so."""

    name: str
    args: dict[str, Any]
    by: str
    ref: str


def send(project: Path | str, command: str, **args: Any) -> str:
    """Put a command into a project's inbox; returns the reference under which its event will be found.

    Raises
    ------
    CommandError
        There is no such command.
    ProjectError
        The folder is not a project, or may not be written to.
    """
    if command not in COMMANDS:
        raise CommandError(f"There is no command {command!r}. There are: {', '.join(COMMANDS)}.")
    inbox = Path(project) / "inbox"
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
    half = inbox / f".{name}"
    try:
        half.write_text(json.dumps({"command": command, "args": args, "by": getpass.getuser()}))
        os.replace(half, inbox / name)
    except OSError as error:
        raise ProjectError(f"Cannot write to {inbox}: {error.strerror}. Is {project} a project of yours?") from None
    return name


def read(project: Path) -> list[Command | CommandError]:
    """Commands in the inbox, the first sent first; one that cannot be read becomes an error that says why."""
    found: list[Command | CommandError] = []
    for name in sorted(os.listdir(project / "inbox")):
        if name.startswith(".") or not name.endswith(".json"):
            continue
        try:
            content = json.loads((project / "inbox" / name).read_text())
            command = Command(content["command"], dict(content.get("args", {})), str(content.get("by", "")), name)
            if command.name not in COMMANDS:
                raise ValueError(f"there is no command {command.name!r}; there are: {', '.join(COMMANDS)}")
            found.append(command)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = CommandError(f"inbox/{name} is not a command: {error}.")
            problem.ref = name  # type: ignore[attr-defined]
            found.append(problem)
    return found


def remove(project: Path, ref: str) -> None:
    (project / "inbox" / ref).unlink(missing_ok=True)
