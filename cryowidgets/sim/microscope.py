"""A microscope that nobody has to fill with nitrogen: it puts movies into a folder at a set pace.

Files grow while they are written and are not renamed into place; sidecars are written last, as EPU and SerialEM do;
and things go wrong when told to. What is true about every movie is in ``truth.json``, outside of the watched folders.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import eer, mrc, tiff
from cryowidgets.sim import sidecars
from cryowidgets.sim.electrons import RawFrames
from cryowidgets.sim.movie import Recipe, Truth, stream
from cryowidgets.sim.recipe import Range
from cryowidgets.sim.track import record

FAULTS = {
    "truncated": "the file ends within a frame and never grows again",
    "zero-byte": "the file stays empty",
    "unreadable": "the file holds something else",
    "corrupt": "the file looks whole, but one frame cannot be decompressed (TIFF)",
    "fewer frames": "the recording ends early: the file is whole and has about half of the frames",
    "vanishes": "the file is removed while it is written",
    "pause": "the microscope does nothing for a while before this movie",
    "burst": "this movie and the next four come without a pause between them",
    "rsync": "the file comes by rsync, which writes under a temporary name; an earlier attempt has left its own",
    "same name": "the file has the name of the one before, in another folder",
    "far focus": "autofocus failed: the defocus is 4 µm larger",
    "astigmatic": "the stigmators are off: 0.6 µm more astigmatism",
    "drift storm": "the stage does not rest: five times the drift",
    "faint beam": "the beam has lost a third of its electrons",
    "crystalline ice": "the ice is full of small crystals",
    "empty hole": "there are no particles in the ice",
    "other camera": "the camera has another gain than its reference says",
}
_CHANGES: dict[str, Callable[[Recipe], dict[str, Any]]] = {
    "far focus": lambda r: {"defocus": _more(r.defocus, 40000.0)},
    "astigmatic": lambda r: {"astigmatism": _more(r.astigmatism, 6000.0)},
    "drift storm": lambda r: {"drift": _times(r.drift, 5.0)},
    "faint beam": lambda r: {"dqe": 2 / 3 * r.dqe},
    "crystalline ice": lambda r: {"crystals": 0.15},
    "empty hole": lambda r: {"density": 0.0},
    "other camera": lambda r: {"camera": r.camera + 1},
}
"""Faults that are in what is recorded, not in how: what they change in the recipe of that movie."""
_LOST = {"truncated", "zero-byte", "unreadable", "corrupt", "vanishes"}
_ENDINGS = {
    "tiff": {"epu": "_fractions.tiff", "flat": ".tif"},
    "mrc": {"epu": "_Fractions.mrc", "flat": ".mrc"},
    "eer": {"epu": "_EER.eer", "flat": ".eer"},
}
_BURST = 5


class Microscope:
    """A session of simulated movies.

    Parameters
    ----------
    out : path
        The folder of the session; made if it is missing. The gain file is written there at once.
    movies : int
        How many.
    every : float
        Seconds from the beginning of one movie to that of the next; 0 for as fast as they can be made.
    size : int or (int, int)
        Side of the frames, or y and x: ``4096``, ``(4092, 5760)`` for a K3.
    frames : int
    seed : int
        The same seed gives the same movies; only names and times differ.
    format : {"tiff", "mrc", "eer"}
        LZW TIFF or MRC, 8 bits, or EER; without gain applied.
    tree : {"epu", "flat"}
        Folders, names and sidecars as of EPU (``Images-Disc1/GridSquare_…/Data/FoilHole_…_fractions.tiff`` with XML)
        or as of SerialEM (one folder, mdoc).
    faults : dict of int to str
        What goes wrong with which movie (counted from 1): see `FAULTS`.
    write_seconds : float
        How long a file takes to grow.
    pause_seconds : float
        How long a pause lasts.
    per_square : int
        Movies for each grid square of the EPU tree.
    raw_frames : int
        About how many raw frames an EER movie has. Each frame of the recipe, and so each row of the true shifts, is
        as many of them as the next: `group`.
    recipe : Recipe, optional
        What is in the movies. `size` and `frames`, if given, take the place of those of the recipe.

    Attributes
    ----------
    pattern : str
        Matches the movies and nothing else: what to watch.
    gain, truth : Path
        The gain reference that multiplies the frames, and the answers.
    optics : dict
        `pixel_size`, `voltage`, `cs`, `amplitude_contrast`, `dose_per_frame`; the last is that of a raw frame of EER.
    group : int
        Raw frames for each frame of the recipe: to be put together again, where they are EER; else 1.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        *,
        movies: int = 20,
        every: float = 5.0,
        size: int | tuple[int, int] | None = None,
        frames: int | None = None,
        seed: int = 1,
        format: str = "tiff",
        tree: str = "epu",
        faults: Mapping[int, str] | None = None,
        write_seconds: float = 2.0,
        pause_seconds: float = 30.0,
        per_square: int = 10,
        raw_frames: int = 320,
        recipe: Recipe | None = None,
    ) -> None:
        recipe = recipe or Recipe(molecule=seed, camera=seed)
        shape = recipe.shape if size is None else (size, size) if isinstance(size, int) else tuple(size)
        self.recipe = dataclasses.replace(recipe, shape=shape, frames=recipe.frames if frames is None else frames)
        self.out, self.movies, self.every, self.seed = Path(out).absolute(), movies, every, seed
        self.format, self.tree, self.faults = format, tree, dict(faults or {})
        self.write_seconds, self.pause_seconds, self.per_square = write_seconds, pause_seconds, per_square
        self.group = max(1, round(raw_frames / max(self.recipe.frames, 1))) if format == "eer" else 1
        self._check()
        folders = "Images-Disc1/GridSquare_*/Data" if tree == "epu" else "frames"
        self.pattern = str(self.out / folders / f"*{self._ending}")
        self.gain, self.truth = self.out / "gain.mrc", self.out / "truth.json"
        self.optics = {
            name: getattr(self.recipe.optics, name) for name in ("pixel_size", "voltage", "cs", "amplitude_contrast")
        } | {"dose_per_frame": self.recipe.dose_per_frame / self.group}
        self._write_gain()

    def run(self, stop: threading.Event | None = None) -> int:
        """Record the session; returns the number of movies.

        Parameters
        ----------
        stop : threading.Event, optional
            Set it to end after the movie in hand, which is then written without delay.

        Raises
        ------
        InputError
            The folder holds a session already.
        """
        if self.truth.exists():
            raise InputError(f"{self.out} holds a simulated session already: choose another folder or remove it.")
        stop = stop or threading.Event()
        ledger = _Ledger(self.truth, self._session())
        due = time.monotonic()
        previous: Shot | None = None
        for number in range(1, self.movies + 1):
            fault = self.faults.get(number, "")
            in_burst = any(self.faults.get(number - i) == "burst" for i in range(1, _BURST))
            if fault == "pause":
                due += self.pause_seconds
            if in_burst:
                due = time.monotonic()
            stop.wait(max(0.0, due - time.monotonic()))
            if stop.is_set():
                return number - 1
            due = max(due, time.monotonic() - self.every) + self.every  # a little late is made good, much is not
            previous = self._record(number, fault, stop, ledger, previous)
        return self.movies

    def _record(self, number: int, fault: str, stop: threading.Event, ledger: _Ledger, previous: Shot | None) -> Shot:
        shot = self._shot(number, fault, previous)
        changes = _CHANGES[fault](self.recipe) if fault in _CHANGES else {}
        truth, frames = stream(dataclasses.replace(self.recipe, **changes), shot.seed)
        count = self.recipe.frames
        if fault == "fewer frames":
            count = max(1, count // 2)
        elif fault in ("truncated", "vanishes"):
            count = max(1, round(0.6 * count))
        target = shot.path.with_name(f".{shot.path.name}.Qx7BzG") if fault == "rsync" else shot.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if fault == "rsync":
            shot.path.with_name(f".{shot.path.name}.k2PdVa").write_bytes(b"II*\0" + bytes(4000))
        if fault == "zero-byte":
            target.touch()
        elif fault == "unreadable":
            self._write_junk(target, shot.seed, stop)
        else:
            announced = self.recipe.frames if fault != "fewer frames" else count
            self._write(target, self._paced(frames, count, stop), announced, shot.seed)
        if fault == "truncated":
            os.truncate(target, target.stat().st_size - self._last_frame_bytes(target) // 3)
        elif fault == "corrupt":
            _spoil(target)
        elif fault == "vanishes":
            target.unlink()
        elif fault == "rsync":
            os.replace(target, shot.path)
        if fault != "vanishes":
            told = count if fault == "fewer frames" else self.recipe.frames
            if self.tree == "epu":
                sidecars.fractions_xml(shot.path, shot.time, self.recipe, told)
            else:
                recipe = dataclasses.replace(self.recipe, dose_per_frame=self.optics["dose_per_frame"])
                sidecars.mdoc(shot.path, shot.time, recipe, told * self.group)
        ledger.add(self._entry(shot, fault, truth, count))
        return shot

    def _shot(self, number: int, fault: str, previous: Shot | None) -> Shot:
        """Where a movie goes and what it is called: identifiers by seed, the time by the clock."""
        now = time.time()
        seed = self.seed * 1_000_000 + number
        if self.tree == "flat":
            stamp = time.strftime("%b%d_%H.%M.%S", time.localtime(now))
            return Shot(number, seed, self.out / "frames" / f"grid1_{number:05d}_{stamp}{self._ending}", now)
        ids = np.random.default_rng([self.seed, 0x657075])
        square, hole, first = (int(n) for n in ids.integers(10_000_000, 30_000_000, 3))
        square += 7 * ((number - 1) // self.per_square)
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(now))
        name = f"FoilHole_{hole + 3 * number}_Data_{first + number % 3}_{first + 10 + number % 3}_{stamp}{self._ending}"
        if fault == "same name" and previous:
            name, square = previous.path.name, square + 3_000_000
        return Shot(number, seed, self.out / "Images-Disc1" / f"GridSquare_{square}" / "Data" / name, now)

    def _paced(self, frames: Iterable[np.ndarray], count: int, stop: threading.Event) -> Iterator[np.ndarray]:
        """The first `count` frames, spread over the time that a file takes to grow."""
        begin = time.monotonic()
        for j, frame in zip(range(count), frames, strict=False):
            yield frame  # and come back when it is written
            stop.wait(max(0.0, begin + self.write_seconds * (j + 1) / count - time.monotonic()))

    def _write(self, path: Path, frames: Iterator[np.ndarray], announced: int, seed: int) -> None:
        height, width = self.recipe.shape
        if self.format == "eer":
            dose = announced * self.recipe.dose_per_frame
            raw = RawFrames(frames, self.group, announced * self.group, seed)
            with open(path, "w+b", buffering=0) as file:
                eer.write(file, raw, pixel_size=self.recipe.pixel_size, dose=dose, exposure=len(raw) / 250, seed=seed)
            return
        with open(path, "w+b", buffering=0) as file:
            if self.format == "tiff":
                tiff.write(file, frames, big=2 * announced * height * width > 1 << 32)
                return
            file.write(mrc.header((announced, height, width), np.uint8, self.recipe.pixel_size))
            for frame in frames:
                for rows in np.array_split(frame, 8):
                    file.write(np.ascontiguousarray(rows))

    def _write_junk(self, path: Path, seed: int, stop: threading.Event) -> None:
        junk = np.random.default_rng(seed).integers(0, 256, (20, 10_000), np.uint8)
        with open(path, "wb", buffering=0) as file:
            for part in self._paced(junk, len(junk), stop):
                file.write(part)

    def _last_frame_bytes(self, path: Path) -> int:
        if self.format == "eer":
            return path.stat().st_size // (self.recipe.frames * self.group)  # about
        return int(np.prod(self.recipe.shape)) if self.format == "mrc" else tiff.frame_extent(path, -1)[1]

    def _write_gain(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        half = self.gain.with_name(f".gain.mrc.{os.getpid()}")
        mrc.write(half, self.recipe.detector.gain, self.recipe.pixel_size)
        os.replace(half, self.gain)

    def _session(self) -> dict[str, Any]:
        camera = self.recipe.detector
        return {
            "seed": self.seed,
            "recipe": dataclasses.asdict(self.recipe),
            "optics": self.optics,
            "group": self.group,
            "gain": self.gain.name,
            "pattern": os.path.relpath(self.pattern, self.out),
            "hot": camera.hot.tolist(),
            "dead": camera.dead.tolist(),
        }

    def _entry(self, shot: Shot, fault: str, truth: Truth, count: int) -> dict[str, Any]:
        return {
            "number": shot.number,
            "name": shot.path.name.split(".")[0],
            "path": os.path.relpath(shot.path, self.out),
            "seed": shot.seed,
            "fault": fault,
            "lost": fault in _LOST,
            "acquired": shot.time,
            "written": time.time(),
            "frames": count,
            "shifts": np.round(truth.shifts[:count], 5).tolist(),
            "defocus_u": truth.defocus_u,
            "defocus_v": truth.defocus_v,
            "angle": truth.angle,
            "phase_shift": truth.phase_shift,
            "b_factor": truth.b_factor,
            "contrast": truth.contrast,
            "tilt": truth.tilt,
            "tilt_axis": truth.tilt_axis,
            "thickness": truth.thickness,
            "shape": list(truth.shape),
            "local": record(truth.track),
            "particles": len(truth.positions),
        }

    @property
    def _ending(self) -> str:
        return _ENDINGS[self.format][self.tree]

    def _check(self) -> None:
        for name, value, known in (("format", self.format, tuple(_ENDINGS)), ("tree", self.tree, ("epu", "flat"))):
            if value not in known:
                raise ParameterError(f"A microscope has no {name} {value!r}: write one of {', '.join(known)}.")
        for number, fault in self.faults.items():
            if fault not in FAULTS:
                raise ParameterError(f"There is no fault {fault!r} (movie {number}): write one of {', '.join(FAULTS)}.")
            if not 1 <= number <= self.movies:
                raise ParameterError(f"There is no movie {number} to be {fault}: they count from 1 to {self.movies}.")
            if (fault == "corrupt" and self.format != "tiff") or (fault, self.tree) == ("same name", "flat"):
                kind = f"{self.format.upper()} file" if fault == "corrupt" else "flat tree"
                raise ParameterError(f"Movie {number}: the fault {fault!r} cannot be had in a {kind}.")
        for name, value in (("every", self.every), ("write_seconds", self.write_seconds)):
            if value < 0:
                raise ParameterError(f"A microscope cannot have {name} = {value}: write 0 or more seconds.")
        if self.movies < 0 or self.recipe.frames < 1 or min(self.recipe.shape) < 16:
            raise ParameterError("A microscope takes 0 or more movies of 1 or more frames of at least 16 × 16 px.")


@dataclass(frozen=True)
class Shot:
    """One movie to be recorded."""

    number: int
    seed: int
    path: Path
    time: float  # UTC s


def run(out: str | os.PathLike, **settings: Any) -> Microscope:
    """Record a session at once; the settings are those of `Microscope`."""
    microscope = Microscope(out, **{"every": 0.0, "write_seconds": 0.0, **settings})
    microscope.run()
    return microscope


class _Ledger:
    """The truth file, replaced as a whole after every movie."""

    def __init__(self, path: Path, session: dict[str, Any]) -> None:
        self._path, self._session, self._entries = path, json.dumps(session), []
        self._save()

    def add(self, entry: dict[str, Any]) -> None:
        self._entries.append(json.dumps(entry))
        self._save()

    def _save(self) -> None:
        half = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        movies = ",\n".join(self._entries)
        half.write_text(f'{{"session": {self._session},\n"movies": [\n{movies}\n]}}\n', encoding="utf-8")
        os.replace(half, self._path)


def _more(value: Range, by: float) -> Range:
    return (value[0] + by, value[1] + by) if isinstance(value, tuple) else value + by


def _times(value: Range, by: float) -> Range:
    return (value[0] * by, value[1] * by) if isinstance(value, tuple) else value * by


def _spoil(path: Path) -> None:
    """Overwrite some of the compressed image in the middle of a TIFF with what no LZW stream holds."""
    start, _ = tiff.frame_extent(path, -1)
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 64)
