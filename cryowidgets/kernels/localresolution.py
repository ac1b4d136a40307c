"""How fine the detail of a map is from place to place, by two maps of halves of the data.

A local Fourier shell correlation cuts a window out of both maps at every place and compares their transforms (Cardone,
Heymann & Steven, J Struct Biol 184, 226 (2013), doi:10.1016/j.jsb.2013.08.002). Here the order is turned round: both
maps are reduced to a band of frequencies and multiplied, and the products averaged over the window. By Parseval's
theorem that is the same sum, for all places at once; and since the mask comes after the transform, it adds no
correlation of its own that would have to be taken away again.

Everything up to the correlations runs where the maps are; what is left, a few numbers for each place, on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.kernels.fsc import HALVES, rfftn
from cryowidgets.kernels.localbands import CHANCE, WINDOW, LocalResolution, Places, crossings, whitening
from cryowidgets.kernels.xp import asnumpy, namespace

__all__ = ["LocalResolution", "by_halves", "correlations"]


def by_halves(
    half1: Any, half2: Any, mask: Any, pixel_size: float, *, threshold: float = HALVES, window: float = WINDOW
) -> LocalResolution:
    """Local resolution from maps of two halves of the data.

    Parameters
    ----------
    half1, half2 : array (z, y, x), real
        As the reconstruction gave them, without a mask or filter; the shape may be odd or not cubic.
    mask : array (z, y, x)
        0 to 1: where to measure, and how much each place counts for those around.
    pixel_size : float
        Å/px.
    threshold : float
        Correlation down to which detail counts; but never less than what noise reaches by chance in one of twenty
        places, which is more only where a few waves fill the mask.
    window : float
        Deviation of the window in wavelengths; most of what counts comes from within twice as many.

    Returns
    -------
    LocalResolution
        With a `reason` where the halves are one map, or have nothing in common.

    Raises
    ------
    ValueError
        The shapes differ, or there is no pixel size.
    """
    if not tuple(half1.shape) == tuple(half2.shape) == tuple(mask.shape):
        raise ValueError(f"shapes {tuple(half1.shape)}, {tuple(half2.shape)}, {tuple(mask.shape)}: give three alike.")
    if not pixel_size > 0:
        raise ValueError(f"a pixel size of {pixel_size:g} Å/px: give that of the maps.")
    places = Places(asnumpy(mask), window)
    curves, freedom = correlations(half1, half2, places)
    limits = np.maximum(threshold, CHANCE / np.sqrt(freedom))
    found = crossings(curves, places.frequencies, limits)
    xp = namespace(half1)
    reason = "the two halves are one and the same map" if bool(xp.all(half1 == half2)) else ""
    return places.resolution(found, pixel_size, reason)


def correlations(half1: Any, half2: Any, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of two maps around each place, band by band, and of how many independent values: (bands, places)."""
    factor = whitening(half1 + half2, places.mask)
    one, two = rfftn(half1) * factor, rfftn(half2) * factor
    curves, freedom = [], []
    for band in places.bands(half1):
        a, b = band.of(one), band.of(two)
        power = np.sqrt(band.mean(a * a) * band.mean(b * b))
        curves.append(np.divide(band.mean(a * b), power, out=np.zeros_like(power), where=power > 0))
        freedom.append(band.freedom)
    return np.stack(curves), np.stack(freedom)
