"""Unpack bzip2 on several threads: its blocks, of up to 900 kB, do not depend on each other.

A block begins with a mark of 48 bits, anywhere in a byte. Each is made a file of its own, of one block.
"""

from __future__ import annotations

import bz2
import io
from collections.abc import Iterator
from typing import BinaryIO

from cryowidgets import cpu

_BLOCK, _END = 0x314159265359, 0x177245385090
_BITS = 48
_CHUNK = 1 << 22


class Unpacked(io.RawIOBase):
    """The unpacked bytes of a file, from the first one on.

    Raises
    ------
    EOFError, OSError
        When what is read ends too early or is damaged; also where the mark of a block is in the data by chance, once in
        10¹⁴ bits: then `bz2` itself can read it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._pieces = _pieces(file)
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into) -> int:
        while not len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        n = min(len(into), len(self._piece))
        into[:n] = self._piece[:n]
        self._piece = self._piece[n:]
        return n


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    batch: list[bytes] = []
    for block in _blocks(file):
        batch.append(block)
        if len(batch) >= 2 * cpu.threads():
            yield from cpu.each(bz2.decompress, batch)
            batch.clear()
    yield from cpu.each(bz2.decompress, batch)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Each block as a file of its own."""
    file.seek(0)
    data, searched, start = b"", 0, None  # bits looked at, and where the block begins that is not whole yet
    while more := file.read(_CHUNK):
        data += more
        for place, mark in _marks(data, searched):
            if start is not None:
                yield _alone(data, start, place)
            start = place if mark == _BLOCK else None
        searched = 8 * len(data) - _BITS + 1
        done = max((searched if start is None else start) // 8, 0)
        data, searched = data[done:], max(searched - 8 * done, 0)
        start = None if start is None else start - 8 * done
    if start is not None:
        raise EOFError("it ends too early")


def _marks(data: bytes, first: int) -> list[tuple[int, int]]:
    """Place, in bits, of each mark that begins at bit `first` or later, and which it is."""
    found = []
    for mark in (_BLOCK, _END):
        for shift in range(8):
            whole = (mark << (8 - shift)).to_bytes(7, "big")  # as it lies in seven bytes
            inner = whole[1:6]
            at = data.find(inner, max(first // 8, 0) + 1)
            while at > 0:
                place = 8 * (at - 1) + shift
                if place >= first and _bits(data, place, place + _BITS) == mark:
                    found.append((place, mark))
                at = data.find(inner, at + 1)
    return sorted(found)


def _bits(data: bytes, start: int, end: int) -> int:
    """Bits `start` to `end` - 1 as a number; those beyond the data are missing."""
    last = min(-(-end // 8), len(data))
    value = int.from_bytes(data[start // 8 : last], "big") >> max(8 * last - end, 0)
    return value & ((1 << (end - start)) - 1)


def _alone(data: bytes, start: int, end: int) -> bytes:
    """A block as a file: head, block, mark of the end, the checksum again."""
    checksum = _bits(data, start + _BITS, start + _BITS + 32)
    value = (_bits(data, start, end) << (_BITS + 32)) | (_END << 32) | checksum
    length = end - start + _BITS + 32
    return b"BZh9" + (value << (-length % 8)).to_bytes(-(-length // 8), "big")
