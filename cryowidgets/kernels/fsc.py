"""How far two maps agree: the correlation of their Fourier shells, and what a mask adds to it.

The Fourier shell correlation is that of Harauz & van Heel, Optik 73, 146 (1986); the threshold 0.143 for two halves
of the data that of Rosenthal & Henderson, J Mol Biol 333, 721 (2003), doi:10.1016/j.jmb.2003.07.013; the correction
for a mask by randomised phases that of Chen et al., Ultramicroscopy 135, 24 (2013), doi:10.1016/j.ultramic.2013.06.004.

Transforms are done where the maps are; the sums over shells on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from cryowidgets.cpu import threads
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

HALVES = 0.143
"""Threshold between maps of two halves of the data."""

MAPS = 0.5
"""Threshold between two maps that each come of all the data, or of different data."""


def fsc(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of two maps, shell by shell.

    Parameters
    ----------
    a, b : array (z, y, x), real
        Of the same shape, which may be odd or not cubic.

    Returns
    -------
    frequency : (n,) float64
        Cycles/px, 0 to Nyquist in steps of one over the longest side.
    curve : (n,) float64
        -1 to 1; 0 where one of the maps has nothing.

    Raises
    ------
    ValueError
        The shapes differ or are not of three dimensions.
    """
    _comparable(a, b)
    return _of_transforms(rfftn(a), rfftn(b), tuple(a.shape))


def crossing(frequency: np.ndarray, curve: np.ndarray, threshold: float = HALVES, pixel_size: float = 1.0) -> float:
    """Resolution at which a curve first falls below a threshold, between two shells by a straight line.

    Parameters
    ----------
    frequency, curve : (n,)
        As of `fsc`; the first, frequency 0, is passed over.
    threshold : float
        0.143 for two halves of the data, 0.5 for two maps that stand on their own.
    pixel_size : float
        Å/px.

    Returns
    -------
    float
        Å. The last shell where the curve never falls below, so that it is a limit; NaN where it never was above.
    """
    frequency, curve = np.asarray(frequency, float)[1:], np.asarray(curve, float)[1:]
    below = np.flatnonzero(~(curve >= threshold))
    if not len(curve) or (len(below) and below[0] == 0):
        return math.nan
    if not len(below):
        return pixel_size / float(frequency[-1])
    i = int(below[0])
    upper, lower = curve[i - 1], curve[i] if math.isfinite(curve[i]) else threshold
    part = (upper - threshold) / (upper - lower) if upper > lower else 1.0
    return pixel_size / float(frequency[i - 1] + part * (frequency[i] - frequency[i - 1]))


@dataclass(frozen=True)
class Curves:
    """Correlation of two maps without and with a mask, and what of the latter is the mask's own doing."""

    frequency: np.ndarray
    """(n,) cycles/px."""
    unmasked: np.ndarray
    masked: np.ndarray
    randomised: np.ndarray
    """With the mask, after phases beyond `randomised_from` were drawn by lot: what remains there is the mask's."""
    corrected: np.ndarray
    """The masked curve without the part of the mask."""
    randomised_from: float
    """Cycles/px."""


def corrected(a: Any, b: Any, mask: Any, seed: int = 0, keep: float = 0.8) -> Curves:
    """Correlation of two maps within a mask, corrected for the correlation that the mask brings.

    Parameters
    ----------
    a, b : array (z, y, x), real
    mask : array (z, y, x)
        0 to 1, with a soft edge.
    seed : int
        Of the phases that are drawn.
    keep : float
        Phases are drawn from the first shell on at which the unmasked curve falls below this.

    Raises
    ------
    ValueError
        The shapes differ or are not of three dimensions.
    """
    _comparable(a, b)
    _comparable(a, mask)
    shape = tuple(a.shape)
    mask = to_device(mask, a)
    one, two = rfftn(a), rfftn(b)
    frequency, unmasked = _of_transforms(one, two, shape)
    below = np.flatnonzero(unmasked < keep)
    first = int(below[0]) if len(below) else len(frequency)
    first = max(first, 1)
    _, masked = fsc(a * mask, b * mask)
    numbers = shell_numbers(shape)
    rng = np.random.default_rng(seed)
    lots = [irfftn(half * to_device(_phases(rng, numbers, first, shape), half), shape) for half in (one, two)]
    _, randomised = fsc(lots[0] * mask, lots[1] * mask)
    true = masked.copy()
    beyond = slice(first + 2, None)  # the mask smears the step between kept and drawn phases over two shells
    true[beyond] = (masked[beyond] - randomised[beyond]) / np.maximum(1 - randomised[beyond], 1e-6)
    limit = float(frequency[first]) if first < len(frequency) else math.nan
    return Curves(frequency, unmasked, masked, randomised, true, limit)


