"""The report of a session: a page in a folder of its own, with a table of exposures and, where asked for, a PDF.

It opens from a USB stick as from a public web server: nothing in it comes from anywhere else, and nothing in it runs.
While the session goes on, the page has itself loaded again; a `Report` that is kept writes it anew at a cost in
proportion to what is new.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError
from cryowidgets.facility.placing import whole
from cryowidgets.facility.report import (
    machine,
    measures,
    methods,
    pages,
    pdf,
    pictures,
    publish,
    said,
    session,
    trouble,
)
from cryowidgets.facility.report.axes import zone
from cryowidgets.facility.report.tables import Tables
from cryowidgets.plugins import our_version
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader

FOLDER = "reports"
"""Of a project, where its reports are unless told otherwise."""
PAGE, PDF = "index.html", "report.pdf"
AGAIN = 60
"""Seconds after which a page of a running session loads itself again."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    folder: Path
    page: Path
    files: tuple[Path, ...]
    """all but the pictures: the page, the table, and what else was asked for"""
    final: bool
    """the session is closed and everything is done: it will not change any more"""
    exposures: int
    seconds: float
    notes: tuple[str, ...]
    """sentences about what did not go as it should: a broken template, a program that failed"""


class Report:
    """A report that is written again and again.

    Parameters
    ----------
    project : path
        The project folder.
    out : path, optional
        Folder to write to; ``reports`` in the project by default.
    pdf, parquet : bool
        Also as PDF; the table of exposures also as Parquet. Each needs an extra.
    inside : bool
        Have pictures inside of the page instead of beside it: one file that can be sent.
    template : path, optional
        Folder with the site's template, see `pages`; by default that of the environment, else ours.
    publish : str, optional
        Program line to run after each write, with ``{folder}`` where the report's folder is to stand.
    every : float, optional
        Seconds between two writes, as the page says it to those who read.

    Raises
    ------
    ProgramError, ParameterError, InputError, ProjectError
        Something that was asked for cannot be had here; nothing was written.
    """

    def __init__(
        self,
        project: Path | str,
        out: Path | str | None = None,
        pdf: bool = False,
        template: Path | str | None = None,
        publish: str | None = None,
        parquet: bool = False,
        inside: bool = False,
        every: float | None = None,
    ) -> None:
        self.project = Path(project).absolute()
        Reader(self.project).close()
        self.folder = Path(out).expanduser().absolute() if out else self.project / FOLDER
        self.every = every
        place = pages.location(template)
        self._pdf, self._publish, self._inside = pdf, publish, inside
        self._check()
        self._tables = Tables(self.folder, parquet)
        self._overview = Overview()
        self._album = pictures.Album(self.folder / "images", inside)
        self._pages = pages.Pages(place, self._album)
        self._extremes = pictures.Extremes()
        self._software = methods.Software()
        self._room = machine.Room(self.project)

    def _check(self) -> None:
        if self._pdf:
            pdf.check()
        if self._publish:
            publish.check(self._publish)

    def write(self, reader: Reader) -> Written:
        """Write everything anew; each file takes the place of the one before when it is whole.

        Raises
        ------
        InputError
            The folder cannot be written to.
        """
        try:
            return self._write(reader)
        except OSError as error:
            said = error.strerror or type(error).__name__
            raise InputError(f"The report cannot be written to {self.folder}: {said}.") from None

    def _write(self, reader: Reader) -> Written:
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        change = self._overview.refresh(reader)
        changed = self._overview.id[change.rows].tolist()
        self._extremes.forget(None if change.fresh else changed)
        files = self._tables.write(reader, self._overview, change)
        self._album.begin()
        context = self._context(reader, [*files, *([self.folder / PDF] if self._pdf else [])])
        rendered = self._pages.render(context)
        notes = [rendered.fault] if rendered.fault else []
        page = put(self.folder / PAGE, rendered.html.encode())
        self._album.tidy()
        if self._pdf:
            files.append(put(self.folder / PDF, pdf.render(rendered.html, self.folder)))
        if self._publish:
            notes += filter(None, [publish.publish(self._publish, self.folder)])
        seconds = time.monotonic() - began
        return Written(self.folder, page, (page, *files), context["final"], len(self._overview), seconds, tuple(notes))

    def _context(self, reader: Reader, files: list[Path]) -> dict[str, Any]:
        """What a template can say."""
        overview, cut, now = self._overview, reader.thresholds(), time.time()
        state = reader.session()
        final = state.stream == "closed" and state.waiting == 0
        some = len(overview) > 0
        rest = session.pauses(overview.acquired)
        return {
            "name": state.name,
            "final": final,
            "refresh": 0 if final else int(max(AGAIN, self.every or 0)),
            "every": said.duration(self.every) if self.every else "",
            "written": said.when(now),
            "zone": zone(now),
            "version": our_version(),
            "comment": reader.settings().get("comment", ""),
            "facts": session.facts(reader, state),
            "session": state,
            "rate": said.number(state.rate_per_hour, 0),
            "latency": said.duration(state.latency),
            "acquisition": session.acquisition(overview, cut) if some else {},
            "since": "" if final or not some else said.duration(now - float(overview.acquired.max())),
            "yields": session.yields(overview, cut),
            "thresholds": measures.thresholds(overview, cut),
            "measured": measures.measured(overview, cut, rest.limit) if some else [],
            "statistics": measures.statistics(overview) if some else [],
            "astigmatism": measures.astigmatism(overview, cut) if some else "",
            "extremes": self._extremes.choose(reader, overview, cut, self._album) if some else {},
            "particles": pictures.particles(reader, overview, self._album),
            "alerts": trouble.alerts(reader),
            "reasons": trouble.reasons(reader),
            "steps": methods.steps(reader),
            "software": self._software.table(reader),
            "citations": methods.citations(reader),
            "load": machine.load(reader),
            "disks": machine.disks(reader),
            "room": self._room.table(reader),
            "files": [file.name for file in files],
            "inside": self._inside,
            "count": said.thousands,
        }


def write(
    project: Path | str,
    out: Path | str | None = None,
    pdf: bool = False,
    template: Path | str | None = None,
    publish: str | None = None,
    parquet: bool = False,
    inside: bool = False,
) -> Written:
    """Write the report of a session once; see `Report` for the parameters and what they raise."""
    report = Report(project, out, pdf, template, publish, parquet, inside)
    with Reader(project) as reader:
        return report.write(reader)


def put(file: Path, content: bytes) -> Path:
    """A file written whole under its name or not at all."""
    with whole(file) as half:
        half.write_bytes(content)
    return file
