"""A counting camera: its sensitivity pattern and defects, and the counting of electrons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import pdtr

_PIXEL, _COLUMN, _BLOCK = 0.03, 0.02, 0.015  # spread of the sensitivity, as fractions
_BLOCK_SIDE = 128


@dataclass(frozen=True)
class Detector:
    """One camera, the same for all movies of a session.

    Attributes
    ----------
    sensitivity : array (y, x), float32
        Counts per electron relative to the mean; 0 at dead pixels.
    glow : array (y, x), float32
        Counts per frame that come without a beam: hot pixels and columns.
    """

    sensitivity: np.ndarray
    glow: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """Reference that multiplies raw frames: 1/sensitivity, and 0 at dead pixels, which calibration shows."""
        gain = np.zeros_like(self.sensitivity)
        np.divide(1, self.sensitivity, out=gain, where=self.sensitivity > 0)
        return gain

    @property
    def dead(self) -> np.ndarray:
        """(n, 2) y, x of pixels that never count."""
        return np.argwhere(self.sensitivity == 0)

    @property
    def hot(self) -> np.ndarray:
        """(n, 2) y, x of pixels that count by themselves. The gain does not tell them."""
        return np.argwhere(self.glow > 0)


@lru_cache(maxsize=1)
def make(shape: tuple[int, int], hot: float, dead: float, seed: int) -> Detector:
    """Make a camera of `shape` with the given fractions of hot and dead pixels, and at least one column of each.

    A fraction of 0 also leaves out the column.
    """
    rng = np.random.Generator(np.random.SFC64([seed, 0x646574]))
    height, width = shape
    s = 1 + np.float32(_PIXEL) * rng.standard_normal(shape, dtype=np.float32)
    s *= 1 + np.float32(_COLUMN) * rng.standard_normal(width, dtype=np.float32)
    blocks = 1 + _BLOCK * rng.standard_normal((-(-height // _BLOCK_SIDE), -(-width // _BLOCK_SIDE)))
    for (i, j), value in np.ndenumerate(blocks):
        s[i * _BLOCK_SIDE : (i + 1) * _BLOCK_SIDE, j * _BLOCK_SIDE : (j + 1) * _BLOCK_SIDE] *= np.float32(value)
    s /= s.mean(dtype=np.float64)
    glow = np.zeros(shape, np.float32)
    columns = -(-width // 4096)
    if dead:
        s.flat[rng.choice(s.size, round(dead * s.size), replace=False)] = 0
        s[:, rng.choice(width, columns, replace=False)] = 0
    if hot:
        lit = rng.choice(s.size, round(hot * s.size), replace=False)
        glow.flat[lit] = np.exp(rng.uniform(np.log(3), np.log(40), lit.size))
        glow[:, rng.choice(width, columns, replace=False)] += 1.0
        glow[s == 0] = 0
    return Detector(s, glow)


def count(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson counts, uint8 (saturating at 255), of the expected counts `rate`, float32 of any shape.

    Rates that a counting camera sees are drawn from a table of inverse distributions, six times as fast as by
    numpy's own; where the table cannot tell, and for high rates, the draw is made the long way, so counts are exact.
    """
    flat = np.ascontiguousarray(rate, np.float32).ravel()
    counts = np.empty(flat.size, np.uint8)
    table = _inverse().ravel()
    cell = rng.integers(0, 1 << 64, size=-(-flat.size // 4), dtype=np.uint64).view(np.uint16)[: flat.size]
    # The table holds rates in steps; a rate between two of them is one or the other at random, right on average.
    dither = rng.random(_BLOCK_LENGTH, dtype=np.float32)
    level, index = np.empty(_BLOCK_LENGTH, np.float32), np.empty(_BLOCK_LENGTH, np.intp)
    for start in range(0, flat.size, _BLOCK_LENGTH):
        block = slice(start, min(start + _BLOCK_LENGTH, flat.size))
        n = block.stop - start
        np.multiply(flat[block], np.float32(_STEPS), out=level[:n])
        level[:n] += dither[:n]
        np.minimum(level[:n], _TOP * _STEPS, out=level[:n])
        index[:n] = level[:n]
        index[:n] <<= 16
        index[:n] |= cell[block]
        np.take(table, index[:n], out=counts[block], mode="clip")
        rest = np.flatnonzero(counts[block] == _UNSETTLED)
        counts[block][rest] = _invert((index[rest] >> 16) / _STEPS, (cell[block][rest] + rng.random(rest.size)) / 65536)
    high = np.flatnonzero(flat >= _TOP)
    counts[high] = np.minimum(rng.poisson(flat[high].astype(np.float64)), 255)
    return counts.reshape(rate.shape)


_STEPS, _TOP = 32, 8  # the table's rates: from 0 to 8 in steps of 1/32
_UNSETTLED = 255
_BLOCK_LENGTH = 1 << 15  # what stays in the cache
_MOST = 64  # P(n ≥ 64) at a rate of 8 is 1e-33


@lru_cache(maxsize=1)
def _inverse() -> np.ndarray:
    """Counts for each rate and each of 65,536 equal parts of the unit interval: (rates, 65536) uint8.

    A part in which the count changes is marked as unsettled.
    """
    rates = np.arange(_STEPS * _TOP + 1) / _STEPS
    cumulative = pdtr(np.arange(_MOST), rates[:, None]) * 65536
    table = np.empty((len(rates), 65536), np.uint8)
    for row, edges in zip(table, np.minimum(cumulative, 65535).astype(int), strict=True):
        row[:] = np.repeat(np.arange(_MOST + 1), np.diff(edges, prepend=0, append=65536))
        row[edges] = _UNSETTLED
    table[0] = 0
    return table


def _invert(rate: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Smallest count whose cumulative probability at `rate` exceeds `u`."""
    return (pdtr(np.arange(_MOST), rate[:, None]) <= u[:, None]).sum(axis=1)
