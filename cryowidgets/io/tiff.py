"""TIFF and BigTIFF movies: one directory for each frame; uncompressed, LZW, deflate or whatever imagecodecs knows.

Rows are flipped on reading and on writing, as RELION, IMOD and SerialEM do, so that a movie, its gain and its
coordinates agree with their MRC versions: row 0 is the last row of the TIFF.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import tifffile

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io.directories import DESCRIPTION, LENGTH, WIDTH, Damaged, Tags, follow, pieces, text
from cryowidgets.io.frames import Opened, open_file
from cryowidgets.io.tiffdecode import Layout, Unusual, decode, layout, pairs
from cryowidgets.io.verdict import Verdict, blank, judge

_STRIP_BYTES = 1 << 16


def read(path: str | os.PathLike) -> np.ndarray:
    """Read the whole file: (y, x) where it holds one frame, else (frames, y, x).

    Raises
    ------
    InputError
        The file is missing, empty, truncated, not TIFF, or not of plain images.
    """
    with TiffMovie(path) as movie:
        out = movie.block(0, len(movie))
    return out[0] if len(out) == 1 else out


def write(
    path: str | os.PathLike | BinaryIO,
    frames: Iterable[np.ndarray],
    compression: str | None = "lzw",
    big: bool = False,
) -> None:
    """Write frames, each (y, x), one after the other as they come.

    As with most programs that write a movie while it is recorded, the file is a readable TIFF after every frame and
    does not tell how many are to follow.

    Parameters
    ----------
    path : path or binary file
        A file must be open for reading and writing.
    compression : {"lzw", "deflate", "zstd", None}
    big : bool
        BigTIFF, for files beyond 4 GB.
    """
    with tifffile.TiffWriter(path, bigtiff=big) as file:
        for frame in frames:
            rows = max(1, _STRIP_BYTES // (frame.shape[1] * frame.itemsize))
            file.write(
                np.ascontiguousarray(frame[::-1]),
                compression=compression,
                rowsperstrip=rows,
                photometric="minisblack",
                contiguous=False,
                metadata=None,
            )


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Walk the directories and compare them with the size of the file; see `cryowidgets.io.movie.whole`.

    Programs that record straight to a TIFF leave it readable after each frame, so without the expected number of
    frames the answer is never True.
    """
    try:
        with open(path, "rb") as file:
            survey = _survey(file)
            if survey.fault:
                return Verdict(False, survey.frames, _damage(path, survey, frames))
            expected = frames if frames is not None else survey.stated
            verdict = judge(path, survey.frames, expected)
            if not verdict.whole:
                return verdict
            if expected is None:
                return Verdict(None, survey.frames, f"{path} holds {survey.frames} frames and may be about to grow.")
            if blank(file, *survey.last):
                return Verdict(None, survey.frames, f"{path} has its full size, but the end is blank.")
            return verdict
    except FileNotFoundError:
        return Verdict(False, 0, f"{path} does not exist.")
    except OSError as error:
        return Verdict(False, 0, f"{path} cannot be read: {error.strerror}.")


def frame_extent(path: str | os.PathLike, frame: int) -> tuple[int, int]:
    """Where the data of a frame begin in the file, and how many bytes they are up to the end of its last strip."""
    with open(path, "rb") as file:
        try:
            images = [pieces(tags, os.fstat(file.fileno()).st_size) for tags in follow(file)]
        except Damaged as damage:
            raise InputError(f"{path} {damage}.") from None
    start = min(start for start, _ in images[frame])
    return start, max(start + length for start, length in images[frame]) - start


