"""Frames taken apart into the raw frames of a camera that lists electrons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


class RawFrames:
    """Raw frames of counted frames: each electron of a frame falls into one of its raw frames at random.

    As the camera does, a raw frame has one electron in a pixel at most: what comes on top of it is lost.

    Parameters
    ----------
    frames : iterable of arrays (y, x), uint8
        Counts; taken one after the other as raw frames are asked for.
    parts : int
        Raw frames for each of them.
    count : int
        How many raw frames there will be, or are said to be: the length.
    seed : int
    """

    def __init__(self, frames: Iterable[np.ndarray], parts: int, count: int, seed: int) -> None:
        self._frames, self._parts, self._count = frames, parts, count
        self._rng = np.random.Generator(np.random.SFC64([seed, 0x656572]))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in self._frames:
            pixels = np.repeat(np.arange(frame.size, dtype=np.int32), frame.ravel())
            part = self._rng.integers(0, self._parts, len(pixels), dtype=np.uint16)
            pixels = pixels[np.argsort(part, kind="stable")]
            ends = np.cumsum(np.bincount(part, minlength=self._parts))
            for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
                raw = np.zeros(frame.shape, np.uint8)
                raw.reshape(-1)[pixels[begin:end]] = 1
                yield raw
