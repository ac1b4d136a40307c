"""Defocus, astigmatism and phase shift of a micrograph from its power spectrum.

Three stages: an exhaustive search over defocus and astigmatism (`ctfsearch`), refinement of several of its maxima
(`ctfrefine`), and the comparison of fit and spectrum along lines of equal phase (`ctfcurve`). What cannot be
measured is NaN, with the reason in words; no number is made up for an image without rings.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from cryowidgets.cpu import each
from cryowidgets.kernels import ctf, ctfcurve, ctfthickness, ctftilt
from cryowidgets.kernels.ctfmerge import check, merge
from cryowidgets.kernels.ctfrefine import Refined, refine, roughly
from cryowidgets.kernels.ctfresult import ANYWHERE, LEAST_GAP, CtfFit, Limits, judge
from cryowidgets.kernels.ctfsearch import Candidate, search
from cryowidgets.kernels.spectrum import BOX, Spectrum, Tiles, power_spectrum, tile_spectra
from cryowidgets.kernels.thon import Array, ThonRings, coarse, flatten
from cryowidgets.kernels.xp import asnumpy

SMALLEST = 128
"""Side in px below which a micrograph has no spectrum to speak of."""
FEWEST_RADII = 30
"""Elements along the radius below which rings and background cannot be told apart."""
CROWDED = 0.5
"""Lag of the outermost rings, in sides of a tile, beyond which the window leaves too little of them."""
LARGEST_BOX = 1024
ENOUGH_TILES, SMALL_BOX = 16, 256
"""A tilt is measured from at least so many tiles, or from tiles of that box."""
CERTAIN = 3.0
"""Standard errors by which a tilt must differ from none before the spectrum is levelled."""
FINEST_NODE = 3.0
"""Å to which nodes are looked for: ice of 50 nm has its first node there."""
CANDIDATES = 4
SAME = 100.0
"""Å between two ends of a descent that are one."""
COARSE_SECTORS, SECTORS = 36, 180
"""Parts of a half turn over which elements of a ring are averaged, for a rough fit and for the last one."""
MANY = 100_000
"""Elements from which on the last fit averages as well; it loses a tenth of its accuracy."""


def estimate(
    image: Any,
    pixel_size: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    limits: Limits = ANYWHERE,
    box: int = BOX,
    groups: Spectrum | None = None,
    tilt: bool = False,
    thickness: bool = False,
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
        Mean spectrum of sums of groups of frames of the same micrograph (`spectrum.average`). Where its box is that of
        the image's spectrum, both are used together; not where the specimen is found to be tilted.
    tilt, thickness : bool
        Whether to measure these (`ctftilt`, `ctfthickness`). Rings of a tilted specimen are then brought to the defocus
        in the middle of the image, and reach further.

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
    plane = _plane(tiles, image, pixel_size, lens, limits) if tilt else None
    if plane is not None and plane.tilt > CERTAIN * plane.tilt_error:
        spectrum = ctftilt.level(tiles, plane, voltage, cs)
        found = fit(spectrum, *lens, limits)
    else:
        spectrum = tiles.mean()
        if groups is not None and groups.box == tiles.box and math.isclose(groups.extent, tiles.extent, rel_tol=1e-4):
            found, spectrum = fit_both(spectrum, replace(groups, pixel_size=tiles.pixel_size), *lens, limits)
        else:
            found = fit(spectrum, *lens, limits)
        found, spectrum = _roomier(found, spectrum, image, pixel_size, lens, limits)
    if thickness and found.found:
        found = _with_thickness(found, spectrum, lens, limits)
    if plane is not None and found.found:
        found = replace(
            found,
            tilt=plane.tilt,
            tilt_axis=plane.axis,
            tilt_error=plane.tilt_error,
            tilt_axis_error=plane.axis_error,
        )
    return found, spectrum


def fit(
    spectrum: Spectrum,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    limits: Limits = ANYWHERE,
    thickness: bool = False,
) -> CtfFit:
    """Fit a power spectrum; see `estimate`."""
    doubt = _unfit(spectrum, limits)
    if doubt is not None:
        return doubt
    return _from(spectrum, (voltage, cs, amplitude_contrast), limits, None, thickness)


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
    check(whole, groups)
    pooled = _pooled(*rings)
    starts = _starts(pooled, limits)
    best = _tried(pooled, starts, limits)[0][0]
    quick = each(lambda r: roughly(coarse(r, COARSE_SECTORS), best, limits.search_phase), rings)
    to_the_end = (limits.resolution[0], 0.0)
    both = merge(
        whole,
        groups,
        (flatten(whole, *lens, to_the_end), flatten(groups, *lens, to_the_end)),
        (quick[0], quick[1]),
    )
    return _from(both, lens, limits, starts), both


def _from(
    spectrum: Spectrum,
    lens: tuple[float, float, float],
    limits: Limits,
    starts: list[Candidate] | None,
    thickness: bool = False,
) -> CtfFit:
    """Fit a spectrum from maxima of a search, its own where none are given."""
    rings = flatten(spectrum, *lens, limits.resolution)
    tried, height = _tried(rings, _starts(rings, limits) if starts is None else starts, limits)
    rings_to_fit = _manageable(rings)
    result = refine(rings_to_fit, tried[0], limits.search_phase)
    gap = _gap(rings_to_fit, tried, result, limits)
    found = judge(spectrum, rings, result, height, gap, limits)
    return _with_thickness(found, spectrum, lens, limits) if thickness and found.found else found


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


def _starts(rings: ThonRings, limits: Limits) -> list[Candidate]:
    return search(rings, limits.defocus, limits.astigmatism, limits.phase_shift, CANDIDATES)


def _pooled(one: ThonRings, other: ThonRings) -> ThonRings:
    """Two flattened spectra of one field as one, each in proportion to its noise: to search in, not to measure."""
    worth = [1 / max(float(np.std(r.y - _on_circles(r))), 1e-12) for r in (one, other)]
    return replace(one, y=(worth[0] * one.y + worth[1] * other.y) / sum(worth))


def _on_circles(rings: ThonRings) -> Array:
    """Mean of each element's circle."""
    return (np.bincount(rings.radius, rings.y) / np.maximum(np.bincount(rings.radius), 1))[rings.radius]


