"""Process to the end, with a notebook as the record: one project, several, or one source with several parameters."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryowidgets.cli.common import CANNOT, ITEMS_FAILED, Share, assignments, duration
from cryowidgets.cli.session import SET

if TYPE_CHECKING:
    from cryowidgets.project import Project
    from cryowidgets.project.batch import Ended

TOLD_TO_END = 4
QUIET = 10.0
"""Seconds between two lines that say how far a batch is."""


@click.command(
    epilog="""
\b
Examples:
  cryowidgets batch s1 --until-idle 10m
  cryowidgets batch s1 --until-idle 5s --max-failed 0.02 -o report.ipynb
  cryowidgets batch s1 s2 s3 --parallel 2
\b
  cryowidgets batch --sets sets.csv --from s1 --out tests
  cryowidgets batch --sets sets.yaml --template live --movies '/data/s1/**/*.tiff' --set movies.pixel_size=0.83 --out t

Sets: a CSV file with a line 'name,align.binning,ctf.box' and one set in each line below it, or the same as YAML. Each
becomes a project FOLDER/name. With --from, what no changed parameter touches is taken over from PROJECT and not
computed again; with --template every set is computed from its movies. 'notebooks/07_compare.ipynb' compares two.

SIGTERM and Ctrl-C end all engines cleanly; the same command again goes on where they were.

\b
Exit codes, the worst of all projects:
  0  all is well
  1  more movies failed than --max-failed allows
  2  wrong usage
  3  a project could not be processed; its log and its notebook say why
  4  told to end before everything was done
