"""Write EER movies, as cameras lay them out: one directory for each raw frame, the acquisition record in the first."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sized
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np

from cryowidgets.io import directories as tiff
from cryowidgets.io.eercode import CODES, TAGGED, Code, encode


def write(
    path: str | os.PathLike | BinaryIO,
    frames: Iterable[np.ndarray],
    compression: int = 65001,
    widths: tuple[int, int, int] = (7, 2, 2),
    upsampling: int = 1,
    pixel_size: float = 0.0,
    dose: float = 0.0,
    exposure: float = 0.0,
    summed: np.ndarray | None = None,
    seed: int = 0,
) -> None:
    """Write raw frames one after the other as they come; the file is readable after each.

    Parameters
    ----------
    path : path or binary file
        A file must be open for reading and writing.
    frames : iterable of arrays (y·upsampling, x·upsampling)
        Electrons in each pixel. The format takes one electron in a pixel of the camera: of several, the first is kept.
    compression : {65000, 65001, 65002}
        Codes of 8 + 4 bits, of 7 + 4 bits, or of the given widths.
    widths : (int, int, int)
        Bits of a run length, and of the position within a pixel along x and y.
    upsampling : {1, 2, 4}
        Pixels of the frames for one of the camera, along each axis. The position is random beyond what they tell.
    pixel_size, dose, exposure : float
        For the acquisition record: Å per pixel of the camera, e/Å² of the whole movie, s; 0 where unknown.
    summed : array (y, x), uint16, optional
        An image that is written first, uncompressed, as some programs do.
    seed : int
        Of the random positions.
    """
    code = Code(*widths) if compression == TAGGED else CODES[compression]
    rng = np.random.default_rng(seed)
    record = {
        "numberOfFrames": ("", len(frames) if isinstance(frames, Sized) else 0),
        "exposureTime": ("s", exposure),
        "totalDose": ("e/pixel", dose * pixel_size**2),
        "meanDoseRate": ("e/pixel/s", dose * pixel_size**2 / exposure if exposure else 0),
        "sensorPixelSize.width": ("m", pixel_size * 1e-10),
        "sensorPixelSize.height": ("m", pixel_size * 1e-10),
    }
    with open(path, "w+b") if isinstance(path, str | os.PathLike) else nullcontext(path) as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        link = 8
        if summed is not None:
            tags = {tiff.COMPRESSION: 1, tiff.BITS: 16}
            link = _append(file, link, np.ascontiguousarray(summed, "<u2").tobytes(), summed.shape, tags)
        for number, frame in enumerate(frames):
            height, width = frame.shape[0] // upsampling, frame.shape[1] // upsampling
            stream = encode(code, height * width, *_electrons(frame, upsampling, code, rng))
            tags: dict[int, int | bytes] = {tiff.COMPRESSION: compression}
            if compression == TAGGED:
                tags |= {tiff.RUN_BITS: code.run, tiff.X_BITS: code.x, tiff.Y_BITS: code.y}
            if number == 0:
                tags[tiff.ACQUISITION] = _xml(record)
            link = _append(file, link, stream, (height, width), tags)


def _electrons(
    frame: np.ndarray, upsampling: int, code: Code, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel of the camera and position within it for each electron, by rising pixel."""
    found = np.flatnonzero(frame != 0)  # of truth values: several times as fast
    if upsampling == 1:
        return found, *(rng.integers(0, 1 << bits, len(found), np.uint16) for bits in (code.x, code.y))
    y, x = np.divmod(found, frame.shape[1])
    pixels, first = np.unique(y // upsampling * (frame.shape[1] // upsampling) + x // upsampling, return_index=True)

    def within(along: np.ndarray, bits: int) -> np.ndarray:
        """As many bits as the code has: those that the frame tells, and random ones."""
        told = along[first] % upsampling
        known = upsampling.bit_length() - 1
        if bits <= known:
            return told >> (known - bits)
        return (told << (bits - known)) + rng.integers(0, 1 << (bits - known), len(told))

    return pixels, within(x, code.x), within(y, code.y)


def _append(file: BinaryIO, link: int, data: bytes, shape: tuple[int, ...], tags: dict) -> int:
    """Write an image, then its directory, then the directory's address at `link`; where the next one's address goes."""
    start = file.seek(0, os.SEEK_END)
    file.write(data + bytes(-(start + len(data)) % 8))
    here = file.tell()
    tags = tags | {tiff.WIDTH: shape[1], tiff.LENGTH: shape[0], tiff.PHOTOMETRIC: 1, tiff.SAMPLES: 1}
    tags |= {tiff.STRIPS: start, tiff.ROWS: shape[0], tiff.STRIP_SIZES: len(data)}
    directory, behind = struct.pack("<Q", len(tags)), b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            directory += struct.pack("<HHQQ", tag, 7, len(value), here + 16 + 20 * len(tags) + len(behind))
            behind += value
        else:
            directory += struct.pack("<HHQQ", tag, 16 if tag in (tiff.STRIPS, tiff.STRIP_SIZES) else 4, 1, value)
    file.write(directory + bytes(8) + behind)
    file.seek(link)
    file.write(struct.pack("<Q", here))
    file.seek(0, os.SEEK_END)
    return here + 8 + 20 * len(tags)


def _xml(record: dict[str, tuple[str, float]]) -> bytes:
    """The acquisition record with what is known of it."""
    known = ((name, unit, value) for name, (unit, value) in record.items() if value)
    items = "".join(f'<item name="{n}"' + (f' unit="{u}"' if u else "") + f">{v:.10g}</item>" for n, u, v in known)
    return f"<metadata>{items}</metadata>".encode()
