"""Telling people that the engine itself is dead, or stands still: who has died can tell nobody.

A small process beside the engine, ``python -m cryowidgets.monitors.sentry FOLDER``, reads what the engine says to it
now and then. Where the engine falls silent without a word of farewell, it tells the channels of the project.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryowidgets.errors import CryowidgetsError
from cryowidgets.monitors import channels, settings
from cryowidgets.monitors.base import duration
from cryowidgets.monitors.message import compose
from cryowidgets.monitors.notify import PAUSES, READ_EVERY
from cryowidgets.monitors.post import send
from cryowidgets.store.alerts import Alert, Change, Said
from cryowidgets.store.queries import Reader

SILENT = 600.0
"""Seconds without a sign after which an engine that runs is taken to stand still."""
ALIVE, FAREWELL = b".", b"!"


class Sentry:
    """Keeps such a process beside an engine, as one of its observers, while there is somebody to be told."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._process: subprocess.Popen | None = None
        self._due = 0.0

    def look(self, reader: Reader) -> list[Change]:
        """Give a sign of life."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + READ_EVERY
            running = self._process is not None and self._process.poll() is None
            try:
                wanted = bool(_listeners(reader, self._file))
            except CryowidgetsError:
                wanted = running  # what is wrong with the file, the notifier says
            if wanted and not running:
                self._start(reader.folder)
            elif running and not wanted:
                self._end()
        self._say(ALIVE)
        return []

    def close(self, reader: Reader) -> list[Change]:
        """Say farewell; or not, where the engine ends by an error."""
        kind, error, _ = sys.exc_info()
        if kind is not None and issubclass(kind, Exception):
            self._let_go()
            return [Said(f"The engine ends by an error: {kind.__name__}: {error}")]
        self._end()
        return []

    def _start(self, folder: Path) -> None:
        command = [sys.executable, "-m", "cryowidgets.monitors.sentry", str(folder), str(os.getpid())]
        self._process = subprocess.Popen(
            command + ([str(self._file)] if self._file else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives Ctrl-C, and a terminal that is closed
        )

    def _say(self, sign: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(sign)
                self._process.stdin.flush()

    def _end(self) -> None:
        self._say(FAREWELL)
        process = self._let_go()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)

    def _let_go(self) -> subprocess.Popen | None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        return process


def watch(folder: Path, pid: int, file: Path | None = None, signs: int = 0, silent: float = SILENT) -> None:
    """Read the signs of an engine from a pipe until it ends, and tell people where it ends without farewell.

    Parameters
    ----------
    folder : Path
        The project.
    pid : int
        Of the engine.
    file : Path, optional
        Of channels; by default that of whoever runs this.
    signs : int
        Descriptor of the pipe.
    silent : float
        Seconds without a sign after which an engine is taken to stand still.
    """
    told_of_standing = 0.0
    while True:
        ready, _, _ = select.select([signs], [], [], silent)
        if not ready:
            if not told_of_standing:
                told_of_standing = time.time() - silent
                _tell(folder, file, f"The engine (process {pid} on {socket.gethostname()}) runs and has done nothing "
                      f"for {duration(silent)}: a disk that does not answer, or a machine without memory.")  # fmt: skip
            continue
        found = os.read(signs, 4096)
        if FAREWELL in found:
            return
        if not found:
            break
        if told_of_standing:
            _tell(folder, file, "It goes on.", told_of_standing, over=True)
            told_of_standing = 0.0
    _tell(
        folder,
        file,
        f"The engine (process {pid} on {socket.gethostname()}) has died: it was killed, ran out of memory, or met an "
        f"error. Nothing is processed. No movie is lost: 'cryowidgets run {folder}' goes on where it was, with all "
        "that came meanwhile.",
    )


def _tell(folder: Path, file: Path | None, text: str, since: float = 0.0, over: bool = False) -> None:
    """Tell all channels, and try again for some minutes where one does not answer."""
    now = time.time()
    alert = Alert(
        id=0, monitor="engine", key="life", level="alarm", text=text, value=math.nan, allowed=math.nan, exposure=None,
        opened=since or now, cleared=now if over else None, cleared_text=text if over else "", acknowledged=None,
        acknowledged_by="",
    )  # fmt: skip
    with Reader(folder) as reader:
        opened, ended = ([], [alert]) if over else ([alert], [])
        letters = [(c, compose(reader, c, opened, ended)) for c in _listeners(reader, file) if c.takes(alert)]
    for pause in (*PAUSES[:4], 0.0):
        letters = [(channel, letter) for channel, letter in letters if _fails(lambda c=channel, m=letter: send(c, m))]
        if not letters:
            return
        time.sleep(pause)


def _fails(attempt: Callable[[], str]) -> bool:
    try:
        return bool(attempt())
    except Exception:  # of a service's plug-in; the others are to be told all the same
        return True


def _listeners(reader: Reader, file: Path | None) -> list[channels.Channel]:
    return channels.chosen(channels.load(file), settings.channels(reader.settings().get(settings.CHANNELS, "")))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