class TiffMovie(Opened):
    """Frames of a TIFF file, each decoded when asked for; see `cryowidgets.io.movie.open_movie`.

    Parameters
    ----------
    packed : bool, optional
        Whether bytes are pairs of counts; without it, bytes of half the width of a super-resolution frame of K2 or K3
        are, and those of which SerialEM says so in the description.
    """

    def __init__(self, path: str | os.PathLike, packed: bool | None = None) -> None:
        self.path = Path(path)
        self.pixel_size = 0.0  # resolution tags of movies mean nothing
        self._file = open_file(path)
        self._turn = Lock()
        self._pages: list = []
        try:
            survey = _survey(self._file)
            if survey.fault:
                raise InputError(_damage(path, survey))
            packed = pairs(survey.directories[0]) if packed is None else packed
            self._images = [self._layout(tags, packed) for tags in survey.directories]
            height, width, self.dtype = self._form(0)
        except BaseException:
            self.close()
            raise
        self.shape = (len(self._images), height, width)

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        return self.block(frame, frame + 1)[0]

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Decode frames `first` to `end` - 1; see `cryowidgets.io.frames.Frames`."""
        out = self._room(first, end, out)
        # Threads share a frame only where there are too few of them.
        shares = 1 if len(out) >= 2 * cpu.threads() else cpu.threads()

        def work(part: tuple[int, int]) -> None:
            frame, share = first + part[0], part[1]
            height, width, dtype = self._form(frame)
            if (height, width) != self.shape[1:]:
                raise InputError(
                    f"{self.path}: frame {frame + 1} has {height}×{width} px "
                    f"and the first {self.shape[1]}×{self.shape[2]} px (y×x)."
                )
            if dtype != self.dtype:
                raise InputError(f"{self.path}: frame {frame + 1} is of {dtype} and the first of {self.dtype}.")
            image = self._images[frame]
            try:
                if image is not None:
                    n = len(image.pieces)
                    decode(self._file.fileno(), image, n * share // shares, n * (share + 1) // shares, out[part[0]])
                elif share == 0:
                    with self._turn:
                        out[part[0]] = self._page(frame).asarray(maxworkers=1)[::-1]
            except Exception as error:  # decoders raise errors of their own, and different ones
                raise InputError(
                    f"{self.path} cannot be decoded: frame {frame + 1} of {len(self)}: {error}."
                ) from error

        cpu.each(work, [(i, share) for i in range(len(out)) for share in range(shares)])
        return out

    def close(self) -> None:
        self._file.close()

    def _layout(self, tags: Tags, packed: bool) -> Layout | None:
        """How an image is stored; None where only tifffile knows."""
        order = "<" if os.pread(self._file.fileno(), 1, 0) == b"I" else ">"
        try:
            return layout(tags, os.fstat(self._file.fileno()).st_size, order, packed)
        except Unusual:
            return None

    def _form(self, frame: int) -> tuple[int, int, np.dtype]:
        """Height, width and type of a frame."""
        image = self._images[frame]
        if image is not None:
            return image.height, image.width, image.dtype.newbyteorder("=")
        with self._turn:
            page = self._page(frame)
        if len(page.shape) != 2 or page.dtype is None or not all(isinstance(n, int) for n in page.shape):
            raise InputError(f"{self.path} does not hold plain images: each has the shape {page.shape}, not (y, x).")
        return *page.shape, np.dtype(page.dtype)

    def _page(self, frame: int) -> tifffile.TiffPage:
        try:
            if not self._pages:
                self._file.seek(0)
                self._pages = list(tifffile.TiffFile(self._file).pages)
            return self._pages[frame]
        except Exception as error:  # whatever a parser meets in a damaged file
            raise InputError(f"{self.path} is not a readable TIFF file: {error}.") from error


@dataclass
class _Survey:
    """What a walk along the directories found: those of whole frames, the number of frames if the file tells it, the
    last of the data (end and length, bytes), and what is wrong."""

    directories: list[Tags]
    stated: int | None = None
    last: tuple[int, int] = (0, 0)
    fault: str = ""

    @property
    def frames(self) -> int:
        return len(self.directories)


def _survey(file: BinaryIO) -> _Survey:
    """Follow the directories without decoding anything."""
    size = os.fstat(file.fileno()).st_size
    found = _Survey([])
    try:
        for tags in follow(file, size):
            end = max((start + length, length) for start, length in pieces(tags, size))
            if found.frames == 0:
                found.stated = _stated_frames(tags)
            found.directories.append(tags)
            found.last = max(found.last, end)
    except Damaged as damage:
        found.fault = str(damage).removeprefix("then ") if found.frames == 0 else str(damage)
    return found


def _damage(path: str | os.PathLike, survey: _Survey, frames: int | None = None) -> str:
    count = f"{survey.frames} of {frames}" if frames is not None else f"{survey.frames} whole"
    return f"{path} " + (f"holds {count} frames; " if survey.frames else "") + f"{survey.fault}."


def _stated_frames(tags: Tags) -> int | None:
    """Number of frames by the description that tifffile gives to a stack written at once."""
    try:
        *stack, height, width = json.loads(text(tags, DESCRIPTION))["shape"]
        return int(np.prod(stack)) if stack and (height, width) == (tags[LENGTH][0], tags[WIDTH][0]) else None
    except (TypeError, ValueError, KeyError):
        return None
