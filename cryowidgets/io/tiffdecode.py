"""Decode the strips and tiles of a TIFF image straight into an array, upside down: many threads may do so at once.

The file is asked for raw bytes alone, by its descriptor, which unlike a file object has no place of its own. Images
that are laid out in a rarer way are left to tifffile.
"""

from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np

from cryowidgets.io import directories as tiff
from cryowidgets.io import meter, nibbles

_LZW = 5
_DECODERS = {8: imagecodecs.deflate_decode, 32946: imagecodecs.deflate_decode, 50000: imagecodecs.zstd_decode}
_KINDS = {1: "u", 2: "i", 3: "f"}


class Unusual(Exception):
    """The image is laid out in a way that is not known here."""


@dataclass(frozen=True)
class Layout:
    """How an image is stored.

    Attributes
    ----------
    pieces : list of (int, int)
        Where each strip or tile begins in the file and how long it is, bytes; row by row.
    height, width : int
        Of the image, px.
    rows, columns : int
        Of a strip or tile, px; the last ones may go beyond the image.
    tiled : bool
        Tiles have their full size even there.
    dtype : numpy.dtype
        Of the samples in the file; bytes where they have four bits.
    packed : {"", "high", "low"}
        Two samples in each byte, and which half has the left one.
    compression : int
        TIFF's number for it.
    differences : bool
        Each sample is stored as its difference from the one to the left.
    """

    pieces: list[tuple[int, int]]
    height: int
    width: int
    rows: int
    columns: int
    tiled: bool
    dtype: np.dtype
    packed: str
    compression: int
    differences: bool = False


