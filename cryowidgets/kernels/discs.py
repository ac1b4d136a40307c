"""Filters that answer to discs of a diameter: the Laplacian of a Gaussian, and the difference of two Gaussians.

The first is that of RELION (Zivanov et al., eLife 7 (2018) e42166, doi:10.7554/eLife.42166), the second that of
Appion's DoG picker (Voss et al., J. Struct. Biol. 166 (2009) 205, doi:10.1016/j.jsb.2009.01.004).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryowidgets.cpu import threads


def answers(
    signal: np.ndarray, pixel: float, diameters: np.ndarray, ratio: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What filters say of an image, in standard deviations that white noise of variance 1 gives them.

    Parameters
    ----------
    signal : array (y, x), float32
    pixel : float
        Å/px.
    diameters : array
        Of the discs, Å.
    ratio : float
        Of the widths of two Gaussians; 0 for the Laplacian of one.

    Returns
    -------
    answers : (filters, y, x)
    deviations : (filters,)
        An answer times its own tells, of a series of filters, which one has the size of the particle; without, the
        larger one always gains from the noise that it leaves out.
    """
    half = fft.rfft2(signal, workers=threads())
    squared = squared_frequency(signal.shape, pixel)
    found = np.empty((len(diameters), *signal.shape), np.float32)
    spreads = np.empty(len(diameters))
    for i, (answer, diameter) in enumerate(zip(found, diameters, strict=True)):
        shape = difference(squared, diameter, ratio) if ratio else laplacian(squared, diameter)
        spreads[i] = _deviation(shape, signal.shape)
        answer[:] = fft.irfft2(half * (shape / np.float32(spreads[i])), s=signal.shape, workers=threads())
    return found, spreads


def deviations(
    shape: tuple[int, ...], pixel: float, diameters: np.ndarray, power: np.ndarray, ratio: float = 0.0
) -> NDArray[np.float64]:
    """Standard deviations of the same answers to noise whose power at `squared_frequency` is given."""
    squared = squared_frequency(shape, pixel)
    found = []
    for diameter in diameters:
        filter_ = difference(squared, diameter, ratio) if ratio else laplacian(squared, diameter)
        found.append(_deviation(filter_ * np.sqrt(power), shape) / _deviation(filter_, shape))
    return np.array(found)


def _deviation(filter_: np.ndarray, shape: tuple[int, ...]) -> float:
    """Of white noise of variance 1 that was multiplied by a half transform."""
    height, width = shape
    squares = np.square(filter_).sum(axis=0, dtype=np.float64)
    squares[1 : (width + 1) // 2] *= 2
    return math.sqrt(float(squares.sum()) / (height * width))


def squared_frequency(shape: tuple[int, ...], pixel: float) -> NDArray[np.float32]:
    """Of the elements of a half transform, 1/Å²."""
    y, x = np.fft.fftfreq(shape[0], pixel)[:, None], np.fft.rfftfreq(shape[1], pixel)[None, :]
    return (y * y + x * x).astype(np.float32)


def laplacian(squared: Any, diameter: float) -> Any:
    """Laplacian of a Gaussian for a diameter in Å, at squared frequencies in 1/Å²; positive on a particle."""
    width = 1 / (2 * diameter)  # of the filter, 1/Å; the Gaussian's in real space is the diameter over π
    scaled = squared / np.float32(width * width)
    return scaled * np.exp(-0.5 * scaled)


def difference(squared: Any, diameter: float, ratio: float) -> Any:
    """Difference of two Gaussians whose widths have a ratio and which cancels at the rim of the particle."""
    narrow = 0.5 * diameter * math.sqrt((ratio**2 - 1) / (4 * ratio**2 * math.log(ratio)))
    scaled = -2 * math.pi**2 * narrow * narrow * squared
    return np.exp(scaled) - np.exp(np.float32(ratio * ratio) * scaled)
