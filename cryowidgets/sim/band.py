"""The part of a Fourier transform in which a simulated image has its signal."""

from __future__ import annotations

import numpy as np
from scipy import fft


class Band:
    """The part of an rfft2 half plane that a simulation needs: frequencies up to `limit` (1/Å) along either axis."""

    def __init__(self, field: tuple[int, int], pixel_size: float, limit: float) -> None:
        height, width = self.field = field
        rows = min(int(limit * pixel_size * height), (height - 1) // 2)
        columns = min(int(limit * pixel_size * width), width // 2) + 1
        self.rows = np.r_[0 : rows + 1, height - rows : height]
        self.y = np.r_[0 : rows + 1, -rows:0] / height  # cycles/px
        self.x = np.arange(columns) / width
        self.shape = (len(self.y), columns)
        self.k2 = ((self.y[:, None] ** 2 + self.x**2) / pixel_size**2).astype(np.float32)
        self._columns = np.zeros((height, columns), np.complex64)

    def take(self, half: np.ndarray) -> np.ndarray:
        """This band of a half plane as of ``rfft2``."""
        return half[self.rows, : self.shape[1]]

    def image(self, spectrum: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Given rows of the field (y, x), float32, whose spectrum is that of this band.

        Columns that are zero and rows that nobody asks for are not transformed.
        """
        half = self.shape[0] // 2
        self._columns[: half + 1], self._columns[-half:] = spectrum[: half + 1], spectrum[half + 1 :]
        self._columns[half + 1 : -half] = 0
        columns = fft.ifft(self._columns, axis=0, overwrite_x=True)
        return fft.irfft(columns[rows], n=self.field[1], axis=1)

    def smeared_shift(self, path: np.ndarray) -> np.ndarray:
        """Factor that moves content along `path` (positions, 2 as y, x, px): the mean over its positions."""
        y = np.exp(-2j * np.pi * self.y[:, None] * path[:, 0]) / len(path)
        x = np.exp(-2j * np.pi * self.x * path[:, 1, None])
        return y.astype(np.complex64) @ x.astype(np.complex64)

    def spline(self) -> np.ndarray:
        """Transfer of the cubic B-spline, by which an image is divided to get its spline coefficients."""
        y, x = ((2 + np.cos(2 * np.pi * f)) / 3 for f in (self.y, self.x))
        return (y[:, None] * x).astype(np.float32)

    def deviation(self, content: np.ndarray, water: np.ndarray) -> float:
        """Standard deviation of the image of given spectrum of content and amplitude of random water."""
        weight = np.full(self.shape[1], 2.0)
        weight[0] = 1
        power = np.square(np.abs(content)) + np.square(water)
        power[0, 0] = 0
        return float(np.sqrt((power * weight).sum(dtype=np.float64)) / (self.field[0] * self.field[1]))
