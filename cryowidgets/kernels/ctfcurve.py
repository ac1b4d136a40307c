"""How far spectrum and fit agree: the rotational curve along lines of equal phase, and the numbers read from it.

Elements of equal phase lie on the ellipses of an astigmatic ring. Averaging over them keeps rings sharp that an
average over circles would wash out (Rohou & Grigorieff 2015, doi:10.1016/j.jsb.2015.08.008).
"""

from __future__ import annotations

import math

import numpy as np

from cryowidgets.kernels import ctf
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.thon import Array, ThonRings
from cryowidgets.kernels.xp import asnumpy

GOOD, BAD = 0.66, 0.5
"""Agreement begins where the correlation exceeds the first and ends where it falls below the second."""

BLIND = 0.15
"""Share of the way from node to node, on either side of each, where there are no rings to look at."""

ICE_BAND = (0.25, 0.28)
ICE_FLANKS = (0.2, 0.34)
"""1/Å: the ring, and how far out its surroundings are looked at."""


def curve(rings: ThonRings, d: float, a: float, b: float, phase_shift: float, thickness: float = 0.0) -> Array:
    """Observed and fitted rings against spatial frequency.

    Parameters
    ----------
    rings : ThonRings
        The flattened spectrum, as far out as the curve shall go.
    d, a, b, phase_shift : float
        The fit: Å and degrees.
    thickness : float
        Å: beyond each node, dark and bright rings are exchanged. There are none at a node, which is no disagreement.

    Returns
    -------
    array, (4, n)
        Spatial frequency in 1/Å along the mean defocus; observed power over background, minus one; fitted
        ``-cos 2χ`` with the amplitude that it has there in the data; their correlation over a moving window of two
        rings.
    """
    first = int(rings.radius.min())
    place = np.sqrt(_equivalent_k2(rings, d, a, b)) * rings.extent - first
    size = int(rings.radius.max()) - first + 1
    bin_ = np.clip(np.rint(place), 0, size - 1).astype(np.int64)
    count = np.bincount(bin_, rings.weight, size)
    observed = np.bincount(bin_, rings.weight * rings.y, size) / np.maximum(count, 1e-9)
    k = np.arange(first, first + size) / rings.extent
    chi = ctf.chi(k * k, d, rings.voltage, rings.cs, rings.amplitude_contrast, phase_shift)
    node = ctf.wavelength(rings.voltage) * k * k * thickness  # a whole number at each node
    fitted = -np.cos(2 * chi) * np.sinc(node)
    agreement, amplitude = _agreement(observed, fitted, chi)
    blind = (node > 0.5) & (np.abs(node - np.rint(node)) < BLIND)
    if blind.any() and not blind.all():
        agreement[blind] = np.interp(k[blind], k[~blind], agreement[~blind])
    return np.stack([k, observed, amplitude * fitted, agreement])


def plain(rings: ThonRings) -> Array:
    """The same where there is no fit: circles, and NaN for fit and agreement."""
    first = int(rings.radius.min())
    count = np.bincount(rings.radius - first, rings.weight)
    observed = np.bincount(rings.radius - first, rings.weight * rings.y) / np.maximum(count, 1e-9)
    nothing = np.full(len(count), np.nan)
    return np.stack([np.arange(first, first + len(count)) / rings.extent, observed, nothing, nothing])


