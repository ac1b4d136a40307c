"""What the door finds out about a whole file before it becomes a movie: its optics, and a gain that fits its frames."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.engine.reference import MOVIES, Evidence, Reference, prepare
from cryowidgets.errors import InputError
from cryowidgets.io import sidecar
from cryowidgets.io.metadata import Metadata
from cryowidgets.io.optics import OpticsGroups, read_header, settle
from cryowidgets.model import NAN, Movie, Optics
from cryowidgets.protocols.import_movies import ImportMovies

Group = tuple[Optics, tuple[float, float] | None, int]
"""Optics that movies have, the mean of their beam shifts, and how many they are."""


HOLD = 60.0
"""Seconds that movies are kept waiting for others to tell the orientation of a gain."""


@dataclass
class _Making:
    """A gain that is being prepared, what its sources were like, and what it goes by."""

    work: Future[Reference]
    sources: tuple
    evidence: Evidence
    since: float
    path: str


class Intake:
    """Describes movies, one by one.

    Parameters
    ----------
    settings : ImportMovies
    project : Path
        Where prepared gains go.
    groups : iterable of Group
        Optics of movies taken in before.
    others : sequence of str
        Movies that are known to be whole, to go by where the first does not tell how the gain lies.

    Attributes
    ----------
    trouble : str
        Why no movie can be taken in for now, such as a gain of the wrong size; empty where there is nothing.
    undecided : bool
        The trouble is but that movies do not tell yet how the gain lies.
    """

    def __init__(
        self, settings: ImportMovies, project: Path, groups: Iterable[Group] = (), others: Sequence[str] = ()
    ) -> None:
        self.settings = settings
        self.trouble, self.undecided = "", False
        self._project = project
        self._groups = OpticsGroups(groups)
        self._others = others
        self._decided = False
        self._gains: dict[tuple, _Making] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._usual: set[str] = set()
        self._said: set[str] = set()
        self._notes: list[tuple[str, str]] = []

    def describe(
        self, path: str, stat: os.stat_result, frames: int, found: float, settled: bool = True, wait: bool = False
    ) -> tuple[Movie, float] | None:
        """The movie and when it was recorded, UTC s; None where it is too early to tell.

        Parameters
        ----------
        path : str
            A file that is whole.
        stat : os.stat_result
        frames : int
            How many it holds.
        found : float
            When it was first seen, UTC s.
        settled : bool
            Whether it has been there for so long that no sidecar is to be expected any more.
        wait : bool
            Do not return before the gain is ready.

        Raises
        ------
        InputError
            It cannot become a movie.
        """
        told = sidecar.read(path)
        header = read_header(path)
        if not settled and (told.warnings or self._missing(told, header.pixel_size)):
            return None  # a sidecar is being written, or still to come
        decided = settle(path, self.settings.optics(), told, header, frames)
        gain = self._gain(path, header.shape, wait)
        if gain is None:
            return None
        if gain and told.gain_corrected:
            decided.notes["gain twice"] = (
                f"The sidecar of {path} says that its frames are corrected with a gain already, and a gain is given: "
                "leave gain empty unless the sidecar is wrong."
            )
        for name, what in (("gain", "gain"), ("defects", "list of defects")):
            if getattr(told, name) and not getattr(self.settings, name) and not told.gain_corrected:
                decided.notes[f"no {what}"] = (
                    f"The sidecar of {path} names the {what} {getattr(told, name)}, and none is given: set {name}."
                )
        shift = told.beam_shift
        tolerance = self.settings.beam_shift_tolerance or told.shift_unit
        grouped = shift if self.settings.beam_shift_groups else None
        optics = self._groups.place(decided.optics, decided.measured, grouped, tolerance)
        self._remember(told)
        for kind, text in decided.notes.items():
            self._note(kind, text)
        movie = Movie(
            name=Path(path).name.split(".")[0],
            optics=optics,
            path=path,
            size=stat.st_size,
            frames=frames,
            gain=gain,
            closed=stat.st_mtime,
            found=found,
            beam_shift_x=shift[0] if shift else NAN,
            beam_shift_y=shift[1] if shift else NAN,
            target_defocus=told.defocus,
            warning=" ".join(decided.notes.values()),
        )
        return movie, told.acquired if math.isfinite(told.acquired) else stat.st_mtime

    def decide(self) -> None:
        """Wait no longer for other movies to tell how the gain lies: there will be none."""
        self._decided = True

    def notes(self) -> list[tuple[str, str]]:
        """Kind and sentence of what has been noticed since the last time, each kind once."""
        new, self._notes = self._notes, []
        return new

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _missing(self, told: Metadata, header_pixel: float) -> set[str]:
        """What a sidecar that is still to come may tell, and is needed."""
        needed = set(self._usual)
        if header_pixel <= 0:
            needed.add("pixel_size")
        said = {name for name in ("pixel_size", "voltage") if getattr(self.settings, name) > 0}
        if self.settings.dose_per_frame > 0:
            said.add("dose")
        needed.discard("beam_shift")
        if self.settings.beam_shift_groups:
            needed.add("beam_shift")
        return needed - said - _told(told)

    def _remember(self, told: Metadata) -> None:
        self._usual |= _told(told)

    def _note(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._notes.append((kind, text))

    # Gain -------------------------------------------------------------------------------------------------------

    def _gain(self, path: str, shape: tuple[int, int], wait: bool) -> str | None:
        """Path of the gain, inside the project, for frames of that shape; None as long as there is none."""
        if not self.settings.gain and not self.settings.defects:
            return ""
        key = (shape, Path(path).suffix.lower() == ".eer")
        sources = tuple(_state(name) for name in (self.settings.gain, self.settings.defects) if name)
        making = self._gains.get(key)
        if making and making.work.done() and making.sources != sources and None not in sources:
            making = None  # mended, or recorded anew in the middle of the session
        if making is None:
            making = self._make(key, path, sources, Evidence(), time.monotonic(), wait)
        if not (wait or making.work.done()):
            return None
        error = making.work.exception()
        if error is None:
            reference = making.work.result()
            if reference.undecided and not wait and path not in (making.path, *making.evidence.movies):
                self._make(key, path, sources, making.evidence, making.since, wait)
                if self.settings.gain_rotation == "auto":
                    return None  # as long as this one is looked at
            elif reference.undecided and not wait and self._holds(making):
                self.trouble = (
                    f"The movies do not tell yet which way round the gain {Path(self.settings.gain).name} lies: "
                    f"{reference.undecided}. They wait for others, {MOVIES} in all, at most {HOLD:.0f} s; set "
                    "gain_rotation where you know it."
                )
                self.undecided = True
                return None
            self.trouble, self.undecided = "", False
            for kind, text in reference.notes.items():
                self._note(f"{kind} {key}", text)
            if not reference.tested:
                del self._gains[key]  # this movie could not be read; the next one may tell which way round it lies
            return reference.path
        if not isinstance(error, InputError):
            error = InputError(f"The gain could not be prepared: {type(error).__name__}: {error}.")
        others = [m for k, m in self._gains.items() if k != key and m.work.done() and not m.work.exception()]
        if others or wait:
            raise error
        self.trouble, self.undecided = str(error), False
        return None

    def _make(self, key: tuple, path: str, sources: tuple, evidence: Evidence, since: float, wait: bool) -> _Making:
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="gain")
        movies = [path, *(other for other in self._others if other != path)] if wait else [path]
        work = self._pool.submit(prepare, self.settings, self._project, movies, key[0], key[1], evidence)
        self._gains[key] = made = _Making(work, sources, evidence, since, path)
        return made

    def _holds(self, making: _Making) -> bool:
        """Whether movies wait for others: not where a person told the orientation, which is but doubted then."""
        asked = self.settings.gain_rotation == "auto"
        return asked and not self._decided and time.monotonic() - making.since < HOLD


def _told(found: Metadata) -> set[str]:
    told = {name for name in ("pixel_size", "voltage", "beam_shift") if found.told(name)}
    if found.told("dose_per_frame") or found.told("total_dose"):
        told.add("dose")
    return told


def _state(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
