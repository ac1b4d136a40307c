"""How good classes are: what makes an average of particles different from one of anything else.

Members of a good class resemble it more than noise does, and what they show ends within the mask. Dirt of one shape
does so too. But views of one molecule are projections of the same density, whose integral is the same in all of them;
they have detail of about the same power; and they differ from their average by noise alone, where lumps of dirt differ
in size and contrast. What most particles do in this is the measure: a view that is rare has the same mass as others,
and what makes a fifth of all particles is never odd, whatever it weighs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryowidgets.kernels.classifymodel import Learning
from cryowidgets.kernels.classifyrings import Rings

GOOD = 0.5
"""Score from which on a class is good."""

_PRESENT, _BESIDE = 2.0, 0.36
# Standard deviations by which the members of an average agree with it at least, and as a part of what most particles
# do: where there are few pictures, noise that was turned until it agreed does so by three.
# Tolerances of what classes differ in from most: ratios of the density's integral and of the power of detail; power by
# which members differ beside noise, over that of what they share; ratios of size, of resolution, and of detail that
# turns with the picture. A view may be long, or end on and round: the last three alone are never enough.
_MASS, _DETAIL = np.log([1.6, 5.5])
_SCATTER = 0.6
_WIDE, _BLURRED, _ROUND = np.log([2.5, 2.5, 20.0])
_HINT = 0.5  # what the squares of these three add up to at most
_ODD = 0.9  # root of the sum of squares, in tolerances, from which on a class is not good
_MOST, _BEYOND = 0.8, 1.5  # part of the particles that is never odd, and how much further others may be
_INNER = 2.0  # parts of the diameter that detail is finer than
_HALVES = 0.5  # correlation of halves to which detail is believed
_DENSE = 0.15  # of the highest density, from which on there is a particle


@dataclass(frozen=True)
class ClassTable:
    """Of each slot, (classes,) arrays; where a slot is empty, identity and parent are -1 and figures NaN.

    Attributes
    ----------
    identity, parent : int
        Who it is, and of which class it was a part.
    share : float
        Of the newer pictures, 0 to 1.
    particles : int
        Assigned to it since it is there.
    resolution : float
        Å, at which its even and its odd pictures agree no more.
    size : float
        Å, diameter of a ball whose density is spread as widely.
    score : float
        0 to 1.
    good : bool
    age : int
        Batches since it is there.
    """

    identity: np.ndarray
    share: np.ndarray
    particles: np.ndarray
    resolution: np.ndarray
    size: np.ndarray
    score: np.ndarray
    good: np.ndarray
    age: np.ndarray
    parent: np.ndarray


def table(learning: Learning) -> ClassTable:
    """How the classes stand."""
    rings, sums, alive = learning.rings, learning.sums, learning.alive
    counts = sums.count.sum(axis=0)
    common, power = _common(rings, sums.waves, sums.lens)
    resolution = resolutions(rings, common, power)
    pictures = rings.drawn(learning.averages())
    size = sizes(pictures) * rings.pixel
    presence = (sums.judged[1] - sums.judged[2]) / np.maximum(sums.judged[0], 1e-6)
    waves = sums.waves.sum(axis=0) / np.maximum(sums.lens.sum(axis=0), 1e-6)[..., None]
    outside = _outside(rings, waves)
    score = _rise(presence, _present(presence, counts), 0.3) * _rise(-outside, -0.5, 0.1)
    usual = counts * score * (sums.judged[0] > 0)
    score *= _rise(-_oddness(learning, waves, common, size, resolution, usual), -_ODD, 0.15)
    score = np.where(sums.judged[0] > 0, score, 0.0)
    unknown = np.where(alive, 0.0, np.nan)
    return ClassTable(
        identity=learning.identity.copy(),
        share=np.where(alive, counts / max(counts.sum(), 1e-9), 0.0),
        particles=np.where(alive, learning.particles, 0),
        resolution=resolution + unknown,
        size=size + unknown,
        score=score + unknown,
        good=alive & (score >= GOOD),
        age=np.where(alive, learning.batches - learning.born, 0),
        parent=learning.parent.copy(),
    )


def _present(presence: np.ndarray, counts: np.ndarray) -> float:
    """How far the members of a class must agree with it: (classes,) each, counts of pictures."""
    there = np.flatnonzero((presence > _PRESENT) & (counts > 0))
    if not len(there):
        return _PRESENT
    return max(_PRESENT, _BESIDE * _quantile(presence[there], counts[there], 0.5))


def _oddness(
    learning: Learning,
    waves: np.ndarray,
    common: np.ndarray,
    size: np.ndarray,
    resolution: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """How far classes are from what most particles do, (k,), in tolerances; `weights` (k,) tell who these are.

    Of the averages (k, rings, harmonics) the whole, and what halves of them have `common`.
    """
    if not weights.any():
        return np.zeros(len(weights))
    rings, sums = learning.rings, learning.sums
    pictures = rings.drawn(rings.masked((waves * rings.inside).astype(np.complex64)))
    y, x = np.mgrid[: rings.side, : rings.side] - rings.side // 2
    mass = pictures[:, np.hypot(y, x) < rings.radius].sum(axis=1)
    band = rings.resolutions < rings.diameter / _INNER
    by_harmonic = np.maximum(np.einsum("krm,r->km", common[:, band], (rings.weights / learning.noise())[band]), 0)
    detail, turning = by_harmonic.sum(axis=1), by_harmonic[:, 1:].sum(axis=1)
    _, product, _, left, square = sums.judged / np.maximum(sums.judged[0], 1e-6)
    error = np.sqrt(np.maximum(square - left**2, 0) / np.maximum(sums.judged[0], 1e-6))
    scatter = (left - _quantile(left, weights, 0.5) - error) / np.maximum(product**2, 1)
    alone = [
        (np.abs(_over(mass, weights)), _MASS),
        (-_over(detail, weights), _DETAIL),
        (scatter, _SCATTER),
    ]
    together = [
        (_over(size, weights), _WIDE),
        (_over(resolution, weights), _BLURRED),
        (-_over(turning / np.maximum(detail, 1e-9), weights), _ROUND),
    ]
    total = np.zeros(len(weights))
    for off, tolerance in alone:
        tolerance = max(tolerance, _BEYOND * _quantile(np.abs(off), weights, _MOST))
        total += np.square(np.maximum(off / tolerance, 0))
    hints = sum(np.square(np.maximum(off / tolerance, 0)) for off, tolerance in together)
    return np.asarray(np.sqrt(total + np.minimum(hints, _HINT)))


def _over(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Logarithms of values over the usual one; 0 where most have nothing of it, so that nothing is odd."""
    usual = _quantile(values, weights, 0.5)
    if not usual > 0:
        return np.zeros(len(values))
    return np.asarray(np.log(np.maximum(values, 1e-3 * usual) / usual))


