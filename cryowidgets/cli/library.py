"""The library of workflows at the command line."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryowidgets.workflow import StepSpec, Template, Workflow

WHERE = click.option(
    "--library",
    "folder",
    type=click.Path(path_type=Path),
    help="The folder of the library.  [default: that of CRYOWIDGETS_LIBRARY, else what comes with the package]",
)
REPLACE = click.option("--replace", is_flag=True, help="Replace a file that is there already.")
_WIDTH = 100


@click.group(
    epilog="""
\b
Examples:
  cryowidgets library list
  cryowidgets library show full_consensus
  cryowidgets library take k3_superres ours.json       a copy to change
  cryowidgets library put ours.json --category k3 --library /facility/workflows
  cryowidgets library put s1 --name monday             the workflow of a session, to be used again
"""
)
def library() -> None:
    """Workflows to choose from, to take and to put.

    A library is a folder with a folder for each category; keep it in git or on a shared drive.
    """


@library.command("list")
@WHERE
def list_(folder: Path | None) -> None:
    """All workflows with their descriptions."""
    from cryowidgets.cli.words import table
    from cryowidgets.workflow import library

    rows = [
        (t.category, t.name, t.source, " ".join((f"BROKEN: {t.fault}" if t.fault else t.description).split()))
        for t in sorted(library.find(folder), key=lambda t: (t.category, t.name))
    ]
    click.echo(table(("category", "workflow", "from", ""), rows, wrap=_WIDTH) if rows else "The library is empty.")


@library.command()
@click.argument("name")
@WHERE
def show(name: str, folder: Path | None) -> None:
    """Steps, parameters and questions of the workflow NAME."""
    from cryowidgets.workflow import library

    click.echo(describe(library.get(name, folder)))


@library.command()
@click.argument("name")
@click.argument("to", required=False, default=".", type=click.Path(path_type=Path))
@WHERE
@REPLACE
def take(name: str, to: Path, folder: Path | None, replace: bool) -> None:
    """Copy the workflow NAME to the folder or file TO, here by default."""
    from cryowidgets.workflow import library

    click.echo(f"{library.take(name, to, folder, replace)}")


@library.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", help="What it is called.  [default: as it calls itself]")
@click.option("--category", default="", help="Folder in the library.  [default: as it says itself]")
@WHERE
@REPLACE
def put(source: Path, name: str, category: str, folder: Path | None, replace: bool) -> None:
    """Put the workflow of SOURCE, a file or a project, into the library.

    It is checked first. The workflow of a project asks for movies, gain, pixel size, voltage and dose there.
    """
    from cryowidgets.project import Project
    from cryowidgets.workflow import library

    workflow = Project(source).document() if source.is_dir() else source
    click.echo(f"{library.put(workflow, name, category, folder, replace)}")


def describe(template: Template) -> str:
    """A workflow in words: what for, the graph of its steps, what is set otherwise than by default, what it asks."""
    from cryowidgets.cli.words import table
    from cryowidgets.workflow import library

    lines = [template.name + (f" ({template.category})" if template.category else "")]
    lines += textwrap.wrap(template.description, _WIDTH)
    if template.path:
        lines.append(f"{template.path}")
    if template.workflow is None:
        lines.append("\nIts steps are known when its fields are filled.")
    else:
        lines += ["", *graph(template.workflow)]
        asked = {target for question in template.questions for target in question.targets}
        rows = [
            (step.name, name, value)
            for step in template.workflow.steps
            for name, value in library.changed(step).items()
            if (step.name, name) not in asked
        ]
        lines += [
            "",
            table(("step", "parameter", "value"), rows) if rows else "Nothing is set otherwise than by default.",
        ]
        lines += _watched(template.workflow)
    if template.questions:
        questions = [
            (q.id, q.label, q.type, q.unit, "must be answered" if q.default is None else q.default or "none")
            for q in template.questions
        ]
        lines += ["", table(("question", "", "type", "unit", "default"), questions)]
    return "\n".join(lines)


def _watched(workflow: Workflow) -> list[str]:
    """What is watched otherwise than by default, and who is told."""
    lines = []
    for name, values in workflow.monitors.items():
        said = "off" if values is False else ", ".join(f"{key} = {value}" for key, value in values.items())
        lines.append(f"monitor {name}: {said}" if said else f"monitor {name}")
    if workflow.channels:
        lines.append(f"alerts go to {', '.join(workflow.channels)}")
    return ["", *lines] if lines else []


def graph(workflow: Workflow) -> list[str]:
    """The steps as a tree: each below the one that it comes last after, with its other sources behind it."""
    steps = workflow.steps
    place = {step.name: number for number, step in enumerate(steps)}
    below: dict[str, list[StepSpec]] = {}
    for step in steps:
        sources = [*step.inputs.values(), *step.after]
        below.setdefault(max(sources, key=lambda name: place[name]) if sources else "", []).append(step)
    lines = []

    def add(name: str, depth: int) -> None:
        for step in below.get(name, ()):
            others = [source for source in dict.fromkeys(step.inputs.values()) if source != name]
            said = [f"with {', '.join(others)}"] if others else []
            said += [f"after {', '.join(step.after)}"] if step.after else []
            said += ["held until released"] if step.hold else []
            head = "   " * (depth - 1) + ("└─ " if depth else "")
            lines.append(f"{head}{step.name} ({step.protocol}){': ' if said else ''}{', '.join(said)}")
            add(step.name, depth + 1)

    add("", 0)
    if workflow.simulate is not None:
        lines.insert(0, "a simulated microscope")
    return [*lines, *(f"{part.name}: kept, cannot be run here ({part.origin})" for part in workflow.inert)]


COMMANDS = (library,)
