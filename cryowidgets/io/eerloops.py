"""The loop that unpacks the run lengths of EER frames, compiled.

It works on integers alone, so that the compiler's freedom with floating-point numbers does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.cpu import compiled

_BAND = 1 << 16  # pixels that are rendered from all raw frames before the next ones are: a piece that fits in a cache


@compiled
def render(
    stream: Any, begins: Any, ends: Any, run_bits: int, x_bits: int, y_bits: int, wasteful: bool,
    height: int, width: int, upsampling: int, sign: int, out: Any,
) -> Any:  # fmt: skip
    """Add the electrons of raw frames to an image.

    Bits are read from the lowest of the first byte on. Each code is a run length, the number of pixels without an
    electron, and the position of the electron that follows within its pixel, x first. The largest run length says
    "this many pixels, and go on": no electron follows.

    Parameters
    ----------
    stream : array, uint32
        The raw frames, little-endian; 8 bytes after each may be read.
    begins, ends : arrays, int64
        Where each raw frame begins and ends in the stream, bytes; it begins at a multiple of 4.
    run_bits, x_bits, y_bits : int
        Widths of the run length and of the position, together at most 32.
    wasteful : bool
        Whether unused position bits follow a run length that says "go on".
    upsampling : int
        1 or 2: pixels of the image for one of the camera, along each axis.
    sign : int
        1 to add; 0 to count only; -1 to take away what was added before.
    out : array (height·upsampling · width·upsampling,), uint8 or uint16

    Returns
    -------
    array (raw frames, 2), int64
        How many pixels the codes cover, which is the area of the camera unless the frame is damaged (-1: it ends
        within a code); and how many electrons there are.
    """
    n, area = len(begins), height * width
    told = np.zeros((n, 2), np.int64)
    kept = np.zeros((n, 2), np.uint64)  # bits of each frame that were fetched and not used yet, and how many they are
    words = begins // 4  # the next to fetch
    one, fetched = np.uint64(1), np.uint64(32)
    run_width, code_width = np.uint64(run_bits), np.uint64(run_bits + x_bits + y_bits)
    skip_width = code_width if wasteful else run_width
    longest = (one << run_width) - one
    right, down = np.uint64(run_bits + x_bits - 1), np.uint64(run_bits + x_bits + y_bits - 1)
    step = out.dtype.type(sign)
    for low in range(0, area, _BAND):
        high = min(low + _BAND, area)
        for frame in range(n):
            bits, have = kept[frame, 0], kept[frame, 1]
            word, stop = np.uint64(words[frame]), np.uint64((ends[frame] + 3) // 4)
            at, electrons = told[frame, 0], told[frame, 1]
            row = at // width
            edge = (row + 1) * width
            while at < high:
                if have < fetched:
                    if word > stop:
                        break
                    bits |= np.uint64(stream[word]) << have
                    have += fetched
                    word += one
                run = bits & longest
                at += np.int64(run)
                if run == longest:
                    bits >>= skip_width
                    have -= skip_width
                    continue
                if at >= area:
                    have -= run_width
                    break
                if sign != 0:
                    if upsampling == 1:
                        out[np.uint64(at)] += step
                    else:
                        while at >= edge:
                            edge += width
                            row += 1
                        # The highest bit of a position is stored inverted.
                        y = 2 * row + np.int64(((bits >> down) & one) ^ one)
                        x = 2 * (at - edge + width) + np.int64(((bits >> right) & one) ^ one)
                        out[np.uint64(2 * width * y + x)] += step
                bits >>= code_width
                have -= code_width
                electrons += 1
                at += 1
            kept[frame, 0], kept[frame, 1] = bits, have
            words[frame], told[frame, 0], told[frame, 1] = np.int64(word), at, electrons
    for frame in range(n):
        used = 32 * (words[frame] - begins[frame] // 4) - np.int64(kept[frame, 1])
        if used > 8 * (ends[frame] - begins[frame]):
            told[frame, 0] = -1
    return told
