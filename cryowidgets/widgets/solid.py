"""A map as a browser gets it: small, in whole numbers, with what its surface may be coloured by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.mrcheader import read_header

SIDE = 96
"""Voxels along an edge that a browser gets at most: 1.8 MB."""
LARGEST = 512
"""Voxels along the edge of a map that a page still reads."""
_STEPS = 65535


@dataclass(frozen=True)
class Coat:
    """A number at each place, to colour by: 0 where there is none, else from 1 at `low` to 255 at `high`."""

    name: str
    unit: str
    values: np.ndarray
    """(n, n, n) uint8"""
    low: float
    high: float
    bright: str
    """which end of the ramp is bright: low or high"""


@dataclass(frozen=True)
class Solid:
    """A density, uint16 from 0 at `low` to 65535 at `high`, with axes z, y, x."""

    key: str
    values: np.ndarray
    pixel_size: float
    """Å per voxel of what is sent"""
    low: float
    high: float
    level: float
    """density at which its surface is shown at first"""
    coats: list[Coat] = field(default_factory=list)


def solid(key: str, path: str | Path, level: float, pixel_size: float = 0.0) -> Solid:
    """Read a map for a browser.

    Parameters
    ----------
    level : float
        Of the surface; where it is not finite, one that encloses the densest twentieth of the box is taken.
    pixel_size : float
        Å; where it is 0 or not finite, that of the file is taken.

    Raises
    ------
    InputError
        The file is missing, is no cube, or too large to be looked at.
    """
    volume = read(path)
    known = pixel_size if np.isfinite(pixel_size) and pixel_size > 0 else read_header(path).pixel_size
    small = shrunk(volume, SIDE)
    low, high = float(np.percentile(small, 0.1)), float(small.max())
    if not high > low:
        high = low + 1.0
    if not np.isfinite(level):
        level = float(np.percentile(small, 95))
    values = np.rint(np.clip((small - low) / (high - low), 0, 1) * _STEPS).astype(np.uint16)
    return Solid(key, values, known * len(volume) / len(small), low, high, level)


def coat(path: str | Path, name: str, unit: str, bright: str = "low", where: np.ndarray | None = None) -> Coat:
    """Read a map of numbers to colour by; where it is 0 or not finite there is none.

    The ends of the ramp are the 2nd and the 98th percentile, so that a few odd places do not take all colours.

    Parameters
    ----------
    where : array of bool, optional
        Where there is anything to colour, as large as what is sent; everywhere by default.

    Raises
    ------
    InputError
        As `solid`; or it holds no number there.
    """
    volume = read(path)
    step = len(volume) / min(len(volume), SIDE)
    at = np.minimum((np.arange(min(len(volume), SIDE)) * step + step / 2).astype(int), len(volume) - 1)
    near = volume[np.ix_(at, at, at)]
    there = near > 0
    if where is not None and where.shape == there.shape:
        there &= where
    if not there.any():
        raise InputError(f"{path} holds no numbers above 0.")
    low, high = (float(v) for v in np.percentile(near[there], (2, 98)))
    if not high > low:
        high = low * 1.01
    values = np.zeros(near.shape, np.uint8)
    values[there] = 1 + np.rint(np.clip((near[there] - low) / (high - low), 0, 1) * 254).astype(np.uint8)
    return Coat(name, unit, values, low, high, bright)


def read(path: str | Path) -> np.ndarray:
    """A cube of float32.

    Raises
    ------
    InputError
        The file is missing, is no cube, or too large to be looked at.
    """
    shape = read_header(path).shape
    if len(shape) != 3 or len(set(shape)) != 1 or not 8 <= shape[0] <= LARGEST:
        raise InputError(f"{path} is {'×'.join(map(str, shape))}: a cube of 8 to {LARGEST} voxels a side can be shown.")
    return np.nan_to_num(mrc.read(path).astype(np.float32), posinf=0, neginf=0)


def shrunk(volume: np.ndarray, side: int) -> np.ndarray:
    """A cube of at most `side` voxels: by the mean of blocks while it is more than twice as large, then in Fourier
    space, so that no detail is made up."""
    step = len(volume) // (2 * side)
    if step > 1:
        n = len(volume) // step
        cut = volume[: n * step, : n * step, : n * step]
        volume = cut.reshape(n, step, n, step, n, step).mean(axis=(1, 3, 5))
    n = len(volume)
    if n <= side:
        return volume
    spectrum = np.fft.rfftn(volume)
    near = np.r_[0 : side // 2, n - side + side // 2 : n]
    kept = spectrum[np.ix_(near, near, np.arange(side // 2 + 1))]
    return np.fft.irfftn(kept, s=(side,) * 3, axes=(0, 1, 2)) * (side / n) ** 3
