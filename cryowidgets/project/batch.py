"""Several projects processed at the same time, each in a process of its own with its share of the cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.cpu import cores
from cryowidgets.errors import ParameterError
from cryowidgets.project.project import Project

WELL, ITEMS_FAILED, CANNOT, ENDED = 0, 1, 3, 4
"""How a project ended: all is well; more movies failed than allowed; it could not be processed; told to end before."""
WORDS = {WELL: "well", ITEMS_FAILED: "movies failed", CANNOT: "not processed", ENDED: "stopped"}
WORST = (CANNOT, ENDED, ITEMS_FAILED, WELL)
"""The code of a batch is the first of these that one of its projects has."""


@dataclass(frozen=True)
class Ended:
    """How one project of a batch ended."""

    project: Project
    code: int
    seconds: float
    """from its begin to its end, in this batch"""
    said: str
    """what went wrong, in a sentence; empty where nothing did"""


def share(parallel: int, workers: int | None = None) -> int:
    """Cores of each of `parallel` engines.

    Raises
    ------
    ParameterError
        There are not so many cores, for so many engines of so many workers.
    """
    ours = cores()
    each = ours // parallel
    if each < 1 or (workers or 1) > each:
        raise ParameterError(
            f"{parallel} projects at a time with {workers or 1} workers each take {parallel * (workers or 1)} cores, "
            f"and there are {ours}: write a smaller --parallel{' or --workers' if workers else ''}."
        )
    return each


def run(
    projects: Sequence[Project],
    parallel: int = 1,
    options: Sequence[str] = (),
    workers: int | None = None,
    local: bool = True,
    report: Callable[[list[Project]], None] | None = None,
) -> list[Ended]:
    """Process projects, `parallel` at a time, each as ``cryowidgets batch PROJECT`` does with `options`.

    What each prints goes to ``logs/batch.log`` in its folder. SIGTERM and SIGINT, where this is the main thread, end
    all in good order; the same call again goes on where they were.

    Parameters
    ----------
    workers : int, optional
        Tasks at a time in each; by default its share of the cores.
    local : bool
        Tasks are done on this machine, so that its cores are to be shared.
    report : callable, optional
        Told about once a second which projects are under way.

    Returns
    -------
    list of Ended
        In the order of `projects`.
    """
    cores_each = share(parallel, workers) if local else cores()
    waiting = deque(projects)
    going: dict[Project, tuple[subprocess.Popen, float]] = {}
    ended: dict[Project, Ended] = {}
    with _told_to_end() as end:
        while waiting or going:
            while waiting and len(going) < parallel and not end.is_set():
                project = waiting.popleft()
                words = [*options, *(["--workers", str(workers)] if workers else [])]
                going[project] = _start(project, words, cores_each), time.monotonic()
            if end.is_set():
                for project in waiting:
                    ended[project] = Ended(project, ENDED, 0.0, "it was not begun")
                waiting.clear()
                for process, _ in going.values():
                    if process.poll() is None:
                        process.send_signal(signal.SIGTERM)
                end.clear()  # said once; a second time it is said again
            for project, (process, begun) in list(going.items()):
                if process.poll() is not None:
                    del going[project]
                    ended[project] = _ended(project, process.returncode, time.monotonic() - begun)
            if report:
                report(list(going))
            time.sleep(0.1)
    return [ended[project] for project in projects]


def code(ended: Sequence[Ended]) -> int:
    """The exit code of a batch."""
    found = {one.code for one in ended}
    return next(code for code in WORST if code in found or code == WELL)


def log(project: Project) -> Path:
    """Where what a project printed is kept."""
    return project.folder / "logs" / "batch.log"


def _start(project: Project, options: Sequence[str], cores_each: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "cryowidgets", "batch", str(project.folder), *options]
    env = {**os.environ, "CRYOWIDGETS_CORES": str(cores_each)}
    log(project).parent.mkdir(exist_ok=True)
    with open(log(project), "wb") as output:
        # A session of its own: Ctrl-C in the terminal reaches it through us, once.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
        )


def _ended(project: Project, returncode: int, seconds: float) -> Ended:
    known = returncode if returncode in WORST else CANNOT
    if known == WELL:
        return Ended(project, known, seconds, "")
    lines = log(project).read_text(errors="replace").strip().splitlines()
    said = next((line.strip() for line in reversed(lines) if line.strip() and not line.startswith("The record:")), "")
    return Ended(project, known, seconds, said.removeprefix("CryowidgetsError: ") or f"see {log(project)}")


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT; only the main thread can have it so."""
    end = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield end
        return
    before = {s: signal.signal(s, lambda *_: end.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
