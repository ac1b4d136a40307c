"""The directories of TIFF and BigTIFF files, followed without decoding an image.

Tags are known by their numbers in the TIFF 6.0 specification and, from 65000 on, in that of EER.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

Tags = dict[int, tuple]

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
STRIPS, SAMPLES, ROWS, STRIP_SIZES, DATE, PREDICTOR = 273, 277, 278, 279, 306, 317
TILE_WIDTH, TILE_LENGTH, TILES, TILE_SIZES, SAMPLE_FORMAT = 322, 323, 324, 325, 339
ACQUISITION, RUN_BITS, X_BITS, Y_BITS = 65001, 65007, 65008, 65009
IMAGE = frozenset(
    {WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION, STRIPS, SAMPLES, ROWS, STRIP_SIZES}
    | {DATE, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILES, TILE_SIZES, SAMPLE_FORMAT, RUN_BITS, X_BITS, Y_BITS}
)

_DENSEST = 5000  # pixels per byte; deflate and LZW stay below 1400
_TEXT = frozenset({DESCRIPTION, DATE, ACQUISITION})
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_CHARACTERS = {1: "s", 2: "s", 7: "s"}


class Damaged(Exception):
    """The directories cannot be followed; the words fit behind the name of the file."""


def follow(file: BinaryIO, size: int | None = None, wanted: frozenset[int] = IMAGE) -> Iterator[Tags]:
    """The wanted tags of one directory after the other: tuples of integers, or of one bytes object where it is text.

    Parameters
    ----------
    size : int, optional
        Size of the file, bytes, if it is known already.

    Raises
    ------
    Damaged
        At the first directory that is not there.
    """
    if size is None:
        size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(16)
    if not head:
        raise Damaged("is empty (0 bytes)")
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(order + "H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version == 42:
        count, entry, address, offset = "H", 12, "I", 4
    elif version == 43 and len(head) == 16:
        count, entry, address, offset = "Q", 20, "Q", 8
    else:
        raise Damaged("is not a TIFF file")
    width, inline = struct.calcsize(count), struct.calcsize(address)

    def take(format: str, at: int) -> tuple:
        length = struct.calcsize(order + format)
        if at + length <= size:  # else it may not even be a place that one can seek
            file.seek(at)
            raw = file.read(length)
            if len(raw) == length:
                return struct.unpack(order + format, raw)
        raise Damaged("then its directories lead outside of the file: it is truncated")

    (where,) = take(address, offset)
    if where == 0:
        raise Damaged("has no directory yet")
    visited: set[int] = set()
    while where:
        if where in visited:
            raise Damaged("then its directories run in a circle")
        visited.add(where)
        (n,) = take(count, where)
        if n == 0 or n > 4096:
            raise Damaged("then a directory is blank or damaged")
        (table, where) = take(f"{n * entry}s{address}", where + width)
        tags: Tags = {}
        for i in range(0, n * entry, entry):
            tag, kind = struct.unpack_from(order + "HH", table, i)
            letter = (_CHARACTERS if tag in _TEXT else _NUMBERS).get(kind)
            if tag not in wanted or letter is None:
                continue
            (values,) = struct.unpack_from(order + address, table, i + 4)
            format, at = f"{values}{letter}", i + 4 + inline
            length = values * struct.calcsize(order + letter)
            if not 0 < length <= size:
                continue
            if length <= inline:
                tags[tag] = struct.unpack_from(order + format, table, at)
            else:
                tags[tag] = take(format, struct.unpack_from(order + address, table, at)[0])
        yield tags


def number(tags: Tags, tag: int, default: int) -> int:
    """The first of a tag's integers, or `default` where there is none."""
    return tags.get(tag, (default,))[0]


def text(tags: Tags, tag: int) -> str:
    """A tag's text, or nothing."""
    return tags.get(tag, (b"",))[0].rstrip(b"\0").decode("utf-8", "replace")


def pieces(tags: Tags, size: int) -> list[tuple[int, int]]:
    """Where each strip or tile of an image begins and how many bytes it has; all lie within the file of `size` bytes.

    Raises
    ------
    Damaged
        The image is not wholly there.
    """
    width, height = number(tags, WIDTH, 0), number(tags, LENGTH, 0)
    if not (width and height):
        raise Damaged("then a directory is damaged")
    starts = tags.get(STRIPS) or tags.get(TILES)
    lengths = tags.get(STRIP_SIZES) or tags.get(TILE_SIZES)
    if not starts or not lengths or len(starts) != len(lengths):
        raise Damaged("then a directory does not tell where its image is")
    if STRIPS in tags and len(starts) < -(-height // min(height, number(tags, ROWS, height) or height)):
        raise Damaged("then an image lacks strips")
    if not all(starts) or not all(lengths):
        raise Damaged("then an image has no data yet")
    if max(start + length for start, length in zip(starts, lengths, strict=True)) > size:
        raise Damaged("then it ends within an image")
    if width * height > _DENSEST * sum(lengths):
        raise Damaged("then a directory is damaged: no compression makes so large an image so small")
    return list(zip(starts, lengths, strict=True))
