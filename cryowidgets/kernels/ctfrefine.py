"""Levenberg-Marquardt refinement of defocus against every element of a flattened spectrum.

The model is ``scale · exp(-B k² / 4) · attenuation · (-cos 2χ) + offset(k)``; the offset is a short polynomial, so that
what the background left over cannot pull at the rings. Rings of a specimen of thickness t are ``sinc(π λ t k²)`` times
as strong. Small and dense, so it stays in numpy on the host.

No smooth envelope is true. How far it is wrong is estimated, and believed no more than that: see `ctfcircles`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import spectrum
from cryowidgets.kernels.ctfcircles import Circles
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.thon import Array, ThonRings

OFFSETS = 5
"""Terms of the offset polynomial."""
FIRST, STEPS = 3, 30
"""Steps at most before the weights are known, and then."""
ENOUGH = 1e-2
"""Gain in χ² below which a descent ends: a tenth of a standard error."""
OUTLIER = 6.0
"""Standard deviations beyond which an element is left out: crystals."""


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
    covariance : array, (5, 5)
        Of d, a, b (Å), phase (degrees) and thickness (Å); zero where phase or thickness were not refined.
    thickness : float
        Å; 0 for a specimen without depth.
    """

    d: float
    a: float
    b: float
    phase: float
    decay: float
    scale: float
    covariance: Array
    thickness: float = 0.0


def refine(rings: ThonRings, start: Candidate, with_phase: bool = False, thickness: float = 0.0) -> Refined:
    """Follow the best fit downhill from a candidate of the search.

    Parameters
    ----------
    rings : ThonRings
        The flattened spectrum.
    start : Candidate
        Near enough that the outermost rings lie on the right side.
    with_phase : bool
        Whether the phase shift is refined as well.
    thickness : float
        Where the thickness of the specimen is refined as well, a good guess of it, Å.
    """
    fit = _Fit(rings, start, with_phase, thickness)
    p = fit.descend(fit.first(start), FIRST)
    for _ in range(2):
        fit.reconsider(p)
        p = fit.descend(p, STEPS)
    d, a, b, phase, decay, scale, thick = (float(x) for x in p[:7])
    return Refined(d, a, b, math.degrees(phase), decay, scale, fit.covariance(p), thick)


