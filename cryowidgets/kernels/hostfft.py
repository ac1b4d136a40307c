"""Fourier transforms of real float32 images on the host, by the loops of `fftloops`.

Where only low frequencies are wanted, columns of others are left out, and rows of others are not written. Sizes with
large prime factors, and small ones, go to scipy.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft

from cryowidgets.cpu import bands, each, threads

_LARGEST_PRIME, _SHORTEST = 31, 32
_LARGE = 4_000_000  # px of an image that several threads share
_KEPT = 16e6  # bytes of planes that are kept

_here = threading.local()


def low(images: np.ndarray, rows: tuple[int, int], columns: int) -> np.ndarray:
    """Low frequencies of the transforms of images.

    Parameters
    ----------
    images : (n, y, x) or (y, x), float32
    rows : (int, int)
        How many of the first, ky = 0, 1, …, and how many of the last, ky = …, -2, -1.
    columns : int
        How many of kx = 0, 1, ….

    Returns
    -------
    (n, rows, columns) or (rows, columns), complex64
    """
    out = np.empty((*images.shape[:-2], sum(rows), columns), np.complex64)
    for image, into in zip([images], [out], strict=True) if images.ndim == 2 else zip(images, out, strict=True):
        _low(image, rows, into)
    return out


def inverse(half: np.ndarray, shape: tuple[int, int], overwrite: bool = False) -> np.ndarray:
    """The image (y, x) float32 of a half plane (y, x // 2 + 1), complex64, which may be overwritten if that is said."""
    height, width = shape
    by_columns, by_rows = _plan(height), _plan(width)
    if by_columns is None or by_rows is None:
        # one axis after the other takes two thirds of the time of both at once
        half = scipy.fft.ifft(half, axis=-2, overwrite_x=overwrite, workers=threads())
        return np.asarray(scipy.fft.irfft(half, width, axis=-1, workers=threads()))
    from cryowidgets.kernels import fftloops

    flat = np.ascontiguousarray(half).view(np.float32)
    between = flat if overwrite else np.empty_like(flat)
    image, none = np.empty(shape, np.float32), np.empty(0, np.float32)
    wide, factor = half.shape[1], np.float32(1 / (height * width))
    across, along = -(-height // fftloops.ROWS), -(-wide // fftloops.COLUMNS)

    def transform_columns(*part: int) -> None:
        fftloops.columns(none, none, height, flat, between, height, True, *part, *by_columns)

    def transform_rows(*part: int) -> None:
        fftloops.rows(image, between, none, none, wide, factor, True, *part, *by_rows)

    _shared(height * width, along, transform_columns)
    _shared(height * width, across, transform_rows)
    return image


def _low(image: np.ndarray, rows: tuple[int, int], out: np.ndarray) -> None:
    height, width = image.shape
    columns = out.shape[1]
    by_columns, by_rows = _plan(height), _plan(width)
    if by_columns is None or by_rows is None:
        half = scipy.fft.rfft(image, axis=1, workers=threads())[:, :columns]
        half = scipy.fft.fft(half, axis=0, overwrite_x=True, workers=threads())
        out[: rows[0]], out[rows[0] :] = half[: rows[0]], half[height - rows[1] :]
        return
    from cryowidgets.kernels import fftloops

    image, flat = np.require(image, requirements=["C", "W"]), out.view(np.float32)
    across, along = -(-height // fftloops.ROWS), -(-columns // fftloops.COLUMNS)
    planes, none = _room(along * fftloops.COLUMNS * height), np.empty((0, 0), np.float32)

    def transform_rows(*part: int) -> None:
        fftloops.rows(image, none, *planes, columns, np.float32(1), False, *part, *by_rows)

    def transform_columns(*part: int) -> None:
        fftloops.columns(*planes, height, none, flat, rows[0], False, *part, *by_columns)

    _shared(image.size, across, transform_rows)
    _shared(image.size, along, transform_columns)


def _shared(size: int, groups: int, work: Callable[[int, int], None]) -> None:
    """Do the work of all groups of rows or columns, for a large image on several threads."""
    if size < _LARGE:  # there are many, and threads take one each
        work(0, groups)
    else:
        each(lambda part: work(*part), bands(groups))


def _room(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Two planes, the same ones for transforms of one size that follow each other: fresh memory costs time."""
    if 8 * size > _KEPT:
        return np.empty(size, np.float32), np.empty(size, np.float32)
    if getattr(_here, "size", 0) != size:
        _here.size, _here.planes = size, (np.empty(size, np.float32), np.empty(size, np.float32))
    return _here.planes


@lru_cache(maxsize=32)
def _plan(n: int) -> tuple[np.ndarray, ...] | None:
    """Factors of a length, and what passes multiply with; None where the loops cannot transform it."""
    if n < _SHORTEST:
        return None
    factors, left = [], n
    for factor in (5, 3, 8, 4, 2, *range(7, _LARGEST_PRIME + 1, 2)):
        while left % factor == 0:
            factors.append(factor)
            left //= factor
    if left > 1:
        return None
    turns, cosines, sines = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    rest = n
    for factor in factors:
        m = rest // factor
        turns.append((np.arange(m)[:, None] * np.arange(1, factor)).ravel() / rest)
        if factor > 5 and factor != 8:
            half = np.arange(1, factor // 2 + 1)
            wave = 2 * math.pi * (half[:, None] * half % factor).ravel() / factor
            cosines.append(np.cos(wave))
            sines.append(np.sin(wave))
        rest = m
    angle = -2 * math.pi * np.concatenate(turns)
    real = [np.cos(angle), np.sin(angle), np.concatenate(cosines), np.concatenate(sines)]
    return np.array(factors, np.int64), *(t.astype(np.float32) for t in real)
