"""Thickness of a specimen from the nodes of its rings.

Water and protein lie at all heights of a film of ice of thickness t. Their rings add up to
``½ [1 − sinc(π λ t k²) cos 2χ]``: weaker towards nodes at ``k² = n / (λ t)``, beyond each of which light and dark rings
are exchanged (McMullan et al., Ultramicroscopy 158 (2015) 26, doi:10.1016/j.ultramic.2015.05.017; Tichelaar et al.,
Ultramicroscopy 216 (2020) 113023, doi:10.1016/j.ultramic.2020.113023).

An envelope that falls fast looks like the way to a node. So a thickness is believed only where exchanged rings are
seen beyond the node; where they are not, what is told is the thickness below which the ice must be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import ctf, ctfcurve, spectrum
from cryowidgets.kernels.ctfrefine import Refined, refine
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.thon import Array, ThonRings, coarse

RANGE = 300.0, 6000.0
STEP = 1.02
"""Å, and the ratio of one trial to the next."""
DECAYS = 0.0, 50.0, 100.0, 200.0, 400.0
LEAST = 4.0
"""Standard deviations by which the exchanged rings must stand out."""
SECTORS = 180
SMOOTH = 6
"""Degree of the smooth curve that is no evidence of rings."""


@dataclass(frozen=True)
class Thick:
    """What the nodes tell.

    Attributes
    ----------
    refined : Refined or None
        The fit with a thickness; None where none can be measured.
    beyond : float
        Standard deviations by which exchanged rings stand out.
    """

    refined: Refined | None
    beyond: float


def measure(rings: ThonRings, d: float, a: float, b: float, phase: float, decay: float) -> Thick:
    """Look for nodes in rings whose defocus is known.

    Parameters
    ----------
    rings : ThonRings
        The flattened spectrum, as far out as rings may be seen.
    d, a, b, phase, decay : float
        Of a fit without nodes: Å, degrees, Å².
    """
    thickness, trial = _search(rings, d, a, b, phase)
    rings = coarse(rings, SECTORS)
    if not thickness:
        return Thick(None, 0.0)
    roughly = _beyond(rings, (d, a, b, phase), trial, thickness)
    if roughly < 0.5 * LEAST:
        return Thick(None, roughly)
    start = Candidate(d, a, b, phase, trial, 0.0, max(float(np.std(rings.y)) * 0.1, 0.05))
    fitted = refine(rings, start, thickness=thickness)
    beyond = _beyond(rings, (fitted.d, fitted.a, fitted.b, fitted.phase), fitted.decay, fitted.thickness)
    sane = RANGE[0] < fitted.thickness < RANGE[1] and fitted.scale > 0
    return Thick(fitted if sane and beyond > LEAST else None, beyond)


def limit(fit_resolution: float, voltage: float) -> float:
    """Thickness in Å that would have its first node where rings without a node were last seen (Å)."""
    return fit_resolution**2 / ctf.wavelength(voltage)


def _search(rings: ThonRings, d: float, a: float, b: float, phase: float) -> tuple[float, float]:
    """Thickness and decay that fit the average along lines of equal phase best."""
    k, observed, _, _ = ctfcurve.curve(rings, d, a, b, phase)
    weight = np.sqrt(np.bincount(rings.radius - int(rings.radius.min()), rings.weight, len(k)))
    x = np.linspace(-1, 1, len(k))
    smooth = np.linalg.qr(np.polynomial.chebyshev.chebvander(x, SMOOTH) * weight[:, None])[0]
    lag = 0.7 * rings.lag_at(k * k, d)
    chi = ctf.chi(k * k, d, rings.voltage, rings.cs, rings.amplitude_contrast, phase)
    seen = -np.cos(2 * chi) * spectrum.attenuation(lag, lag) * weight
    last = float(k[-1] ** 2) * ctf.wavelength(rings.voltage)
    count = math.ceil(math.log(RANGE[1] / RANGE[0]) / math.log(STEP))
    trials = RANGE[0] * STEP ** np.arange(count)
    trials = trials[trials * last > 1.1]  # the node lies inside
    best = (0.0, 0.0, 0.0)
    for decay in DECAYS:
        models = seen * np.exp(-0.25 * decay * k * k) * np.sinc(ctf.wavelength(rings.voltage) * k * k * trials[:, None])
        models -= (models @ smooth) @ smooth.T
        heights = (models @ (observed * weight)) / np.sqrt(np.sum(models * models, axis=1))
        for height, trial in zip(heights.tolist(), trials.tolist(), strict=True):
            best = max(best, (height, trial, decay))
    return best[1], best[2]


def _beyond(rings: ThonRings, lens: tuple[float, float, float, float], decay: float, thickness: float) -> float:
    """Standard deviations by which the rings between first and second node agree with those that the fit has there.

    `lens` is d, a, b and phase.
    """
    turn = rings.slope * thickness
    lag = rings.lag(lens[0])
    model = -np.cos(2 * rings.phase(*lens)) * spectrum.attenuation(*lag) * np.sinc(turn / math.pi)
    model *= np.exp(-0.25 * max(decay, 0.0) * rings.k2)
    inside = (turn > math.pi) & (turn < 2 * math.pi)
    if np.count_nonzero(inside) < 100:
        return 0.0
    y, model, weight = _detrended(rings, inside, model)
    noise = float(np.sqrt(np.mean(weight * y * y)))
    shared = float(np.average(spectrum.correlation(*(part[inside] for part in lag)), weights=weight * model * model))
    norm = math.sqrt(float(np.sum(weight * model * model)) * shared)
    return float(np.sum(weight * y * model)) / max(noise * norm, 1e-30)


def _detrended(rings: ThonRings, inside: NDArray[np.bool_], model: Array) -> tuple[Array, Array, Array]:
    """Spectrum and model in a part of the rings, both without what a parabola over the radius explains, and weights."""
    y, model, weight = rings.y[inside], model[inside], rings.weight[inside]
    k = np.sqrt(rings.k2[inside])
    curves = np.linalg.qr(np.vander(k / k.max(), 3) * np.sqrt(weight)[:, None])[0]
    root = np.sqrt(weight)
    y, model = (v - curves @ (curves.T @ (v * root)) / root for v in (y, model))
    return y, model, weight
