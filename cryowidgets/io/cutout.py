"""A part of an MRC image, averaged down: what a person looks at of a micrograph, without all of it in memory."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io.mrcheader import Header, read_from

MOST = 128 << 20
"""Bytes that are read at most; of larger parts some of the lines of each pixel are left out."""
AT_ONCE = 4 << 20
"""Bytes that are held at once."""
LARGEST = 4_000_000
"""Pixels that a picture may have."""


def read(path: str | os.PathLike, box: tuple[int, int, int, int], binning: int = 1, most: int = MOST) -> np.ndarray:
    """Mean of squares of `binning` pixels within a box of the first image of a file.

    Parameters
    ----------
    box : (top, left, bottom, right)
        px, rows counted as in the file; what lies outside of the image, or fills no whole square, is left out.
    binning : int
        Side of the squares, px.
    most : int
        Bytes to be read at most: of larger parts the mean is over the first lines of each square alone.

    Returns
    -------
    array (y, x), float32

    Raises
    ------
    InputError
        The file is missing, truncated or not MRC, the box holds no pixel, or the picture would be too large.
    """
    try:
        with open(path, "rb") as file:
            head = read_from(path, file)
            top, left, bottom, right = _inside(box, head)
            height, width = (bottom - top) // binning, (right - left) // binning
            if height < 1 or width < 1:
                raise InputError(f"{path}: no pixel of {head.shape[2]} × {head.shape[1]} lies within {box}.")
            if height * width > LARGEST:
                said = f"{width} × {height} px are more than a picture may have"
                raise InputError(f"{path}: {said}; ask for a smaller part or a coarser one than binning {binning}.")
            columns = slice(left, left + width * binning)
            across = head.frame_bytes // head.shape[1]
            lines = max(1, min(binning, most // (height * across)))
            out = np.empty((height, width), np.float32)
            # Lines that follow each other are read together.
            step = max(1, AT_ONCE // (binning * across)) if lines == binning else 1
            for i in range(0, height, step):
                n = min(step, height - i)
                rows = _rows(file.fileno(), path, head, top + i * binning, n * binning if step > 1 else lines)
                part = rows[:, columns].astype(np.float32, copy=False)
                out[i : i + n] = part.reshape(n, -1, width, binning).mean(axis=(1, 3))
            return out
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def grey(image: np.ndarray, low_percentile: float = 0.2, high_percentile: float = 99.8) -> np.ndarray:
    """An image as bytes, uint8, for people: values at the percentiles become black and white."""
    finite = np.isfinite(image)
    if not finite.all():
        image = np.where(finite, image, np.median(image[finite]) if finite.any() else 0)
    low, high = np.percentile(image, (low_percentile, high_percentile))
    if not high > low:
        return np.full(image.shape, 128, np.uint8)
    return np.clip((image - low) * (255 / (high - low)), 0, 255).astype(np.uint8)


def _inside(box: tuple[int, int, int, int], head: Header) -> tuple[int, int, int, int]:
    top, left, bottom, right = box
    return max(0, top), max(0, left), min(bottom, head.shape[1]), min(right, head.shape[2])


def _rows(file: int, path: str | os.PathLike, head: Header, first: int, count: int) -> np.ndarray:
    """Some lines of the first image, as numbers of this machine."""
    across = head.frame_bytes // head.shape[1]
    raw = np.empty(count * across, np.uint8)
    view, start, done = memoryview(raw), head.offset + first * across, 0
    while done < len(raw):  # unlike a memory map, this tells where the file ends too early
        got = os.preadv(file, [view[done:]], start + done)
        if not got:
            raise InputError(f"{path} is truncated: it ends within its first image.")
        done += got
    if head.direct:
        return raw.view(head.dtype).reshape(count, -1)
    out = np.empty((count, head.shape[2]), head.native)
    replace(head, shape=(1, count, head.shape[2])).decode(raw, out)
    return out
