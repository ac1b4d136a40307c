"""The room that a session takes: how much, what may go, how it comes back, and what to keep for good."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import PROJECT, exposure_id
from cryowidgets.spelling import size


@click.command(
    epilog="""
\b
Examples:
  cryowidgets data s1                       what takes how much room, by kind of file and by step
  cryowidgets data s1 --json

Raw movies are counted by the sizes that the ledger has; their folders are not listed. What was counted is kept in the
project until something changes.
"""
)
@PROJECT
@click.option("--json", "as_json", is_flag=True, help="For programs: bytes.")
@click.option("--fresh", is_flag=True, help="Count anew, whatever was counted before.")
def data(project: Path, as_json: bool, fresh: bool) -> None:
    """Say how much room a session takes."""
    from cryowidgets.cli.words import table
    from cryowidgets.facility import sizes

    found = sizes.sizes(project, fresh)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(found), "folder": str(found.folder), "inside": found.inside}))
        return
    rows = [(name, n, size(b), sizes.CATEGORIES[name]) for name, (n, b) in found.categories.items()]
    click.echo(table(("what", "files", "room", ""), rows))
    click.echo(f"\nIn the project: {size(found.inside)}.")
    if found.cleaned[0]:
        click.echo(f"Cleaned: {found.cleaned[0]} files of {size(found.cleaned[1])}, which can be made again.")
    steps = [
        (step, sum(n for n, _ in counted.values()), size(sum(b for _, b in counted.values())), _biggest(counted))
        for step, counted in found.steps.items()
    ]
    if steps:
        click.echo("\n" + table(("step", "files", "room", ""), steps))


@click.command(
    epilog="""
\b
Examples:
  cryowidgets clean s1                              how much could go
  cryowidgets clean s1 --rejected --yes             images of rejected exposures
  cryowidgets clean s1 --what halves,spectra --yes  even and odd sums and spectra, of all
  cryowidgets clean s1 --orphaned --yes             what no result names, and what dead workers left

Nothing goes without --yes. Results, pictures for people and tables stay; what needs a file that is gone has it made
again first, and 'cryowidgets restore' makes all again. Raw movies stay, unless --raw-of-rejected is said with the
name of the session as a second word: these do not come back.
"""
)
@PROJECT
@click.option("--what", metavar="KIND,…", help="micrographs, weighted, halves, spectra, particles.  [default: all]")
@click.option("--rejected", is_flag=True, help="Only of exposures that a person or a gate has rejected.")
@click.option("--outside", is_flag=True, help="Of those, and of what lies outside the thresholds of the session.")
@click.option("--orphaned", is_flag=True, help="Files that no result names, and half-written ones.")
@click.option("--raw-of-rejected", is_flag=True, help="Delete the raw movies that a person has rejected. For good.")
@click.option("--word", metavar="NAME", help="With --raw-of-rejected: the name of the session.")
@click.option("--yes", is_flag=True, help="Do it.")
def clean(
    project: Path,
    what: str | None,
    rejected: bool,
    outside: bool,
    orphaned: bool,
    raw_of_rejected: bool,
    word: str | None,
    yes: bool,
) -> None:
    """Take away files that can be made again."""
    from cryowidgets.facility import cleaning

    whose = "outside" if outside else "rejected" if rejected else "all"
    kinds = tuple(name.strip() for name in what.split(",") if name.strip()) if what is not None else None
    chosen = bool(rejected or outside or kinds is not None)
    if kinds is None:
        kinds = tuple(cleaning.RECOMPUTABLE) if chosen or not (orphaned or raw_of_rejected) else ()
    if yes and not (chosen or orphaned or raw_of_rejected):
        raise click.UsageError("Say what goes: --what KIND, --rejected, --outside, --orphaned or --raw-of-rejected.")
    if yes:
        if raw_of_rejected and not word:
            raise click.UsageError("Raw movies do not come back: say --word with the name of the session as well.")
        click.echo(cleaning.clean(project, kinds, whose, orphaned, (word or "") if raw_of_rejected else ""))
        return
    if not (chosen or orphaned or raw_of_rejected):
        _overview(project)
        return
    _show(cleaning.offer(project, kinds, whose, orphaned, raw_of_rejected))
    click.echo("Nothing was taken away: say --yes for that.")


def _overview(project: Path) -> None:
    """Of what how much could go."""
    from cryowidgets.cli.words import table
    from cryowidgets.facility import cleaning, sizes

    whole, out = cleaning.offer(project, orphaned=True), cleaning.offer(project, whose="rejected")
    rows = []
    for name, (files, total) in whole.categories.items():
        part = out.categories.get(name)
        rows.append((name, files, size(total), size(part[1]) if part else "", sizes.CATEGORIES[name]))
    if rows:
        click.echo(table(("what", "files", "room", "of rejected", ""), rows))
    for sentence in whole.kept:
        click.echo(sentence)
    click.echo(f"Could go: {size(whole.bytes)}. See 'cryowidgets clean --help' for how to choose.")


def _show(found: Any) -> None:
    from cryowidgets.cli.words import table

    rows = [(name, files, size(total)) for name, (files, total) in found.categories.items()]
    if rows:
        click.echo(table(("what", "files", "room"), rows))
    for sentence in found.kept:
        click.echo(sentence)
    click.echo(f"Would go: {size(found.bytes)}, of {found.exposures} exposures.")


@click.command(
    epilog="""
