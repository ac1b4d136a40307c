"""The rough shifts of frames: where the correlation of each with the sum of the others peaks, at low resolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cryowidgets.cpu import each
from cryowidgets.kernels import fourier
from cryowidgets.kernels.band import Band, Spectra
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

RESOLUTION, MOST = 10.0, 150_000
"""Å of the finest detail looked at, and elements of the band: a large frame is found with less detail."""

CLEAR = 6.0
"""Standard deviations of a peak that is no chance."""

_ENOUGH = 0.3, 0.1  # px of the movie or of the map, whatever is more; it need not come closer


def search(spectra: Spectra, pixel_size: float, max_shift: float) -> tuple[np.ndarray, float]:
    """Find the shifts roughly; if single frames are too weak, by running sums of several.

    Parameters
    ----------
    spectra : Spectra
    pixel_size : float
        Å/px.
    max_shift : float
        Å that a frame may be away from the mean of the others.

    Returns
    -------
    shifts : (n, 2)
        Displacements y, x in px, with a mean of zero.
    height : float
        Of the peaks of correlation, in standard deviations of its map (median); less than `CLEAR` is chance.
    """
    width = 1
    while True:
        shifts, peaks = _correlate(spectra, pixel_size, max_shift, width)
        agreement = float(np.median(peaks))
        if agreement >= CLEAR or 2 * width + 1 > spectra.n // 3:
            return shifts, agreement
        width = 2 * width + 1


def _correlate(spectra: Spectra, pixel_size: float, max_shift: float, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the correlation of each frame with the sum of the others peaks, and how high, in standard deviations."""
    area = math.prod(spectra.band.shape)
    small, rows = spectra.band.within(min(pixel_size / RESOLUTION, math.sqrt(MOST / (2 * area))))
    like = spectra.faded[0]
    xp, rows = namespace(like), to_device(rows, like)
    coarse = [xp.take(x, rows, axis=0)[:, : small.c + 1] for x in spectra.faded]
    weight = (spectra.high_pass / spectra.power)[small.ring] * small.weight
    weight = to_device(weight.astype(np.float32), like)
    grid = fourier.fast_length(2 * small.m + 2), fourier.fast_length(2 * small.c + 2)
    unit = np.array(small.shape) / grid  # px of the movie
    peaks = Peaks(grid, unit, max_shift / pixel_size, like)
    shifts, height, half = np.zeros((spectra.n, 2)), np.zeros(spectra.n), width // 2
    for _ in range(10):
        aligned = []
        for x, shift in zip(coarse, shifts, strict=True):
            y_phase, x_phase = small.phases(shift, like)
            aligned.append(x * y_phase * x_phase)
        total = sum(aligned[1:], start=aligned[0])

        def look(j: int, aligned: list[Any] = aligned, total: Any = total) -> tuple[np.ndarray, float]:
            own = sum(aligned[max(j - half, 0) : j + half + 1], start=xp.zeros_like(total))
            return peaks.find(xp.conj(total - own) * own * weight, small)

        seen = each(look, range(spectra.n))
        step = np.stack([place for place, _ in seen])
        height = np.array([high for _, high in seen])
        clear = height >= CLEAR
        new = shifts + step
        if 2 <= clear.sum() < spectra.n:  # what is left over may be anywhere: put it between its neighbours
            t = np.arange(spectra.n)
            new = np.stack([np.interp(t, t[clear], new[clear, axis]) for axis in (0, 1)], axis=1)
        new -= new.mean(axis=0)
        moved = np.abs(new - shifts).max()
        shifts = new
        if moved < max(_ENOUGH[0], _ENOUGH[1] * unit.max()):
            break
    return shifts, height


class Peaks:
    """Finds the highest point of a correlation map within a radius."""

    def __init__(self, grid: tuple[int, int], unit: np.ndarray, radius: float, like: Any) -> None:
        self.grid, self.unit = grid, unit
        self.places = [np.fft.fftfreq(n, 1 / n) for n in grid]
        y, x = (p * u for p, u in zip(self.places, unit, strict=True))
        self.allowed = to_device(np.hypot(y[:, None], x[None, :]) <= radius, like)

    def find(self, product: Any, band: Band) -> tuple[np.ndarray, float]:
        """Where the inverse transform of a band of `product` peaks, (y, x) in px of the movie, and how high, in its
        standard deviations."""
        xp = namespace(product)
        height, width = self.grid
        half = xp.zeros((height, width // 2 + 1), dtype=product.dtype)
        half[: band.m + 1, : band.c + 1] = product[: band.m + 1, :]
        if band.m:
            half[-band.m :, : band.c + 1] = product[band.m + 1 :, :]
        values = fourier.irfft2(half, self.grid)
        inside = xp.where(self.allowed, values, xp.full_like(values, -math.inf))
        top = int(xp.argmax(xp.reshape(inside, (-1,))))
        y, x = divmod(top, width)
        around = [top, (y - 1) % height * width + x, (y + 1) % height * width + x]
        around += [y * width + (x - 1) % width, y * width + (x + 1) % width]
        centre, above, below, left, right = asnumpy(
            xp.take(xp.reshape(values, (-1,)), to_device(np.array(around), values))
        ).astype(float)
        place = self.places[0][y] + _vertex(above, centre, below), self.places[1][x] + _vertex(left, centre, right)
        deviation = float(xp.std(values))
        return np.array(place) * self.unit, centre / deviation if deviation > 0 else 0.0


def _vertex(before: float, at: float, after: float) -> float:
    """Where the parabola through three points peaks, from -0.5 to 0.5 relative to the middle one."""
    bend = before - 2 * at + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
