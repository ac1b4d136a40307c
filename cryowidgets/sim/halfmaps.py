"""Maps whose local resolution is known: a ball of atoms by chance, blurred otherwise on either side of a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cryowidgets.kernels.fsc import HALVES, irfftn, rfftn, squared_frequencies

_ATOMS = 0.06  # in each Å³
_EDGE = 2.0  # px over which one blur goes over into the other


@dataclass(frozen=True)
class HalfMaps:
    """Two maps of halves of the data, and what is true about them."""

    half1: np.ndarray
    half2: np.ndarray
    """(z, y, x) float32; noise of deviation 1 in each."""
    signal: np.ndarray
    """What both have in common."""
    truth: np.ndarray
    """(z, y, x) Å: where the signal's power is so small a part of the noise's that halves correlate to 0.143."""
    mask: np.ndarray
    """(z, y, x) bool: within the ball."""
    distance: np.ndarray
    """(z, y, x) px from the plane; negative on the first side."""
    pixel_size: float


def simulate(
    shape: tuple[int, int, int] = (128, 128, 128),
    pixel_size: float = 1.3,
    resolutions: tuple[float, float] = (4.0, 8.0),
    *,
    contrast: float = 20.0,
    sharp: bool = False,
    fill: float = 0.8,
    seed: int = 0,
) -> HalfMaps:
    """Two half maps of a ball of atoms.

    Parameters
    ----------
    shape : (int, int, int)
        z, y, x; the plane lies across z in the middle.
    resolutions : (float, float)
        Å, on either side of the plane.
    contrast : float
        Power of the signal over that of a half's noise at frequency 0.
    sharp : bool
        Whether the signal ends by a cosine edge of 0.02 cycles/px at the resolution, as in phantoms of the
        literature; else it falls as a Gaussian, as with a B-factor.
    fill : float
        Diameter of the ball as a part of the shortest side.
    """
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij", sparse=True)
    mask = sum(axis**2 for axis in axes) < (fill * min(shape) / 2) ** 2
    density = _ATOMS * pixel_size**3
    atoms = rng.poisson(density, shape) * mask / math.sqrt(density)
    transform = rfftn(atoms.astype(np.float32))
    k = np.sqrt(squared_frequencies(shape))
    distance = np.broadcast_to(axes[0], shape).astype(np.float32)
    first = 0.5 - 0.5 * np.tanh(distance / _EDGE)
    blurred = [irfftn(transform * _fall(k, pixel_size / d, contrast, sharp), shape) for d in resolutions]
    signal = (first * blurred[0] + (1 - first) * blurred[1]).astype(np.float32)
    halves = [signal + rng.standard_normal(shape, np.float32) for _ in range(2)]
    truth = np.where(distance < 0, *map(np.float32, resolutions))
    return HalfMaps(halves[0], halves[1], signal, truth, mask, distance, pixel_size)


def _fall(k: np.ndarray, end: float, contrast: float, sharp: bool) -> np.ndarray:
    """Amplitude of the signal: its square over noise of power 1 is that of the threshold at the frequency `end`."""
    least = math.sqrt(HALVES / (1 - HALVES) / contrast)
    if not sharp:
        return math.sqrt(contrast) * np.exp(math.log(least) * (k / end) ** 2)
    width = 0.02
    where = math.acos(2 * least - 1) / math.pi  # of the edge, at which it is that low
    part = np.clip((k - end) / width + where, 0, 1)
    return math.sqrt(contrast) * (0.5 + 0.5 * np.cos(math.pi * part))
