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
    from cryowidgets.io import eerpack

    pixels = np.ascontiguousarray(pixels, np.int64)
    # The highest bit of a position is stored inverted.
    position = (np.asarray(x, np.uint64) ^ np.uint64(1 << code.x >> 1)) | (
        (np.asarray(y, np.uint64) ^ np.uint64(1 << code.y >> 1)) << np.uint64(code.x)
    )
    codes = len(pixels) + 1 + area // ((1 << code.run) - 1)
    out = np.zeros((codes * (code.run + code.x + code.y) + 7) // 8 + 8, np.uint8)
    size = eerpack.pack(pixels, position, area, code.run, code.x + code.y, code.wasteful, out)
    return out[:size].tobytes()
