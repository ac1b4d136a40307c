"""MRC files: images, stacks and movies; for the format see `cryowidgets.io.mrcheader`.

Modes 0 (signed, or unsigned as older programs wrote it, or pairs of counts), 1, 2, 6, 12 and 101 (pairs of counts),
either byte order, and extended headers of any kind. Rows are in the order of the file, which viewers draw from the
bottom up.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import meter
from cryowidgets.io.frames import Frames, InMemory, Opened, open_file
from cryowidgets.io.mrcheader import HEADER_DTYPE, Header, header, read_from, read_header
from cryowidgets.io.verdict import Verdict, blank, judge

__all__ = [
    "HEADER_DTYPE",
    "Header",
    "MrcMovie",
    "header",
    "open_upright",
    "read",
    "read_header",
    "read_stack",
    "whole",
    "write",
]


def read(path: str | os.PathLike) -> np.ndarray:
    """Read the whole file.

    Returns
    -------
    array (y, x) where the file holds one section, else (sections, y, x); in the byte order of this machine.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, or not MRC.
    """
    stack = read_stack(path)
    return stack[0] if len(stack) == 1 else stack


def read_stack(path: str | os.PathLike) -> np.ndarray:
    """The same as (sections, y, x) in any case, for files in which there may be one picture or many."""
    with open_upright(path) as movie:
        return movie.block(0, len(movie))


def write(path: str | os.PathLike, array: np.ndarray, pixel_size: float = 0.0) -> None:
    """Write an image (y, x) or a stack (sections, y, x) of uint8, int8, int16, uint16, float16 or float32.

    Parameters
    ----------
    pixel_size : float
        Å/px; 0 where unknown.
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3):
        raise ValueError(f"an MRC file holds images of two or three dimensions, not {array.ndim}: {path}")
    stack = array.reshape(-1, *array.shape[-2:])
    with open(path, "wb") as file:
        file.write(header(stack.shape, stack.dtype, pixel_size, _statistics(stack)))
        for section in stack:
            file.write(np.ascontiguousarray(section, stack.dtype.newbyteorder("<")))


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Compare the size of the file with its header; see `cryowidgets.io.movie.whole`."""
    try:
        head = read_header(path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            present = min(max(0, size - head.offset) // head.frame_bytes, head.shape[0])
            if size < head.end:
                expected = frames if frames is not None else head.shape[0]
                return Verdict(False, present, f"{path} holds {present} of {expected} frames.")
            verdict = judge(path, head.shape[0], frames)
            if not verdict.whole:
                return verdict
            if size > head.end:
                return Verdict(None, present, f"{path} is longer than its header says: {size} bytes, not {head.end}.")
            if blank(file, head.end, head.frame_bytes):
                return Verdict(None, present, f"{path} has its full size, but the end is blank.")
            return verdict
    except (InputError, OSError) as error:
        return Verdict(False, 0, str(error))


def open_upright(path: str | os.PathLike, signed: bool | None = None, kind: type | None = None) -> Frames:
    """Open an MRC file, by `MrcMovie` or another class; a map whose sections are not along z is turned, in memory."""
    movie = (kind or MrcMovie)(path, signed)
    order = movie.header.order
    if order == (3, 2, 1):
        return movie
    with movie:
        volume = np.transpose(movie.block(0, len(movie)), [order.index(axis) for axis in (3, 2, 1)])
        return InMemory(path, np.ascontiguousarray(volume), movie.pixel_size)


class MrcMovie(Opened):
    """Frames of an MRC file, each read when asked for; see `cryowidgets.io.movie.open_movie`.

    Parameters
    ----------
    signed : bool, optional
        Whether the bytes of a mode 0 file are signed, where its header says the wrong thing.
    """

    def __init__(self, path: str | os.PathLike, signed: bool | None = None) -> None:
        self.path = Path(path)
        self._file = open_file(path)
        try:
            self.header = read_from(path, self._file, signed)
            size = os.fstat(self._file.fileno()).st_size
            if size < self.header.end:
                present = max(0, size - self.header.offset) // self.header.frame_bytes
                raise InputError(f"{path} is truncated: it holds {present} of {self.header.shape[0]} frames.")
        except BaseException:
            self.close()
            raise
        self.shape, self.dtype = self.header.shape, self.header.native
        self.pixel_size = self.header.pixel_size

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        image = np.empty(self.shape[1:], self.dtype)
        self._read(frame, image)
        return image

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Read frames `first` to `end` - 1; see `cryowidgets.io.frames.Frames`."""
        out = self._room(first, end, out)
        cpu.each(lambda i: self._read(first + i, out[i]), range(len(out)))
        return out

    def close(self) -> None:
        self._file.close()

    def _read(self, frame: int, image: np.ndarray) -> None:
        n = self.header.frame_bytes
        raw = image.reshape(-1).view(np.uint8) if self.header.direct else np.empty(n, np.uint8)
        view, start, done = memoryview(raw), self.header.offset + frame * n, 0
        # Unlike a memory map, this raises where the file has shrunk meanwhile; and it is safe in threads.
        while done < n:
            got = meter.preadv(self._file.fileno(), [view[done:]], start + done)
            if not got:
                raise InputError(f"{self.path} is truncated: it ends within frame {frame + 1} of {len(self)}.")
            done += got
        if not self.header.direct:
            self.header.decode(raw, image)


def _statistics(stack: np.ndarray) -> tuple[float, float, float, float] | None:
    """Minimum, maximum, mean and standard deviation of what is finite."""
    lines = stack.reshape(-1, stack.shape[-1])
    parts = cpu.each(lambda part: _of_rows(lines[slice(*part)]), cpu.bands(len(lines), max(len(lines) // 256, 1)))
    low, high, count, mean, square = np.array([part for part in parts if part]).T if any(parts) else np.zeros((5, 0))
    if not len(count):
        return None
    n = count.sum()
    centre = (count * mean).sum() / n
    spread = np.sqrt(((square + count * np.square(mean - centre)).sum()) / n)
    return low.min(), high.max(), centre, spread


def _of_rows(rows: np.ndarray) -> tuple[float, ...]:
    """Minimum, maximum, number, mean and summed squares about it of what is finite; empty where nothing is."""
    values = rows.astype(np.float32, copy=False).ravel()
    low, high = values.min(), values.max()  # NaN and infinity show in them
    if not (np.isfinite(low) and np.isfinite(high)):
        values = values[np.isfinite(values)]
        if not values.size:
            return ()
        low, high = values.min(), values.max()
    mean = values.mean(dtype=np.float64)
    rest = values - np.float32(mean)
    return float(low), float(high), float(values.size), float(mean), float(np.dot(rest, rest))
