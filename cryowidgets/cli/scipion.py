"""Workflows of Scipion at the command line."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryowidgets.workflow import Workflow
    from cryowidgets.workflow.scipion import Imported

OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it.")
REPLACE = click.option("--replace", is_flag=True, help="Replace a file that is there already.")
_WIDTH = 110


@click.group(
    epilog="""
\b
Examples:
  cryowidgets scipion import workflow.json                    what becomes of each protocol
  cryowidgets scipion import workflow.json -o ours.json       and write it as a document of ours
  cryowidgets scipion export s1 -o workflow.json              the workflow of a session, for Scipion
  cryowidgets scipion table                                   which protocol is which

A list that Scipion exported, or a dynamic template, can also be used as it is wherever a template is named:
  cryowidgets template monday.json.template volt=300
"""
)
def scipion() -> None:
    """Workflows from Scipion and for Scipion."""


@scipion.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@OUTPUT
@REPLACE
def import_(file: Path, output: Path | None, replace: bool) -> None:
    """Read a workflow that Scipion exported, and say what became of each protocol in it.

    Those with a counterpart become steps; all others are kept with their parameters, but not run. Open fields of a
    dynamic template take their defaults.
    """
    from cryowidgets.workflow import scipion

    imported = scipion.load(file)
    click.echo(describe(imported))
    if output:
        _write(output, imported.workflow.to_json(), replace)


@scipion.command()
@click.argument("source", type=click.Path(path_type=Path))
@OUTPUT
@REPLACE
def export(source: Path, output: Path | None, replace: bool) -> None:
    """Write the workflow of SOURCE, a project or a document, as a list that Scipion imports."""
    from cryowidgets.workflow import scipion

    workflow = _workflow(source)
    text = scipion.dump(workflow)
    for name, why in scipion.lacking(workflow).items():
        click.echo(f"{name} is left out: {why}.", err=True)
    if output:
        _write(output, text, replace)
    else:
        click.echo(text, nl=False)


@scipion.command()
def table() -> None:
    """Which protocol and parameter of Scipion is which of ours."""
    from cryowidgets.workflow.scipion_table import describe as rows

    click.echo(rows())


COMMANDS = [scipion]


def describe(imported: Imported) -> str:
    """What became of each protocol, as people read it."""
    workflow = imported.workflow
    told: dict[str, list[str]] = {}
    for note in imported.notes:
        told.setdefault(note.step, []).append(note.sentence)
    lines = [f"{workflow.name}: {len(workflow.steps)} steps, {len(workflow.inert)} kept but not run"]
    lines += told.get("", [])
    for part in (*workflow.steps, *workflow.inert):
        taken = ", ".join(f"{name} ← {source}" for name, source in part.inputs.items())
        what = getattr(part, "protocol", "") or f"({part.origin})"
        lines += ["", f"{part.name}  {what}{'  ' if taken else ''}{taken}"]
        for sentence in told.get(part.name, []):
            lines += textwrap.wrap(sentence, _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _workflow(source: Path) -> Workflow:
    from cryowidgets.project import Project
    from cryowidgets.workflow import read

    return Project(source).document() if source.is_dir() else read(source)


def _write(path: Path, text: str, replace: bool) -> None:
    if path.exists() and not replace:
        raise click.UsageError(f"{path} is there already: name another file, or add --replace.")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}.") from None
    click.echo(f"{path} is written.", err=True)
