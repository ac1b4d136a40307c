"""Which pictures of particles hold nothing, and which hold something that is unlike all others.

In the manner of Vargas et al., J. Struct. Biol. 183 (2013) 342, doi:10.1016/j.jsb.2013.05.015, who sort particles by
how far their features lie from those of the others; what a picture of ice alone would give is known here beforehand,
since backgrounds have mean 0 and deviation 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from cryowidgets.cpu import threads

ENOUGH = 20
"""Particles below which nothing can be said of how they spread; then none is unlike the others."""

SECTORS = 8
"""Parts of a background: neighbours lie in some of them."""
QUIET = 0.2
"""Share of those parts, over all particles, that are taken to be free of neighbours at least."""


@dataclass(frozen=True)
class Screened:
    """What was found of each picture.

    Attributes
    ----------
    signal : (n,)
        Power within the particle's circle over that of the background, in standard errors of pure noise: 0 for ice.
    oddness : (n,)
        How far it lies from the others by the feature in which it is oddest, in standard deviations; 0 where there are
        too few others.
    """

    signal: NDArray[np.float64]
    oddness: NDArray[np.float64]


def screen(pictures: np.ndarray, diameter: float, outside: float) -> Screened:
    """Look at normalised pictures of particles.

    Parameters
    ----------
    pictures : (n, side, side)
        Backgrounds have mean 0 and deviation 1.
    diameter : float
        Of the particles, px.
    outside : float
        Diameter of the circle outside of which is background, px; at most the side.
    """
    count, side = pictures.shape[:2]
    if not count:
        return Screened(np.zeros(0), np.zeros(0))
    y, x = np.mgrid[:side, :side] - side // 2
    r = np.hypot(y, x)
    within, beyond = r <= diameter / 2, r > min(outside, side) / 2
    smooth, independent = _smoothed(pictures, diameter)
    inner, outer = smooth[:, within], smooth[:, beyond]
    noise = _noise(smooth, beyond, np.arctan2(y, x), independent)
    if not noise > 0:
        return Screened(np.zeros(count), np.zeros(count))
    power = np.mean(inner**2, axis=1, dtype=np.float64) / noise
    error = np.sqrt(2 / max(independent * within.mean(), 1))
    # Two halves of dirt, film, or a neighbour's edge differ by what a particle's do not.
    halves = np.stack([(pictures * np.sign(axis)).mean(axis=(1, 2), dtype=np.float64) for axis in (y, x)])
    flat = pictures.reshape(count, -1)
    features = np.stack(
        [
            np.log(np.maximum(power, 1e-12)),
            np.mean(outer**2, axis=1, dtype=np.float64) / noise,
            inner.mean(axis=1, dtype=np.float64),
            np.hypot(*halves),
            flat.max(axis=1).astype(float),
            flat.min(axis=1).astype(float),
        ]
    )
    return Screened((power - 1) / error, _oddness(features))


def _noise(smooth: np.ndarray, beyond: np.ndarray, direction: np.ndarray, independent: float) -> float:
    """Power of ice alone in the band, from the parts of the backgrounds in which no neighbour is seen."""
    sector = np.minimum((direction + np.pi) * (SECTORS / (2 * np.pi)), SECTORS - 1).astype(int)
    parts = [beyond & (sector == k) for k in range(SECTORS)]
    powers = [np.mean(smooth[:, part] ** 2, axis=1, dtype=np.float64) for part in parts if part.any()]
    if not powers:
        return 0.0
    free = max(independent * beyond.mean() / SECTORS, 1)
    # What pure noise of so many independent values has at this quantile (Wilson & Hilferty).
    expected = (1 - 2 / (9 * free) + ndtri(QUIET) * np.sqrt(2 / (9 * free))) ** 3
    return float(np.quantile(np.concatenate(powers), QUIET) / max(expected, 0.05))


def _smoothed(pictures: np.ndarray, diameter: float) -> tuple[NDArray[np.float32], float]:
    """Pictures in the band that holds most of a particle, and how many independent values one has in it."""
    side = pictures.shape[-1]
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    f = np.hypot(fy, fx) * diameter  # waves in a diameter
    band = (1 - np.exp(-((f / 0.7) ** 4))) * np.exp(-((f / 6) ** 4))
    smooth = fft.irfft2(fft.rfft2(pictures, workers=threads()) * band.astype(np.float32), s=(side, side))
    weight = np.where((np.arange(side // 2 + 1) % (side // 2)) == 0, 1.0, 2.0)  # each value of a half plane twice
    square = band**2
    return smooth, float((weight * square).sum() ** 2 / (weight * square**2).sum())


def _oddness(features: np.ndarray) -> NDArray[np.float64]:
    count = features.shape[1]
    if count < ENOUGH:
        return np.zeros(count)
    off = features - np.median(features, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(off), axis=1, keepdims=True)
    return np.max(np.abs(off) / np.where(spread > 0, spread, np.inf), axis=0)
