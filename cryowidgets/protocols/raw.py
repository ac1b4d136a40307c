"""Frames of one movie as kernels take them: raw, in blocks, read once where memory allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cryowidgets.io.movie import Frames
from cryowidgets.kernels import gain

BLOCK = 256e6
"""Bytes of the blocks in which a movie is read that is not kept in memory."""


class Raw:
    """The frames that are used of an open movie, their defects replaced in the same way each time they are read.

    Parameters
    ----------
    file : Frames
    numbers : range
        Which frames, counted from 0.
    memory : float
        Bytes up to which they are kept.
    seed : int
        Of the random draws that replace defects.
    """

    def __init__(self, file: Frames, numbers: range, memory: float, seed: int) -> None:
        self._file, self._numbers, self._seed = file, numbers, seed
        self.shape: tuple[int, int] = (file.shape[1], file.shape[2])
        self._frame_bytes = file.shape[1] * file.shape[2] * np.dtype(file.dtype).itemsize
        self._kept: np.ndarray | None = None
        self._keeps = len(numbers) * self._frame_bytes <= memory
        self._repair: gain.Repair | None = None
        self.total = self._sum()
        """Sum of the frames as they are in the file: (y, x)."""

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[np.ndarray]:
        for _, frames in self.blocks():
            yield from frames

    def blocks(self, together: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """Blocks of frames (n, y, x), each with the number of its first, counted from the first one used, which is a
        multiple of `together`."""
        if self._kept is not None:
            yield 0, self._kept
            return
        step = len(self) if self._keeps else max(int(BLOCK / self._frame_bytes / together), 1) * together
        for first in range(0, len(self), step):
            end = min(first + step, len(self))
            frames = self._file.block(self._numbers[first], self._numbers[end - 1] + 1)
            self._mend(first, frames)
            if self._keeps:
                self._kept = frames
            yield first, frames

    def repair(self, defects: gain.Defects) -> gain.Repair:
        """Replace defects from now on."""
        self._repair = gain.Repair(defects, self.total)
        if self._kept is not None:
            self._mend(0, self._kept)
        return self._repair

    def counts(self) -> float:
        """Mean of a frame as it is in the file."""
        return float(self.total.mean(dtype=np.float64, where=np.isfinite(self.total))) / len(self)

    def _mend(self, first: int, frames: np.ndarray) -> None:
        if self._repair is not None:
            for j, frame in enumerate(frames, first):
                self._repair(frame, np.random.default_rng([self._seed, self._numbers[j]]))

    def _sum(self) -> np.ndarray:
        kind = {"u": np.uint32, "i": np.int32}.get(np.dtype(self._file.dtype).kind, np.float32)
        total = np.zeros(self.shape, kind)
        for _, frames in self.blocks():
            gain.add(frames, total)
        return total
