"""The door: a file becomes a movie on evidence that it is whole, never on its appearance.

A file is whole when its format proves it (and a second look finds it unchanged), or when neither size nor time stamp
has changed for `file_timeout`. A missed notice cannot lose a movie: the next listing finds it. What was refused is
looked at again and taken in when it has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cryowidgets.engine.intake import Group, Intake
from cryowidgets.engine.listing import Listing
from cryowidgets.errors import InputError
from cryowidgets.io.movie import whole
from cryowidgets.model import Movie
from cryowidgets.protocols.import_movies import ImportMovies


@dataclass(frozen=True)
class Arrival:
    """A file that became a movie: where it was found, when it was recorded (UTC s), and the movie."""

    path: str
    acquired: float
    movie: Movie


@dataclass(frozen=True)
class Refusal:
    """A file that did not become a movie."""

    path: str
    why: str
    found: float


@dataclass
class _Look:
    """What a file was like when last looked at."""

    size: int
    changed: int
    found: float
    since: float


class Door:
    """Watch for movies.

    Parameters
    ----------
    settings : ImportMovies
    project : Path
        Where copies go, if copies are wanted.
    known : iterable of str
        Paths taken in before.
    refused : iterable of str
        Paths refused before; judged anew.
    groups : iterable of Group
        Optics of the movies taken in before.
    """

    def __init__(
        self,
        settings: ImportMovies,
        project: Path,
        known: Iterable[str] = (),
        refused: Iterable[str] = (),
        groups: Iterable[Group] = (),
    ) -> None:
        self.settings = settings
        self.intake = Intake(settings, project, groups)
        self._project = project
        self._listing = Listing(settings.pattern)
        self._known = set(known)
        # What was refused by an engine before this one may have changed since: None has it judged anew.
        self._refused: dict[str, tuple[int, int] | None] = dict.fromkeys(refused)
        self._growing: dict[str, _Look] = {}
        self._copies: dict[str, tuple[Future[str], Arrival]] = {}
        self._copier: ThreadPoolExecutor | None = None
        self.due = 0.0
        self._looked = False
        self.last_arrival = time.time()

    @property
    def waiting(self) -> int:
        """Files seen that are not whole yet."""
        return len(self._growing) + len(self._copies)

    @property
    def trouble(self) -> str:
        """Why no movie can come in for now; empty where there is nothing."""
        return self.intake.trouble

    @property
    def undecided(self) -> bool:
        """Whether movies wait only for others, which may tell how the gain lies."""
        return self.intake.undecided

    def decide(self) -> None:
        """Take in what waits for others."""
        self.intake.decide()

    def give_up(self) -> list[Refusal]:
        """Refuse all that waits, for the trouble there is."""
        refusals = [Refusal(path, self.trouble, look.found) for path, look in self._growing.items()]
        self._growing.clear()
        self._refused.update((refusal.path, _state(refusal.path)) for refusal in refusals)
        return refusals

    @property
    def settled(self) -> bool:
        """Whether everything that was there at the last look is in or refused."""
        return self._looked and not self.waiting

    def poll(self) -> tuple[list[Arrival], list[Refusal]]:
        """Look, if it is time to: the movies that have become whole, and the files that never will."""
        now = time.time()
        if now < self.due:
            return [], []
        self._looked = True
        arrivals: list[Arrival] = []
        refusals: list[Refusal] = []
        for path, look in list(self._growing.items()):
            answer = self._judge(path, look, now)
            if answer is None:
                continue
            del self._growing[path]
            if isinstance(answer, Refusal):
                refusals.append(answer)
            elif self.settings.copy:
                self._start_copy(answer)
            else:
                arrivals.append(answer)
        self._collect_copies(arrivals, refusals, now)
        self._known.update(arrival.path for arrival in arrivals)
        self._refused.update((refusal.path, _state(refusal.path)) for refusal in refusals)
        for path, before in list(self._refused.items()):
            if _state(path) not in (before, None):
                del self._refused[path]
                self._see(path, now)
        for path in self._listing.poll():
            if not (path in self._known or path in self._growing or path in self._refused or path in self._copies):
                self._see(path, now)
        if arrivals or (self.waiting and not self.trouble):
            self.last_arrival = now
        # A flat folder of 50,000 files takes long to list: never spend more than a tenth of the time on it.
        self.due = now + max(self.settings.poll, 10 * (time.time() - now))
        return arrivals, refusals

    def close(self) -> None:
        self.intake.close()
        if self._copier:
            self._copier.shutdown(wait=False, cancel_futures=True)

    def _see(self, path: str, now: float) -> None:
        try:
            stat = os.stat(path)
        except OSError:
            return  # gone between listing and look, before anything was known of it
        self._growing[path] = _Look(stat.st_size, stat.st_mtime_ns, found=now, since=now)

    def _judge(self, path: str, look: _Look, now: float) -> Arrival | Refusal | None:
        try:
            stat = os.stat(path)
        except FileNotFoundError:
            return Refusal(path, f"{path} vanished before it was whole.", look.found)
        except OSError as error:
            return Refusal(path, f"{path} cannot be read: {error.strerror}.", look.found)
        if (stat.st_size, stat.st_mtime_ns) != (look.size, look.changed):
            look.size, look.changed, look.since = stat.st_size, stat.st_mtime_ns, now
            return None  # even if it looks whole: a copying program may set the final size first
        settled = max(now - look.since, now - stat.st_mtime) >= self.settings.file_timeout
        verdict = whole(path, self.settings.frames or None)
        if verdict.whole is True or (settled and verdict.whole is None):
            try:
                described = self.intake.describe(path, stat, verdict.frames, look.found, settled)
            except InputError as error:
                return Refusal(path, str(error), look.found)
            return Arrival(path, described[1], described[0]) if described else None
        return Refusal(path, verdict.why, look.found) if settled else None

    def _start_copy(self, arrival: Arrival) -> None:
        if self._copier is None:
            self._copier = ThreadPoolExecutor(2, thread_name_prefix="copy")
        inside = Path("steps", "movies", os.path.relpath(arrival.path, self._listing.root))
        self._copies[arrival.path] = (self._copier.submit(_copy, arrival.path, self._project, inside), arrival)

    def _collect_copies(self, arrivals: list[Arrival], refusals: list[Refusal], now: float) -> None:
        for path, (copy, arrival) in list(self._copies.items()):
            if not copy.done():
                continue
            del self._copies[path]
            error = copy.exception()
            if error:
                refusals.append(Refusal(path, f"{path} could not be copied: {error}.", now))
            else:
                arrivals.append(replace(arrival, movie=replace(arrival.movie, path=copy.result())))


def _state(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _copy(source: str, project: Path, inside: Path) -> str:
    """Copy byte for byte, read back to prove it, and only then give the copy its name, relative to the project."""
    target = project / inside
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.copying")
    try:
        shutil.copyfile(source, half)
        shutil.copystat(source, half)
        if _digest(source) != _digest(half):
            raise OSError("the copy differs from the original")
        os.replace(half, target)
    finally:
        half.unlink(missing_ok=True)
    return str(inside)


def _digest(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
