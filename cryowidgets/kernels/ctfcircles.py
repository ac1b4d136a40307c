"""How wrong the model of a spectrum is, circle by circle, and how far a fit may believe it therefore.

No smooth envelope is true. Protein has a form factor, and its average over the particles makes circles of its own where
rings are strongest; there, noise is not what limits a fit. The light that the specimen scatters to a circle of radius k
is ``1 + ε(k)`` times what the model has, and with it rings and what lies beneath them alike: ``ε · e(k) (1 − cos 2χ)``,
with e the ring amplitude of the model. It is 0 where the transfer function is: zeros stay in their places.

ε is random with a covariance ``s² exp(−c (k² + k'²) / 4) exp(−½ (2π l (k − k'))²)``: strong at low resolution, and
smooth, because a molecule has an end. s, c and l are those that make the spectrum likeliest when the parameters of the
fit are left open (restricted maximum likelihood: Patterson & Thompson, Biometrika 58 (1971) 545,
doi:10.1093/biomet/58.3.545). Generalised least squares with that covariance then tell both the fit and its errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from cryowidgets.kernels.thon import Array

STRENGTHS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Of ε at low resolution; the first is believed without being seen."""
LENGTHS = (20.0, 40.0)
"""Å: standard deviation, in real space, of what ε is the transform of. Molecules of 100 to 200 Å."""
DECAYS = (0.0, 300.0, 1000.0)
"""Å²: how fast ε falls off beside the rings."""


@dataclass(frozen=True)
class Misfit:
    """Strength (relative), length (Å) and decay (Å²) of the covariance of ε."""

    strength: float
    length: float
    decay: float

    def covariance(self, k: Array) -> Array:
        """Between circles at spatial frequencies `k`, 1/Å."""
        falls = self.strength * np.exp(-0.25 * self.decay * k * k)
        smooth = np.exp(-0.5 * (2 * math.pi * self.length * (k[:, None] - k)) ** 2)
        return np.asarray(falls[:, None] * falls * smooth)


class Circles:
    """Elements of one radius, which lie side by side, and the one unknown ε that they share.

    Parameters
    ----------
    radius : array of int
        Of each element.
    weight : array
        Of each element: inverse variance of its noise but for a factor.
    light : array
        What ε = 1 would add to each element.
    """

    def __init__(self, radius: NDArray[np.int64], weight: Array, light: Array) -> None:
        self._starts = np.concatenate([[0], np.flatnonzero(np.diff(radius)) + 1])
        self._count = np.diff(np.concatenate([self._starts, [len(radius)]]))
        self._weight = weight * light
        self.light = light
        self.radius = radius[self._starts]
        self.total = np.maximum(np.add.reduceat(weight * light * light, self._starts), 1e-12)
        self.lost = np.zeros((len(self.total), len(self.total)))
        """Circles × circles: what is not believed. Of the squares of `values`, ``m · lost · m`` goes, m their mean."""

    def mean(self, values: Array) -> Array:
        """The ε of each circle that fits `values` (…, elements) best."""
        return np.asarray(np.add.reduceat(values * self._weight, self._starts, axis=-1) / self.total)

    def spread(self, each: Array) -> Array:
        """What ε (…, circles) of so much adds to each element."""
        return np.repeat(each, self._count, axis=-1) * self.light

    def believe(self, misfit: Misfit, k: Array, variance: float) -> None:
        """Set `lost` for a known misfit; `variance` is that of an element of weight 1, `k` that of the circles."""
        inverse = linalg.inv(misfit.covariance(k) + np.diag(variance / self.total))
        self.lost = np.diag(self.total) - variance * inverse

    def likeliest(self, k: Array, variance: float, means: Array, left: Array, within: Array) -> Misfit:
        """What misfit makes the spectrum likeliest.

        Parameters
        ----------
        k : array
            Spatial frequency of each circle, 1/Å.
        variance : float
            Of an element of weight 1.
        means, left : array (circles, parameters), (circles,)
            `mean` of the derivatives by the parameters that are fitted, and of what the fit has left.
        within : array (parameters, parameters)
            Normal matrix of what is left of the derivatives without these means: what is known whatever ε may be.
        """
        chance = np.diag(variance / self.total)
        both = np.column_stack([means, left])

        def likelihood(misfit: Misfit) -> float:
            lower = linalg.cholesky(misfit.covariance(k) + chance, lower=True, check_finite=False)
            white = linalg.solve_triangular(lower, both, lower=True, check_finite=False)
            rest, free = white[:, -1], white[:, :-1]
            matrix, right = free.T @ free + within / variance, free.T @ rest
            scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
            matrix, right = matrix * scale[:, None] * scale, right * scale
            explained = float(right @ np.linalg.lstsq(matrix, right, rcond=None)[0])
            size = 2 * float(np.log(np.diag(lower)).sum()) + float(np.linalg.slogdet(matrix)[1])
            return -0.5 * (size - 2 * float(np.log(scale).sum()) + float(rest @ rest) - explained)

        best, highest, start = Misfit(STRENGTHS[0], LENGTHS[0], DECAYS[0]), -math.inf, 0
        for decay in DECAYS:
            for length in LENGTHS:
                last = -math.inf
                for i in range(max(start - 1, 0), len(STRENGTHS)):  # it has one maximum over the strength
                    trial = Misfit(STRENGTHS[i], length, decay)
                    height = likelihood(trial)
                    if height > highest:
                        best, highest, start = trial, height, i
                    if height < last:
                        break
                    last = height
        return best
