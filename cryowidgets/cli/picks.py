"""Picks at the command line: to other programs, from other programs, and the size that a picker is to look for."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cryowidgets.cli.common import PROJECT, tell

FORMATS = ("star", "box", "json", "cbox", "topaz")


@click.group(
    epilog="""
\b
Examples:
  cryowidgets picks export s1 boxes --format box     a file for each accepted micrograph
  cryowidgets picks import s1 '/data/topaz/{name}*.txt' --diameter 150
  cryowidgets picks approve s1 pick                  the picker begins with the size that was estimated
"""
)
def picks() -> None:
    """Particle coordinates: write them, take them in, approve their size."""


@picks.command()
@PROJECT
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default="star",
    help="RELION star, EMAN 1 box, EMAN 2 json, crYOLO cbox, Topaz.  [default: star]",
)
@click.option("--step", help="Whose picks.  [default: the last step that gives picks]")
@click.option("--pixel-size", type=click.FloatRange(min=0.01), metavar="Å/px", help="Of the micrographs they are for.")
def export(project: Path, out: Path, format: str, step: str | None, pixel_size: float | None) -> None:
    """Write the picks of accepted micrographs into the folder OUT."""
    from cryowidgets.facility import picks as files

    done = files.export(project, out, format, step or "", pixel_size or 0.0)
    click.echo(f"{out}: {done.picks} picks of {done.micrographs} micrographs, by {done.step}.")


@picks.command(
    "import",
    epilog="""
\b
Examples:
  cryowidgets picks import s1 '/data/picks/{name}*.box' --diameter 150 --pixel-size 0.83
  cryowidgets picks import s1 /data/job012/particles.star --diameter 150 --name relion

{name} stands for the name of the micrograph. Without it the one file holds all micrographs, and names them.
""",
)
@PROJECT
@click.argument("files")
@click.option("--diameter", type=float, required=True, metavar="Å", help="Of the particles.")
@click.option("--name", help="Name of the step that takes them in.  [default: importpicks]")
@click.option("--micrograph", metavar="STEP", help="Whose micrographs.  [default: the last step that gives some]")
@click.option("--pixel-size", type=float, default=0.0, metavar="Å/px", help="Of the micrographs that were picked.")
@click.option("--score-min", type=float, help="Least score that is taken.")
@click.option("--flip", is_flag=True, help="Rows are counted from the other end.")
@click.option("--missing", type=click.Choice(["fail", "none"]), default="fail", help="A micrograph without a file.")
def import_(
    project: Path,
    files: str,
    diameter: float,
    name: str | None,
    micrograph: str | None,
    pixel_size: float,
    score_min: float | None,
    flip: bool,
    missing: str,
) -> None:
    """Add a step that takes the picks of FILES, for the micrographs that are there and those that come."""
    from cryowidgets.model import Micrograph
    from cryowidgets.project import Project

    opened = Project(project)
    with opened.reader() as reader:
        giving = [step.name for step in reader.steps().values() if step.gives == Micrograph.__name__]
    if not giving:
        raise click.UsageError(f"No step of {project} gives micrographs.")
    values = {"diameter": diameter, "pixel_size": pixel_size, "flip": flip, "missing": missing}
    step = opened.workflow.add(
        "ImportPicks",
        name,
        micrograph=micrograph or giving[-1],
        files=os.path.abspath(os.path.expanduser(files)),
        score_min=score_min,
        **values,
    )
    click.echo(f"Step {step.name} takes picks from {files}.")


@picks.command()
@PROJECT
@click.argument("picker", metavar="PICKER")
@click.option("--step", help="Whose estimate.  [default: the last step that estimates a size]")
@click.option(
    "--scope",
    type=click.Choice(["new", "branch"]),
    default="new",
    help="branch: what was picked with another size is picked again.  [default: new]",
)
def approve(project: Path, picker: str, step: str | None, scope: str) -> None:
    """Have the step PICKER look for the size that was estimated, and release it."""
    from cryowidgets.model import ParticleSize
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        steps = reader.steps()
        giving = [s.name for s in steps.values() if s.gives == ParticleSize.__name__]
        if picker not in steps:
            raise click.UsageError(f"{project} has no step {picker!r}. It has: {', '.join(steps)}.")
        if not giving or step and step not in giving:
            raise click.UsageError(f"{step or 'No step'} estimates no size of particles; add a step EstimateSize.")
        size = reader.result(step or giving[-1])
    if not isinstance(size, ParticleSize) or not size.diameter > 0:
        why = size.reason if isinstance(size, ParticleSize) else "no estimate was made yet"
        raise click.UsageError(f"There is no size to approve: {why}.")
    error = f" ± {size.diameter_error:.0f}" if size.diameter_error >= 0 else ""
    said = f"{picker}: {size.diameter:.0f}{error} Å, from {size.smallest:.0f} to {size.largest:.0f} Å."
    tell(project, "approve_size", said, step=step or giving[-1], picker=picker, scope=scope)


COMMANDS = (picks,)
