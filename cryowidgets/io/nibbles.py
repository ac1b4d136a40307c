"""Counts below 16, two in a byte, as SerialEM and IMOD write frames of super-resolution."""

from __future__ import annotations

import numpy as np

# Sizes of such frames of K2 and K3; a file that holds bytes of half that width holds pairs of counts. There is no
# other mark in them: IMOD and RELION go by the size too.
_SIZES = ((7676, 7420), (7680, 7424), (11520, 8184))
_TOLERANCE = 2
_ROWS = 16  # unpacked at a time: they stay in the cache from step to step


def halved(height: int, width: int) -> bool:
    """Whether an image of bytes is as large as a super-resolution frame with two counts in each byte."""
    return any(
        abs(2 * width - x) <= 2 * _TOLERANCE and abs(height - y) <= _TOLERANCE
        for long, short in _SIZES
        for x, y in ((long, short), (short, long))
    )


def unpack(packed: np.ndarray, out: np.ndarray, low_first: bool = True) -> None:
    """Take the counts apart.

    Parameters
    ----------
    packed : array (y, (x + 1) // 2), uint8
        Rows begin with a new byte.
    out : array (y, x), uint8
        Where to put them.
    low_first : bool
        Whether the left one of two counts is in the low bits, as in MRC files and those of SerialEM; else it is in the
        high bits, as in TIFF files of 4-bit samples.
    """
    for top in range(0, len(out), _ROWS):
        pairs = packed[top : top + _ROWS].astype("<u2")
        pairs = pairs | pairs << 4 if low_first else pairs >> 4 | pairs << 8
        pairs &= 0x0F0F
        out[top : top + _ROWS] = pairs.view(np.uint8)[:, : out.shape[1]]
