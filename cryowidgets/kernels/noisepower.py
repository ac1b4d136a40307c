"""The power of the noise at each frequency, from what lies between the particles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryowidgets.cpu import threads
from cryowidgets.kernels import peaks

FAINT = 0.05
"""Power, relative to the highest, below which a band was filtered away and tells nothing."""
QUIET = 0.5
"""Least power of noise of electrons at any frequency, relative to that of the highest."""
LAGS = 1.5
"""Diameters over which noise is compared with itself."""
BESIDE = 0.65
"""Diameters from a particle from which on there is noise: its image is wider than itself."""
LEAST = 0.05
"""Share of the image that must be free of particles; else noise is taken to be white."""


@dataclass(frozen=True)
class NoisePower:
    """Power per pixel of an image by frequency: 1 is that of white noise of variance 1.

    Attributes
    ----------
    frequency, power : (n,)
        1/px, ascending, and the power there.
    """

    frequency: NDArray[np.float64]
    power: NDArray[np.float64]

    def at(self, squared: np.ndarray, pixel: float) -> NDArray[np.float32]:
        """At squared frequencies (any shape, 1/Å²) of pixels of `pixel` Å."""
        return np.interp(np.sqrt(squared) * pixel, self.frequency, self.power).astype(np.float32)


WHITE = NoisePower(np.array([0.0, 0.75]), np.ones(2))


def between(
    image: np.ndarray, answer: np.ndarray, use: np.ndarray, size: float, usual: float, counts: bool
) -> NoisePower:
    """Power of the noise between whatever looks like a particle, that is where an `answer` is high, in deviations.

    Parameters
    ----------
    image, answer : array (y, x)
        The image was divided by the deviation of its finest noise.
    use : array (y, x), bool
        Where there is ice.
    size : float
        Diameter of the particles, px.
    usual : float
        Deviation of the answer in noise.
    counts : bool
        See `noise_power`.
    """
    y, x = peaks.maxima(answer, 0.5 * size, peaks.LOWEST * usual)
    free = peaks.away(use, np.stack([y, x], axis=-1), BESIDE * size)
    return noise_power(image, free, size, counts)


def noise_power(image: np.ndarray, free: np.ndarray, size: float, counts: bool) -> NoisePower:
    """Measure the noise of an image that was divided by the deviation of its finest noise.

    It is the transform of the correlation of the noise with itself, which gaps do not disturb: each lag is a mean over
    the pairs of pixels that are both free (as Bochner and Wiener have it; gaps as in Padfield, IEEE Trans. Image
    Process. 21 (2012) 2706, doi:10.1109/TIP.2011.2181402).

    Parameters
    ----------
    image : array (y, x)
    free : array (y, x), bool
        Where there is neither a particle nor anything else than ice.
    size : float
        Diameter of the particles, px.
    counts : bool
        Whether the finest noise is that of electrons: then that is the least there is at all frequencies. Else bands
        that somebody has filtered away keep `FAINT` of the highest power.
    """
    if not free.mean() > LEAST:
        return WHITE
    mean = float(image[free].mean())
    shape = [fft.next_fast_len(n + int(2 * LAGS * size), real=True) for n in image.shape]
    both = [fft.rfft2(part, s=shape, workers=threads()) for part in (np.where(free, image - mean, 0), free)]
    sums, pairs = (fft.irfft2(np.abs(part) ** 2, s=shape, workers=threads()) for part in both)
    reach = max(4, int(LAGS * size))
    lags = np.r_[-reach : reach + 1]
    grid = np.ix_(lags % shape[0], lags % shape[1])
    distance = np.hypot(lags[:, None], lags)
    like = np.where(pairs[grid] > 0.5, sums[grid] / np.maximum(pairs[grid], 1), 0)
    taper = np.where(distance < reach, 0.5 + 0.5 * np.cos(np.pi * distance / reach), 0)
    spectrum = fft.fft2(fft.ifftshift(like * taper)).real
    frequency = np.fft.fftfreq(len(lags))
    ring = np.rint(np.hypot(frequency[:, None], frequency) * len(lags)).astype(int)
    count = np.bincount(ring.ravel())
    curve = np.bincount(ring.ravel(), spectrum.ravel()) / count
    curve = ndimage.uniform_filter1d(curve, 3, mode="nearest")
    curve = np.maximum(curve, QUIET if counts else FAINT * curve.max())
    return NoisePower(np.arange(len(curve)) / len(lags), curve)
