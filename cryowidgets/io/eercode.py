"""How EER files write the electrons of a raw frame: run lengths and positions within a pixel, as a stream of bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Code:
    """Widths in bits of the run length and of the position within a pixel; and whether unused position bits follow a
    run length that only says "go on", as in the files of the first cameras."""

    run: int
    x: int
    y: int
    wasteful: bool = False


CODES = {65000: Code(8, 2, 2, wasteful=True), 65001: Code(7, 2, 2)}  # by the number of the compression
TAGGED = 65002  # here the widths are in the directory


def encode(code: Code, area: int, pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> bytes:
    """Write the electrons of a raw frame.

    Parameters
    ----------
    area : int
        Pixels of the camera.
    pixels : array (n,), int
        Index of the pixel of each electron, rising: there is at most one in each.
    x, y : arrays (n,), int
        Where in the pixel it is: from 0 to ``2**code.x - 1`` and ``2**code.y - 1``.
    """
    longest = (1 << code.run) - 1
    gaps = np.diff(np.concatenate([[-1], np.asarray(pixels, np.int64), [area]])) - 1  # the last one ends the frame
    skips = gaps // longest
    last = np.cumsum(skips + 1) - 1  # place of the code that ends each gap
    values = np.full(last[-1] + 1, longest, np.uint64)
    lengths = np.full(len(values), code.run + (code.x + code.y if code.wasteful else 0))
    # The highest bit of a position is stored inverted.
    position = (np.asarray(x, np.uint64) ^ np.uint64(1 << code.x >> 1)) | (
        (np.asarray(y, np.uint64) ^ np.uint64(1 << code.y >> 1)) << np.uint64(code.x)
    )
    values[last] = gaps % longest
    values[last[:-1]] |= position << np.uint64(code.run)
    lengths[last] = code.run + code.x + code.y
    starts = np.cumsum(lengths) - lengths
    out = np.zeros((starts[-1] + lengths[-1] + 7) // 8 + 8)
    values <<= (starts % 8).astype(np.uint64)
    for k in range((int(lengths.max()) + 7 + 7) // 8):  # bits do not overlap: sums of bytes stay bytes
        piece = (values >> np.uint64(8 * k)) & np.uint64(255)
        out += np.bincount(starts // 8 + k, weights=piece, minlength=len(out))
    return out[:-8].astype(np.uint8).tobytes()