def _quantile(values: np.ndarray, weights: np.ndarray, part: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, part * reached[-1])]])


def resolutions(rings: Rings, common: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Å at which halves of averages agree no more: (k,); the first ring's where they never do.

    Parameters
    ----------
    common : (k, rings, harmonics)
        What the halves have in common.
    power : (k, rings)
        Their mean power.
    """
    curve = common.sum(axis=-1) / np.maximum(power, 1e-12)
    k = 1 / rings.resolutions
    out = np.empty(len(curve))
    for i, row in enumerate(curve):
        below = np.flatnonzero(row < _HALVES)
        first = int(below[0]) if len(below) else len(row)
        if first == 0:
            out[i] = rings.resolutions[0]
        elif first == len(row):
            out[i] = rings.resolutions[-1]
        else:
            part = (row[first - 1] - _HALVES) / (row[first - 1] - row[first])
            out[i] = 1 / (k[first - 1] + part * (k[first] - k[first - 1]))
    return out


def _common(rings: Rings, waves: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What halves of averages have in common, (k, rings, harmonics), and their mean power, noise too, (k, rings)."""
    halves = rings.masked((waves / np.maximum(lens, 1e-6)[..., None]).astype(np.complex64) * rings.inside)
    power = np.sum(np.abs(halves) ** 2 * rings.twice, axis=-1)
    return (halves[0] * np.conj(halves[1])).real * rings.twice, np.sqrt(power[0] * power[1])


def sizes(pictures: np.ndarray) -> np.ndarray:
    """Diameter in px of the ball whose projection spreads as widely as the density of pictures (n, side, side)."""
    half = pictures.shape[-1] // 2
    y, x = np.mgrid[: pictures.shape[-1], : pictures.shape[-1]] - half
    dense = np.maximum(pictures - _DENSE * pictures.max(axis=(1, 2), keepdims=True), 0)
    total = np.maximum(dense.sum(axis=(1, 2)), 1e-12)
    cy, cx = (dense * y).sum(axis=(1, 2)) / total, (dense * x).sum(axis=(1, 2)) / total
    spread = (dense * (y * y + x * x)).sum(axis=(1, 2)) / total - cy**2 - cx**2
    return np.asarray(2 * np.sqrt(2.5 * np.maximum(spread, 0)))


def _outside(rings: Rings, waves: np.ndarray) -> np.ndarray:
    """Power about the mask over that in it, per px, of averages without a mask, on the coarse rings."""
    coarse = (rings.resolutions >= 0.25 * 2 * rings.radius * rings.pixel)[:, None]
    pictures = rings.drawn((waves * rings.inside * coarse).astype(np.complex64))
    half = rings.side // 2
    y, x = np.mgrid[: rings.side, : rings.side] - half
    distance = np.hypot(y, x)
    inside = distance < rings.radius
    about = (distance >= rings.radius) & (distance < half)
    if not about.any():
        return np.zeros(len(pictures))
    power = np.square(pictures)
    return np.asarray(power[:, about].mean(axis=1) / np.maximum(power[:, inside].mean(axis=1), 1e-12))


def _rise(values: np.ndarray, middle: float, width: float) -> np.ndarray:
    """From 0 to 1 about `middle`."""
    return np.asarray(1 / (1 + np.exp(-np.clip((values - middle) / width, -50, 50))))
