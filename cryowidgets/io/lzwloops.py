"""LZW of TIFF files (TIFF 6.0 specification, section 13), compiled: the bulk of the work of reading a compressed movie.

Counts of electrons compress to strings of few bytes. A string of up to 8 bytes is kept in one number and written at
once; a longer one is copied from where it was written before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cryowidgets.cpu import compiled

BEYOND = 8  # bytes behind the data and behind the output that may be read and written


@intrinsic
def _load(typing: Any, array: Any, index: Any) -> Any:
    """Eight bytes of an array of bytes from `index` on, which need not be a multiple of 8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments), align=1)

    return types.uint64(array, index), generate


@intrinsic
def _store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Put eight bytes into an array of bytes from `index` on, which need not be a multiple of 8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature, arguments), align=1)
        return context.get_dummy_value()

    return types.void(array, index, types.uint64), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    place = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [arguments[1]])
    return builder.bitcast(place, ir.IntType(64).as_pointer())


@compiled
def _swapped(word: Any) -> Any:
    """The eight bytes in reverse order."""
    word = (word << np.uint64(32)) | (word >> np.uint64(32))
    pairs, bytes = np.uint64(0x0000FFFF0000FFFF), np.uint64(0x00FF00FF00FF00FF)
    word = ((word & pairs) << np.uint64(16)) | ((word >> np.uint64(16)) & pairs)
    return ((word & bytes) << np.uint64(8)) | ((word >> np.uint64(8)) & bytes)


@compiled
def decode(raw: Any, length: int, out: Any, room: int) -> int:
    """Decode a strip.

    Parameters
    ----------
    raw, length : array, uint8; int
        The data, and how many bytes they are; `BEYOND` more may be read.
    out, room : array, uint8; int
        Where they go, and how many bytes at most; `BEYOND` more may be written.

    Returns
    -------
    int
        How many bytes there are; -1 if the data are damaged.
    """
    clear, stop, first_free, most = 256, 257, 258, 4096
    strings = np.empty(most, np.uint64)  # the first 8 bytes of each string, the very first in the lowest bits
    lengths = np.empty(most, np.int16)  # small, so that all stays in the fastest cache
    places = np.zeros(most, np.int64)  # where a longer one was written
    for literal in range(256):
        strings[literal], lengths[literal] = literal, 1
    byte, whole_word = np.uint64(0xFF), np.uint64(64)
    width, free, place, done, bit, last = 9, first_free, 0, 0, 0, 8 * length
    before, before_length = np.uint64(0), 0  # the string before; of length 0 where there is none
    while bit + width <= last:
        word = _swapped(_load(raw, np.int64(bit >> 3)))
        code = np.int64((word << np.uint64(bit & 7)) >> (whole_word - np.uint64(width)))
        bit += width
        if code == clear:
            width, free, before_length = 9, first_free, 0
            continue
        if code == stop:
            break
        if before_length == 0:
            if code > 255:
                return -1
        else:
            if code > free or free >= most:
                return -1
            # The string before and the first byte of this one, which for a code not defined yet is that of the former.
            first = (before if code == free else strings[code]) & byte
            if before_length < 8:
                strings[free] = before | (first << np.uint64(8 * before_length))
            else:
                strings[free], places[free] = before, place
            lengths[free] = before_length + 1
            free += 1
            if free == (1 << width) - 1 and width < 12:
                width += 1
        string, size = strings[code], np.int64(lengths[code])
        source, place = places[code], done
        done += size
        if done > room:
            if size > 8:
                for k in range(room - place):
                    out[place + k] = out[source + k]
            else:
                for k in range(room - place):
                    out[place + k] = np.uint8((string >> np.uint64(8 * k)) & byte)
            return room
        _store(out, np.int64(place), string)
        for k in range(8, size, 8):
            _store(out, np.int64(place + k), _load(out, np.int64(source + k)))
        before, before_length = string, size
    return done


@compiled
def strips(
    raw: Any,  # (bytes,) uint8, `BEYOND` more than the data
    starts: Any,  # (strips,) int64: where each begins in `raw`
    lengths: Any,  # (strips,) int64
    first: int,  # row of the image that the first strip begins with
    rows: int,  # of a strip
    scratch: Any,  # (rows · row bytes + `BEYOND`,) uint8
    out: Any,  # (image rows, row bytes) uint8: row 0 is the last one of the image
) -> bool:
    """Decode consecutive strips to where they belong; False if one is damaged."""
    height, width = out.shape
    top = first
    for i in range(len(starts)):
        here = min(rows, height - top)
        if decode(raw[starts[i] :], lengths[i], scratch, rows * width) < here * width:
            return False
        for y in range(here):
            line = out[height - 1 - top - y]
            for x in range(width):
                line[x] = scratch[y * width + x]
        top += here
    return True
