"""What all open movies have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from cryowidgets.errors import InputError


class Frames(Protocol):
    """An open movie: a context manager whose ``movie[i]`` reads frame i, (y, x) in the row order of MRC.

    Several threads may ask for frames at once.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    pixel_size: float

    def __len__(self) -> int: ...
    def __getitem__(self, frame: int) -> np.ndarray: ...
    def __enter__(self) -> Frames: ...
    def __exit__(self, *error: object) -> None: ...
    def close(self) -> None: ...

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Read frames `first` to `end` - 1 on ``cpu.threads()`` threads.

        Parameters
        ----------
        out : array (end - first, y, x), optional
            Where to put them: of the movie's dtype, each frame contiguous.

        Returns
        -------
        array (end - first, y, x)
            `out`, or a new array.
        """
        ...


class Opened:
    """Base of the open movies: they are context managers and have a length; they set `path`, `shape` and `dtype`."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError

    def _room(self, first: int, end: int, out: np.ndarray | None) -> np.ndarray:
        """`out`, checked, or a new array for frames `first` to `end` - 1."""
        if not 0 <= first <= end <= len(self):
            raise IndexError(f"frames {first} to {end - 1} are not in {self.path}: it has 0 to {len(self) - 1}")
        shape = (end - first, *self.shape[1:])
        if out is None:
            return np.empty(shape, self.dtype)
        if out.shape != shape or out.dtype != self.dtype or not all(image.flags.c_contiguous for image in out):
            raise ValueError(f"out must be an array of {shape} {self.dtype} with contiguous frames")
        return out


class InMemory(Opened):
    """Frames of an array (frames, y, x)."""

    def __init__(self, path: str | os.PathLike, array: np.ndarray, pixel_size: float) -> None:
        self.path, self._array, self.pixel_size = Path(path), array, pixel_size
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, frame: int) -> np.ndarray:
        return self._array[range(len(self))[frame]].copy()

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Copy frames `first` to `end` - 1; see `Frames`."""
        out = self._room(first, end, out)
        out[...] = self._array[first:end]
        return out

    def close(self) -> None:
        """Nothing is open."""


def open_file(path: str | os.PathLike):
    """Open a file to read bytes; errors of the disk become errors that name the file."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
