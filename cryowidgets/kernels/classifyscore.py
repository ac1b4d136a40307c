"""How good classes are: what makes an average of particles different from one of anything else."""

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
    resolution = resolutions(rings, sums.waves, sums.lens)
    pictures = rings.drawn(learning.averages())
    size = sizes(pictures) * rings.pixel
    presence = (sums.judged[1] - sums.judged[2]) / np.maximum(sums.judged[0], 1e-6)
    outside = _outside(rings, sums.waves.sum(axis=0) / np.maximum(sums.lens.sum(axis=0), 1e-6)[..., None])
    score = _rise(presence, _present(presence, counts), 0.3) * _rise(-outside, -0.5, 0.1)
    score *= _rise(size / rings.diameter, 0.25, 0.05)
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
    order = there[np.argsort(presence[there])]
    reached = np.cumsum(counts[order])
    usual = presence[order[np.searchsorted(reached, reached[-1] / 2)]]
    return float(max(_PRESENT, _BESIDE * usual))


def resolutions(rings: Rings, waves: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """Å at which halves of averages agree no more: (k,); the first ring's where they never do.

    Parameters
    ----------
    waves : (2, k, rings, harmonics)
    lens : (2, k, rings)
    """
    halves = rings.masked((waves / np.maximum(lens, 1e-6)[..., None]).astype(np.complex64) * rings.inside)
    both = np.sum((halves[0] * np.conj(halves[1])).real * rings.twice, axis=-1)
    power = np.sum(np.abs(halves) ** 2 * rings.twice, axis=-1)
    curve = both / np.maximum(np.sqrt(power[0] * power[1]), 1e-12)
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
