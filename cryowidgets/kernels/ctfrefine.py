"""Levenberg-Marquardt refinement of defocus against every element of a flattened spectrum.

The model is ``scale · exp(-B k² / 4) · attenuation · (-cos 2χ) + offset(k)``; the offset is a short polynomial, so that
what the background left over cannot pull at the rings. Small and dense, so it stays in numpy on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cryowidgets.kernels import spectrum
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.thon import Array, ThonRings

OFFSETS = 5
"""Terms of the offset polynomial."""
STEPS = 30
OUTLIER = 6.0
"""Standard deviations beyond which an element is left out."""
MISFIT = 0.25
"""Share of the rings by which the model is allowed to be wrong."""
NEIGHBOURS = 4.0
"""Elements that share one value, as the window correlates them."""


@dataclass(frozen=True)
class Refined:
    """Where the refinement ended.

    Attributes
    ----------
    d, a, b : float
        Defocus terms, Å.
    phase : float
        Phase shift, degrees.
    decay : float
        B of the rings in the power spectrum, Å².
    scale : float
        Their amplitude relative to the background at low frequency.
    gain : float
        How much better than no rings, as the square of standard deviations.
    covariance : array, (4, 4)
        Of d, a, b (Å) and phase (degrees); the last is zero where the phase was not refined.
    """

    d: float
    a: float
    b: float
    phase: float
    decay: float
    scale: float
    gain: float
    covariance: Array


def refine(rings: ThonRings, start: Candidate, with_phase: bool = False) -> Refined:
    """Follow the best fit downhill from a candidate of the search.

    Parameters
    ----------
    rings : ThonRings
        The flattened spectrum.
    start : Candidate
        Near enough that the outermost rings lie on the right side.
    with_phase : bool
        Whether the phase shift is refined as well.
    """
    fit = _Fit(rings, start, with_phase)
    p = fit.descend(fit.first(start), rings.weight, STEPS // 3)
    sure, weight = fit.weights(p)
    p = fit.descend(p, weight, STEPS)
    return fit.result(p, weight, sure)


def roughly(rings: ThonRings, start: Candidate, with_phase: bool = False) -> Refined:
    """A third of the steps from a candidate, to see whether it is worth all of them."""
    fit = _Fit(rings, start, with_phase)
    return fit.result(fit.descend(fit.first(start), rings.weight, STEPS // 3), rings.weight, rings.weight)


class _Fit:
    """Model, Jacobian and descent. Parameters are d, a, b, phase (rad), B, scale and the offsets."""

    def __init__(self, rings: ThonRings, start: Candidate, with_phase: bool) -> None:
        self.rings, self.with_phase = rings, with_phase
        self.smooth = _smooth(rings)
        self.slope = rings.slope
        self.lag(start.d)

    def lag(self, d: float) -> None:
        """Take what the window takes from rings of this defocus into account."""
        x, y = self.rings.lag(d)
        self.seen = spectrum.attenuation(x, y)

    def first(self, start: Candidate) -> Array:
        p = np.zeros(6 + len(self.smooth))
        p[:6] = start.d, start.a, start.b, math.radians(start.phase), start.decay, 0.1
        return p

    def model(self, p: Array) -> Array:
        twice = 2 * self.rings.phase(p[0], p[1], p[2], math.degrees(p[3]))
        envelope = np.exp(-0.25 * p[4] * self.rings.k2) * self.seen
        return -p[5] * envelope * np.cos(twice) + p[6:] @ self.smooth

    def weights(self, p: Array) -> tuple[Array, Array]:
        """What each element is worth beside an intermediate fit: by its own noise alone, and by that of the model, too.

        Power has a spread in proportion to its mean, and a few elements belong to crystals. A Gaussian envelope is
        wrong by some share of the rings, the same all along a ring, so that averaging over it does not help: where the
        rings are strong, at low resolution, that limits what they can tell, and the many weak ones count more.
        """
        self.lag(p[0])
        model = self.model(p)
        noise = 1 + np.clip(model, -0.7, None)
        rest = (self.rings.y - model) / noise
        total = max(float(self.rings.weight.sum()), 1e-12)
        sigma = math.sqrt(float(self.rings.weight @ rest**2) / total)
        sure = np.where(np.abs(rest) < OUTLIER * sigma, self.rings.weight / noise**2, 0.0)
        rings = p[5] * np.exp(-0.25 * p[4] * self.rings.k2) * self.seen
        along = np.bincount(self.rings.radius, self.rings.weight)[self.rings.radius] / NEIGHBOURS
        return sure, sure / (1 + along * (MISFIT * rings / (noise * max(sigma, 1e-12))) ** 2)

    def system(self, p: Array, weight: Array) -> tuple[float, Array, Array]:
        """Cost, normal matrix and right-hand side."""
        r = self.rings
        twice = 2 * r.phase(p[0], p[1], p[2], math.degrees(p[3]))
        envelope = np.exp(-0.25 * p[4] * r.k2) * self.seen
        cosine = -np.cos(twice) * envelope
        sine = (2 * p[5]) * np.sin(twice) * envelope
        rest = r.y - p[5] * cosine - p[6:] @ self.smooth
        jacobian = np.empty((len(p), len(rest)))
        jacobian[0] = sine * self.slope
        jacobian[1] = jacobian[0] * r.cos2
        jacobian[2] = jacobian[0] * r.sin2
        jacobian[3] = sine if self.with_phase else 0.0
        jacobian[4] = cosine * r.k2 * (-0.25 * p[5])
        jacobian[5] = cosine
        jacobian[6:] = self.smooth
        self.jacobian = jacobian
        weighted = jacobian * weight
        return float(weight @ rest**2), weighted @ jacobian.T, weighted @ rest

    def cost(self, p: Array, weight: Array) -> float:
        return float(weight @ (self.rings.y - self.model(p)) ** 2)

    def descend(self, p: Array, weight: Array, steps: int) -> Array:
        damping = 1e-2
        cost, matrix, right = self.system(p, weight)
        for _ in range(steps):
            diagonal = np.maximum(np.diag(matrix), 1e-30 + 1e-12 * np.diag(matrix).max())
            # scaled, since an Å of defocus and a unit of scale differ by orders of magnitude
            root = 1 / np.sqrt(diagonal)
            step = root * np.linalg.solve(matrix * root[:, None] * root + damping * np.eye(len(p)), right * root)
            trial = p + step
            trial[4] = min(max(trial[4], -100.0), 4000.0)
            trial_cost = self.cost(trial, weight)
            if trial_cost <= cost:
                done = cost - trial_cost < 1e-3 * cost / len(weight)  # in units of the noise
                p = trial
                cost, matrix, right = self.system(p, weight)
                damping = max(0.2 * damping, 1e-9)
                if done:
                    break
            else:
                damping *= 8
                if damping > 1e8:
                    break
        return p

    def result(self, p: Array, weight: Array, sure: Array) -> Refined:
        cost, matrix, _ = self.system(p, weight)
        free = np.ones(len(p), dtype=bool)
        free[3] = self.with_phase
        variance = self.cost(p, sure) / max(float(np.count_nonzero(sure)) - int(free.sum()), 1.0)
        shared = spectrum.correlation(*self.rings.lag(p[0]))
        j = self.jacobian[free]
        inverse = np.linalg.pinv(matrix[np.ix_(free, free)], hermitian=True)
        spread = (j * (weight**2 * shared * variance / np.maximum(weight, 1e-12))) @ j.T
        whole = np.zeros((len(p), len(p)))
        whole[np.ix_(free, free)] = inverse @ spread @ inverse
        unit = np.array([1, 1, 1, 180 / math.pi])
        covariance = whole[:4, :4] * unit[:, None] * unit
        flat = np.linalg.lstsq((self.smooth * np.sqrt(weight)).T, self.rings.y * np.sqrt(weight), rcond=None)[0]
        flat_cost = float(weight @ (self.rings.y - flat @ self.smooth) ** 2)
        rings_only = self.jacobian[5] ** 2 * weight
        share = float(rings_only @ shared) / max(float(rings_only.sum()), 1e-30)
        return Refined(
            d=float(p[0]),
            a=float(p[1]),
            b=float(p[2]),
            phase=math.degrees(p[3]),
            decay=float(p[4]),
            scale=float(p[5]),
            gain=(flat_cost - cost) / (variance * share) if variance > 0 else 0.0,
            covariance=covariance,
        )


def _smooth(rings: ThonRings) -> Array:
    k = np.sqrt(rings.k2)
    x = (2 * k - k.min() - k.max()) / (k.max() - k.min())
    return np.polynomial.chebyshev.chebvander(x, OFFSETS - 1).T.copy()
