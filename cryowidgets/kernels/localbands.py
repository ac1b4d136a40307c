"""Bands of frequencies of a map, and their means over windows: what measures of local resolution are made of.

Bands and windows keep their proportion: every band covers the same part of its own frequency, and a window measures the
same number of wavelengths. A band is computed on a grid that is no finer than its frequencies need, so that coarse ones
cost next to nothing. Arrays are of the library of the map, and means come to the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage

from cryowidgets.kernels.fsc import Shells, irfftn, rfftn
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

WINDOW = 1.4
"""Deviation of the window, which is a Gaussian, in wavelengths of the band."""

_WIDTH = 0.2  # a band reaches to either side by this in the logarithm of the frequency
_STEP = _WIDTH / 3  # from band to band
_LOWEST = 4  # the coarsest band has so many wavelengths in the longest side of the map
_ROUNDS = 4  # of undoing what bands do to curves

CHANCE = 1.645
"""Deviations beyond which noise goes in one of twenty places."""


@dataclass(frozen=True)
class LocalResolution:
    """Resolution at every place of a map."""

    values: np.ndarray
    """(z, y, x) float32, Å; 0 outside of the mask."""
    limits: tuple[float, float]
    """Finest and coarsest that could be found, Å: what has one of them is at least so fine, or at most."""
    resolved: float
    """Share of the mask where anything was found."""
    reason: str
    """What stands against it; empty where nothing does."""


class Places:
    """The places of a mask at which to measure, and the bands of frequencies in which to.

    Parameters
    ----------
    mask : (z, y, x) array
        0 to 1: how much each place counts; measured is where it is above one half.
    window : float
        Deviation of the window in wavelengths.
    """

    def __init__(self, mask: np.ndarray, window: float = WINDOW) -> None:
        self.mask, self.window = mask, window
        self.shape = tuple(mask.shape)
        lowest = min(_LOWEST / max(self.shape), 0.25)
        count = math.ceil(math.log(0.5 / lowest) / _STEP)
        self.frequencies = 0.5 * np.exp(-_STEP * np.arange(count, -1, -1.0))
        """Centres of the bands, rising, in cycles/px."""
        step = max(2 * window, 1.0)  # px: the deviation of the narrowest window
        self.at = tuple(np.arange(math.ceil((n - 1) / step) + 1) * step for n in self.shape)
        self.chosen = np.zeros(tuple(len(axis) for axis in self.at), bool)
        inside = np.argwhere(mask > 0.5)
        corner = np.floor(inside / step).astype(int)
        for offset in np.ndindex(2, 2, 2):
            near = np.minimum(corner + offset, np.array(self.chosen.shape) - 1)
            self.chosen[tuple(near.T)] = True
        self._step = step

    def bands(self, like: Any) -> Iterator[Band]:
        """The bands from coarse to fine, for maps in the library of `like`."""
        for frequency in self.frequencies:
            yield Band(self, float(frequency), like)

    def resolution(self, found: np.ndarray, pixel_size: float, reason: str) -> LocalResolution:
        """Bring frequencies found at the chosen places to all of the mask.

        Parameters
        ----------
        found : (places,)
            Cycles/px; 0 where nothing, infinite where no end was found.
        """
        finest, coarsest = pixel_size / self.frequencies[-1], pixel_size / self.frequencies[0]
        inside = self.mask > 0.5
        values = np.zeros(self.shape, np.float32)
        if not inside.any():
            return LocalResolution(values, (finest, coarsest), 0.0, "the mask is empty")
        grid = np.zeros(self.chosen.shape)
        grid[self.chosen] = pixel_size / np.clip(found, self.frequencies[0], self.frequencies[-1])
        where = np.argwhere(inside).T / self._step
        values[inside] = scipy.ndimage.map_coordinates(grid, where, order=1, mode="nearest")
        resolved = float(np.mean(values[inside] < 0.8 * coarsest))
        if not reason and resolved < 0.05:
            reason = f"hardly anything finer than {0.8 * coarsest:.0f} Å stands out of the noise"
        return LocalResolution(values, (finest, coarsest), resolved, reason)


class Band:
    """One band of frequencies: its filter, on a grid no finer than needed, and its window."""

    def __init__(self, places: Places, frequency: float, like: Any) -> None:
        self._chosen, self._shape = places.chosen, places.shape
        deviation = places.window / frequency
        # products hold twice the frequency, which must not come back into what the window lets through
        rate = 2 * frequency * math.exp(_WIDTH) + 0.6 / deviation
        self._grid = tuple(n if rate * n >= 0.9 * n else _fast(math.ceil(rate * n), n) for n in self._shape)
        self._axes = _frequencies(self._shape, self._grid)
        scale = math.prod(self._grid) / math.prod(self._shape)
        self._filter = to_device(_filter(self._axes, frequency) * np.float32(scale), like)
        sizes = list(zip(self._grid, self._shape, strict=True))
        nearest = [np.minimum(np.rint(np.arange(m) * (n / m)).astype(np.int64), n - 1) for m, n in sizes]
        self._mask = to_device(np.ascontiguousarray(places.mask[np.ix_(*nearest)], np.float32), like)
        self._windows = [
            to_device(_window(at, m, n, deviation), like) for at, (m, n) in zip(places.at, sizes, strict=True)
        ]
        self._weight = self._summed(self._mask)
        squares = self._summed(self._mask * self._mask, [window * window for window in self._windows])
        volume = np.divide(self._weight**2, squares, out=np.zeros_like(squares), where=squares > 0)
        self.freedom = np.maximum(volume * (math.prod(self._shape) / math.prod(self._grid)) * frequency**3 * _EACH, 1.0)
        """How many independent values of noise the band has in the window at each chosen place, at least: (places,)."""

    def of(self, half: Any) -> Any:
        """The band of a map of which the half space is given, on the grid of the band."""
        return irfftn(_crop(half, self._shape, self._grid) * self._filter, self._grid)

    def turned(self, half: Any) -> Iterator[Any]:
        """Its Riesz transforms along z, y, x: what the gradient is at the same strength for all frequencies."""
        cut = _crop(half, self._shape, self._grid) * self._filter
        length = np.sqrt(sum(k * k for k in self._axes))
        length[0, 0, 0] = 1
        for axis, k in enumerate(self._axes):
            direction = np.broadcast_to(k / length, length.shape).astype(np.float32)
            if self._grid[axis] % 2 == 0:  # what has no partner of opposite sign has no such transform
                np.moveaxis(direction, axis, 0)[self._grid[axis] // 2] = 0
            yield irfftn(cut * (-1j * to_device(direction, half)), self._grid)

    def mean(self, values: Any) -> np.ndarray:
        """Mean of values on the grid of the band over window and mask, at each chosen place: (places,) float64."""
        total = self._summed(values * self._mask)
        return np.divide(total, self._weight, out=np.zeros_like(total), where=self._weight > 1e-6)

    def _summed(self, values: Any, windows: list[Any] | None = None) -> np.ndarray:
        xp = namespace(values)
        for axis, window in enumerate(self._windows if windows is None else windows):
            values = xp.moveaxis(xp.tensordot(window, values, axes=((1,), (axis,))), 0, axis)
        return asnumpy(values)[self._chosen].astype(np.float64)


def whitening(volume: Any, mask: Any) -> Any:
    """Factors for the half space of a map that give its shells, within the mask, all the same power.

    A band has edges, and where power falls steeply, what comes in over them from the strong side would count as if it
    were of the weak one.
    """
    shape = tuple(volume.shape)
    inside = asnumpy(rfftn(volume * to_device(mask, volume)))
    shells = Shells.of(shape)
    mean = shells.power(inside) / shells.sums(np.ones(inside.shape))
    factor = np.divide(1, np.sqrt(mean), out=np.zeros_like(mean), where=mean > 1e-12 * mean.max())
    return to_device((factor / max(float(factor.max()), 1e-30)).astype(np.float32)[shells.numbers], volume)


def crossings(curves: np.ndarray, frequencies: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """Where curves of correlation, one value for each band, fall below a threshold.

    First each is made to fall only: of all curves that never rise, that nearest to it is taken, so that one band that
    is low by chance does not end it, and one that is high does not prolong it. Then what bands do is undone: each
    gathers from around its frequency, so that a steep end seems to come later. For the ratio of signal to noise that is
    a known mean of positive values, which the iteration of Richardson (1972), doi:10.1364/JOSA.62.000055, inverts.

    Parameters
    ----------
    curves : (bands, places) float
        Correlation, signal over signal and noise.
    frequencies : (bands,)
        As of `Places`.
    threshold : float or (bands, places)

    Returns
    -------
    (places,) float
        Frequency; infinite where a curve never falls below, 0 where it never is above.
    """
    falling = np.clip(nonincreasing(curves), 0.004, 0.996)
    seen = falling / (1 - falling)
    smear = _smear(len(frequencies))
    share = smear.sum(axis=0)[:, None]
    ratio = seen.copy()
    for _ in range(_ROUNDS):
        ratio *= (smear.T @ (seen / (smear @ ratio))) / share
    limit = np.minimum(np.asarray(threshold, float), 0.99)
    over = np.log(np.minimum.accumulate(ratio / (limit / (1 - limit)), axis=0))
    above = (over >= 0).sum(axis=0)
    last = len(frequencies) - 1
    upper, lower = np.clip(above - 1, 0, last), np.clip(above, 0, last)
    columns = np.arange(curves.shape[1])
    high, low = over[upper, columns], over[lower, columns]
    part = np.divide(high, high - low, out=np.zeros_like(high), where=high > low)
    found = frequencies[upper] * (frequencies[lower] / frequencies[upper]) ** part
    return np.where(above == 0, 0.0, np.where(above > last, np.inf, found))


def nonincreasing(curves: np.ndarray) -> np.ndarray:
    """The least-squares fit to each column of `curves` (n, places) among columns that never rise."""
    count = len(curves)
    out = np.full(curves.shape, np.inf)
    for first in range(count):
        sums = np.cumsum(curves[first:], axis=0, dtype=np.float64)
        means = sums / np.arange(1, count - first + 1)[:, None]
        best = np.maximum.accumulate(means[::-1], axis=0)[::-1]
        np.minimum(out[first:], best, out=out[first:])
    return out


def _independent() -> float:
    """Volume that a band has in Fourier space, for the counting of noise, over the cube of its frequency."""
    away = np.linspace(-_WIDTH, _WIDTH, 201)
    power, volume = np.cos(math.pi / 2 * away / _WIDTH) ** 4, np.exp(3 * away)
    step = away[1] - away[0]
    return float(4 * math.pi * step * np.square((power * volume).sum()) / (power**2 * volume).sum())


_EACH = _independent()


def _frequencies(shape: tuple[int, ...], grid: tuple[int, ...]) -> list[np.ndarray]:
    """Frequencies along each axis of a half space of the grid, in cycles/px of the map, to be broadcast."""
    z, y = (np.fft.fftfreq(m, n / m) for m, n in zip(grid[:2], shape[:2], strict=True))
    x = np.fft.rfftfreq(grid[2], shape[2] / grid[2])
    return [z[:, None, None], y[None, :, None], x[None, None, :]]


def _filter(axes: list[np.ndarray], frequency: float) -> np.ndarray:
    """1 at the frequency, falling to 0 on either side as a squared cosine of the frequency's logarithm."""
    k2 = np.asarray(sum(k * k for k in axes))
    away = np.log(np.maximum(k2, 1e-12)) / 2 - math.log(frequency)
    return np.where(np.abs(away) < _WIDTH, np.cos(math.pi / 2 * away / _WIDTH) ** 2, 0).astype(np.float32)


