"""Hand a session over: to RELION, to CryoSPARC, as tables, or as a crate that can do all of it again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import PROJECT

OUT = click.Path(path_type=Path)


@click.command(
    epilog="""
\b
Examples:
  cryowidgets export s1 --relion /data/relion/s1
  cd /data/relion/s1 && relion &

\b
  cryowidgets export s1 --format cryosparc --out /data/cs/s1       its README.txt says what goes into which field
  cryowidgets export s1 --format csv --out tables

\b
  cryowidgets export s1 --format rocrate --out s1-crate --thumbnails
  cd s1-crate && papermill reproduce.ipynb again.ipynb

What a person or a gate has rejected, or lies outside the thresholds of the session, is left out, and counted. Do it
again later into the same folder to bring it up to date. A crate is a folder of its own, or with a name that ends in
.zip one file.
"""
)
@PROJECT
@click.option("--relion", type=OUT, help="Folder for RELION star files: short for --format relion --out.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["relion", "cryosparc", "csv", "rocrate"]),
    help="relion: star files. cryosparc: folders and star files for its import jobs. csv: plain tables. "
    "rocrate: workflow, parameters, metadata, star files and a notebook that does it again.",
)
@click.option("--out", "-o", type=OUT, help="Folder to write to.")
@click.option("--copy", is_flag=True, help="relion, cryosparc: copy what the project made instead of linking it.")
@click.option("--no-thresholds", is_flag=True, help="Also what lies outside the thresholds of the session.")
@click.option("--thumbnails", is_flag=True, help="Crate: with a picture of each micrograph.")
def export(
    project: Path,
    relion: Path | None,
    format: str | None,
    out: Path | None,
    copy: bool,
    no_thresholds: bool,
    thumbnails: bool,
) -> None:
    """Write what others read: for RELION, for CryoSPARC, plain tables, or a crate."""
    if relion is not None:
        if out is not None or format not in (None, "relion"):
            raise click.UsageError("--relion says format and folder: leave out --format and --out, or write only them.")
        format, out = "relion", relion
    if format is None or out is None:
        raise click.UsageError("Say what to write, and where: --relion FOLDER, or --format rocrate --out FOLDER.")
    if format == "rocrate":
        if copy:
            raise click.UsageError("--copy goes with star files: images stay out of a crate.")
        if no_thresholds:
            raise click.UsageError("--no-thresholds goes with star files and tables: a crate holds what was accepted.")
        _crate(project, out, thumbnails)
        return
    if thumbnails:
        raise click.UsageError("--thumbnails goes with --format rocrate.")
    if format == "relion":
        _star_files(project, out, copy, not no_thresholds)
    elif format == "cryosparc":
        _cryosparc(project, out, copy, not no_thresholds)
    else:
        if copy:
            raise click.UsageError("--copy goes with images: there are none among tables.")
        _tables(project, out, not no_thresholds)


def _cryosparc(project: Path, out: Path, copy: bool, thresholds: bool) -> None:
    from cryowidgets.facility import cryosparc

    done = cryosparc.export(project, out, copy, thresholds)
    click.echo(
        f"{out}: {done.movies} movies, {done.micrographs} micrographs, {done.ctfs} with CTF, {done.picks} picks, "
        f"{done.particles} particles, {done.groups} optics group{'s' * (done.groups > 1)}."
    )
    _counts(done.left_out, done.cleaned)
    click.echo(f"What goes into which field: {out / 'README.txt'}")


def _tables(project: Path, out: Path, thresholds: bool) -> None:
    from cryowidgets.facility import plain

    done = plain.export(project, out, thresholds)
    click.echo(
        f"{out}: {done.exposures} exposures, {done.micrographs} micrographs, {done.picks} picks, "
        f"{done.particles} particles."
    )
    _counts(done.left_out)


def _counts(left: Any, cleaned: int = 0) -> None:
    """Who is there, and why the others are not."""
    click.echo(f"{left}.")
    if cleaned:
        said = "micrograph was cleaned and is" if cleaned == 1 else "micrographs were cleaned and are"
        click.echo(f"{cleaned} {said} left out: 'cryowidgets restore' makes what was cleaned again.")


def _star_files(project: Path, out: Path, copy: bool, thresholds: bool) -> None:
    from tqdm import tqdm

    from cryowidgets.facility import relion

    with tqdm(unit="micrograph", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def report(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        done = relion.export(project, out, copy, report, thresholds=thresholds)
    more = f", {done.picked} with picks" * bool(done.picked) + f", {done.particles} particles" * bool(done.particles)
    click.echo(f"{out}: {done.movies} movies, {done.micrographs} corrected micrographs, {done.ctfs} with CTF{more}.")
    _counts(done.left_out, done.cleaned)


def _crate(project: Path, out: Path, thumbnails: bool) -> None:
    from cryowidgets.facility import rocrate
    from cryowidgets.project import Project

    opened = Project(project)
    done = rocrate.export(opened.folder, out, opened.document(), thumbnails)
    click.echo(f"{out}: {done.movies} movies, {done.micrographs} micrographs, {done.ctfs} with CTF.")
    if out.suffix != ".zip":
        click.echo(f"Do it again and compare: cd {out} && papermill reproduce.ipynb again.ipynb")


COMMANDS = (export,)
