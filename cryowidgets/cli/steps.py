"""Commands on single steps of a session, whether its engine runs or not: change, add, hold, stop, do again, reset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import PROJECT, assignments, tell

STEP = click.argument("step", metavar="STEP")
DRY = click.option("--dry-run", is_flag=True, help="Only say what is done again and how long it takes.")


@click.command(
    "set",
    epilog="""
\b
Examples:
  cryowidgets set s1 maxshift.max_frame_shift=8        from the next movie on
  cryowidgets set s1 ctf.box=1024 ctf.resolution_max=3.5 --scope branch
                                                       also for all that are done already
  cryowidgets set s1 ctf.box=1024 --scope branch --dry-run
                                                       what that would cost

Results of older values count as outdated where they stay. Of a step that goes on from batch to batch, as the sorting
into classes, some parameters hold from its first batch on: those can be changed with --scope branch alone.
""",
)
@PROJECT
@click.argument("settings", nargs=-1, required=True, metavar="STEP.PARAMETER=VALUE...")
@click.option(
    "--scope",
    type=click.Choice(["new", "branch", "all"]),
    help="new: only what is still to come; branch: what the step has done too, and all that came of it; all: all that "
    "came of the movies.  [default: new]",
)
@click.option("--redo", is_flag=True, help="The same as --scope branch.")
@DRY
def set_(project: Path, settings: tuple[str, ...], scope: str | None, redo: bool, dry_run: bool) -> None:
    """Change parameters, at any time."""
    reach = scope or ("branch" if redo else "new")
    for name, values in assignments(settings).items():
        step = _step(project, name)
        said = f"{name}: {', '.join(f'{k} = {v}' for k, v in values.items())}; {step.cost(reach)}"
        if dry_run:
            step.check(reach, **values)
            click.echo(f"{said}. Nothing was changed.")
        else:
            step.set(scope=reach, **values)
            click.echo(f"{said}.")


@click.command(
    epilog="""
\b
Examples:
  cryowidgets add s1 EstimateCtf micrograph=align box=768 --name ctf2
  cryowidgets add s1 ScoreExposure micrograph=align ctf=ctf2 --after gain

'cryowidgets show protocol NAME' lists the inputs and parameters of a protocol.
"""
)
@PROJECT
@click.argument("protocol")
@click.argument("values", nargs=-1, metavar="[INPUT=STEP|PARAMETER=VALUE]...")
@click.option("--name", help="Name of the step.  [default: the protocol's]")
@click.option("--after", multiple=True, metavar="STEP", help="Begin when this step has ended; as often as needed.")
@click.option("--hold", is_flag=True, help="Begin when a person releases it.")
def add(
    project: Path, protocol: str, values: tuple[str, ...], name: str | None, after: tuple[str, ...], hold: bool
) -> None:
    """Add a step, at any time.

    What is there already is done first, then what comes.
    """
    from cryowidgets.project import Project

    given: dict[str, Any] = {}
    for text in values:
        key, sign, value = text.partition("=")
        if not (sign and key):
            raise click.UsageError(f"{text!r} is not input=step or parameter=value; write for instance 'box=1024'.")
        given[key.strip()] = value.strip()
    step = Project(project).workflow.add(protocol, name, after=after, hold=hold, **given)
    click.echo(f"Step {step.name} was added.")


@click.command(
    epilog="""
\b
Example:
  cryowidgets link s1 ctf micrograph=align    the CTF of what is before the gate; what depends on it is done again
"""
)
@PROJECT
@STEP
@click.argument("source", metavar="INPUT=STEP")
@DRY
def link(project: Path, step: str, source: str, dry_run: bool) -> None:
    """Have a step take its input from another step."""
    input, sign, name = source.partition("=")
    if not (sign and input and name):
        raise click.UsageError(f"{source!r} is not input=step; write for instance 'micrograph=align'.")
    cost = _step(project, step).cost("branch")
    if dry_run:
        click.echo(f"{step}: {cost}. Nothing was changed.")
    else:
        said = f"{step} takes its {input} from {name}: {cost}."
        tell(project, "link", said, step=step, input=input, source=_step(project, name).name)


@click.command()
@PROJECT
@STEP
def hold(project: Path, step: str) -> None:
    """Begin nothing at a step until it is released.

    What is under way is finished. As long as items wait there, an engine stays, also when the stream is closed.
    """
    tell(project, "hold", f"Nothing is begun at {step} until 'release'.", step=_step(project, step).name)


@click.command()
@PROJECT
@STEP
def release(project: Path, step: str) -> None:
    """Let a step go on that was held, stopped or reset."""
    tell(project, "release", f"{step} goes on.", step=_step(project, step).name)


@click.command(
    epilog="""
\b
Examples:
  cryowidgets restart s1 ctf                  the CTF again, and all that came of it
  cryowidgets restart s1 movies --dry-run     how long everything would take
"""
)
@PROJECT
@STEP
@DRY
def restart(project: Path, step: str, dry_run: bool) -> None:
    """Do a step again, and all that came of it.

    What there is stays to be looked at until it is made anew.
    """
    cost = _step(project, step).cost("branch")
    if dry_run:
        click.echo(f"{step}: {cost}. Nothing was changed.")
    else:
        tell(project, "restart", f"{step} begins again: {cost}.", step=step)


@click.command()
@PROJECT
@STEP
def reset(project: Path, step: str) -> None:
    """Take away what a step made.

    Its results and files go, and all that came of them. Nothing is done at STEP until 'restart' or 'release'.
    """
    tell(project, "reset", f"Results and files of {step} are taken away.", step=_step(project, step).name)


def _step(project: Path, name: str) -> Any:
    from cryowidgets.project import Project

    steps = Project(project).steps
    if name not in steps:
        raise click.UsageError(f"{project} has no step {name!r}; it has {', '.join(steps)}.")
    return steps[name]


COMMANDS = (set_, add, link, hold, release, restart, reset)
