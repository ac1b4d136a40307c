"""A report that is kept up while an engine works: an observer of the engine, see `engine.observers`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryowidgets.store.alerts import Change, Said
from cryowidgets.store.queries import Reader

PATIENCE = 60.0
"""Seconds that the last report may take before the engine ends without it."""


class Beside:
    """Has the report written every so often, and a last time when the engine ends.

    By a process of its own, ``cryowidgets report``: the engine does not wait while a page is drawn, and whatever goes
    wrong there is said in its log.

    Parameters
    ----------
    project : Path
    every : float
        Seconds between two reports.
    options : list of str
        More options of the command.
    """

    def __init__(self, project: Path, every: float, options: list[str] | None = None) -> None:
        self._command = [sys.executable, "-m", "cryowidgets", "report", str(project), *(options or [])]
        self._every = every
        self._log = project / "logs" / "report.log"
        self._process: subprocess.Popen | None = None
        self._said = False

    def look(self, reader: Reader) -> list[Change]:
        """Begin at the first look; say once where the process has ended with an error."""
        if self._process is None:
            self._process = self._start(["--every", f"{self._every:g}s"])
        elif self._process.poll() and not self._said:
            self._said = True
            return [self._trouble()]
        return []

    def close(self, reader: Reader) -> list[Change]:
        """The engine ends: have a last report written, and wait for it."""
        if self._process is None or self._said:
            return []
        self._process.terminate()  # which it takes as a wish for a last report
        try:
            if self._process.wait(PATIENCE) < 0:  # it had not begun to listen
                self._process = self._start([])
                self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return [Said(f"The last report has not been written within {PATIENCE:g} s.")]
        return [self._trouble()] if self._process.returncode else []

    def _start(self, more: list[str]) -> subprocess.Popen:
        self._log.parent.mkdir(exist_ok=True)
        with open(self._log, "ab") as log:
            return subprocess.Popen(
                [*self._command, *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _trouble(self) -> Said:
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return Said(f"The report is not written any more: {' '.join(last).removeprefix('Error: ')[:300]}")
