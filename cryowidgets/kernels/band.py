"""The low frequencies of movie frames: all that an alignment looks at.

A motion of the whole frame shows in frequencies up to some 5 Å, a small part of the transform, which is computed alone:
pixels are binned as far as that allows, and columns are transformed only where they are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cryowidgets.cpu import bands, each
from cryowidgets.kernels import hostfft
from cryowidgets.kernels.fourier import Rings, cosine_edges
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

HIGHEST = 0.45
"""cycles/px up to which frequencies are used, whatever the resolution asked for."""

MOST = 400_000
"""Elements of a band. Shifts are the more precise the larger the frame is, so that a large one needs less detail."""

HIGH_PASS = 200.0
"""Å; illumination and thickness, which vary more slowly than this, are given no weight."""

_TAPER = 0.02
_LINES = 32  # of a frame that are binned before the next frame is looked at


@dataclass(frozen=True)
class Band:
    """A rectangle of low frequencies of frames of `shape` (y, x), up to `highest` cycles/px.

    Elements are in the order of a half plane with its high rows left out: ky = 0, 1, …, m, -m, …, -1, kx = 0, 1, …, c.
    `bin` is the side of the blocks of pixels that may be summed beforehand.
    """

    shape: tuple[int, int]
    highest: float
    bin: int = 1

    @classmethod
    def up_to(cls, resolution: float, shape: tuple[int, int], pixel_size: float) -> Band:
        """The band down to `resolution` Å, or as far as `MOST` elements reach."""
        height, width = shape
        highest = min(pixel_size / resolution, HIGHEST, math.sqrt(MOST / (2 * height * width)))
        # 0.3 cycles per binned px leave 86 % of the signal, 0.42 leave 73 %, which large frames can spare
        block = max(int((0.42 if height * width > 6e6 else 0.3) / highest), 1)
        return cls((height // block * block, width // block * block), highest, block)

    @property
    def m(self) -> int:
        return int(self.highest * self.shape[0])

    @property
    def c(self) -> int:
        return int(self.highest * self.shape[1])

    @cached_property
    def ky(self) -> np.ndarray:
        """(2m + 1, 1), cycles/px."""
        return (np.r_[0 : self.m + 1, -self.m : 0] / self.shape[0])[:, None]

    @cached_property
    def kx(self) -> np.ndarray:
        """(1, c + 1), cycles/px."""
        return (np.arange(self.c + 1) / self.shape[1])[None, :]

    @cached_property
    def ring(self) -> np.ndarray:
        """Ring of each element; the last is for those beyond `highest`."""
        k = np.sqrt(self.ky**2 + self.kx**2)
        return np.minimum(np.rint(k * max(self.shape)).astype(np.int64), self.rings - 1)

    @property
    def rings(self) -> int:
        return int(self.highest * max(self.shape)) + 2

    @cached_property
    def radius(self) -> np.ndarray:
        """(rings,), cycles/px."""
        return np.arange(self.rings) / max(self.shape)

    @cached_property
    def weight(self) -> np.ndarray:
        """How many elements of the whole plane each stands for, float32: 2, or 0 where it is not to be used.

        Not used are the axes, where stripes would lie, and what is beyond `highest`.
        """
        weight = np.full(self.ring.shape, 2, np.float32)
        weight[0] = weight[:, 0] = 0
        weight[self.ring == self.rings - 1] = 0
        return weight

    def averages(self, like: Any) -> Rings:
        return Rings(self.ring, self.weight, like)

    def within(self, highest: float) -> tuple[Band, np.ndarray]:
        """A smaller band and its rows in this one; its columns are the first."""
        small = Band(self.shape, min(highest, self.highest), self.bin)
        return small, np.r_[0 : small.m + 1, 2 * self.m + 1 - small.m : 2 * self.m + 1]

    def transform(self, frame: Any, gain: Any = None) -> Any:
        """The band of a real frame (y, x), times the `gain` if there is one: complex64, (2m + 1, c + 1).

        The mean of each row and column is subtracted, and with it the stripes of a detector. Edges are tapered, since
        what leaves the frame on one side does not come in on the other; they would spread the stripes over all
        frequencies. Rows and columns at the end that do not fill a block are left out.
        """
        return self._of(binned([frame], gain, self.bin)[0])

    def transforms(self, frames: list[Any], gain: Any = None) -> list[Any]:
        """The bands of several frames at once, which reads the gain once for all."""
        return each(self._of, binned(frames, gain, self.bin))

    def _of(self, small: Any) -> Any:
        """The band of a binned frame, which may be overwritten."""
        xp = namespace(small)
        if xp is np:
            from cryowidgets.kernels.bandloops import level

            smooth = small
            level(smooth, *(t.ravel() for t in self._taper))
            return hostfft.low(smooth, (self.m + 1, self.m), self.c + 1)
        rows, columns = (to_device(t, small) for t in self._taper)
        smooth = small - float(xp.sum(small, dtype=xp.float64)) / (small.shape[0] * small.shape[1])
        smooth -= xp.mean(smooth, axis=0, keepdims=True)
        smooth -= xp.mean(smooth, axis=1, keepdims=True)
        smooth *= rows * columns
        whole = xp.fft.fft(xp.fft.rfft(smooth, axis=1)[:, : self.c + 1], axis=0)
        if not self.m:
            return whole[:1, :]
        return xp.concat([whole[: self.m + 1, :], whole[-self.m :, :]], axis=0)

    def phases(self, shift: Any, like: Any) -> tuple[Any, Any]:
        """Factors (2m + 1, 1) and (1, c + 1), complex64, that undo a displacement (y, x) px of a frame's content."""
        y, x = (np.exp(2j * math.pi * k * float(s)) for k, s in zip((self.ky, self.kx), shift, strict=True))
        return to_device(y.astype(np.complex64), like), to_device(x.astype(np.complex64), like)

    @cached_property
    def _taper(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = (cosine_edges(n // self.bin, _TAPER) for n in self.shape)
        return rows[:, None], columns[None, :]


class Spectra:
    """Bands of all frames, and in each ring their power, signal and noise.

    Of the frames X_j it keeps ``U_j = a_j·X_j`` with the fading a_j, since the likeliest image is the sum of the
    aligned U_j up to a factor. They are scaled to a mean power of 1.

    Parameters
    ----------
    transforms : list of arrays
        As of `Band.transform`.
    band : Band
    fading : (n, rings)
        What is left of the signal in each frame, from 1 to 0.
    pixel_size : float
        Å/px.

    Attributes
    ----------
    faded : list of arrays
    power, count, high_pass : (rings,)
        Mean power of a frame, signal and noise; number of elements; weight that leaves out slow variations.
    fading, fading2 : (n, rings)
        As given, and squared.
    """

    def __init__(self, transforms: list[Any], band: Band, fading: np.ndarray, pixel_size: float) -> None:
        self.band, self.n = band, len(transforms)
        self.averages = band.averages(transforms[0])
        self.count = self.averages.weight_sum
        xp = namespace(transforms[0])
        power = None
        for x in transforms:
            own = xp.real(x) ** 2 + xp.imag(x) ** 2
            power = own if power is None else power + own
        mean = asnumpy(self.averages.mean(power)) / self.n
        scale = 1 / max(float((mean * self.count).sum() / max(self.count.sum(), 1)), 1e-30)
        self.power = np.maximum(mean * scale, 1e-9)
        self.fading, self.fading2 = fading, np.square(fading)
        faded = (self.averages.spread(a * scale**0.5) for a in fading)
        if xp is np:
            self._stack = np.empty((self.n, *transforms[0].shape), np.complex64)
            for x, factor, out in zip(transforms, faded, self._stack, strict=True):
                np.multiply(x, factor, out=out)
            self.faded = list(self._stack)
        else:
            self.faded = [x * factor for x, factor in zip(transforms, faded, strict=True)]
        k = band.radius / pixel_size
        self.high_pass = 1 - np.exp(-np.square(k * HIGH_PASS))

    def aligned(self, shifts: np.ndarray) -> tuple[list[Any], Any]:
        """The frames with their shifts undone, and their sum."""
        if namespace(self.faded[0]) is np:
            return self._aligned(shifts)
        frames: list[Any] = []
        for x, shift in zip(self.faded, shifts, strict=True):
            y_phase, x_phase = self.band.phases(shift, x)
            v = x * y_phase
            v *= x_phase
            frames.append(v)
        total = frames[0] + frames[1]
        for v in frames[2:]:
            total += v
        return frames, total

    def slopes(self, frames: list[Any], total: Any, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivative of the likelihood for each shift, (n, 2), and how far each frame matches the others, (n,).

        `frames` and `total` are as of `aligned`, `weight` is that of each ring.
        """
        xp, band = namespace(total), self.band
        w = self.averages.spread(weight) * to_device(band.weight, total)
        if xp is np:
            from cryowidgets.kernels.bandloops import slope

            ky, kx = band.ky.ravel().astype(np.float32), band.kx.ravel().astype(np.float32)
            found = np.array(each(lambda v: slope(v, total, w, ky, kx), frames))
            return -2 * math.pi * found[:, :2], found[:, 2]
        # sums over a band with 1, kx and ky as factors are products of small matrices
        factors_x = to_device(np.concatenate([np.ones_like(band.kx), band.kx]).astype(np.float32), total)
        factors_y = to_device(np.concatenate([np.ones_like(band.ky), band.ky], axis=1).astype(np.float32), total)
        gradient, match = np.empty((self.n, 2)), np.empty(self.n)
        for j, v in enumerate(frames):
            c = xp.conj(total - v)
            c *= v
            c *= w
            moments = asnumpy(factors_y.T @ (xp.imag(c) @ factors_x.T))
            gradient[j] = -2 * math.pi * moments[1, 0], -2 * math.pi * moments[0, 1]
            match[j] = float(xp.sum(xp.real(c)))
        return gradient, match

    def _aligned(self, shifts: np.ndarray) -> tuple[list[Any], Any]:
        from cryowidgets.kernels.bandloops import align_rows

        total = np.empty_like(self.faded[0])
        moved = np.empty((self.n, *total.shape), np.complex64)
        axes = self.band.ky.ravel(), self.band.kx.ravel()
        phases = [np.exp(2j * math.pi * k * shifts[:, i, None]) for i, k in enumerate(axes)]
        y, x = (p.astype(np.complex64) for p in phases)
        stack = self._stack
        each(lambda rows: align_rows(stack, y, x, moved, total, *rows), bands(len(total), 1))
        return list(moved), total

    def signal_and_noise(self, total: Any) -> tuple[np.ndarray, np.ndarray]:
        """Power of the unfaded image and of the noise of one frame in each ring, from the sum of the aligned frames.

        By expectation the sum has ``signal·(Σa²)² + noise·Σa²``, and a frame has ``signal·mean(a²) + noise``.
        """
        xp = namespace(total)
        summed = asnumpy(self.averages.mean(xp.real(total) ** 2 + xp.imag(total) ** 2))
        together = self.fading2.sum(axis=0)
        signal = (summed - together * self.power) / np.maximum(together**2 * (1 - 1 / self.n), 1e-30)
        signal = np.maximum(over_rings(signal, self.count), 0)
        noise = np.maximum(self.power - signal * together / self.n, 1e-3 * self.power)
        return signal, noise


def binned(images: list[Any], gain: Any, block: int) -> list[Any]:
    """Sums over blocks of pixels of images of one shape, float32 of their own."""
    xp = namespace(images[0])
    if xp is np:
        from cryowidgets.kernels.bandloops import bin_rows

        images = [np.ascontiguousarray(image) for image in images]
        out = [np.empty((image.shape[0] // block, image.shape[1] // block), np.float32) for image in images]
        gain = np.ones((1, 1), np.float32) if gain is None else gain

        def some(first: int) -> None:  # few lines, whose gain stays in the cache while all images go by
            for image, small in zip(images, out, strict=True):
                bin_rows(image, gain, block, small, first, min(first + lines, len(small)))

        lines = max(_LINES // block, 1)
        each(some, range(0, len(out[0]), lines))
        return out
    return [_binned(image, gain, block) for image in images]


def _binned(image: Any, gain: Any, block: int) -> Any:
    """One of them, by the functions of any array library."""
    xp = namespace(image)
    image = xp.astype(image, xp.float32)
    image = image if gain is None else image * gain
    image = image[: image.shape[0] // block * block, : image.shape[1] // block * block]
    rows = sum((image[i::block, :] for i in range(1, block)), start=image[::block, :])
    return sum((rows[:, i::block] for i in range(1, block)), start=rows[:, ::block])


def over_rings(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean over each ring and two on either side, the nearer the more, of values in rings of `count` elements."""
    kernel = np.array([0.25, 0.5, 1.0, 0.5, 0.25])
    total = np.maximum(np.convolve(count, kernel, "same"), 1e-9)
    return np.asarray(np.convolve(values * count, kernel, "same") / total)
