"""What an archive's compression says at its end: whether it has come to an end, and how many bytes are packed.

Formats: RFC 1952 (gzip), RFC 8878 (zstandard), https://tukaani.org/xz/xz-file-format.txt (xz).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import imagecodecs

End = tuple[bool | None, int | None]  # has it ended; bytes that are packed

_SLACK = 1 << 20  # bytes by which an MRC file may well be longer than its header says


def gzip_end(file: BinaryIO, expected: int) -> End:
    """The last four bytes are the size, modulo 2³². Files of blocks (bgzip) only have a mark at the end."""
    size = _size(file)
    start = _at(file, 0, 18)
    if len(start) == 18 and start[3] & 4 and start[12:14] == b"BC":
        return _at(file, size - 28, 28) == _LAST_BLOCK, None
    if size < 18:
        return False, None
    over = (struct.unpack("<I", _at(file, size - 4, 4))[0] - expected) % (1 << 32)
    return over <= _SLACK, expected + over if over <= _SLACK else None


_LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bzip2_end(file: BinaryIO, expected: int) -> End:
    """A mark of 48 bits, which need not begin with a byte, and a checksum: of the last stream, if there are several."""
    size = _size(file)
    tail = int.from_bytes(_at(file, max(size - 11, 0), 11), "big")
    marked = any((tail >> (32 + padding)) & ((1 << 48) - 1) == 0x177245385090 for padding in range(8))
    return marked or False, None


def xz_end(file: BinaryIO, expected: int) -> End:
    """The index before the footer holds the sizes of all blocks of the last stream."""
    size = _size(file)
    footer = _at(file, size - 12, 12) if size >= 32 else b""
    if footer[10:] != b"YZ" or zlib.crc32(footer[4:10]) != struct.unpack("<I", footer[:4])[0]:
        return False, None
    length = 4 * (struct.unpack("<I", footer[4:8])[0] + 1)
    index = _at(file, max(size - 12 - length, 0), length)
    if len(index) < length or zlib.crc32(index[:-4]) != struct.unpack("<I", index[-4:])[0]:
        return False, None
    count, *numbers = [*_variable(index[1:-4]), 0]
    packed = sum(-(-n // 4) * 4 for n in numbers[: 2 * count : 2])
    total = sum(numbers[1 : 2 * count : 2])
    alone = 12 + packed + length + 12 == size
    return True, total if alone or total == expected else None


def zstandard_end(file: BinaryIO, expected: int) -> End:
    """Each frame is a chain of blocks, the last of which says so; most frames tell how many bytes they pack."""
    size, at, total = _size(file), 0, 0
    known = size > 0
    while at < size:
        start = _at(file, at, 18)
        if (
            len(start) >= 8 and start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50
        ):  # something else, to be skipped
            at += 8 + struct.unpack("<I", start[4:8])[0]
            continue
        header, content, checksum = _zstandard_frame(start)
        known, total = known and content is not None, total + (content or 0)
        at += header
        last = False
        while not last:
            block = _at(file, at, 3)
            if len(block) < 3:
                return False, None
            last, length = _zstandard_block(block)
            at += 3 + length
        at += 4 * checksum
    return at == size > 0, total if known else None


def zstandard_head(file: BinaryIO) -> bytes:
    """The first bytes that are packed, up to 128 KiB: the first block alone, made a frame of its own."""
    header, _, _ = _zstandard_frame(_at(file, 0, 18))
    block = _at(file, header, 3)
    if len(block) < 3:
        raise EOFError("it ends too early")
    data = _at(file, header + 3, _zstandard_block(block)[1])
    last = bytes([block[0] | 1]) + block[1:]
    return bytes(imagecodecs.zstd_decode(_ZSTANDARD + bytes([0, 7 << 3]) + last + data, out=1 << 17))


_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def _zstandard_frame(start: bytes) -> tuple[int, int | None, bool]:
    """Length of a frame's header, bytes that it packs (None: it does not tell), and whether a checksum ends it."""
    if start[:4] != _ZSTANDARD or len(start) < 7:
        raise ValueError("it is not of this compression")
    told = start[4]
    single = bool(told & 0x20)
    place = 5 + (not single) + (0, 1, 2, 4)[told & 3]
    width = (1 if single else 0, 2, 4, 8)[told >> 6]
    content = int.from_bytes(start[place : place + width], "little") + (256 if width == 2 else 0) if width else None
    return place + width, content, bool(told & 4)


def _zstandard_block(header: bytes) -> tuple[bool, int]:
    """Whether a block is the last, and its length in the file."""
    told = int.from_bytes(header, "little")
    return bool(told & 1), 1 if told >> 1 & 3 == 1 else told >> 3


ENDS: dict[str, Callable[[BinaryIO, int], End]] = {
    ".gz": gzip_end,
    ".bz2": bzip2_end,
    ".xz": xz_end,
    ".zst": zstandard_end,
}


def _variable(raw: bytes) -> Iterator[int]:
    """Integers of xz: seven bits in each byte, the lowest first; the eighth says that more follow."""
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield value
            value = shift = 0


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