def fit_resolution(curve: Array) -> float:
    """Å at which the agreement ends, counted from where it begins; NaN where it never begins."""
    k, agreement = curve[0], curve[3]
    good = np.flatnonzero(agreement[: len(k) // 2] > GOOD)
    if not len(good):
        return math.nan
    bad = np.flatnonzero(agreement[good[0] :] < BAD)
    last = len(k) - 1 if not len(bad) else good[0] + bad[0] - 1
    return float(1 / k[last])


def mean_agreement(curve: Array, finest: float) -> float:
    """Mean of the agreement up to `finest` (Å), where it is positive."""
    return float(np.mean(np.maximum(curve[3][curve[0] <= 1 / finest], 0)))


def score(rings: ThonRings, d: float, a: float, b: float, phase_shift: float) -> float:
    """Correlation of the amplitude spectrum, free of its background, with the modulus of the transfer function."""
    amplitude = np.sqrt(np.maximum(1 + rings.y, 0))
    model = np.abs(np.sin(rings.phase(d, a, b, phase_shift)))
    return _correlation(amplitude, model, rings.weight)


def ice_density(power: Spectrum) -> float:
    """How much ring of ice there is, in the manner of RELION's rlnCtfIceRingDensity.

    RELION adds up the modulus of CTFFIND's rotational average over 0.25 to 0.28 1/Å, at 512 px of 1.4 Å. Here it is the
    average amplitude relative to the level on both sides of the band that is added up, so that neither dose nor
    box matters.

    Returns
    -------
    float
        NaN where the pixel is too coarse to see both sides of the band.
    """
    values = np.sqrt(np.maximum(asnumpy(power.power).astype(np.float64), 0))
    k2, _, _ = ctf.polar((power.box, power.box), power.pixel_size)
    k = np.sqrt(k2)
    radius = np.rint(k * power.extent).astype(np.int64)
    use = (radius < 0.48 * power.box) & (k > ICE_FLANKS[0])
    use[:, :2] = use[:2] = use[-1] = False
    count = np.bincount(radius[use])
    ring = np.flatnonzero(count)
    if not len(ring) or ring[-1] / power.extent < ICE_BAND[1] + 0.03:
        return math.nan
    mean = np.bincount(radius[use], values[use])[ring] / count[ring]
    at = ring / power.extent
    inside = (at >= ICE_BAND[0]) & (at <= ICE_BAND[1])
    flank = ~((at > ICE_BAND[0] - 0.01) & (at < ICE_BAND[1] + 0.01)) & (at < ICE_FLANKS[1])
    if not (mean[flank] > 0).all() or not inside.any():
        return math.nan
    level = np.polynomial.Polynomial.fit(at[flank], np.log(mean[flank]), 1)
    excess = np.abs(mean[inside] / np.exp(level(at[inside])) - 1)
    return float(excess.mean() * (ICE_BAND[1] - ICE_BAND[0]) * 512 * 1.4)


def _equivalent_k2(rings: ThonRings, d: float, a: float, b: float) -> Array:
    """Squared frequency at which the mean defocus gives each element's phase: solves the quadratic of `ctf.chi`."""
    lam = ctf.wavelength(rings.voltage)
    bend = lam**2 * rings.cs * 1e7
    here = d + a * rings.cos2 + b * rings.sin2
    phase = rings.k2 * (2 * here - bend * rings.k2)  # in units of π λ / 2
    if bend == 0:
        return np.maximum(phase / (2 * d), 0)
    root = np.sqrt(np.maximum(d * d - bend * phase, 0))
    beyond = bend * rings.k2 > here  # past the turning point, where spherical aberration has taken over
    return np.maximum((d + np.where(beyond, root, -root)) / bend, 0)


def _agreement(observed: Array, fitted: Array, chi: Array) -> tuple[Array, Array]:
    """Correlation, and factor of the best fit, over a window around each point.

    The window is two rings at first and a tenth more for each further ring. Straight lines are taken out of both
    first, lest a slope of the background decide.
    """
    n = len(chi)
    rate = np.maximum(np.abs(np.gradient(chi)), 1e-6)
    ring = np.abs(chi) / math.pi
    half = np.clip(np.rint(math.pi / rate * (1 + 0.1 * ring)), 3, n // 6).astype(int)
    correlation, factor = np.zeros(n), np.zeros(n)
    for i, h in enumerate(half):
        part = slice(max(i - h, 0), i + h + 1)
        x, y = _straightened(observed[part]), _straightened(fitted[part])
        norm = math.sqrt(float(x @ x) * float(y @ y))
        if norm > 0:
            correlation[i] = float(x @ y) / norm
            factor[i] = max(float(x @ y) / float(y @ y), 0.0)
    return correlation, factor


def _straightened(values: Array) -> Array:
    """What a straight line leaves over."""
    x = np.arange(len(values)) - 0.5 * (len(values) - 1)
    return values - values.mean() - x * (x @ values) / (x @ x)


def _correlation(x: Array, y: Array, weight: Array) -> float:
    total = weight.sum()
    x, y = x - weight @ x / total, y - weight @ y / total
    norm = math.sqrt(float(weight @ (x * x)) * float(weight @ (y * y)))
    return float(weight @ (x * y)) / norm if norm > 0 else 0.0
