"""The loop that writes the run lengths of EER frames, compiled; the inverse of `cryowidgets.io.eerloops`.

It works on integers alone, so that the compiler's freedom with floating-point numbers does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def pack(
    pixels: Any, positions: Any, area: int, run_bits: int, place_bits: int, wasteful: bool, out: Any
) -> int:  # fmt: skip
    """Write the electrons of a raw frame, bits from the lowest of the first byte on.

    Parameters
    ----------
    pixels : array (n,), int64
        Index of the pixel of each electron, rising.
    positions : array (n,), uint64
        Where in the pixel it is, as `place_bits` bits.
    area : int
        Pixels of the camera.
    run_bits, place_bits : int
    wasteful : bool
        Whether place bits follow a run length that says "go on".
    out : array, uint8
        Zeros, with room for all codes and 8 bytes more.

    Returns
    -------
    int
        Bytes written.
    """
    longest = np.int64((1 << run_bits) - 1)
    byte, pending, filled = 0, np.uint64(0), 0
    previous = np.int64(-1)
    for i in range(len(pixels) + 1):
        here = pixels[i] if i < len(pixels) else np.int64(area)
        gap = here - previous - 1
        while gap >= longest:
            gap -= longest
            pending |= np.uint64(longest) << np.uint64(filled)
            filled += run_bits + (place_bits if wasteful else 0)
            while filled >= 8:
                out[byte] = pending & np.uint64(255)
                pending >>= np.uint64(8)
                byte += 1
                filled -= 8
        value = np.uint64(gap)
        if i < len(pixels):
            value |= positions[i] << np.uint64(run_bits)
        pending |= value << np.uint64(filled)
        filled += run_bits + place_bits
        while filled >= 8:
            out[byte] = pending & np.uint64(255)
            pending >>= np.uint64(8)
            byte += 1
            filled -= 8
        previous = here
    if filled:
        out[byte] = pending & np.uint64(255)
        byte += 1
    return byte
