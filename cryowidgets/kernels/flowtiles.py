"""Frames as optical flow compares them: binned, aligned as a whole, white, and told apart tile by tile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from cryowidgets.cpu import bands, each
from cryowidgets.kernels import dose, fourier, warp
from cryowidgets.kernels.band import binned, over_rings
from cryowidgets.kernels.patches import HIGH_PASS, HIGHEST
from cryowidgets.kernels.xp import asnumpy

_CONTENT = 250.0  # Å over which the strength of the content is averaged
_LEAST, _MOST = 0.05, 20.0  # of the strength, relative to its mean
_SPECTRUM = 0.002  # 1/Å over which the spectrum of the signal is averaged
_TAPER = 0.02
_TOGETHER = 6e7  # bytes of frames that are moved at once
_DEEPEST = 0.3  # to which the response of moving is made up for


@dataclass(frozen=True)
class Comparison:
    """What tiles say of displacements near to those at which the frames were compared.

    Attributes
    ----------
    gradient : (n, rows, columns, 2)
        Derivative of the logarithm of the likelihood for the displacement of each tile in each frame, 1/px.
    pairs : (n, n)
        Its expected curvature, along an axis and for pairs of frames, in a tile whose `strength` is 1, 1/px².
    strength : (rows, columns)
        Factor of `pairs` in each tile.
    """

    gradient: np.ndarray
    pairs: np.ndarray
    strength: np.ndarray


class Tiles:
    """All frames of a movie, each times what is left of the signal in it.

    Parameters
    ----------
    blocks, gain, shape, shifts
        As of `localmotion.measure`.
    block : int
        Side of the blocks of pixels that are summed.
    pixel_size : float
        Å/px of the frames as given.
    exposure : (float, float, float)
        e/Å² of a frame and before the first, and kV.

    Attributes
    ----------
    centres : ((rows,), (columns,))
        y and x of the tiles, px of the frames as given.
    places : ((rows,), (columns,))
        The same from the middle of the frame, in halves of its longer side.
    """

    def __init__(
        self,
        blocks: Iterable[tuple[int, Any]],
        gain: Any,
        shape: tuple[int, int],
        shifts: np.ndarray,
        block: int,
        pixel_size: float,
        exposure: tuple[float, float, float],
    ) -> None:
        self.n, self._block, self._unit = len(shifts), block, pixel_size * block
        self._shape = small = shape[0] // block, shape[1] // block
        tiles = warp.tiles(small)
        self.centres = [(p + 0.5) * block - 0.5 for p in tiles]
        self.places = [(2 * p + 1 - n) / max(small) for p, n in zip(tiles, small, strict=True)]
        self.lattice = len(tiles[0]), len(tiles[1])
        self._rings = fourier.Rings(fourier.ring_numbers(small), fourier.plane_weight(small), np.empty(0))
        self._count = self._rings.weight_sum
        self._radius = np.arange(len(self._count)) / max(small)  # cycles per binned px
        self._k = self._radius / self._unit
        self._ky, self._kx = fourier.frequencies(small)
        # moving lets high frequencies fade, which is made up for beforehand
        self._falls = [
            np.maximum(0.5 + 0.5 * np.cos(np.pi * np.clip((np.abs(k) - 0.2) / 0.4, 0, 1)), _DEEPEST).astype(np.float32)
            for k in (self._ky, self._kx)
        ]
        faded = dose.fading(self.n, self._k, *exposure)
        self._own = np.square(faded)
        self._images = np.empty((self.n, *small), np.float32)
        self._strength: np.ndarray | None = None
        tapers = [fourier.cosine_edges(m, _TAPER).astype(np.float32) for m in small]
        within = self._radius <= HIGHEST
        self._white = np.zeros(0, np.float32)  # what makes the noise of the first frame white
        power = np.zeros(len(self._count))

        def spectrum(frame: Any) -> np.ndarray:
            image = asnumpy(binned([frame], gain, block)[0])
            image = (image - image.mean()) * tapers[0][:, None] * tapers[1]
            return fourier.rfft2(image)

        def put(j: int, half: np.ndarray) -> np.ndarray:
            half *= self._rings.spread(self._white * within)
            power = self._mean_power(half)
            half *= self._rings.spread(faded[j])
            y, x = fourier.shift_phase(small, (-shifts[j][0] / block, -shifts[j][1] / block))
            half *= y / self._falls[0]
            half *= x / self._falls[1]
            self._images[j] = fourier.irfft2(half, small)
            return power

        for first, raw in blocks:
            if not len(self._white):
                usual = over_rings(self._mean_power(spectrum(raw[0, ...])), self._count)
                self._white = 1 / np.sqrt(np.maximum(usual, 1e-30))
            frames = [(first + j, raw[j, ...]) for j in range(raw.shape[0])]
            power += sum(each(lambda frame: put(frame[0], spectrum(frame[1])), frames))
        self._power = power / self.n

    def compare(self, displacement: np.ndarray, finest: float) -> Comparison:
        """Compare the frames with their sum, with displacements (n, rows, columns, 2) in px of the frames as given
        undone, by detail down to `finest` Å."""
        displacement = displacement / self._block
        adder = warp.Adder(self._shape, 1, self._images)
        adder.add(self._images, None, displacement, np.ones((self.n, 1)))
        total = fourier.rfft2(adder.sums[0])
        summed, together = self._mean_power(total), self._own.sum(axis=0)
        signal, noise = self._signal_and_noise(summed, displacement)
        seen = (self._k <= 1 / finest) * (self._radius <= HIGHEST) * (1 - np.exp(-np.square(self._k * HIGH_PASS)))
        weight = seen * signal / (noise * (noise + together * signal))
        information = self._count * self._radius**2 * weight * signal
        curvature = 2 * math.pi**2 * information * warp.TILE**2 / math.prod(self._shape)
        pairs = -(self._own * curvature) @ self._own.T
        pairs[np.diag_indices(self.n)] += self._own @ (curvature * together)
        if self._strength is None:
            steep = self._slopes(total, np.sqrt(weight))
            power = self._products(steep[0], *steep)[..., 0] + self._products(steep[1], *steep)[..., 1]
            shown = self._count * self._radius**2 * weight
            part = (shown @ (signal * together**2)) / max(float(shown @ summed), 1e-30)
            self._strength = self._content(power, float(part))
        # Where there is less content than elsewhere, the sum has more noise than `weight` counts on.
        fresh = float(information @ (noise / (noise + together * signal))) / max(float(information.sum()), 1e-30)
        worth = self._strength / (fresh + (1 - fresh) * self._strength)
        gradient = self._gradient(displacement, self._slopes(total, weight)) * worth[..., None]
        gradient -= gradient.mean(axis=0)  # the sum does not move against itself
        return Comparison(gradient / self._block, pairs / self._block**2, self._strength * worth)

    def _signal_and_noise(self, summed: np.ndarray, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Power of the unfaded image and of the noise of a frame in each ring, from that of the sum."""
        together = self._own.sum(axis=0)
        own = together * self._power
        if np.any(displacement):  # moving did to the noise of frames what it does at just these fractions of a pixel
            y, x = warp.response(self._ky, self._kx, displacement)
            own *= np.asarray(self._rings.mean(np.square(y / self._falls[0]) * np.square(x / self._falls[1])))
        signal = (summed - own) / np.maximum(together**2 * (1 - 1 / self.n), 1e-30)
        width = max(_SPECTRUM * self._unit * max(self._shape), 1.0)
        count = gaussian_filter1d(self._count, width)
        signal = np.maximum(gaussian_filter1d(signal * self._count, width) / count, 0)
        # what of it is chance, which would add up over many rings of little signal
        chance = np.square(self._power / np.maximum(together, 1e-9)) / (math.sqrt(math.pi) * width * count)
        signal *= np.maximum(1 - chance / np.maximum(np.square(signal), 1e-30), 0)
        return signal, np.maximum(self._power - signal * together / self.n, 1e-3 * np.maximum(self._power, 1e-9))

    def _content(self, power: np.ndarray, part: float) -> np.ndarray:
        """How much there is to compare in each tile, relative to the mean; `part` of the `power` of sums is signal."""
        sigma = _CONTENT / (self._unit * warp.TILE)
        sides = (np.minimum(n - np.arange(0, n, warp.TILE), warp.TILE) / warp.TILE for n in self._shape)
        area = np.multiply.outer(*sides)
        density = power / area
        content = gaussian_filter(density - (1 - part) * density.mean(), sigma, mode="nearest")
        return np.clip(content / max(float(content.mean()), 1e-30), _LEAST, _MOST) * area

    def _gradient(self, displacement: np.ndarray, slopes: list[np.ndarray]) -> np.ndarray:
        gradient = np.empty((self.n, *self.lattice, 2))
        step = min(max(int(_TOGETHER / self._images[0].nbytes), 1), self.n)
        for first in range(0, self.n, step):
            some = slice(first, min(first + step, self.n))
            count = some.stop - first
            adder = warp.Adder(self._shape, 0, self._images, count)
            adder.add(self._images[some], None, displacement[some], np.ones((count, 0)), np.arange(count))
            for j, image in enumerate(adder.groups):
                gradient[first + j] = -self._products(image, *slopes)
        return gradient

    def _slopes(self, half: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        """Derivatives along y and x of an image, each ring of its half plane having a weight."""
        half = half * self._rings.spread(weight)
        return [fourier.irfft2(half * (2j * np.pi * k).astype(np.complex64), self._shape) for k in (self._ky, self._kx)]

    def _products(self, image: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
        from cryowidgets.kernels.flowloops import tile_products

        out = np.empty((*self.lattice, 2))
        each(lambda rows: tile_products(image, down, right, out, *rows), bands(len(out), 1))
        return out

    def _mean_power(self, half: np.ndarray) -> np.ndarray:
        return np.asarray(self._rings.mean(np.square(half.real) + np.square(half.imag))) / math.prod(self._shape)
