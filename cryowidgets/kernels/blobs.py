"""Particles as blobs: places where a filter of about their size answers far above what the noise can do.

The filters are those of RELION and of Appion's DoG picker. What is ours is the scale of the scores: they are in
standard deviations of the noise of the electrons at that place, which is measured at high frequencies, where nothing
else is seen. So one threshold holds for thin ice, thick ice and any dose, and an image of nothing gives nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.kernels import discs, peaks
from cryowidgets.kernels.ground import emptiest, ground
from cryowidgets.kernels.peaks import LOWEST, Found

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
        Least score in standard deviations of the noise. By default what noise alone reaches in `CHANCE` places of a
        micrograph, about 4.5 to 5; where there are many particles lower, until noise makes `FALSE` of the places.
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
    answers, spreads = discs.answers(seen.signal / seen.noise, pixel, diameters, ratio)
    if not seen.counts:
        answers /= np.float32(emptiest(answers[len(answers) // 2], use, float(np.sqrt(smallest * largest)) / pixel))
    score = answers.max(axis=0)
    lowest = threshold if threshold is not None else LOWEST if seen.counts else 0.5
    y, x = peaks.maxima(score, (apart or 0.3 * (smallest + largest)) / pixel, lowest, use)
    least = threshold
    if least is None:
        cells = len(diameters) * use.sum() / (0.5 * diameters[0] / pixel) ** 2
        least = peaks.level(score[y, x], cells) if seen.counts else peaks.two_kinds(score[y, x])
    above = score[y, x] > least
    y, x = y[above], x[above]
    return Found(
        seen.whole(np.stack(peaks.refined(score, y, x), axis=-1)),
        score[y, x].astype(np.float64),
        diameters[(answers[:, y, x] * spreads[:, None]).argmax(axis=0)],
        float(least),
        seen.refused,
    )