def layout(tags: tiff.Tags, size: int, order: str, packed: bool = False) -> Layout:
    """Find out how an image is stored.

    Parameters
    ----------
    size : int
        Of the file, bytes.
    order : {"<", ">"}
        Byte order of the file.
    packed : bool
        Whether bytes are pairs of counts, see `pairs`.

    Raises
    ------
    Unusual
        It is not known here.
    """
    height, width = tiff.number(tags, tiff.LENGTH, 0), tiff.number(tags, tiff.WIDTH, 0)
    bits, kind = tiff.number(tags, tiff.BITS, 1), _KINDS.get(tiff.number(tags, tiff.SAMPLE_FORMAT, 1), "")
    compression = tiff.number(tags, tiff.COMPRESSION, 1)
    predictor = tiff.number(tags, tiff.PREDICTOR, 1) if compression != 1 else 1
    plain = (
        tiff.number(tags, tiff.SAMPLES, 1) == 1
        and (predictor == 1 or (predictor == 2 and kind in ("u", "i") and bits >= 8))
        and tiff.number(tags, tiff.FILL_ORDER, 1) == 1
        and tiff.number(tags, tiff.PHOTOMETRIC, 1) == 1
        and (compression in (1, _LZW) or compression in _DECODERS)
        and (kind + str(bits // 8) in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f2") or (bits, kind) == (4, "u"))
    )
    if not plain:
        raise Unusual
    half = "high" if bits == 4 else ""
    if bits == 8 and kind == "u" and packed:
        half, width = "low", 2 * width
    tiled = tiff.TILES in tags and tiff.STRIPS not in tags
    if tiled:
        rows, columns = tiff.number(tags, tiff.TILE_LENGTH, 0), tiff.number(tags, tiff.TILE_WIDTH, 0)
        if not rows or not columns or half:
            raise Unusual
    elif half and predictor != 1:
        raise Unusual
    else:
        rows, columns = min(tiff.number(tags, tiff.ROWS, height) or height, height), width
    parts = tiff.pieces(tags, size)
    if len(parts) != -(-height // rows) * -(-width // columns):
        raise Unusual
    dtype = np.dtype("u1") if half else np.dtype(f"{order}{kind}{bits // 8}")
    return Layout(parts, height, width, rows, columns, tiled, dtype, half, compression, predictor == 2)


def pairs(tags: tiff.Tags) -> bool:
    """Whether bytes are pairs of counts, as SerialEM writes super-resolution frames: by its words, or by the size."""
    told = tiff.text(tags, tiff.DESCRIPTION)
    size = tiff.number(tags, tiff.LENGTH, 0), tiff.number(tags, tiff.WIDTH, 0)
    return ("SerialEMCCD" in told and "4 bits packed" in told) or nibbles.halved(*size)


def decode(descriptor: int, image: Layout, first: int, end: int, out: np.ndarray) -> None:
    """Put strips or tiles `first` to `end` - 1 of an image where they belong in `out` (y, x), row 0 being the last.

    Raises
    ------
    ValueError, RuntimeError
        The file ends before, or the bytes are not what the codec makes.
    """
    if image.compression == _LZW and _strips(descriptor, image, first, end, out):
        return
    across = -(-image.width // image.columns)
    row_bytes = (image.columns + 1) // 2 if image.packed else image.columns * image.dtype.itemsize
    buffer = np.zeros(max((length for _, length in image.pieces[first:end]), default=0) + _BEYOND, np.uint8)
    scratch = np.empty(image.rows * row_bytes + _BEYOND, np.uint8)
    for number in range(first, end):
        start, length = image.pieces[number]
        top, left = number // across * image.rows, number % across * image.columns
        bottom, right = min(top + image.rows, image.height), min(left + image.columns, image.width)
        whole = image.rows if image.tiled else bottom - top
        if meter.preadv(descriptor, [memoryview(buffer)[:length]], start) < length:
            raise ValueError("the file ends within it")
        room = _unpack(image.compression, buffer, length, scratch)
        if len(room) < whole * row_bytes:
            raise ValueError(f"a strip holds {len(room)} bytes and not {whole * row_bytes}")
        room = room[: whole * row_bytes]  # some programs fill the last strip up
        target = out[image.height - bottom : image.height - top, left:right]
        if image.packed:
            nibbles.unpack(room.reshape(whole, row_bytes), target[::-1], image.packed == "low")
        else:
            samples = room.view(image.dtype).reshape(whole, image.columns)
            if image.differences:
                samples = np.cumsum(samples, axis=1, dtype=image.dtype.newbyteorder("="))
            target[::-1] = samples[: bottom - top, : right - left]


def _strips(descriptor: int, image: Layout, first: int, end: int, out: np.ndarray) -> bool:
    """The same for plain LZW strips that lie one behind the other, which many cameras write, by one reading and one
    loop; False where they are something else, or damaged."""
    pieces = image.pieces[first:end]
    starts = np.array([start for start, _ in pieces])
    lengths = np.array([length for _, length in pieces])
    plain = not (image.tiled or image.packed or image.differences) and image.dtype.isnative
    if not plain or not len(pieces) or not out.flags.c_contiguous or np.any(starts[1:] < starts[:-1] + lengths[:-1]):
        return False
    span = int(starts[-1] + lengths[-1] - starts[0])
    if span > 2 * lengths.sum():
        return False
    from cryowidgets.io import lzwloops

    buffer = np.empty(span + _BEYOND, np.uint8)
    if meter.preadv(descriptor, [memoryview(buffer)[:span]], int(starts[0])) < span:
        return False
    target = out.view(np.uint8)
    scratch = np.empty(image.rows * target.shape[1] + _BEYOND, np.uint8)
    return bool(lzwloops.strips(buffer, starts - starts[0], lengths, first * image.rows, image.rows, scratch, target))


_BEYOND = 8  # bytes behind the data in memory that the compiled loop may read or write


def _unpack(compression: int, buffer: np.ndarray, length: int, scratch: np.ndarray) -> np.ndarray:
    """What is compressed in the first bytes of a buffer."""
    if compression == 1:
        return buffer[:length]
    room = len(scratch) - _BEYOND
    if compression == _LZW:
        from cryowidgets.io import lzwloops

        n = lzwloops.decode(buffer, length, scratch, room)
        # What is wrong for it may be the other order of bits that old programs used.
        return scratch[:n] if n >= 0 else imagecodecs.lzw_decode(buffer[:length].tobytes(), out=scratch[:room])
    return _DECODERS[compression](buffer[:length], out=scratch[:room])
