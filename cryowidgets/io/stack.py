"""A movie in files of one frame each, as older cameras left it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io.frames import Frames, Opened
from cryowidgets.io.verdict import Verdict, judge


def in_order(folder: str | os.PathLike, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder whose names end so, hidden ones left out: number 10 after number 9."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name.lower().endswith(tuple(suffixes)) and not e.name.startswith(".")]
    return [Path(folder, name) for name in sorted(names, key=_natural)]


def whole(path: str | os.PathLike, files: Sequence[Path], verdicts: list[Verdict], frames: int | None) -> Verdict:
    """Are all files whole, and as many as expected? Without a number, more may follow."""
    bad = next((verdict for verdict in verdicts if verdict.whole is False), None)
    present = sum(verdict.whole is not False for verdict in verdicts)
    if not files:
        return Verdict(False, 0, f"{path} holds no frames.")
    if bad:
        return Verdict(False, present, bad.why)
    verdict = judge(path, present, frames)
    if not verdict.whole:
        return verdict
    open_end = frames is None or any(verdict.whole is None for verdict in verdicts)
    return Verdict(None, present, f"{path} holds {present} frames and may be about to grow.") if open_end else verdict


class FrameFiles(Opened):
    """Files of one frame each, read when asked for; see `cryowidgets.io.movie.open_movie`.

    Parameters
    ----------
    path : path
        Of the whole, for errors.
    files : sequence of paths
        In the order of the frames.
    opened : callable
        Opens one of them.
    """

    def __init__(
        self, path: str | os.PathLike, files: Sequence[str | os.PathLike], opened: Callable[..., Frames]
    ) -> None:
        self.path, self._files, self._opened = Path(path), list(files), opened
        if not self._files:
            raise InputError(f"{path} holds no frames: give files of one frame each (MRC or TIFF).")
        forms = cpu.each(self._form, self._files)
        (height, width), self.dtype, self.pixel_size = forms[0]
        for file, ((y, x), dtype, _) in zip(self._files, forms, strict=True):
            if (y, x) != (height, width):
                raise InputError(
                    f"{file} has {y}×{x} px and {self._files[0]} {height}×{width} px (y×x): "
                    "give the frames of one movie."
                )
            if dtype != self.dtype:
                raise InputError(f"{file} is of {dtype} and {self._files[0]} of {self.dtype}: give one movie's frames.")
        self.shape = (len(self._files), height, width)

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        return self.block(frame, frame + 1)[0]

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Read files `first` to `end` - 1; see `cryowidgets.io.frames.Frames`."""
        out = self._room(first, end, out)
        cpu.each(lambda i: self._read(first + i, out[i : i + 1]), range(len(out)))
        return out

    def close(self) -> None:
        """Nothing is open between two reads."""

    def _form(self, file: str | os.PathLike) -> tuple[tuple[int, int], np.dtype, float]:
        with self._opened(file) as movie:
            if len(movie) != 1:
                raise InputError(f"{file} holds {len(movie)} frames: files of one frame each make a movie together.")
            return movie.shape[1:], movie.dtype, movie.pixel_size

    def _read(self, frame: int, out: np.ndarray) -> None:
        with self._opened(self._files[frame]) as movie:
            if movie.shape != out.shape or movie.dtype != self.dtype:
                raise InputError(f"{self._files[frame]} has changed since it was first looked at: open the movie anew.")
            movie.block(0, 1, out)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
