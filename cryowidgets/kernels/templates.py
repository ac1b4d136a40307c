"""Particles as what resembles a template: a matched filter that knows the lens and the noise.

The filter is the template as the lens shows it, divided by the power of the noise (Sigworth, J. Struct. Biol. 145
(2004) 111, doi:10.1016/j.jsb.2003.09.025). Where an image varies more than it does around particles, an answer counts
the less, as in a local correlation (Roseman, Ultramicroscopy 94 (2003) 225, doi:10.1016/S0304-3991(02)00333-9). Scores
are in standard deviations of the noise, as those of blobs are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from cryowidgets.kernels import discs, peaks
from cryowidgets.kernels.ground import Ground, emptiest, ground
from cryowidgets.kernels.noisepower import NoisePower, between
from cryowidgets.kernels.peaks import Found
from cryowidgets.kernels.templatebank import SPHERES, spheres, turned
from cryowidgets.kernels.templatepeaks import peeled
from cryowidgets.kernels.templatesearch import Lens, Search, highest

__all__ = ["Found", "Lens", "find"]

MISFIT, ROUGH = 0.3, 0.4
"""What stays of a particle when its template or a sphere was taken away, as a part of its height."""
RESTLESS = 1.5
"""Times the variation around most particles from which on a score counts the less: it is dirt, or the rim of film."""


def find(
    image: Any,
    pixel_size: float,
    diameter: float,
    templates: Any = None,
    template_pixel: float = 0.0,
    lens: Lens | None = None,
    turn: float = 0.0,
    threshold: float | None = None,
    apart: float = 0.0,
    bright: bool = False,
    masked: bool = True,
    hollow: float = 0.0,
) -> Found:
    """Look for particles.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    diameter : float
        Of the particles, Å.
    templates : array (n, a, b), optional
        Particles bright, in the middle, without the effects of the lens; by default spheres of about the diameter.
    template_pixel : float
        Of the templates, Å/px; 0 for that of the micrograph.
    lens : Lens, optional
        By which templates are changed as the micrograph was; by default they are taken as they are.
    turn : float
        Step of the rotations that are tried, degrees; 0 for as much as the pixels of the search resolve.
    threshold : float, optional
        Least score in standard deviations of the noise. By default that which promises the highest F1, by what noise
        does that is filtered in the same way: see `peaks.level`.
    apart : float
        Least distance of two particles, Å; 0 for 0.6 of the diameter.
    bright : bool
        Particles are brighter than the ice, as in negative stain that was inverted.
    masked : bool
        Look for nothing on carbon film and dirt.
    hollow : float
        Part of the diameter of the spheres that is empty: 0 for balls, near 1 for shells.

    Returns
    -------
    Found
        `diameters` are those of the spheres, or that given.

    Raises
    ------
    ValueError
        The templates show nothing, or the image is smaller than a particle.
    """
    seen = ground(image, pixel_size, diameter, diameter, bright, masked)
    if seen is None:
        return peaks.nothing(threshold, 1.0)
    size = diameter / seen.pixel
    if templates is None:
        bank, sizes = spheres(size, hollow), diameter * np.array(SPHERES)
    else:
        bank = turned(templates, (template_pixel or pixel_size) / seen.pixel, size, turn)
        sizes = np.full(len(bank), diameter)
    white = (seen.signal / seen.noise).astype(np.float32)
    search = Search(bank, _noise(white, seen, diameter), seen.pixel, diameter, lens)
    radius = (apart or 0.6 * diameter) / seen.pixel
    density = search.cells() if seen.counts else 0.0
    fields = search.fields(white)
    score = highest(fields, search.weights)
    lowest = threshold
    if lowest is None and seen.counts:
        pixels = float(seen.use.sum())
        lowest = peaks.lowest(density * pixels, pixels / radius**2)
    elif lowest is None:
        lowest = peaks.two_kinds(score[peaks.maxima(score, radius, 0.5, seen.use)])
    misfit = ROUGH if templates is None else MISFIT
    scores, best, place = _looked(search, white, fields, score, seen, radius, lowest, misfit)
    least = lowest
    if threshold is None and seen.counts:
        least = peaks.threshold(scores, place, seen.use, density, size)
    above = scores > least
    return Found(
        seen.whole(place[above]),
        scores[above],
        sizes[best[above]],
        float(least),
        seen.refused,
    )


def _noise(white: np.ndarray, seen: Ground, diameter: float) -> NoisePower:
    """Power of the noise between whatever looks like a particle."""
    blob = discs.answers(white, seen.pixel, np.array([diameter]))[0][0]
    usual = 1.0 if seen.counts else emptiest(blob, seen.use, diameter / seen.pixel)
    return between(white, blob, seen.use, diameter / seen.pixel, usual, seen.counts)


def _looked(
    search: Search,
    white: np.ndarray,
    fields: np.ndarray,
    score: np.ndarray,
    seen: Ground,
    apart: float,
    lowest: float,
    misfit: float,
) -> tuple[np.ndarray, ...]:
    """Take apart what is seen: also what lies at the sides, beyond where particles may be.

    Returns
    -------
    scores, template, refined places (n, 2)
        The highest first.
    """
    y, x = peaks.maxima(score, 0.5 * apart, lowest, seen.ice)
    best = (search.weights @ fields[:, y, x]).argmax(axis=0) if len(y) else np.zeros(0, int)
    chosen, fitted, scores = peeled(search, y, x, best, score[y, x], apart, lowest, misfit)
    y, x, best = y[chosen], x[chosen], best[chosen]
    if len(y):
        scores = scores / _restless(white - search.shown(white.shape, y, x, best, fitted), y, x, fitted, 2 * apart)
    inside = seen.use[y, x] & (scores > lowest)
    y, x, best, scores = y[inside], x[inside], best[inside], scores[inside]
    order = np.argsort(-scores, kind="stable")
    return scores[order], best[order], np.stack(peaks.refined(score, y, x), axis=-1)[order]


def _restless(rest: np.ndarray, y: np.ndarray, x: np.ndarray, scores: np.ndarray, size: float) -> Any:
    """How much more an image varies at some places than at most, less what was found there; at least 1."""
    energy = ndimage.uniform_filter(np.square(rest), max(3, round(size)))[y, x]
    spread = np.sqrt(np.maximum(energy, 0))
    usual = float(np.median(spread[scores >= np.median(scores)]))
    return np.maximum(spread / max(RESTLESS * usual, 1e-30), 1)