def roughly(rings: ThonRings, start: Candidate, with_phase: bool = False) -> Candidate:
    """Go some way from a candidate, to see whether it is worth the whole.

    Its new height is that of the fit: standard deviations by which it is better than no rings.
    """
    fit = _Fit(rings, start, with_phase)
    p = fit.descend(fit.first(start), STEPS // 3)
    d, a, b, phase, decay, scale = (float(x) for x in p[:6])
    noise = math.sqrt(fit.variance(p))
    return Candidate(d, a, b, math.degrees(phase), max(decay, 0.0), fit.height(p), max(scale, 0.0), noise)


class _Fit:
    """Model, Jacobian and descent. Parameters are d, a, b, phase (rad), B, scale, thickness and the offsets."""

    def __init__(self, rings: ThonRings, start: Candidate, with_phase: bool, thickness: float = 0.0) -> None:
        self.rings, self.with_phase, self.thickness = rings, with_phase, thickness
        self.weight = rings.weight
        self.circles: Circles | None = None
        self._dark = np.zeros(len(rings.y))
        self.slope = rings.slope
        k = rings.radius  # the same all along a circle
        x = (2 * k - k.min() - k.max()) / (k.max() - k.min())
        self.smooth = np.polynomial.chebyshev.chebvander(x, OFFSETS - 1).T.copy()
        self.look_through(start.d)
        self._rate = 2 * self.slope
        self._base = 2 * rings.phase(0.0, 0.0, 0.0, 0.0)
        self._ends = np.append(np.flatnonzero(np.diff(rings.radius)) + 1, len(rings.radius)).astype(np.int64)
        self._smooth = np.ascontiguousarray(self.smooth[:, self._ends - 1].T)

    def look_through(self, d: float) -> None:
        """Take into account what the window leaves of rings of this defocus."""
        self.seen = spectrum.attenuation(*self.rings.lag(d))

    def first(self, start: Candidate) -> Array:
        p = np.zeros(7 + len(self.smooth))
        p[:6] = start.d, start.a, start.b, math.radians(start.phase), start.decay, max(start.scale, 0.01)
        p[6] = self.thickness
        return p

    def reconsider(self, p: Array) -> None:
        """Weigh elements and circles by what an intermediate fit tells of noise and of the model's own error."""
        self.look_through(p[0])
        model = self.model(p)
        noise = 1 + np.clip(model, -0.7, None)  # power has a spread in proportion to its mean
        rest = (self.rings.y - model) / noise
        own = self.rings.weight
        sigma = max(math.sqrt(float(own @ rest**2) / len(rest)), 1e-12)
        self.weight = np.where(np.sqrt(own) * np.abs(rest) < OUTLIER * sigma, own / noise**2, 0.0)
        twice = 2 * self.rings.phase(p[0], p[1], p[2], math.degrees(p[3]))
        self.circles = circles = Circles(self.rings.radius, self.weight, p[5] * self.envelope(p) * (1 - np.cos(twice)))
        k = circles.radius / self.rings.extent
        shared = np.average(spectrum.correlation(*self.rings.lag(p[0])), weights=self.weight)
        variance = self.variance(p) * float(shared)
        free = self.free
        matrix, _, _, means, left = self.parts(p)
        within = matrix - (means.T * circles.total) @ means
        misfit = circles.likeliest(k, variance, means[:, free], left, within[np.ix_(free, free)])
        circles.believe(misfit, k, variance)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which parameters are refined."""
        free = np.ones(7 + len(self.smooth), bool)
        free[[3, 6]] = self.with_phase, self.thickness > 0
        return free

    def envelope(self, p: Array) -> Array:
        envelope = np.exp(-0.25 * p[4] * self.rings.k2) * self.seen
        return envelope * np.sinc(self.slope * (p[6] / math.pi)) if self.thickness else envelope

    def model(self, p: Array) -> Array:
        twice = 2 * self.rings.phase(p[0], p[1], p[2], math.degrees(p[3]))
        return -p[5] * self.envelope(p) * np.cos(twice) + p[7:] @ self.smooth

    def jacobian(self, p: Array) -> tuple[Array, Array]:
        """Derivatives of the model (parameters, elements) and what it leaves of the spectrum."""
        r = self.rings
        twice = 2 * r.phase(p[0], p[1], p[2], math.degrees(p[3]))
        envelope = self.envelope(p)
        cosine = -np.cos(twice) * envelope
        sine = (2 * p[5]) * np.sin(twice) * envelope
        out = np.empty((len(p), len(r.y)))
        out[0] = sine * self.slope
        out[1] = out[0] * r.cos2
        out[2] = out[0] * r.sin2
        out[3] = sine if self.with_phase else 0.0
        out[4] = cosine * r.k2 * (-0.25 * p[5])
        out[5] = cosine
        out[6] = 0.0
        if self.thickness:
            turn = self.slope * p[6]
            plain = np.exp(-0.25 * p[4] * r.k2) * self.seen
            out[6] = -p[5] * np.cos(twice) * plain * (np.cos(turn) - np.sinc(turn / math.pi)) / max(p[6], 1e-9)
        out[7:] = self.smooth
        return out, r.y - p[5] * cosine - p[7:] @ self.smooth

    def cost(self, p: Array) -> float:
        rest = self.rings.y - self.model(p)
        whole = float(self.weight @ rest**2)
        if self.circles is None:
            return whole
        left = self.circles.mean(rest)
        return whole - float(left @ self.circles.lost @ left)

    def descend(self, p: Array, steps: int) -> Array:
        """Levenberg-Marquardt until a step gains nothing beside the noise."""
        damping = 1e-2
        matrix, right, cost = self.normal(p)
        for _ in range(steps):
            # scaled, since an Å of defocus and a unit of scale differ by orders of magnitude
            root = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-30 + 1e-12 * np.diag(matrix).max()))
            step = root * np.linalg.solve(matrix * root[:, None] * root + damping * np.eye(len(p)), right * root)
            trial = p + step
            trial[4] = min(max(trial[4], -100.0), 4000.0)
            trial[6] = max(trial[6], 0.5 * self.thickness)
            trial_matrix, trial_right, trial_cost = self.normal(trial)
            if trial_cost <= cost:
                gained, p, cost = cost - trial_cost, trial, trial_cost
                if gained < ENOUGH * cost / len(self.weight):
                    break
                matrix, right = trial_matrix, trial_right
                damping = max(0.2 * damping, 1e-9)
            else:
                damping *= 8
                if damping > 1e8:
                    break
        return p

    def normal(self, p: Array) -> tuple[Array, Array, float]:
        """Normal equations and cost: what `normal_by_arrays` gives, by a compiled loop."""
        matrix, right, cost, means, left = self.parts(p)
        if self.circles is not None:
            half = self.circles.lost @ means
            matrix -= means.T @ half
            right -= half.T @ left
            cost -= float(left @ self.circles.lost @ left)
        if not self.with_phase:
            matrix[3] = matrix[:, 3] = right[3] = 0.0
        return matrix, right, cost

    def parts(self, p: Array) -> tuple[Array, Array, float, Array, Array]:
        """J'WJ, J'Wr and the cost as if circles were to be believed; their means of J (circles, parameters) and r."""
        from cryowidgets.kernels import ctfloops

        r = self.rings
        matrix, right = np.zeros((len(p), len(p))), np.zeros(len(p))
        means, left = np.zeros((len(self._ends), len(p))), np.zeros(len(self._ends))
        light = self._dark if self.circles is None else self.circles.light
        fixed = (self._rate, self._base, r.k2, r.cos2, r.sin2, self.seen, self._smooth, self._ends, light)
        cost = ctfloops.normal(p, r.y, self.weight, *fixed, self.thickness > 0, matrix, right, means, left)
        matrix += np.tril(matrix, -1).T
        return matrix, right, cost, means, left

    def normal_by_arrays(self, p: Array) -> tuple[Array, Array, float]:
        jacobian, rest = self.jacobian(p)
        weighted = jacobian * self.weight
        matrix, right = weighted @ jacobian.T, weighted @ rest
        if self.circles is not None:
            half = self.circles.mean(jacobian) @ self.circles.lost
            matrix -= half @ self.circles.mean(jacobian).T
            right -= half @ self.circles.mean(rest)
        return matrix, right, self.cost(p)

    def covariance(self, p: Array) -> Array:
        """Of d, a, b, phase (degrees) and thickness, neighbouring elements being correlated: a sandwich estimate."""
        free = self.free
        jacobian = self.jacobian(p)[0][free]
        believed, matrix = jacobian, (jacobian * self.weight) @ jacobian.T
        if self.circles is not None:
            means = self.circles.mean(jacobian)
            lost = means @ self.circles.lost
            believed = jacobian - self.circles.spread(lost / self.circles.total)
            matrix -= lost @ means.T
        inverse = np.linalg.pinv(matrix, hermitian=True)
        # The matrix takes elements for independent; what they share adds to the spread of the right-hand side.
        extra = self.weight * (spectrum.correlation(*self.rings.lag(p[0])) - 1)
        spread = (matrix + (believed * extra) @ believed.T) * self.variance(p)
        whole = np.zeros((len(p), len(p)))
        whole[np.ix_(free, free)] = inverse @ spread @ inverse
        unit, told = np.array([1, 1, 1, 180 / math.pi, 1]), [0, 1, 2, 3, 6]
        return np.asarray(whole[np.ix_(told, told)] * unit[:, None] * unit)

    def height(self, p: Array) -> float:
        """Standard deviations by which the rings are better than the offset alone."""
        root = np.sqrt(self.weight)
        flat = np.linalg.lstsq((self.smooth * root).T, self.rings.y * root, rcond=None)[0]
        gain = float(self.weight @ (self.rings.y - flat @ self.smooth) ** 2) - self.cost(p)
        rings = self.weight * self.jacobian(p)[0][5] ** 2
        shared = float(rings @ spectrum.correlation(*self.rings.lag(p[0]))) / max(float(rings.sum()), 1e-30)
        return math.sqrt(max(gain, 0.0) / max(self.variance(p) * shared, 1e-30))

    def variance(self, p: Array) -> float:
        """Of an element of weight 1."""
        rest = self.rings.y - self.model(p)
        return float(self.weight @ rest**2) / max(float(np.count_nonzero(self.weight)) - len(p), 1.0)
