"""A thread that keeps an eye on all sessions below a folder, as long as somebody looks at what it sees.

Disks of a facility sleep, vanish and come back. Whoever asks such a disk may wait for hours: here that is a thread of
its own for each folder, and those who look see what was there, and since when it is no longer true.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryowidgets.facility.glance import Glance, glance, stamp
from cryowidgets.facility.site import DEPTH, Search

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two looks at the sessions that live."""
RESTING = 30.0
"""Seconds between two looks at whether anything was written to the others."""
SHARE = 1.5
"""Seconds of one round for sessions that rest: hundreds that are seen for the first time come in by and by."""
AWAY = 30.0
"""Seconds after which nobody looks any more."""


@dataclass(frozen=True)
class Seen:
    """What was below a folder."""

    root: Path
    time: float = 0.0
    """by the monotonic clock, when a round last ended; 0 before the first"""
    sessions: dict[Path, Glance] = field(default_factory=dict)
    left: int = 0
    """projects that were found and have not been looked at yet"""
    trouble: str = ""
    """what is wrong with the folder, in words; empty while all is well"""


class Watch:
    """The sessions below a folder. `look` is answered at once, with what was last seen.

    Parameters
    ----------
    root : Path or str
    depth : int
        How many folders deep projects are looked for.
    every : float
        Seconds between two rounds.
    """

    def __init__(self, root: Path | str, depth: int = DEPTH, every: float = EVERY) -> None:
        self.root = Path(root).absolute()
        self._search = Search(self.root, depth)
        self._every = every
        self._seen = Seen(self.root)
        self._stamps: dict[Path, tuple] = {}
        self._due: dict[Path, float] = {}
        self._until = 0.0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def look(self) -> Seen:
        """What was last seen; and somebody looks, so go on."""
        self._until = time.monotonic() + AWAY
        with self._lock:
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, daemon=True, name=f"watch {self.root}")
                self._thread.start()
        return self._seen

    def close(self) -> None:
        """Look no more; a disk that is being waited for is left to itself."""
        self._closed = True
        self._wake.set()

    def round(self, now: float | None = None) -> Seen:
        """Look at everything that is due, in this thread; `now` is UTC s."""
        now = time.time() if now is None else now
        sessions = self._seen.sessions
        try:
            found = self._search.projects(now)
        except Exception:  # a wall goes on, whatever a disk does
            log.exception("the search below %s", self.root)
            found = list(sessions)
        kept = {folder: sessions[folder] for folder in found if folder in sessions}
        for gone in self._due.keys() - set(found):
            self._due.pop(gone)
            self._stamps.pop(gone, None)
        living = [folder for folder, seen in kept.items() if seen.active]
        for folder in living:
            kept[folder] = self._read(folder, now, kept[folder])
        begun, left, done = time.monotonic(), 0, 0
        for folder in sorted(set(found) - set(living), key=lambda folder: self._due.get(folder, 0.0)):
            if self._due.get(folder, 0.0) > now:
                break
            if done and time.monotonic() - begun > SHARE:
                left += folder not in kept
                continue
            done += 1
            mark = stamp(folder)
            if folder not in kept or mark != self._stamps.get(folder):
                kept[folder] = self._read(folder, now, kept.get(folder))
            self._stamps[folder] = mark
            self._due[folder] = now + RESTING
        self._seen = Seen(self.root, time.monotonic(), kept, left, self._search.trouble)
        return self._seen

    def _read(self, folder: Path, now: float, before: Glance | None) -> Glance:
        try:
            return glance(folder, now, before)
        except Exception:
            log.exception("the session in %s", folder)
            return Glance(folder, folder.name, "unreadable", False, reason="it cannot be shown")

    def _run(self) -> None:
        while not self._closed and time.monotonic() < self._until:
            self._wake.clear()
            try:
                self.round()
            except Exception:
                log.exception("a round below %s", self.root)
            self._wake.wait(0.05 if self._seen.left else self._every)