def rfftn(volume: Any) -> Any:
    """Half space of a real map (z, y, x): (z, y, x // 2 + 1), unnormalised; float32 in gives complex64 out."""
    xp = namespace(volume)
    if volume.dtype not in (xp.float32, xp.float64):
        volume = xp.astype(volume, xp.float32)
    return scipy.fft.rfftn(volume, workers=threads()) if xp is np else xp.fft.rfftn(volume)


def irfftn(half: Any, shape: tuple[int, ...]) -> Any:
    """The map of a half space; the inverse of `rfftn`."""
    xp = namespace(half)
    if xp is np:
        return scipy.fft.irfftn(half, shape, workers=threads())
    return xp.fft.irfftn(half, s=shape, axes=(0, 1, 2))


def squared_frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """|k|² of each element of a half space, (z, y, x // 2 + 1) float32, in (cycles/px)²."""
    z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    return ((z**2)[:, None, None] + (y**2)[:, None] + x**2).astype(np.float32)


def shell_numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Shell of each element of a half space, int64: shell r holds frequencies nearest to ``r / max(shape)``."""
    return np.rint(np.sqrt(squared_frequencies(shape)) * max(shape)).astype(np.int64)


def space_weight(shape: tuple[int, ...]) -> np.ndarray:
    """How many elements of the whole space each of a half space stands for: (x // 2 + 1,) float64, 1 or 2."""
    weight = np.full(shape[-1] // 2 + 1, 2.0)
    weight[0] = 1
    if shape[-1] % 2 == 0:
        weight[-1] = 1
    return weight


@dataclass(frozen=True)
class Shells:
    """The shells of the half space of a map, its corners in the outermost."""

    numbers: np.ndarray
    """(z, y, x // 2 + 1) int64."""
    weight: np.ndarray
    """(x // 2 + 1,), see `space_weight`."""

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Shells:
        return cls(np.minimum(shell_numbers(shape), max(shape) // 2), space_weight(shape))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of values of a half space, each counted as often as it stands in the whole: (n,) float64."""
        return np.bincount(self.numbers.ravel(), (self.weight * values).ravel())

    def power(self, half: np.ndarray) -> np.ndarray:
        """Sums of |F|², (n,) float64."""
        return self.sums(half.real**2 + half.imag**2)


def _of_transforms(one: Any, two: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    one, two = asnumpy(one), asnumpy(two)
    shells = max(shape) // 2 + 1
    numbers = shell_numbers(shape)
    inside = numbers < shells
    number = numbers[inside]
    weight = np.broadcast_to(space_weight(shape), numbers.shape)[inside]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(number, values[inside] * weight, shells)

    cross = total(one.real * two.real + one.imag * two.imag)
    powers = total(one.real**2 + one.imag**2) * total(two.real**2 + two.imag**2)
    curve = np.divide(cross, np.sqrt(powers), out=np.zeros(shells), where=powers > 0)
    return np.arange(shells) / max(shape), curve


def _phases(rng: np.random.Generator, numbers: np.ndarray, first: int, shape: tuple[int, ...]) -> np.ndarray:
    """Factors of absolute value 1, of a real map's symmetry: 1 below shell `first`, by lot from there on."""
    noise = scipy.fft.rfftn(rng.standard_normal(shape, np.float32), workers=threads())
    size = np.abs(noise)
    return np.where((numbers >= first) & (size > 0), noise / np.maximum(size, 1e-30), 1).astype(np.complex64)


def _comparable(a: Any, b: Any) -> None:
    if a.ndim != 3 or tuple(a.shape) != tuple(b.shape):
        raise ValueError(f"maps of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared: give two alike.")
