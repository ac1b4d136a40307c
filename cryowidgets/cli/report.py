"""The report of a session: a page that stays, as a PDF too, written once or again and again."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import PROJECT, duration

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    epilog="""
\b
Examples:
  cryowidgets report s1                                 s1/reports/index.html, opens in any browser
  cryowidgets report s1 --pdf --out /media/usb/s1
  cryowidgets report s1 --every 5m --publish 'rsync -a {folder}/ web:/srv/www/s1/'
  cryowidgets report s1 --template /facility/report

A template is a folder with a report.html, which may begin with {% extends "default/report.html" %} and fill blocks of
ours; a site sets it for all with the environment variable CRYOWIDGETS_REPORT. Beside the page there is always the table
of exposures, exposures.csv.
"""
)
@PROJECT
@click.option("--out", "-o", type=FOLDER, help="Folder to write to.  [default: PROJECT/reports]")
@click.option("--pdf", is_flag=True, help="Also as report.pdf, on A4; needs cryowidgets[pdf].")
@click.option("--parquet", is_flag=True, help="Also the table as exposures.parquet; needs cryowidgets[parquet].")
@click.option("--inside", is_flag=True, help="Pictures inside of the page instead of beside it: one file to send.")
@click.option(
    "--every", metavar="DURATION", callback=duration, help="Write again so often, until the session is closed and done."
)
@click.option("--publish", metavar="COMMAND", help="Program to run after each write, with {folder} for the folder.")
@click.option("--template", type=FOLDER, help="Folder with a template of your own.")
def report(project: Path, every: float | None, **options: Any) -> None:
    """Write the report of PROJECT, a page for browsers and paper.

    Acquisition, yield, plots, best and worst exposures, alerts, and the methods with what to cite for them.
    """
    from cryowidgets.facility.report import Report
    from cryowidgets.store.queries import Reader

    made = Report(project, every=every, **options)
    with Reader(project) as reader:
        if every is None:
            _say(made.write(reader))
        else:
            _again_and_again(made, reader, every)


def _again_and_again(made: Any, reader: Any, every: float) -> None:
    """Until the report is final, or somebody ends it, and then a last time.

    A write that fails is said, and tried again in its time.
    """
    from cryowidgets.errors import CryowidgetsError

    # No threading.Event: a signal that comes while its lock is held waits for that for ever, and one that comes just
    # before a long wait does not end it.
    ended: list[int] = []
    before = {number: signal.signal(number, lambda n, _: ended.append(n)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while True:
            last = bool(ended)
            try:
                written = made.write(reader)
                _say(written)
                if written.final or last:
                    return
            except (CryowidgetsError, sqlite3.Error) as error:
                click.echo(f"The report was not written: {error}", err=True)
                if last:
                    return
            due = time.monotonic() + every
            while not ended and time.monotonic() < due:
                time.sleep(min(0.5, every))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(written: Any) -> None:
    for note in written.notes:
        click.echo(note, err=True)
    others = [file.name for file in written.files if file != written.page]
    final = "; the session is closed, this is its last" if written.final else ""
    click.echo(f"{written.page}: {written.exposures} movies, with {', '.join(others)}{final}.")


COMMANDS = (report,)
