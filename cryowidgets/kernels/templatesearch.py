"""A bank of templates as filters: what it answers to an image, and how its particles look in one.

Many templates in many directions differ little. So the image is filtered with the few principal pictures of them all,
of which every answer is a sum: a hundred rotated templates take the time of some thirty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryowidgets.cpu import threads
from cryowidgets.kernels import ctf, peaks
from cryowidgets.kernels.discs import squared_frequency
from cryowidgets.kernels.fsc import space_weight
from cryowidgets.kernels.ground import BACKGROUND
from cryowidgets.kernels.noisepower import NoisePower
from cryowidgets.kernels.peaks import REFERENCE
from cryowidgets.kernels.templatebank import principal

REACH = 2.0
"""Diameters from a particle up to which templates answer to it."""
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Lens:
    """What the lens did to a micrograph: defocus in Å, angles in degrees, kV, mm."""

    defocus_u: float
    defocus_v: float
    angle: float
    voltage: float
    cs: float
    amplitude_contrast: float
    phase_shift: float = 0.0


class Search:
    """A bank of templates with all that turns them into filters of images of any shape.

    Attributes
    ----------
    pictures : (k, side, side)
        The principal ones; the middle is pixel ``side // 2``.
    weights : (m, k)
        How they add up to templates that answer to noise with deviation 1.
    """

    def __init__(self, bank: np.ndarray, power: NoisePower, pixel: float, diameter: float, lens: Lens | None) -> None:
        self.pictures, sums = principal(bank)
        self.power, self.pixel, self.diameter, self.lens = power, pixel, diameter, lens
        length = fft.next_fast_len(self.pictures.shape[-1] + 2 * math.ceil(REACH * diameter / pixel) + 1, real=True)
        self.patch = (length, length)
        self.weights = (sums / self._lengths(sums)[:, None]).astype(np.float32)

    def fields(self, white: np.ndarray, noise: bool = False) -> NDArray[np.float32]:
        """What the principal pictures answer, (k, y, x).

        An image that is pure `noise` is white; else it has the power of the noise.
        """
        shape = _fast(white.shape)
        spread = self._spread(shape)
        half = fft.rfft2(white, s=shape, workers=threads())
        half *= self.transfer(shape) / (spread if noise else spread * spread)
        found, inside = np.empty((len(self.pictures), *white.shape), np.float32), tuple(slice(n) for n in white.shape)
        for field, spectrum in zip(found, self.spectra(shape), strict=True):
            field[:] = fft.irfft2(np.conj(spectrum) * half, s=shape, workers=threads())[inside]
        return found

    def spectra(self, shape: tuple[int, int]) -> NDArray[np.complex64]:
        """Of the principal pictures, with their middle at pixel (0, 0) of an image of `shape`."""
        grid = np.arange(self.pictures.shape[-1]) - self.pictures.shape[-1] // 2
        rows = np.exp(-2j * np.pi * np.fft.fftfreq(shape[0])[:, None] * grid).astype(np.complex64)
        columns = np.exp(-2j * np.pi * grid[:, None] * np.fft.rfftfreq(shape[1])).astype(np.complex64)
        return np.matmul(rows, self.pictures @ columns)

    def shown(
        self, shape: tuple[int, ...], y: np.ndarray, x: np.ndarray, best: np.ndarray, heights: np.ndarray
    ) -> NDArray[np.float32]:
        """The image of particles at given pixels with the templates and the heights that they were found with."""
        side = self.pictures.shape[-1]
        wide = _fast((shape[0] + side, shape[1] + side))
        canvas = np.zeros((shape[0] + 2 * side, shape[1] + 2 * side), np.float32)
        corners = (at + side - side // 2 for at in (y, x))
        for a, b, row, height in zip(*corners, self.weights[best], heights, strict=True):
            canvas[a : a + side, b : b + side] += np.tensordot(np.float32(height) * row, self.pictures, 1)
        half = fft.rfft2(canvas[side:-side, side:-side], s=wide, workers=threads())
        half *= self.transfer(wide)
        return fft.irfft2(half, s=wide, workers=threads())[: shape[0], : shape[1]]

    def cells(self) -> float:
        """Independent places in a pixel: see `peaks.cells_of`."""
        noise = np.random.default_rng(0).standard_normal((REFERENCE, REFERENCE), np.float32)
        chance = highest(self.fields(noise, noise=True), self.weights)
        return peaks.cells_of(chance, 0.3 * self.diameter / self.pixel)

    def transfer(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """What the lens and the flattening of the background leave of a template, by frequency."""
        squared = squared_frequency(shape, self.pixel)
        flattened = 1 - np.exp(-2 * (math.pi * BACKGROUND * self.diameter) ** 2 * squared)
        if self.lens is None:
            return flattened
        lens = self.lens
        defocus = (lens.defocus_u, lens.defocus_v, lens.angle)
        optics = (lens.voltage, lens.cs, lens.amplitude_contrast, lens.phase_shift)
        return -flattened * ctf.ctf_2d(shape, self.pixel, *defocus, *optics)

    def _spread(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        return np.sqrt(self.power.at(squared_frequency(shape, self.pixel), self.pixel))

    def _lengths(self, sums: np.ndarray) -> NDArray[np.float64]:
        """Of templates (m, k) that were divided by the deviation of the noise."""
        whole = np.sqrt(space_weight(self.patch) / self.patch[0] ** 2).astype(np.float32)
        scale = self.transfer(self.patch) / self._spread(self.patch) * whole
        parts = (self.spectra(self.patch) * scale).reshape(len(self.pictures), -1).view(np.float32)
        gram = (parts @ parts.T).astype(np.float64)
        return np.sqrt(np.maximum(np.einsum("mi,ij,mj->m", sums, gram, sums, optimize=True), 1e-30))


def highest(fields: np.ndarray, weights: np.ndarray) -> NDArray[np.float32]:
    """The score of the best template at each pixel."""
    flat = fields.reshape(len(fields), -1)
    best = np.empty(flat.shape[1], np.float32)
    for first in range(0, flat.shape[1], _CHUNK):
        part = slice(first, first + _CHUNK)
        np.max(weights @ flat[:, part], axis=0, out=best[part])
    return best.reshape(fields.shape[1:])


def _fast(shape: tuple[int, ...]) -> tuple[int, int]:
    """Sides at least as long that a Fourier transform takes no long time for."""
    return fft.next_fast_len(shape[0], real=True), fft.next_fast_len(shape[1], real=True)