"""
)
@click.argument("projects", nargs=-1, metavar="[PROJECT]...", type=click.Path(exists=True, file_okay=False))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="[default: PROJECT/batch.ipynb]")
@click.option("--until-idle", metavar="DURATION", callback=duration, help="End when nothing new has come for so long.")
@click.option("--parallel", type=click.IntRange(1), default=1, show_default=True, help="Projects at a time.")
@click.option("--workers", type=click.IntRange(1), help="Tasks at a time in each.  [default: its share of the cores]")
@click.option("--executor", default="dask", show_default=True, metavar="NAME|ADDRESS", help="As for 'run'.")
@click.option(
    "--max-failed",
    type=Share(),
    default="0",
    show_default=True,
    metavar="SHARE",
    help="Failed movies that are still well: 0.02 or 2%.",
)
@click.option("--sets", type=click.Path(exists=True, dir_okay=False), help="Sets of parameters, CSV or YAML.")
@click.option("--from", "source", type=click.Path(exists=True, file_okay=False), help="Sets: begin from this project.")
@click.option("--template", metavar="NAME|PATH", help="Sets: the workflow to begin with.  [default: live]")
@click.option("--movies", metavar="PATTERN", help="Sets: the movies, with --template.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for projects and summary.")
@SET
def batch(
    projects: tuple[str, ...],
    output: Path | None,
    until_idle: float | None,
    parallel: int,
    workers: int | None,
    executor: str,
    max_failed: float,
    sets: str | None,
    source: str | None,
    template: str | None,
    movies: str | None,
    out: Path | None,
    settings: tuple[str, ...],
) -> None:
    """Process in a notebook that is the record.

    Each PROJECT is processed to the end of its stream; its notebook shows what was asked for, what came of it, with
    figures, and what failed. Of several projects, a table says how they did: here, and as batch.csv and batch.html.
    """
    from cryowidgets.project import Project

    if sets is None:
        if source or template or movies or settings:
            raise click.UsageError("--from, --template, --movies and --set go with --sets.")
        if not projects:
            raise click.UsageError("Name a project, or several, or a list of --sets.")
        chosen = [Project(folder) for folder in dict.fromkeys(map(os.path.abspath, projects))]
        if len(chosen) == 1 and out is None:
            _one(chosen[0], output, until_idle, workers, executor, max_failed)
            return
    else:
        chosen = _of_sets(projects, sets, source, template, movies, out, settings)
    if output:
        raise click.UsageError("--output is for one project: each of several has its own batch.ipynb.")
    words = ["--executor", executor, "--max-failed", str(max_failed)]
    words += ["--until-idle", f"{until_idle}s"] if until_idle is not None else []
    ended = _several(chosen, parallel, words, workers, executor)
    _tell(ended, out or Path(os.path.commonpath([p.folder.parent for p in chosen])))


def _of_sets(
    projects: tuple[str, ...],
    sets: str,
    source: str | None,
    template: str | None,
    movies: str | None,
    out: Path | None,
    settings: tuple[str, ...],
) -> list[Project]:
    from cryowidgets.project import Project
    from cryowidgets.project import sets as parameters

    if projects:
        raise click.UsageError("--sets makes its own projects: say --from PROJECT to begin from one.")
    if out is None:
        raise click.UsageError("Say with --out in which folder the projects of the sets are made.")
    if source and (template or movies):
        raise click.UsageError("--from has workflow and movies: leave out --template and --movies.")
    if not source and not movies:
        raise click.UsageError("Say which movies: --from PROJECT, or --movies PATTERN with --template.")
    opened = Project(source) if source else None
    common = assignments(settings)
    return parameters.make(parameters.read(sets), out, opened, template or "live", movies or "", common)


def _one(
    project: Project,
    output: Path | None,
    until_idle: float | None,
    workers: int | None,
    executor: str,
    max_failed: float,
) -> None:
    import papermill
    from papermill.exceptions import PapermillException, PapermillExecutionError
    from traitlets.config import Config

    from cryowidgets import share

    output = output or project.folder / "batch.ipynb"
    given = {"project": str(project.folder), "until_idle": until_idle, "workers": workers, "executor": executor}
    with _ends_in_good_order(project):
        try:
            papermill.execute_notebook(
                share.find("notebooks/02_batch.ipynb"),
                output,
                parameters={**given, "max_failed": max_failed},
                progress_bar=False,
                stdout_file=sys.stdout,
                cwd=project.folder,
                kernel_name="python3",
                config=Config({"KernelManager": {"transport": "ipc"}}),  # nobody else on the machine can listen
            )
        except PapermillExecutionError as error:
            click.echo(f"{error.ename}: {error.evalue}\nThe record: {output}", err=True)
            raise click.exceptions.Exit(_code(error.ename, str(error.evalue))) from None
        except (PapermillException, RuntimeError) as error:  # the kernel died, or could not be started
            click.echo(f"{type(error).__name__}: {error}\nThe record: {output}", err=True)
            raise click.exceptions.Exit(CANNOT) from None
    click.echo(f"The record: {output}")


def _code(name: str, said: str) -> int:
    if name != "CryowidgetsError":
        return CANNOT
    return TOLD_TO_END if "told to end" in said else ITEMS_FAILED


@contextmanager
def _ends_in_good_order(project: Project) -> Iterator[None]:
    """SIGTERM and SIGINT ask the engine in the notebook to end, so that the notebook is written as far as it came."""
    from cryowidgets.engine import inbox

    sent: list[str] = []

    def ask(*_: Any) -> None:
        sent.append(project.send("quit"))

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for ref in sent:  # one that came too late must not end the next engine
            inbox.remove(project.folder, ref)


def _several(
    projects: list[Project], parallel: int, words: list[str], workers: int | None, executor: str
) -> list[Ended]:
    from cryowidgets.project import batch as together
    from cryowidgets.store.queries import Reader

    due = time.monotonic() + QUIET

    def report(going: list[Project]) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + QUIET
        for project in going:
            with Reader(project.folder) as reader:
                s = reader.session()
            click.echo(f"{time.strftime('%H:%M:%S')} {s.name}: {s.done} of {s.found} movies done, {s.failed} failed")

    return together.run(projects, min(parallel, len(projects)), words, workers, "://" not in executor, report)


def _tell(ended: list[Ended], out: Path) -> None:
    """The table of all, here and in files; and the exit code."""
    from cryowidgets.cli.words import table
    from cryowidgets.facility import summary
    from cryowidgets.project import batch as together
    from cryowidgets.store.nodes import spell

    found = []
    for one in ended:
        with one.project.reader() as reader:
            found.append(summary.summarize(reader))
    out.mkdir(parents=True, exist_ok=True)
    words = [together.WORDS[one.code] for one in ended]
    more: dict[str, list[Any]] = {
        "time (s)": [round(one.seconds, 1) for one in ended],
        "outcome": words,
        "exit code": [one.code for one in ended],
        "what went wrong": [one.said for one in ended],
    }
    summary.write_csv(out / "batch.csv", found, more)
    shown = {"time": [spell(one.seconds) for one in ended], "outcome": words}
    summary.write_html(out / "batch.html", found, f"Batch of {len(found)} sessions", shown, more["what went wrong"])
    head, rows = summary.cells(found)
    lines = [[*map(_number, row), word] for row, word in zip(rows, words, strict=True)]
    click.echo("\n" + table([*head, "outcome"], lines))
    for one, row in zip(ended, rows, strict=True):
        if one.code:
            click.echo(f"{row[0]}: {one.said}")
    click.echo(f"The table: {out / 'batch.csv'}, {out / 'batch.html'}")
    worst = together.code(ended)
    if worst:
        raise click.exceptions.Exit(worst)


class _Shown(float):
    """A number that is shown as it was spelled."""

    def __new__(cls, text: str) -> _Shown:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def _number(text: str) -> Any:
    """For `table`, which puts numbers to the right."""
    try:
        return _Shown(text)
    except ValueError:
        return text


COMMANDS = (batch,)
