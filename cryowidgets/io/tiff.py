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
from typing import BinaryIO

import numpy as np
import tifffile

from cryowidgets.errors import InputError
from cryowidgets.io.directories import DESCRIPTION, LENGTH, WIDTH, Damaged, Tags, follow, pieces, text
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
        out = np.empty(movie.shape, movie.dtype)
        for frame, image in enumerate(out):
            image[:] = movie[frame]
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
    compression : {"lzw", "deflate", None}
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
                count = f"{survey.frames} of {frames}" if frames is not None else f"{survey.frames} whole"
                lead = f"holds {count} frames; " if survey.frames else ""
                return Verdict(False, survey.frames, f"{path} {lead}{survey.fault}.")
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


class TiffMovie:
    """Frames of a TIFF file, each decoded when asked for; see `cryowidgets.io.movie.open_movie`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        verdict = whole(path)
        if verdict.whole is False:
            raise InputError(verdict.why)
        self._handle = open(path, "rb")
        try:
            file = tifffile.TiffFile(self._handle)
            # Frames may be asked for by several threads: know all pages beforehand, take turns with the file.
            self._pages = list(file.pages)
            file.filehandle.set_lock(True)
            first = self._pages[0]
            if len(first.shape) != 2 or first.dtype is None:
                raise InputError(f"{path} does not hold plain images: each has the shape {first.shape}, not (y, x).")
        except InputError:
            self.close()
            raise
        except Exception as error:  # whatever a parser meets in a damaged file
            self.close()
            raise InputError(f"{path} is not a readable TIFF file: {error}.") from error
        self.shape = (verdict.frames, *first.shape)
        self.dtype = np.dtype(first.dtype)
        self.pixel_size = 0.0  # resolution tags of movies mean nothing

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        try:
            image = self._pages[frame].asarray(maxworkers=1)
        except Exception as error:  # decoders raise errors of their own, and different ones
            raise InputError(f"{self.path} cannot be decoded: frame {frame + 1} of {len(self)}: {error}.") from error
        if image.shape != self.shape[1:]:
            raise InputError(
                f"{self.path}: frame {frame + 1} has {'×'.join(map(str, image.shape))} px "
                f"and the first {self.shape[1]}×{self.shape[2]} px (y×x)."
            )
        return np.ascontiguousarray(image[::-1])

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> TiffMovie:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass
class _Survey:
    """What a walk along the directories found: whole frames, their number if the file tells it, the last of the data
    (end and length, bytes), and what is wrong."""

    frames: int = 0
    stated: int | None = None
    last: tuple[int, int] = (0, 0)
    fault: str = ""


def _survey(file: BinaryIO) -> _Survey:
    """Follow the directories without decoding anything."""
    size = os.fstat(file.fileno()).st_size
    found = _Survey()
    try:
        for tags in follow(file, size):
            end = max((start + length, length) for start, length in pieces(tags, size))
            if found.frames == 0:
                found.stated = _stated_frames(tags)
            found.frames += 1
            found.last = max(found.last, end)
    except Damaged as damage:
        found.fault = str(damage).removeprefix("then ") if found.frames == 0 else str(damage)
    return found


def _stated_frames(tags: Tags) -> int | None:
    """Number of frames by the description that tifffile gives to a stack written at once."""
    try:
        *stack, height, width = json.loads(text(tags, DESCRIPTION))["shape"]
        return int(np.prod(stack)) if stack and (height, width) == (tags[LENGTH][0], tags[WIDTH][0]) else None
    except (TypeError, ValueError, KeyError):
        return None
