"""How much goes on at a place of a micrograph: the power of what is there over that of empty ice.

Particles stand a little above the ice, contamination and crystals far above, empty places not at all: so of two
sliders, one for the score of a pick and one for its power, the second takes away what a score alone likes too much. It
is measured where particles have their contrast, below the resolution of an eighth of their diameter, for at every
single pixel there is little else than noise. The value of a place depends on the micrograph alone and not on other
picks: a cut changes none of those that stay.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryowidgets.kernels.xp import asnumpy

ACROSS = 8
"""Binned pixels across a particle."""
WIDE = 1.5
"""Standard deviation of the background in diameters."""
EMPTY = 25.0
"""Percentile of all circles of the micrograph that counts as empty ice."""


def local_power(image: Any, pixel_size: float, places: np.ndarray, diameter: float) -> NDArray[np.float64]:
    """Measure the power at some places.

    Parameters
    ----------
    image : array (y, x)
        Of any real type and scale.
    pixel_size : float
        Å/px.
    places : (n, 2)
        y, x in px.
    diameter : float
        Of the particles, Å.

    Returns
    -------
    (n,)
        Root mean square within the particle's circle, of what is left when the background is taken away, over the
        same in the emptiest quarter of the micrograph; of noise alone 1, within a fifth. NaN for all where the
        micrograph has less than four diameters, where it does not vary, and where `diameter` is not known.
    """
    places = np.asarray(places, float).reshape(-1, 2)
    image = asnumpy(image)
    nothing = np.full(len(places), math.nan)
    if not (pixel_size > 0 and diameter > 0):
        return nothing
    step = max(1, round(diameter / ACROSS / pixel_size))
    across = diameter / pixel_size / step
    rows, columns = (n // step for n in image.shape)
    if not len(places) or min(rows, columns) < 4 * across:
        return nothing
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    flat = blocks.mean(axis=(1, 3), dtype=np.float32)
    flat = flat - np.float32(np.median(flat))
    flat -= ndimage.gaussian_filter(flat, WIDE * across, mode="nearest", truncate=3.0)
    disc = _disc(across / 2)
    power = np.sqrt(np.maximum(_within(flat * flat, disc), 0))
    # Circles of pure noise vary by chance, so that a quarter of them is below its mean by so much.
    chance = 0.6745 / math.sqrt(2 * disc.sum())
    empty = float(np.percentile(power, EMPTY)) / (1 - chance)
    if not (math.isfinite(empty) and empty > 0):
        return nothing
    at = ((places + 0.5) / step - 0.5).T
    return ndimage.map_coordinates(power, at, order=1, mode="nearest").astype(np.float64) / empty


def _disc(radius: float) -> NDArray[np.float32]:
    reach = math.floor(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return (y * y + x * x <= radius * radius).astype(np.float32)


def _within(image: np.ndarray, disc: np.ndarray) -> NDArray[np.float32]:
    """Mean of an image over a disc around each pixel, row by row of the disc; beyond the edge it goes back."""
    total = np.zeros(image.shape, np.float32)
    for offset, line in zip(range(-(len(disc) // 2), len(disc) // 2 + 1), disc, strict=True):
        width = int(line.sum())
        ends = [(abs(offset), abs(offset)), (0, 0)]
        rows = np.pad(image, ends, mode="reflect")[abs(offset) + offset :][: len(image)]
        total += np.float32(width) * ndimage.uniform_filter1d(rows, width, axis=1, mode="reflect")
    return total / disc.sum()
