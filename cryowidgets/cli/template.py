"""From a template to a session that runs: by what is typed, or by a form in the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryowidgets.errors import ParameterError

if TYPE_CHECKING:
    from cryowidgets.project import Project
    from cryowidgets.workflow import Question, Template, Workflow


@click.command(
    epilog="""
\b
Examples:
  cryowidgets template                                     the list
  cryowidgets template live                                a form that asks for what is not known
  cryowidgets template live movies='/data/s1/**/*.tiff' pixel_size=0.83 --project s1 --defaults
  cryowidgets template ./ours.json.template volt=300 --dry-run
  cryowidgets template demo volt=300                       on a simulated microscope

Without a terminal, or with --defaults, nothing is asked: what is not answered takes its default, and what has none is
refused by name. The engine is a process of its own and outlives the terminal.

Templates are looked for in the package, in plug-ins, in the folders of CRYOWIDGETS_TEMPLATES, in
~/.config/cryowidgets/templates and in PROJECT/templates.
"""
)
@click.argument("name", required=False, metavar="[NAME|PATH]")
@click.argument("answers", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    help="The folder that the project gets.  [default: NAME with date and time, here]",
)
@click.option("--defaults", "-y", is_flag=True, help="Ask nothing: take the defaults of what is not answered.")
@click.option("--dry-run", is_flag=True, help="Print the filled document and end.")
@click.option("--no-start", is_flag=True, help="Make the project, but do not start the engine.")
def template(
    name: str | None, answers: tuple[str, ...], project: Path | None, defaults: bool, dry_run: bool, no_start: bool
) -> None:
    """Begin a session from a template.

    A template is a workflow with open questions. Without a name all templates are listed.
    """
    from cryowidgets.workflow import templates

    places = templates.folders(project)
    if name is None:
        click.echo(_listed(templates.find(places)))
        return
    if "=" in name and not Path(name).exists():
        raise click.UsageError(f"{name!r} is no template: write its name first, then {name} and the like.")
    found = templates.get(name, places)
    given = _answers(answers)
    if not defaults and not dry_run and _terminal():
        given = _form(found, given)
    filled = _filled(found, given)
    if dry_run:
        click.echo(filled.to_json(), nl=False)
        return
    folder = (project or Path(time.strftime(f"{found.name}-%y%m%d-%H%M%S"))).absolute()
    begin(folder, "", filled, start=not no_start)


def begin(folder: Path, name: str, filled: Workflow, start: bool = True, comment: str = "") -> Project:
    """Make the project, start its engine and its simulated microscope if it has one, and say how to look."""
    from cryowidgets.project import Project, watched

    made = Project.create(folder, name, filled, comment=comment)
    click.echo(f"{made.folder}: {' → '.join(made.steps)}")
    unheard = watched.unheard(filled)
    if unheard:
        click.echo(f"  {unheard}")
    for part in filled.inert:
        click.echo(f"  {part.name} is kept but cannot be run here ({part.origin})")
    if start:
        schedule(made)
    else:
        click.echo(f"Start it with: cryowidgets project schedule {made.folder}")
    return made


def schedule(project: Project) -> None:
    """Start the engine of a project in the background, and its simulated microscope."""
    microscope = project.simulate()  # first: it takes as long as the engine to begin
    try:
        engine = project.run(background=True)
    except BaseException:
        if microscope is not None:
            microscope.terminate()
        raise
    click.echo(f"The engine works on it in the background (process {engine.pid}).")
    if microscope is not None:
        click.echo(f"A simulated microscope records movies for it (process {microscope.pid}).")
    click.echo(f"Look at it with: cryowidgets status {project.folder}")
    click.echo(f"  in a browser:  cryowidgets serve {project.folder}")


def _listed(found: list[Template]) -> str:
    """All templates with their descriptions; what is broken with what is wrong."""
    from cryowidgets import plugins
    from cryowidgets.cli.words import table

    nearest = {template.name: template for template in found if not template.fault}
    rows = []
    for template in found:
        hidden = not template.fault and nearest[template.name] is not template
        name = f"{template.source}/{template.name}" if hidden else template.name
        said = f"BROKEN: {template.fault}" if template.fault else template.description
        rows.append((name, template.source, template.category, " ".join(said.split())))
    lines = [table(("template", "from", "category", ""), rows, wrap=_width())] if rows else ["There are no templates."]
    _, faults = plugins.template_folders()
    return "\n".join([*lines, *(f"\n{fault}" for fault in faults)])


def _answers(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not (sign and key.strip()):
            raise click.UsageError(f"{text!r} is not key=value.")
        if key.strip() in found:
            raise click.UsageError(f"{key.strip()!r} is answered more than once.")
        found[key.strip()] = value
    return found


def _filled(found: Template, given: dict[str, str]) -> Workflow:
    """The workflow, or one error that names every field that is wrong and every one that lacks its answer."""
    faults = found.check(given)
    if faults:
        lines = [f"  {id}: {sentence}" for id, sentence in faults.items()]
        raise ParameterError("\n".join([f"{found.name} is not started:", *lines]))
    return found.fill(given)


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _form(found: Template, given: dict[str, str]) -> dict[str, str]:
    """Ask for what is not answered yet, and again for what is refused."""
    faults = found.check(given)
    wrong = {id: sentence for id, sentence in faults.items() if id in given}
    if wrong:
        _filled(found, given)
    asked = [question for question in found.questions if question.id not in given]
    if asked:
        click.echo(f"{found.name}: {found.description}\nEnter takes what stands in brackets; ? explains.\n")
    while asked:
        for question in asked:
            given = {**given, question.id: _ask(found, question, given)}
        faults = found.check(given)  # some answers are wrong only together
        asked = [question for question in found.questions if question.id in faults]
        for id, sentence in faults.items():
            click.echo(f"{id}: {sentence}", err=True)
    return given


def _ask(found: Template, question: Question, given: dict[str, str]) -> str:
    """One answer that is right by itself."""
    unit = f", {question.unit}" if question.unit else ""
    kind = " | ".join(question.choices) if question.choices else question.type
    shown = (
        f"{question.label} ({kind}{unit}) [{question.default}]"
        if question.default
        else f"{question.label} ({kind}{unit})"
    )
    while True:
        text = click.prompt(shown, default=question.default if question.default is not None else "", show_default=False)
        if text.strip() == "?":
            click.echo(f"  {question.help or 'There is nothing to explain.'}")
            continue
        said = found.check({**given, question.id: text or (question.default or "")}).get(question.id)
        if question.default is None and not text:
            said = f"{question.label} must be answered: write {question.wanted}."
        if not said:
            return text
        click.echo(f"  {said}", err=True)


def _width() -> int:
    import shutil

    return max(60, min(shutil.get_terminal_size().columns, 120))


@click.group("project")
def project() -> None:
    """Make, start and stop projects in scripts, by position."""


@project.command("create", epilog="A project that exists already and a workflow that there is not end with code 3.")
@click.argument("name")
@click.argument("workflow", required=False, default="live")
@click.argument("location", required=False, default="-")
@click.argument("comment", required=False, default="")
def create(name: str, workflow: str, location: str, comment: str) -> None:
    """Make the project NAME.

    WORKFLOW is the name or file of a template, whose questions take their defaults, or a workflow of Scipion's.
    LOCATION is the folder that the project's folder is made in, - the present one. COMMENT is kept with the project.
    """
    from cryowidgets.workflow import templates

    folder = (Path() if location == "-" else Path(location)) / name
    begin(folder, Path(name).name, _filled(templates.get(workflow), {}), start=False, comment=comment)


@project.command("schedule")
@click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path))
def schedule_(project: Path) -> None:
    """Start the engine of PROJECT in the background.

    Every step begins as soon as its input is there.
    """
    from cryowidgets.project import Project

    schedule(Project(project))


@project.command("stop")
@click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path))
def stop_(project: Path) -> None:
    """End the engine of PROJECT now; 'project schedule' goes on where it was."""
    from cryowidgets.project import Project

    opened = Project(project)
    if not opened.running():
        click.echo(f"No engine works on {opened.folder}.")
        return
    opened.send("quit")
    opened.wait(600)
    click.echo(f"The engine of {opened.folder} has ended.")


COMMANDS: tuple[Any, ...] = (template, project)
