"""How fine the detail of a map is from place to place, by the map alone: what stands out of the noise of the solvent.

The idea is that of MonoRes, Vilas et al., Structure 26, 337 (2018), doi:10.1016/j.str.2017.12.018: the monogenic signal
(Felsberg & Sommer, IEEE Trans Signal Process 49, 3136 (2001), doi:10.1109/78.969520) gives a band of frequencies an
amplitude at every place that does not go up and down with the wave, and detail is there where that amplitude is more
than noise has outside of the mask. Ours takes its square, the energy, and averages it over the same window that the
local correlation of two halves is averaged over, so that the two ways can be compared.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.ndimage

from cryowidgets.kernels.fsc import rfftn
from cryowidgets.kernels.localbands import CHANCE, WINDOW, Band, LocalResolution, Places, crossings, whitening
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

SIGNAL = 1 / 3
"""Power of the signal over that of the noise down to which detail counts: halves of such a map correlate to 0.143."""

_LEAST = 0.01  # of the box must be solvent
_FLAT = 1e-5  # solvent with less of the particle's energy than this was made so by a mask
_APART = (6.0, 3.0, 0.0)  # px from the mask to the solvent, the first that leaves some: blur goes beyond masks
_AS_LIVELY = 0.7  # of the deviation nearer to the particle: so noisy are corners that nobody has emptied
_SOFT = 6.0  # px over which the solvent's weight rises from its edge


def by_noise(
    volume: Any, mask: Any, pixel_size: float, *, signal: float = SIGNAL, window: float = WINDOW
) -> LocalResolution:
    """Local resolution from one map, whose solvent shows what noise is like.

    Parameters
    ----------
    volume : array (z, y, x), real
        Not masked; the shape may be odd or not cubic.
    mask : array (z, y, x)
        0 to 1: where to measure. Where it is 0, there is nothing but noise.
    pixel_size : float
        Å/px.
    signal : float
        Ratio of the power of signal and noise down to which detail counts; but never less than what noise reaches by
        chance in one of twenty places.
    window : float
        Deviation of the window in wavelengths.

    Returns
    -------
    LocalResolution
        With a `reason` where the solvent is flat or there is none, or nothing stands out of it.

    Raises
    ------
    ValueError
        The shapes differ, or there is no pixel size.
    """
    if tuple(volume.shape) != tuple(mask.shape):
        raise ValueError(f"shapes {tuple(volume.shape)} and {tuple(mask.shape)}: give two alike.")
    if not pixel_size > 0:
        raise ValueError(f"a pixel size of {pixel_size:g} Å/px: give that of the map.")
    mask = asnumpy(mask)
    places = Places(mask, window)
    nothing = np.zeros(int(places.chosen.sum()))
    if not len(nothing):
        return places.resolution(nothing, pixel_size, "")
    solvent = _solvent(mask, asnumpy(volume))
    if float(solvent.mean()) < _LEAST:
        return places.resolution(nothing, pixel_size, "the mask leaves no solvent to tell what noise is like")
    factor = whitening(volume, mask)
    half = rfftn(volume) * factor
    weight = to_device(solvent, volume)
    xp = namespace(volume)
    level = float(xp.sum(volume * weight)) / float(solvent.sum())
    alone = rfftn((volume - level) * weight) * factor
    curves, limits = [], []
    for band in places.bands(volume):
        power = band.mean(_energy(band, half))
        wave = band.of(alone)
        noise = 2 * float(xp.mean(wave * wave)) / float(np.square(solvent).mean())  # twice: wave and its transforms
        if not noise > _FLAT * float(power.mean()):
            reason = "the solvent is flat, as a mask leaves it: give the map without one, or maps of two halves"
            return places.resolution(nothing, pixel_size, reason)
        curves.append(1 - np.divide(noise, power, out=np.ones_like(power), where=power > 0))
        ratio = np.maximum(signal, CHANCE * np.sqrt(2 / band.freedom))
        limits.append(ratio / (1 + ratio))
    found = crossings(np.stack(curves), places.frequencies, np.stack(limits))
    return places.resolution(found, pixel_size, "")


def _energy(band: Band, half: Any) -> Any:
    """Square of the monogenic amplitude of a map in a band, on the grid of the band."""
    wave = band.of(half)
    energy = wave * wave
    for turned in band.turned(half):
        energy = energy + turned * turned
    return energy


def _solvent(mask: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Weight of the solvent, outside of the mask; where a program has left the corners empty, without them."""
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in mask.shape), indexing="ij", sparse=True)
    ball = np.asarray(sum(np.square(axis / (n / 2)) for axis, n in zip(axes, mask.shape, strict=True))) <= 1
    outside = mask < 1e-3
    corners, rest = volume[outside & ~ball], volume[outside & ball]
    if len(rest) and not (len(corners) and corners.std() > _AS_LIVELY * rest.std()):
        outside &= ball
    depth = scipy.ndimage.distance_transform_edt(outside) if not outside.all() else np.full(mask.shape, _SOFT)
    for apart in _APART:
        weight = np.square(np.sin(math.pi / 2 * np.clip((depth - apart) / _SOFT, 0, 1))).astype(np.float32)
        if weight.mean() >= 3 * _LEAST:
            break
    return weight
