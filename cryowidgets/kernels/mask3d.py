"""Where the particle is in a map: a mask with a soft edge, found by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from cryowidgets.kernels.fsc import irfftn, rfftn, squared_frequencies

_CLEAR = 5.0  # deviations of the solvent that the densest place of a particle stands out by at least
_LEAST = 0.15  # of the density of the densest places: where solvent has no noise, the threshold is there


@dataclass(frozen=True)
class Mask:
    """A mask, and how it was found."""

    values: np.ndarray
    """(z, y, x) float32: 1 within, 0 outside, a cosine between."""
    level: float
    """Density of the smoothed map at which it was cut, before it was widened."""
    volume: float
    """Å³ within, the edge counted by its height."""
    reason: str
    """Why nothing was found; empty where something was."""


def automask(
    volume: np.ndarray,
    pixel_size: float,
    *,
    resolution: float = 15.0,
    deviations: float = 3.0,
    level: float = math.nan,
    widen: float = 6.0,
    soft: float = 6.0,
) -> Mask:
    """Find the particle in a map.

    The map is smoothed; what stands out of the solvent is kept, of that the largest piece in one; that is filled,
    widened, and gets a soft edge.

    Parameters
    ----------
    volume : array (z, y, x)
        Particle bright.
    pixel_size : float
        Å/px.
    resolution : float
        Å, to which the map is smoothed; at least 3 px.
    deviations : float
        How many standard deviations of the solvent density must stand out of it.
    level : float
        Density of the smoothed map instead of that; NaN to have it found.
    widen, soft : float
        Å, by which it is widened, and the width of its edge.
    """
    volume = np.asarray(volume, np.float32)
    if volume.ndim != 3 or not pixel_size > 0:
        raise ValueError(f"a map of shape {volume.shape} at {pixel_size:g} Å/px: give three dimensions and a size.")
    empty = np.zeros(volume.shape, np.float32)
    if not np.isfinite(volume).all():
        return Mask(empty, math.nan, 0.0, "the map holds values that are not numbers")
    resolution = max(resolution, 3 * pixel_size)
    smooth = low_pass(volume, pixel_size, resolution)
    middle, spread = _solvent(smooth)
    top = float(np.partition(smooth, -_few(smooth.size), axis=None)[-_few(smooth.size)])
    if not top > middle:
        return Mask(empty, math.nan, 0.0, "the map has the same density everywhere")
    if math.isnan(level):
        level = middle + max(deviations * spread, _LEAST * (top - middle))
    pieces, count = scipy.ndimage.label(smooth > level)
    if not count:
        return Mask(empty, level, 0.0, f"nothing in the map is denser than {level:.3g}")
    sizes = np.bincount(pieces.ravel())[1:]
    piece = pieces == 1 + int(sizes.argmax())
    if sizes.max() * pixel_size**3 < math.pi / 6 * resolution**3 or not smooth[piece].max() > middle + _CLEAR * spread:
        return Mask(empty, level, 0.0, "no density stands out of the noise")
    values = _softened(scipy.ndimage.binary_fill_holes(piece), widen / pixel_size, soft / pixel_size)
    return Mask(values, level, float(values.sum(dtype=np.float64)) * pixel_size**3, "")


def low_pass(volume: np.ndarray, pixel_size: float, resolution: float) -> np.ndarray:
    """Smooth a map (z, y, x) by a Gaussian that halves amplitudes at `resolution` (Å)."""
    shape = volume.shape
    keep = np.exp(squared_frequencies(shape) * np.float32(-math.log(2) * (resolution / pixel_size) ** 2))
    return irfftn(rfftn(volume) * keep, shape)


def _solvent(smooth: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the solvent: what stands out is left out, again and again."""
    values = smooth.ravel()[:: max(smooth.size // 500_000, 1)].astype(np.float64)
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    for _ in range(10):
        kept = values[np.abs(values - middle) <= 3 * spread]
        if not len(kept):
            break
        middle, before = float(kept.mean()), spread
        spread = 1.015 * float(kept.std())  # what was cut off at three deviations on both sides is made up for
        if abs(spread - before) <= 0.01 * before:
            break
    return middle, spread


def _few(size: int) -> int:
    """The densest places are so many voxels."""
    return max(size // 1000, 1)


def _softened(piece: np.ndarray, widen: float, soft: float) -> np.ndarray:
    """1 within `widen` px of the piece, falling to 0 over `soft` px by a cosine."""
    out = np.zeros(piece.shape, np.float32)
    reach = math.ceil(widen + soft) + 1
    box = tuple(
        slice(max(found.start - reach, 0), found.stop + reach)
        for found in scipy.ndimage.find_objects(piece.astype(int))[0]
    )
    distance = scipy.ndimage.distance_transform_edt(~piece[box])
    part = np.clip((distance - widen) / max(soft, 1e-6), 0, 1)
    out[box] = 0.5 + 0.5 * np.cos(math.pi * part)
    return out
