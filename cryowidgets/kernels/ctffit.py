"""Defocus, astigmatism and phase shift of a micrograph from its power spectrum.

Three stages: an exhaustive search over defocus and astigmatism (`ctfsearch`), refinement of several of its maxima
(`ctfrefine`), and the comparison of fit and spectrum along lines of equal phase (`ctfcurve`). What cannot be
measured is NaN, with the reason in words; no number is made up for an image without rings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import ctf, ctfcurve
from cryowidgets.kernels.ctfmerge import merge
from cryowidgets.kernels.ctfrefine import Refined, refine, roughly
from cryowidgets.kernels.ctfsearch import Candidate, search
from cryowidgets.kernels.spectrum import Spectrum, power_spectrum, tile_spectra
from cryowidgets.kernels.thon import ThonRings, coarse, flatten
from cryowidgets.kernels.xp import asnumpy

NAN = float("nan")

SMALLEST = 128
"""Side in px below which a micrograph has no spectrum to speak of."""
FEWEST_RADII = 30
"""Elements along the radius below which rings and background cannot be told apart."""
LEAST_HEIGHT = 6.0
"""Standard deviations by which rings must stand out: the best defocus of pure noise reaches 3 to 5."""
LEAST_GAP = 1.5
"""Standard deviations by which the best defocus must beat the next."""
LEAST_RINGS = 2.5
"""Rings over which fit and spectrum must agree; particles and dirt imitate one or two."""
CROWDED = 0.5
"""Lag of the outermost rings, in sides of a tile, beyond which the window leaves too little of them."""
LARGEST_BOX = 1024
CANDIDATES = 4
COARSE_SECTORS = 36


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
    significance : float
        Standard deviations by which the rings stand out of the noise.
    gap : float
        How many more than those of the best rival, another defocus: the confidence that this is the right ring.
    decay : float
        B of the rings in the power spectrum, Å².
    ice : float
        Density of the ice ring; measured without a fit, too.
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
    significance: float = NAN
    gap: float = NAN
    decay: float = NAN
    ice: float = NAN
    reason: str = ""
    curve: NDArray[np.float32] = field(default_factory=lambda: np.empty((4, 0), np.float32), repr=False)

    @property
    def found(self) -> bool:
        return not self.reason


def estimate(
    image: Any,
    pixel_size: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    limits: Limits = ANYWHERE,
    box: int = 512,
    groups: Spectrum | None = None,
) -> tuple[CtfFit, Spectrum | None]:
    """Measure the transfer function of a micrograph.

    Parameters
    ----------
    image : array, (y, x)
        Aligned sum without dose weighting, any real type.
    pixel_size : float
        Å/px.
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    limits : Limits
    box : int
        Side of the spectrum in px; enlarged where the outer rings of a high defocus would lie too close together.
    groups : Spectrum, optional
        Mean spectrum of sums of groups of frames of the same micrograph (`spectrum.average`). Where its box is the same,
        it is used together with that of the image.

    Returns
    -------
    CtfFit
    Spectrum or None
        The spectrum that was fitted; None where the image has none.
    """
    if min(image.shape) < SMALLEST:
        height, width = image.shape
        return CtfFit(reason=f"The micrograph has {width} × {height} px: {SMALLEST} × {SMALLEST} are needed."), None
    lens = (voltage, cs, amplitude_contrast)
    tiles = tile_spectra(image, pixel_size, box)
    if not tiles.finite:
        return CtfFit(reason="The micrograph has pixels that are not numbers."), None
    spectrum = tiles.mean()
    if groups is not None and (groups.box, groups.extent) == (spectrum.box, spectrum.extent):
        return fit_both(spectrum, groups, *lens, limits)
    found = fit(spectrum, *lens, limits)
    larger = _roomy_box(found, voltage, limits, spectrum, box)
    if larger > box:
        again = power_spectrum(image, pixel_size, larger)
        if again.extent > spectrum.extent:
            rings = flatten(again, *lens, limits.resolution)
            terms = ctf.to_terms(found.defocus_u, found.defocus_v, found.angle)
            start = Candidate(*terms, found.phase_shift, found.decay, found.significance)
            second = _judge(again, rings, refine(rings, start, limits.search_phase), start.height, found.gap, limits)
            if second.found:
                return second, again
    return found, spectrum


def fit(spectrum: Spectrum, voltage: float, cs: float, amplitude_contrast: float, limits: Limits = ANYWHERE) -> CtfFit:
    """Fit a power spectrum; see `estimate`."""
    doubt = _unfit(spectrum, limits)
    if doubt is not None:
        return doubt
    rings = flatten(spectrum, voltage, cs, amplitude_contrast, limits.resolution)
    tried, height = _tried(rings, limits)
    result = refine(rings, tried[0], limits.search_phase)
    return _judge(spectrum, rings, result, height, _gap(tried, limits.search_phase), limits)


def fit_both(
    whole: Spectrum,
    groups: Spectrum,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    limits: Limits = ANYWHERE,
) -> tuple[CtfFit, Spectrum]:
    """Fit the spectrum of a micrograph and the mean over groups of its frames together; see `estimate`.

    Returns
    -------
    CtfFit
    Spectrum
        The two merged.
    """
    for spectrum in (whole, groups):
        doubt = _unfit(spectrum, limits)
        if doubt is not None:
            return doubt, whole
    lens = (voltage, cs, amplitude_contrast)
    rings = flatten(whole, *lens, limits.resolution), flatten(groups, *lens, limits.resolution)
    best = max((_tried(r, limits)[0][0] for r in rings), key=lambda c: c.height)
    quick = [roughly(coarse(r, COARSE_SECTORS), best, limits.search_phase) for r in rings]
    to_the_end = (limits.resolution[0], 0.0)
    both = merge(
        whole,
        groups,
        (flatten(whole, *lens, to_the_end), flatten(groups, *lens, to_the_end)),
        (quick[0], quick[1]),
    )
    return fit(both, *lens, limits), both


def _unfit(spectrum: Spectrum, limits: Limits) -> CtfFit | None:
    """Why a spectrum cannot be fitted at all."""
    power = asnumpy(spectrum.power)
    if not np.isfinite(power).all():
        return CtfFit(reason="The spectrum has elements that are not numbers.")
    if not power[2:-1, 2:].min() > 0:
        return CtfFit(reason="The micrograph is empty: its spectrum is zero.")
    rings = flatten(spectrum, 300.0, 0.0, 0.0, limits.resolution).radii
    if rings < FEWEST_RADII:
        coarsest, finest = limits.resolution
        return CtfFit(
            reason=f"The spectrum has {rings} elements between {coarsest:g} and {finest:g} Å: {FEWEST_RADII} are "
            "needed. Take a larger micrograph or a wider range of resolution.",
            ice=ctfcurve.ice_density(spectrum),
        )
    return None


def _tried(rings: ThonRings, limits: Limits) -> tuple[list[Candidate], float]:
    """Maxima of the search after a rough fit, the best first, and its height in the search."""
    starts = search(rings, limits.defocus, limits.astigmatism, limits.phase_shift, CANDIDATES)
    quick = coarse(rings, COARSE_SECTORS)
    tried = [(roughly(quick, start, limits.search_phase), start.height) for start in starts]
    tried.sort(key=lambda pair: -pair[0].height)
    return [candidate for candidate, _ in tried], tried[0][1]


def _judge(spectrum: Spectrum, rings: ThonRings, result: Refined, height: float, gap: float, limits: Limits) -> CtfFit:
    """What a refinement is worth: the numbers, or the reason why there are none."""
    ice = ctfcurve.ice_density(spectrum)
    whole = flatten(spectrum, rings.voltage, rings.cs, rings.amplitude_contrast, (limits.resolution[0], 0.0))
    phase = _wrapped(result.phase, limits.phase_shift)
    curve = ctfcurve.curve(whole, result.d, result.a, result.b, phase)
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
        significance=height,
        gap=gap,
        decay=result.decay,
        ice=ice,
        curve=curve.astype(np.float32),
    )


def _gap(tried: list[Candidate], with_phase: bool) -> float:
    """Standard deviations between the best and the best at another defocus."""
    apart = 500.0 if with_phase else 200.0
    return tried[0].height - max([other.height for other in tried if abs(other.d - tried[0].d) > apart], default=0.0)


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


def _roomy_box(found: CtfFit, voltage: float, limits: Limits, spectrum: Spectrum, box: int) -> int:
    """A box in which the outermost rings of interest are not washed out by the window."""
    if not found.found:
        return box
    finest = max(limits.resolution[1], 0.8 * found.fit_resolution)
    lag = 2 * ctf.wavelength(voltage) * found.defocus_u / finest
    if lag <= CROWDED * spectrum.extent:
        return box
    wanted = box * lag / (0.5 * CROWDED * spectrum.extent)
    return min(64 * math.ceil(wanted / 64), max(LARGEST_BOX, box))
