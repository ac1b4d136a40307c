"""Hand a session over: to RELION, or as a crate that says what was done and can do it again."""

from __future__ import annotations

import sys
from pathlib import Path

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
  cryowidgets export s1 --format rocrate --out s1-crate --thumbnails
  cd s1-crate && papermill reproduce.ipynb again.ipynb

Rejected movies are left out. Star files: do it again later into the same folder to bring it up to date. A crate is a
folder of its own, or with a name that ends in .zip one file.
"""
)
@PROJECT
@click.option("--relion", type=OUT, help="Folder for RELION star files: short for --format relion --out.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["relion", "rocrate"]),
    help="relion: star files. rocrate: workflow, parameters, metadata, star files and a notebook that does it again.",
)
@click.option("--out", "-o", type=OUT, help="Folder to write to.")
@click.option("--copy", is_flag=True, help="Star files: copy micrographs and spectra instead of linking them.")
@click.option("--thumbnails", is_flag=True, help="Crate: with a picture of each micrograph.")
def export(
    project: Path, relion: Path | None, format: str | None, out: Path | None, copy: bool, thumbnails: bool
) -> None:
    """Write what others read: star files for RELION, or a crate."""
    if relion is not None:
        if out is not None or format == "rocrate":
            raise click.UsageError("--relion says format and folder: leave out --format and --out, or write only them.")
        format, out = "relion", relion
    if format is None or out is None:
        raise click.UsageError("Say what to write, and where: --relion FOLDER, or --format rocrate --out FOLDER.")
    if format == "rocrate":
        if copy:
            raise click.UsageError("--copy goes with star files: images stay out of a crate.")
        _crate(project, out, thumbnails)
    else:
        if thumbnails:
            raise click.UsageError("--thumbnails goes with --format rocrate.")
        _star_files(project, out, copy)


def _star_files(project: Path, out: Path, copy: bool) -> None:
    from tqdm import tqdm

    from cryowidgets.facility import relion

    with tqdm(unit="micrograph", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def report(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        done = relion.export(project, out, copy, report)
    click.echo(f"{out}: {done.movies} movies, {done.micrographs} corrected micrographs, {done.ctfs} with CTF.")


def _crate(project: Path, out: Path, thumbnails: bool) -> None:
    from cryowidgets.facility import rocrate
    from cryowidgets.project import Project

    opened = Project(project)
    done = rocrate.export(opened.folder, out, opened.document(), thumbnails)
    click.echo(f"{out}: {done.movies} movies, {done.micrographs} micrographs, {done.ctfs} with CTF.")
    if out.suffix != ".zip":
        click.echo(f"Do it again and compare: cd {out} && papermill reproduce.ipynb again.ipynb")


COMMANDS = (export,)