\b
Examples:
  cryowidgets restore s1                            everything that was cleaned
  cryowidgets restore s1 --step align
  cryowidgets restore s1 FoilHole_1234_Data_5       of these movies
"""
)
@PROJECT
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--step", help="Only files of this step.")
def restore(project: Path, names: tuple[str, ...], step: str | None) -> None:
    """Make files again that were cleaned.

    With the parameters of then, so that they are what they were; results stay as they are.
    """
    from cryowidgets.facility import cleaning
    from cryowidgets.store.queries import Reader

    exposures = None
    if names:
        with Reader(project) as reader:
            exposures = [exposure_id(reader, name) for name in names]
    said, working = cleaning.restore(project, exposures, step)
    todo = f". No engine runs now: 'cryowidgets run {project}' does it." if "again" in said and not working else ""
    click.echo(said + todo)


@click.command(
    epilog="""
\b
Examples:
  cryowidgets archive s1 s1.tar.gz                  ledger, pictures, tables, star files, reports
  cryowidgets archive s1 s1.tar --micrographs       with the dose-weighted micrographs
  tar xf s1.tar && cryowidgets status s1            it is a project again

Raw movies stay out. The archive is read once more when it is written; it has a checksum of each file, for
'sha256sum -c MANIFEST.sha256' as well.
"""
)
@PROJECT
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--micrographs", is_flag=True, help="With a micrograph of each exposure.")
@click.option("--all", "everything", is_flag=True, help="With all files of the steps.")
def archive(project: Path, out: Path, micrographs: bool, everything: bool) -> None:
    """Keep what is worth keeping, in one file."""
    from tqdm import tqdm

    from cryowidgets.facility import archive as archives

    with tqdm(unit="file", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def report(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        made = archives.archive(project, out, micrographs, everything, report)
    click.echo(f"{out}: {made.files} files of {size(made.bytes)}, read back and compared; {size(out.stat().st_size)}.")
    if made.left_out:
        click.echo(f"Left out: {made.left_out} files of {size(made.left_bytes)}, which can be made again.")
    if made.missing:
        click.echo(f"{made.missing} files that results name were not there.", err=True)


def _biggest(counted: dict[str, tuple[int, int]]) -> str:
    biggest = sorted(counted.items(), key=lambda pair: -pair[1][1])[:3]
    return ", ".join(f"{name} {size(b)}" for name, (_, b) in biggest)


COMMANDS = (data, clean, restore, archive)