def _tried(rings: ThonRings, starts: list[Candidate], limits: Limits) -> tuple[list[Candidate], float]:
    """Maxima of the search after a rough fit, the best first, and its height in the search."""
    quick = coarse(rings, COARSE_SECTORS)
    tried = each(lambda start: (roughly(quick, start, limits.search_phase), start.height), starts)
    tried.sort(key=lambda pair: -pair[0].height)
    return [candidate for candidate, _ in tried], tried[0][1]


def _manageable(rings: ThonRings) -> ThonRings:
    return coarse(rings, SECTORS) if len(rings.y) > MANY else rings


def _gap(rings: ThonRings, tried: list[Candidate], result: Refined, limits: Limits) -> float:
    """Standard deviations between the best and the best at another defocus.

    A rival that is close behind, and that ends where the best has ended when it is followed further, is none.
    """
    apart = 500.0 if limits.search_phase else 200.0
    best = tried[0]
    for rival in tried[1:]:
        gap = best.height - rival.height
        if abs(rival.d - best.d) <= apart:
            continue
        if gap >= LEAST_GAP or abs(refine(rings, rival, limits.search_phase).d - result.d) > SAME:
            return gap
    return best.height


def _plane(
    tiles: Tiles, image: Any, pixel_size: float, lens: tuple[float, float, float], limits: Limits
) -> ctftilt.Tilt | None:
    """The tilt, from smaller tiles where the image has few."""
    if len(tiles.powers) < ENOUGH_TILES and tiles.box > SMALL_BOX:
        tiles = tile_spectra(image, pixel_size, SMALL_BOX)
    return ctftilt.find(tiles, pixel_size, *lens, limits.defocus, limits.resolution, limits.phase_shift[0])


def _with_thickness(found: CtfFit, spectrum: Spectrum, lens: tuple[float, float, float], limits: Limits) -> CtfFit:
    """The fit with nodes, where they are seen."""
    rings = flatten(spectrum, *lens, (limits.resolution[0], min(limits.resolution[1], FINEST_NODE)))
    terms = ctf.to_terms(found.defocus_u, found.defocus_v, found.angle)
    thick = ctfthickness.measure(rings, *terms, found.phase_shift, found.decay)
    if thick.refined is not None:
        again = judge(spectrum, rings, thick.refined, found.significance, found.gap, limits)
        if again.found:
            return replace(again, phase_shift=found.phase_shift, phase_error=found.phase_error)
    return replace(found, thickness_limit=ctfthickness.limit(found.fit_resolution, lens[0]))


def _roomier(
    found: CtfFit,
    spectrum: Spectrum,
    image: Any,
    pixel_size: float,
    lens: tuple[float, float, float],
    limits: Limits,
) -> tuple[CtfFit, Spectrum]:
    """The same fit on larger tiles, where the window washes out the outermost rings of interest."""
    larger = _roomy_box(found, lens[0], limits, spectrum)
    if larger > spectrum.box:
        again = power_spectrum(image, pixel_size, larger)
        if again.extent > spectrum.extent:
            rings = flatten(again, *lens, limits.resolution)
            terms = ctf.to_terms(found.defocus_u, found.defocus_v, found.angle)
            start = Candidate(*terms, found.phase_shift, found.decay, found.significance)
            result = refine(_manageable(rings), start, limits.search_phase)
            second = judge(again, rings, result, start.height, found.gap, limits)
            better = spectrum.precision is None or second.defocus_error < found.defocus_error
            if second.found and better:
                return second, again
    return found, spectrum


def _roomy_box(found: CtfFit, voltage: float, limits: Limits, spectrum: Spectrum) -> int:
    if not found.found:
        return spectrum.box
    finest = max(limits.resolution[1], 0.8 * found.fit_resolution)
    lag = 2 * ctf.wavelength(voltage) * found.defocus_u / finest
    if lag <= CROWDED * spectrum.extent:
        return spectrum.box
    wanted = spectrum.box * lag / (0.5 * CROWDED * spectrum.extent)
    return min(64 * math.ceil(wanted / 64), max(LARGEST_BOX, spectrum.box))
