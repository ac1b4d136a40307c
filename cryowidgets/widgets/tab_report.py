"""The tab Report: what came of the session in a few numbers, what was written of it, and what else to write."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ipywidgets as W

from cryowidgets.store import thresholds
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.download import Downloads
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.window import box, put

FILES = {
    "index.html": "Report",
    "report.pdf": "Report on paper (PDF)",
    "exposures.csv": "Table of exposures (CSV)",
    "exposures.parquet": "Table of exposures (Parquet)",
}
"""Files of the project's reports that a page may have."""


class ReportTab(Tab):
    """Yield and thresholds; the files that were written last; where the page controls, buttons to write them anew."""

    title = "Report"
    place = 70

    def __init__(self, page: Page) -> None:
        from cryowidgets.facility.report import FOLDER

        self.numbers = W.HTML()
        where = page.folder / FOLDER
        nothing = "No report has been written yet."
        self.downloads = Downloads(where, FILES, nothing)
        self.jobs = Jobs(page.folder, where, page.wake) if page.control else None
        left = box([self.numbers], "cw-rep-numbers")
        parts: list[W.Widget] = [W.HTML("<h3>Written last</h3>"), self.downloads]
        if self.jobs is not None:
            line = f"cryowidgets report {shlex.quote(str(page.folder))} --every 10m"
            hint = f"To have it written again and again while the session runs: <code>{texts.safe(line)}</code>"
            head = W.HTML("<h3>Write</h3>")
            parts = [head, self.jobs, self.jobs.said, *parts, W.HTML(f"<p class='cw-soft'>{hint}</p>")]
        right = box(parts, "cw-rep-files")
        super().__init__(page, [left, right])
        self.add_class("cw-rep")

    def refresh(self, reader: Reader) -> None:
        put(self.numbers, self._numbers(reader))
        self.downloads.refresh()
        if self.jobs is not None:
            self.jobs.refresh()

    def _numbers(self, reader: Reader) -> str:
        from cryowidgets.facility.report.session import pauses, yields

        overview, cut = self.page.overview, self.page.saved
        found = yields(overview, cut)
        parts = "".join(
            f"<li><i style='background: {colour}'></i><b>{count}</b> {label} <span class='cw-soft'>{share}</span></li>"
            for label, count, share, colour in found["parts"]
        )
        rest = pauses(overview.acquired)
        paused = f"{texts.count(len(rest.spans), 'pause')}, {texts.duration(rest.total)}" if rest.spans else "none"
        state = reader.session()
        rows = [
            ("Accepted", f"{texts.count(found['accepted'], 'movie')} of {texts.count(found['found'], 'movie')}"),
            ("Thresholds", thresholds.say(cut)),
            ("Movies per hour", f"{texts.number(state.rate_per_hour, 0)} in the last ten minutes"),
            ("Pauses", paused),
            ("File closed to last result", texts.duration(state.latency)),
            ("Open alerts", str(len(reader.alerts()))),
        ]
        told = "".join(f"<tr><th>{name}</th><td>{texts.safe(value)}</td></tr>" for name, value in rows)
        bar = f"<div class='cw-rep-bar'>{found['chart']}</div>" if found["found"] else ""
        return f"<h3>What came of the session</h3>{bar}<ul class='cw-rep-parts'>{parts}</ul><table>{told}</table>"


class Jobs(W.Box):
    """Buttons that have something written, by our own command in a process of its own; one at a time.

    Parameters
    ----------
    project, out : Path
        The project, and where its reports are.
    wake : callable
        Called when one has ended, from another thread.
    """

    def __init__(self, project: Path, out: Path, wake: Callable[[], None]) -> None:
        self._project, self._out, self._wake = project, out, wake
        self.said = W.HTML()
        """What the last one said; to be shown beside."""
        self._process: subprocess.Popen | None = None
        self._told = ""
        report = ["report", str(project), "--inside"]
        kinds = {
            "Write report": ([*report], "The page, and the table of exposures as CSV"),
            "Report and PDF": ([*report, "--pdf"], "The page, the table, and the same on paper"),
            "Accepted to RELION": (
                ["export", str(project), "--relion", str(out / "relion")],
                "Star files of what was accepted, in the folder reports/relion of the project",
            ),
            "Accepted to CryoSPARC": (
                ["export", str(project), "--format", "cryosparc", "--out", str(out / "cryosparc")],
                "Star files as CryoSPARC imports them, in the folder reports/cryosparc of the project",
            ),
        }
        self.buttons = {name: W.Button(description=name, tooltip=tip) for name, (_, tip) in kinds.items()}
        for name, (args, _) in kinds.items():
            self.buttons[name].on_click(lambda _, name=name, args=args: self.begin(name, args))
        super().__init__(list(self.buttons.values()))
        self.add_class("cw-buttons")

    def begin(self, name: str, args: list[str]) -> None:
        """Start a command, unless one is under way."""
        if self._process is not None:
            return
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cryowidgets", *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._told = f"{name} cannot begin: {error.strerror}."
            self.refresh()
            return
        self._told = f"{name}: at work …"
        threading.Thread(target=self._wait, args=(name, self._process), daemon=True).start()
        self.refresh()

    def refresh(self) -> None:
        """Show whether one is under way, and what the last one said."""
        for button in self.buttons.values():
            if button.disabled != (self._process is not None):
                button.disabled = self._process is not None
        put(self.said, f"<span role='status'>{texts.safe(self._told)}</span>")

    def _wait(self, name: str, process: subprocess.Popen) -> None:
        output = process.communicate()[0].decode(errors="replace").strip().splitlines()
        last = output[-1].removeprefix("Error: ").replace(f"{self._project}/", "") if output else ""
        done = process.returncode == 0
        self._told = f"{name}: {'done' if done else 'failed'} at {texts.clock(time.time())}. {last[:400]}"
        self._process = None
        self._wake()
