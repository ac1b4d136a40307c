"""Workflows of Scipion: what has a counterpart here becomes steps that run, all else is kept as it was.

Scipion exports a list of protocols, each with its class, an id, its parameters, and pointers to the outputs of others.
What becomes of each class and parameter stands in `cryowidgets.workflow.scipion_table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryowidgets.errors import WorkflowError
from cryowidgets.workflow.document import Workflow
from cryowidgets.workflow.scipion_entries import decode, is_scipion, split, text_of
from cryowidgets.workflow.scipion_taking import Note, Taking
from cryowidgets.workflow.scipion_write import dump, lacking

if TYPE_CHECKING:
    from cryowidgets.workflow.templates import Template

__all__ = ["Imported", "Note", "dump", "is_scipion", "lacking", "load", "read", "read_template"]


@dataclass(frozen=True)
class Imported:
    """A workflow that was Scipion's, and what became of its parts."""

    workflow: Workflow
    notes: list[Note]


def load(text_or_path: str | Path) -> Imported:
    """Read a workflow of Scipion.

    Parameters
    ----------
    text_or_path : str or path
        The text, or a file. Open fields of a dynamic template take their defaults.

    Returns
    -------
    Imported
        Every protocol of the list is a step or an inert step of the workflow.

    Raises
    ------
    WorkflowError
        It cannot be read, is not JSON, or is no list of protocols; file and line are named.
    """
    from cryowidgets.workflow import scipion_template  # which needs this module

    text, name, folder = text_of(text_or_path)
    try:
        if name.endswith(".template"):
            raise WorkflowError
        (description, content), notes = decode(text, name), []
    except WorkflowError:
        if not scipion_template.is_template(text, name):
            raise
        description = split(text)[0]
        text, notes = scipion_template.with_defaults(text, name, folder)
        _, content = decode(text, name)
    imported = read(content, _title(name), description, folder)
    return Imported(imported.workflow, notes + imported.notes)


def read_template(path: str | Path) -> Template:
    """Read a dynamic template, ``*.json.template``.

    Raises
    ------
    WorkflowError
        It cannot be used: each field and variable that is written wrongly is named with its line.
    """
    from cryowidgets.workflow import scipion_template

    return scipion_template.read_template(path)


def read(content: list[Any], name: str = "scipion", description: str = "", folder: Path | None = None) -> Imported:
    """Take over a list of protocols that is read already; relative paths count from `folder`.

    Raises
    ------
    WorkflowError
        There is no protocol in it.
    """
    taken = Taking(content, folder)
    if not taken.entries:
        raise WorkflowError(f"{name}: there is no protocol in the list.")
    steps, inert = taken.take()
    return Imported(Workflow(name, description, steps, inert), taken.notes)


def _title(name: str) -> str:
    bare = name.removesuffix(".template").removesuffix(".json")
    return "scipion" if bare == "The text" else bare
