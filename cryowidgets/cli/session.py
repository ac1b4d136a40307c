"""Commands of a session: make a project, run its engine, tell a running one what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import ITEMS_FAILED, PROJECT, FromProtocol, assignments, duration, exposure_id, tell

SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="STEP.PARAMETER=VALUE",
    help="Any parameter of any step, as often as needed; 'cryowidgets show protocol NAME' lists them.",
)


@click.command(
    cls=FromProtocol,
    protocol="ImportMovies",
    names={"pattern": "movies"},
    required={"pattern"},
    paths={"pattern", "gain", "defects"},
    epilog="""
\b
Examples:
  cryowidgets new s1 --movies '/data/s1/**/*.tiff' --pixel-size 0.83 --dose-per-frame 1.1
  cryowidgets new s1 --movies 'raw/*.mrc' --gain raw/gain.mrc --pixel-size 1.06 --voltage 200 \\
      --set align.binning=2 --set maxshift.max_frame_shift=8
  cryowidgets new s1 --movies '/data/s1/**/*_EER.eer' --gain /data/s1/x.gain

What is not said of the microscope is taken from the files that EPU or SerialEM write beside the movies, else from
the movies themselves.
Quote the pattern, else the shell replaces it by the files that are there now.
""",
)
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--name", default=None, help="Name of the session.  [default: that of the folder]")
@click.option("--template", default="live", show_default=True, help="The workflow to begin with.")
@SET
def new(project: Path, name: str | None, template: str, settings: tuple[str, ...], **values: Any) -> None:
    """Make a project for a session.

    PROJECT is the folder that it gets.
    Nothing runs yet, and the movies need not be there yet.
    """
    from cryowidgets.project import Project

    movies = values.pop("pattern")
    if Path(movies).is_dir():
        raise click.BadParameter(
            f"{movies} is a folder: say which files in it are movies, for instance '{movies}/**/*.tiff'.",
            param_hint="--movies",
        )
    given = {key: value for key, value in values.items() if value is not None}
    steps = assignments(settings)
    made = Project.create(project, name or "", template, movies, steps, **given)
    click.echo(f"{made.folder}: {' → '.join(made.steps)}")
    click.echo(f"Start it with: cryowidgets run {project}")


@click.command(
    epilog="""
\b
Examples:
  cryowidgets run s1                          until the stream closes, see 'cryowidgets stop'
  cryowidgets run s1 --until-idle 10m         until nothing has come and nothing was to do for 10 minutes
  cryowidgets run s1 --workers 8
  cryowidgets run s1 --report 10m             with a page that stays, s1/reports/index.html

SIGTERM and Ctrl-C end the engine cleanly; run it again and it goes on where it was. The exit code is 1 where
items failed.

A project that an earlier version made is brought to this one first. What was done stays, and the ledger as it was
stays beside it, as project.sqlite.v1.bak.
"""
)
@PROJECT
@click.option(
    "--until-idle",
    metavar="DURATION",
    callback=duration,
    help="End when nothing new has come for so long: 90s, 10m, 1h.",
)
@click.option("--workers", type=click.IntRange(1), help="Tasks at a time.  [default: as many as there are cores]")
@click.option(
    "--executor",
    default="dask",
    show_default=True,
    metavar="NAME|ADDRESS",
    help="Where tasks are done: dask, threads, inline, or the address of a Dask scheduler.",
)
@click.option(
    "--retries", type=click.IntRange(0), default=1, show_default=True, help="How often a failed task is tried again."
)
@click.option(
    "--report",
    "page",
    metavar="DURATION",
    callback=duration,
    help="Have the report written so often, and at the end; see 'cryowidgets report'.",
)
@click.option("--quiet", is_flag=True, help="Print no progress.")
def run(
    project: Path,
    until_idle: float | None,
    workers: int | None,
    executor: str,
    retries: int,
    page: float | None,
    quiet: bool,
) -> None:
    """Run the engine, without a window.

    It processes what is there and what comes, until the stream of PROJECT closes.
    """
    from cryowidgets.cli.progress import Progress
    from cryowidgets.cli.words import summary
    from cryowidgets.project import Project

    opened = Project(project)
    with Progress(opened.folder, quiet=quiet):
        ending = opened.run(executor=executor, workers=workers, until_idle=until_idle, retries=retries, page=page)
    with opened.reader() as reader:
        click.echo(summary(reader))
    if not ending.finished:
        click.echo(f"Ended before all was done; 'cryowidgets run {project}' goes on.")
    elif ending.failed:
        raise click.exceptions.Exit(ITEMS_FAILED)


def _id(project: Path, exposure: str) -> int:
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        return exposure_id(reader, exposure)


@click.command()
@PROJECT
@click.option("--now", is_flag=True, help="End the engine at once instead; 'run' goes on later where it was.")
@click.option("--step", metavar="STEP", help="Stop only this step and what depends on it; 'release' lets it go on.")
def stop(project: Path, now: bool, step: str | None) -> None:
    """Finish what is there and end.

    The stream of PROJECT is closed: movies that are there are still taken in and done, then the engine ends.
    """
    if now and step:
        raise click.UsageError("--now ends the engine, --step stops a part of the workflow: write one of them.")
    if step:
        from cryowidgets.project import Project

        steps = Project(project).steps
        if step not in steps:
            raise click.UsageError(f"{project} has no step {step!r}; it has {', '.join(steps)}.")
        tell(project, "stop_branch", f"Nothing more is begun at {step} and what depends on it.", step=step)
    elif now:
        tell(project, "quit", "The engine is asked to end now.")
    else:
        tell(project, "stop", "The stream is closing: what is there is still taken in and done.")


@click.command()
@PROJECT
def reopen(project: Path) -> None:
    """Open a closed stream again."""
    tell(project, "reopen", "The stream is opened again.")


@click.command()
@PROJECT
def pause(project: Path) -> None:
    """Begin nothing new for now.

    What is being done is finished, and movies are still taken in.
    """
    tell(project, "pause", "Nothing new is begun until 'resume'.")


@click.command()
@PROJECT
def resume(project: Path) -> None:
    """Go on after a pause."""
    tell(project, "resume", "The engine goes on.")


@click.command(
    epilog="""
\b
Examples:
  cryowidgets retry s1                        everything that failed
  cryowidgets retry s1 --step ctf             what failed in one step
"""
)
@PROJECT
@click.option("--step", help="Only what failed in this step.")
@click.option("--exposure", metavar="NAME", help="Only this movie.")
def retry(project: Path, step: str | None, exposure: str | None) -> None:
    """Try again what failed."""
    values: dict[str, Any] = {}
    if step is not None:
        values["step"] = step
    if exposure is not None:
        values["exposure"] = _id(project, exposure)
    tell(project, "retry", "What failed is tried again.", **values)


@click.command()
@PROJECT
@click.argument("exposure", metavar="NAME")
@click.option("--why", default="rejected by hand", show_default=True, help="The reason, for those who look later.")
def reject(project: Path, exposure: str, why: str) -> None:
    """Take a movie out.

    What was made of the movie NAME stays, and it flows no further.
    """
    tell(project, "reject", f"{exposure} is taken out.", exposure=_id(project, exposure), why=why)


@click.command()
@PROJECT
@click.argument("exposure", metavar="NAME")
def readmit(project: Path, exposure: str) -> None:
    """Let a rejected movie flow again.

    Whether a person had rejected NAME or a gate.
    """
    tell(project, "readmit", f"{exposure} flows again.", exposure=_id(project, exposure))


COMMANDS = (new, run, stop, reopen, pause, resume, retry, reject, readmit)
