"""What is measured of a transfer function, and whether it is to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import ctf, ctfcurve
from cryowidgets.kernels.ctfrefine import Refined
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.thon import ThonRings, flatten

NAN = float("nan")

LEAST_HEIGHT = 6.0
"""Standard deviations by which rings must stand out: the best defocus of pure noise reaches 3 to 5."""
LEAST_GAP = 1.5
"""Standard deviations by which the best defocus must beat the next."""
LEAST_RINGS = 2.5
"""Rings over which fit and spectrum must agree; particles and dirt imitate one or two."""


@dataclass(frozen=True)
class Limits:
    """Where a fit is sought.

    Attributes
    ----------
    defocus : (float, float)
        Mean defocus, Å.
    astigmatism : float
        Largest U − V, Å.
    resolution : (float, float)
        Coarsest and finest spacing used, Å.
    phase_shift : (float, float)
        Degrees; the two are equal where the phase shift is known.
    """

    defocus: tuple[float, float] = (3000.0, 50000.0)
    astigmatism: float = 3000.0
    resolution: tuple[float, float] = (30.0, 4.0)
    phase_shift: tuple[float, float] = (0.0, 0.0)

    @property
    def search_phase(self) -> bool:
        return self.phase_shift[0] < self.phase_shift[1]


ANYWHERE = Limits()


@dataclass(frozen=True)
class CtfFit:
    """What was measured; units as in `cryowidgets.model.Ctf`. Without a fit every number is NaN and `reason` says why.

    Attributes
    ----------
    defocus_u, defocus_v, angle, phase_shift : float
        Å, Å, degrees, degrees.
    defocus_error, astigmatism_error, phase_error : float
        Standard errors of mean defocus (Å), U − V (Å) and phase shift (degrees), from the covariance of the fit.
    angle_error : float
        Standard error of the angle, degrees; large where there is no astigmatism to have a direction.
    fit_resolution : float
        Å, along lines of equal phase.
    score : float
        Correlation of the amplitude spectrum with the modulus of the transfer function. It depends on dose and on the
        number of tiles as that of CTFFIND does: comparable between micrographs of a session, not between cameras.
    agreement : float
        Mean correlation of rings and fit, each ring counted at its own contrast, over the whole range of resolution: 1
        where rings fit to its end. Neither background nor envelope enter, so that it is comparable everywhere.
    significance : float
        Standard deviations by which the rings stand out of the noise.
    gap : float
        How many more than those of the best rival, another defocus: the confidence that this is the right ring.
    decay : float
        B of the rings in the power spectrum, Å².
    ice : float
        Density of the ice ring; measured without a fit, too.
    tilt, tilt_axis, tilt_error, tilt_axis_error : float
        Degrees, as of `ctftilt.Tilt`; NaN unless it was asked for and measured.
    thickness, thickness_error : float
        Å; NaN unless it was asked for and nodes were seen.
    thickness_limit : float
        Å; where the thickness was asked for and no node was seen, what it must be below.
    curve : array, float32, (4, n)
        As of `ctfcurve.curve`.
    """

    defocus_u: float = NAN
    defocus_v: float = NAN
    angle: float = NAN
    phase_shift: float = NAN
    defocus_error: float = NAN
    astigmatism_error: float = NAN
    angle_error: float = NAN
    phase_error: float = NAN
    fit_resolution: float = NAN
    score: float = NAN
    agreement: float = NAN
    significance: float = NAN
    gap: float = NAN
    decay: float = NAN
    ice: float = NAN
    tilt: float = NAN
    tilt_axis: float = NAN
    tilt_error: float = NAN
    tilt_axis_error: float = NAN
    thickness: float = NAN
    thickness_error: float = NAN
    thickness_limit: float = NAN
    reason: str = ""
    curve: NDArray[np.float32] = field(default_factory=lambda: np.empty((4, 0), np.float32), repr=False)

    @property
    def found(self) -> bool:
        return not self.reason


def judge(spectrum: Spectrum, rings: ThonRings, result: Refined, height: float, gap: float, limits: Limits) -> CtfFit:
    """What a refinement is worth: the numbers, or the reason why there are none."""
    ice = ctfcurve.ice_density(spectrum)
    whole = flatten(spectrum, rings.voltage, rings.cs, rings.amplitude_contrast, (limits.resolution[0], 0.0))
    phase = _wrapped(result.phase, limits.phase_shift)
    curve = ctfcurve.curve(whole, result.d, result.a, result.b, phase, result.thickness)
    resolution = ctfcurve.fit_resolution(curve)
    reason = _doubt(rings, result, height, gap, phase, resolution, limits)
    if reason:
        plain = ctfcurve.plain(whole).astype(np.float32)
        return CtfFit(reason=reason, significance=height, gap=gap, ice=ice, curve=plain)
    u, v, angle = ctf.from_terms(result.d, result.a, result.b)
    defocus_error, astigmatism_error, angle_error, phase_error = _errors(result)
    return CtfFit(
        defocus_u=u,
        defocus_v=v,
        angle=angle,
        phase_shift=phase,
        defocus_error=defocus_error,
        astigmatism_error=astigmatism_error,
        angle_error=angle_error,
        phase_error=phase_error,
        fit_resolution=resolution,
        score=ctfcurve.score(rings, result.d, result.a, result.b, phase),
        agreement=ctfcurve.mean_agreement(curve, limits.resolution[1]),
        significance=height,
        gap=gap,
        decay=result.decay,
        ice=ice,
        thickness=result.thickness or NAN,
        thickness_error=math.sqrt(max(float(result.covariance[4, 4]), 0.0)) or NAN,
        curve=curve.astype(np.float32),
    )


def _wrapped(phase: float, limits: tuple[float, float]) -> float:
    """The same phase shift in the half turn around the middle of the range; rings repeat every 180°."""
    middle = 0.5 * (limits[0] + limits[1])
    return middle + (phase - middle + 90.0) % 180.0 - 90.0


def _doubt(
    rings: ThonRings, result: Refined, height: float, gap: float, phase: float, resolution: float, limits: Limits
) -> str:
    """Why the fit is not to be believed; empty where it is."""
    low, high = limits.defocus
    if height < LEAST_HEIGHT:
        return (
            f"No rings stand out of the noise: the best defocus reaches {height:.1f} standard deviations, "
            f"{LEAST_HEIGHT:g} are needed."
        )
    if not low < result.d < high:
        return (
            f"The defocus lies at the limit of the search, {low:g} to {high:g} Å: "
            "widen the range if that is possible for this sample."
        )
    if 2 * math.hypot(result.a, result.b) > limits.astigmatism:
        return f"The astigmatism exceeds its limit of {limits.astigmatism:g} Å."
    if gap < LEAST_GAP:
        return (
            f"Another defocus explains the spectrum as well: the best is ahead by {gap:.1f} standard deviations, "
            f"{LEAST_GAP:g} are needed."
        )
    if limits.search_phase and not limits.phase_shift[0] - 10 <= phase <= limits.phase_shift[1] + 10:
        return f"The phase shift lies outside {limits.phase_shift[0]:g} to {limits.phase_shift[1]:g}°."
    if math.isnan(resolution) or not result.scale > 0:
        return "Fit and spectrum agree nowhere."
    k2 = np.array([1 / limits.resolution[0], 1 / resolution]) ** 2
    ends = ctf.chi(k2, result.d, rings.voltage, rings.cs, rings.amplitude_contrast)
    if abs(ends[1] - ends[0]) < LEAST_RINGS * math.pi:
        return f"Fit and spectrum agree to {resolution:.1f} Å only, over {abs(ends[1] - ends[0]) / math.pi:.1f} rings."
    return ""


def _errors(result: Refined) -> tuple[float, float, float, float]:
    """Standard errors of mean defocus, astigmatism, angle (degrees) and phase shift (degrees)."""
    variance = np.maximum(np.diag(result.covariance), 0.0)
    half = math.hypot(result.a, result.b)
    terms = result.covariance[1:3, 1:3]
    if half > 0:
        along = np.array([result.a, result.b]) / half
        across = np.array([-result.b, result.a]) / half
    else:
        along, across = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    astigmatism = 2 * math.sqrt(max(float(along @ terms @ along), 0.0))
    sideways = math.sqrt(max(float(across @ terms @ across), 0.0))
    angle = 0.5 * math.degrees(math.atan2(sideways, half))
    return math.sqrt(variance[0]), astigmatism, angle, math.sqrt(variance[3])