def _smear(count: int) -> np.ndarray:
    """How much of each band's power (rows) is of the frequencies next to each band's centre (columns)."""
    within = (np.arange(8) - 3.5) / 8
    away = (np.arange(count)[None, :, None] - np.arange(count)[:, None, None] + within) * _STEP
    power = np.where(np.abs(away) < _WIDTH, np.cos(math.pi / 2 * away / _WIDTH) ** 4, 0) * np.exp(3 * away)
    share = power.sum(axis=2)
    return share / share.sum(axis=1, keepdims=True)


def _window(at: np.ndarray, m: int, n: int, deviation: float) -> np.ndarray:
    """Weights (places, m) with which samples of the grid count for the places along one axis."""
    distance = at[:, None] - np.arange(m)[None, :] * (n / m)
    return np.exp(-0.5 * np.square(distance / deviation)).astype(np.float32)


def _crop(half: Any, shape: tuple[int, ...], grid: tuple[int, ...]) -> Any:
    """Low frequencies of a half space of maps of `shape`, for a coarser grid of the same field; not scaled."""
    if shape == grid:
        return half
    xp = namespace(half)
    for axis in (0, 1):
        m, n = grid[axis], shape[axis]
        if m < n:
            rows = np.concatenate([np.arange((m + 1) // 2), np.arange(n - m // 2, n)])
            half = xp.take(half, to_device(rows, half), axis=axis)
    return half[:, :, : grid[2] // 2 + 1]


def _fast(m: int, n: int) -> int:
    """A length of at least `m`, at most `n`, that transforms fast."""
    return min(scipy.fft.next_fast_len(m, real=True), n)
