"""One writer for each project: a lock on a file that names its holder.

The operating system's lock decides on one host and dies with its process. Where the project lies on a network disk
whose locks do not reach other hosts, a heartbeat in the file's time decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.errors import EngineRunning, ProjectError

NAME = "engine.lock"
BEAT = 10.0
"""Seconds between heartbeats."""
STALE = 60.0
"""Seconds without a heartbeat after which a holder on another host counts as dead."""


@dataclass(frozen=True)
class Holder:
    """The process that holds, or last held, the lock of a project."""

    host: str
    pid: int
    since: float
    alive: bool


class WriterLock:
    """Hold a project for writing.

    Raises
    ------
    EngineRunning
        Another living process holds it; the message names host and PID. A dead one's lock is taken over.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / NAME
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ProjectError(f"Cannot write to {folder}: {error.strerror}. Is it a project of yours?") from None
        try:
            _take(self._file)
            first = holder(folder)
            if first and first.alive and first.host != socket.gethostname():
                raise BlockingIOError
        except OSError:
            first = holder(folder)
            os.close(self._file)
            who = f"on {first.host} with process ID {first.pid}" if first else "in another process"
            raise EngineRunning(
                f"An engine already runs for {folder}, {who}. Watch it with 'cryowidgets status {folder}', "
                f"or end it with 'cryowidgets stop {folder}'."
            ) from None
        self._write({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()})
        self._beaten = time.monotonic()

    def beat(self) -> None:
        """Show that the holder lives; cheap enough to be called in every tick."""
        now = time.monotonic()
        if now - self._beaten > BEAT:
            os.utime(self._file)
            self._beaten = now

    def release(self) -> None:
        if self._file >= 0:
            self._write({})
            os.close(self._file)
            self._file = -1

    def _write(self, content: dict) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(content).encode(), 0)


def holder(folder: Path) -> Holder | None:
    """Who holds the project, or held it when it died; None where it was given back or never taken."""
    path = Path(folder) / NAME
    try:
        content = json.loads(path.read_text())
        host, pid, since = content["host"], content["pid"], content["since"]
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError, KeyError):
        return None
    alive = _runs(pid) and _locked(path) if host == socket.gethostname() else age < STALE
    return Holder(host, pid, since, alive)


def _take(file: int) -> None:
    """Take the lock; a window that is just asking whether it is taken holds it for a moment, so ask again."""
    for attempt in range(10):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt == 9:
                raise
            time.sleep(0.03)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(path: Path) -> bool:
    """Whether a process has the lock; a recycled process ID alone would not tell."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(file)
