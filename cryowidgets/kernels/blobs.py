"""Particles as blobs: places where a filter of about their size answers far above what the noise can do.

The filters are those of RELION and of Appion's DoG picker. What is ours is the scale of the scores: they are in
standard deviations of the noise at that place, which is measured at high frequencies, where nothing else is seen, and
between the particles for the frequencies of the filters. So one threshold holds for thin ice, thick ice and any dose,
and an image of nothing gives nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryowidgets.kernels import discs, peaks
from cryowidgets.kernels.ground import Ground, emptiest, ground
from cryowidgets.kernels.noisepower import NoisePower, between
from cryowidgets.kernels.peaks import LOWEST, REFERENCE, Found

__all__ = ["Found", "find"]

STEPS = 3
"""Diameters tried between the smallest and the largest."""


def find(
    image: Any,
    pixel_size: float,
    smallest: float,
    largest: float,
    threshold: float | None = None,
    apart: float = 0.0,
    bright: bool = False,
    ratio: float = 0.0,
    masked: bool = True,
) -> Found:
    """Look for particles.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    smallest, largest : float
        Diameters of the particles, Å.
    threshold : float, optional
        Least score in standard deviations of the noise. By default that which promises the highest F1: see
        `peaks.level`. In an empty micrograph it is what noise reaches in `peaks.CHANCE` places, about 4.8.
    apart : float
        Least distance of two particles, Å; 0 for 0.6 of the mean diameter.
    bright : bool
        Particles are brighter than the ice, as in negative stain that was inverted.
    ratio : float
        Of the widths of two Gaussians whose difference is the filter, 1.05 to 3; 0 for the Laplacian of one.
    masked : bool
        Look for nothing on carbon film and dirt.
    """
    seen = ground(image, pixel_size, smallest, largest, bright, masked)
    if seen is None:
        return peaks.nothing(threshold, 1.0)
    pixel, use = seen.pixel, seen.use
    diameters = np.geomspace(smallest, largest, STEPS if largest > smallest else 1)
    middle = float(np.sqrt(smallest * largest)) / pixel
    answers, spreads = discs.answers(seen.signal / seen.noise, pixel, diameters, ratio)
    if seen.counts:
        power = between(seen.signal / seen.noise, answers[len(answers) // 2], seen.use, middle, 1.0, True)
        answers /= _deviations(power, seen, diameters, ratio)[:, None, None]
    else:
        answers /= np.float32(emptiest(answers[len(answers) // 2], use, middle))
    score = answers.max(axis=0)
    lowest = threshold if threshold is not None else LOWEST if seen.counts else 0.5
    y, x = peaks.maxima(score, (apart or 0.3 * (smallest + largest)) / pixel, lowest, use)
    least = threshold
    if least is None:
        if seen.counts:
            density = _cells(power, seen, diameters, ratio)
            least = peaks.threshold(score[y, x], np.stack([y, x], axis=-1), use, density, middle)
        else:
            least = peaks.two_kinds(score[y, x])
    above = score[y, x] > least
    y, x = y[above], x[above]
    return Found(
        seen.whole(np.stack(peaks.refined(score, y, x), axis=-1)),
        score[y, x].astype(np.float64),
        diameters[(answers[:, y, x] * spreads[:, None]).argmax(axis=0)],
        float(least),
        seen.refused,
    )


def _deviations(power: NoisePower, seen: Ground, diameters: np.ndarray, ratio: float) -> NDArray[np.float32]:
    """Of the answers to the noise between particles, which ice makes somewhat other than white."""
    at = power.at(discs.squared_frequency(seen.signal.shape, seen.pixel), seen.pixel)
    return np.minimum(discs.deviations(seen.signal.shape, seen.pixel, diameters, at, ratio), 1).astype(np.float32)


def _cells(power: NoisePower, seen: Ground, diameters: np.ndarray, ratio: float) -> float:
    """Independent places in a pixel: see `peaks.cells_of`."""
    shape = (REFERENCE, REFERENCE)
    at = power.at(discs.squared_frequency(shape, seen.pixel), seen.pixel)
    half = fft.rfft2(np.random.default_rng(0).standard_normal(shape, np.float32)) * np.sqrt(at)
    answers, _ = discs.answers(fft.irfft2(half, s=shape), seen.pixel, diameters, ratio)
    answers /= discs.deviations(shape, seen.pixel, diameters, at, ratio).astype(np.float32)[:, None, None]
    return peaks.cells_of(answers.max(axis=0), 0.3 * float(diameters[0]) / seen.pixel)
