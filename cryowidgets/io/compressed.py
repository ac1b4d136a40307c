"""MRC movies in an archive's compression: gzip, bzip2, xz or zstandard.

They are unpacked from the front, frame by frame, and a frame that lies before the last one read starts that anew: read
such movies once and forward. Those of zstandard alone are unpacked into memory, as bytes; those of bzip2, whose blocks
do not depend on each other, on as many threads as there may be.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import imagecodecs
import numpy as np

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import bzip2, mrcheader, packing
from cryowidgets.io.frames import Opened, open_file
from cryowidgets.io.verdict import Verdict, judge

SUFFIXES = tuple(packing.ENDS)
_CHUNK = 1 << 20
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, MemoryError, zlib.error, lzma.LZMAError)


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Compare what the end of the archive says with what the header asks for; see `cryowidgets.io.movie.whole`.

    gzip, xz and zstandard tell how many bytes are packed. bzip2 tells only that it has come to an end.
    """
    try:
        with open(path, "rb") as file:
            header = mrcheader.read_from(path, _head(file, Path(path).suffix.lower()))
            ended, size = packing.ENDS[Path(path).suffix.lower()](file, header.end)
    except InputError as error:
        return Verdict(False, 0, str(error))
    except FileNotFoundError:
        return Verdict(False, 0, f"{path} does not exist.")
    except _BROKEN as error:
        return Verdict(False, 0, f"{path} is truncated or damaged: {error}.")
    if ended is False or (size is not None and size < header.end):
        return Verdict(False, 0, f"{path} is truncated: its end is missing.")
    verdict = judge(path, header.shape[0], frames)
    if not verdict.whole:
        return verdict
    if size is None:
        return Verdict(None, header.shape[0], f"{path} cannot tell whether it is whole.")
    if size > header.end:
        return Verdict(None, header.shape[0], f"{path} packs {size} bytes where its header asks for {header.end}.")
    return verdict


class CompressedMovie(Opened):
    """Frames of a compressed MRC file, each unpacked when asked for; see `cryowidgets.io.movie.open_movie`.

    Parameters
    ----------
    signed : bool, optional
        As for `cryowidgets.io.mrc.MrcMovie`.
    """

    def __init__(self, path: str | os.PathLike, signed: bool | None = None) -> None:
        self.path = Path(path)
        self._suffix = self.path.suffix.lower()
        self._turn = Lock()
        self._file = open_file(path)
        self._stream: BinaryIO | io.RawIOBase | None = None
        self._next = 0  # the frame that comes next in the stream
        self._alone = False  # whether one thread is to unpack it
        try:
            start = self._unpacked() if self._suffix == ".zst" else _unpacker(self._file, self._suffix)
            self.header = mrcheader.read_from(path, start, signed)
        except _BROKEN as error:
            self.close()
            raise InputError(f"{path} cannot be unpacked: {error or 'it ends too early'}.") from error
        except BaseException:
            self.close()
            raise
        self.shape, self.dtype = self.header.shape, self.header.native
        self.pixel_size = self.header.pixel_size

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        return self.block(frame, frame + 1)[0]

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Unpack frames `first` to `end` - 1 one after the other; see `cryowidgets.io.frames.Frames`."""
        out = self._room(first, end, out)
        with self._turn:
            for i, image in enumerate(out):
                try:
                    try:
                        self._read(first + i, image)
                    except _BROKEN:
                        if self._alone or self._suffix != ".bz2":
                            raise
                        self._alone, self._stream = True, None
                        self._read(first + i, image)
                except _BROKEN as error:
                    self._stream = None
                    why = error or "it ends too early"
                    raise InputError(
                        f"{self.path} cannot be unpacked: frame {first + i + 1} of {len(self)}: {why}."
                    ) from error
        return out

    def close(self) -> None:
        self._stream = None
        self._file.close()

    def _read(self, frame: int, image: np.ndarray) -> None:
        if self._stream is None or frame < self._next:
            self._stream, self._next = self._unpacked(), 0
            _take(self._stream, self.header.offset)
        n = self.header.frame_bytes
        for _ in range(frame - self._next):
            _take(self._stream, n)
        raw = image.reshape(-1).view(np.uint8) if self.header.direct else np.empty(n, np.uint8)
        _take(self._stream, n, memoryview(raw))
        self._next = frame + 1
        if not self.header.direct:
            self.header.decode(raw, image)

    def _unpacked(self):
        """The unpacked bytes from the first one on."""
        if self._suffix == ".bz2" and cpu.threads() > 1 and not self._alone:
            return bzip2.Unpacked(self._file)
        if self._suffix != ".zst":
            return _unpacker(self._file, self._suffix)
        if self._stream is None:
            size = mrcheader.read_from(self.path, _head(self._file, self._suffix)).end
            ended, packed = packing.zstandard_end(self._file, size)
            if not ended or (packed is not None and packed < size):
                raise EOFError("it ends too early")
            self._file.seek(0)
            self._memory = imagecodecs.zstd_decode(self._file.read(), out=np.empty(packed or size, np.uint8))
        return io.BytesIO(self._memory)


def _unpacker(file: BinaryIO, suffix: str) -> BinaryIO:
    file.seek(0)
    return {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[suffix](file)


def _head(file: BinaryIO, suffix: str) -> BinaryIO:
    """Unpacked bytes from the first one on: enough of them for the header."""
    return io.BytesIO(packing.zstandard_head(file)) if suffix == ".zst" else _unpacker(file, suffix)


def _take(stream: BinaryIO, n: int, into: memoryview | None = None) -> None:
    """Read n bytes, or pass them over."""
    done = 0
    while done < n:
        if into is not None:
            got = stream.readinto(into[done:])
        else:
            got = len(stream.read(min(n - done, _CHUNK)))
        if not got:
            raise EOFError("it ends too early")
        done += got
