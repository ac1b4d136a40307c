"""Two spectra of one micrograph made one: of the sum of its frames, and the mean over sums of groups of frames.

What stays the same during the exposure, protein above all, adds up in the sum of the frames. Water does not: the beam
moves its molecules, so the ring amplitude of ice relative to the noise is as strong in a group of some 4 e/Å² as in the
sum, and averaging over groups lowers the noise (McMullan et al., Ultramicroscopy 158 (2015) 26,
doi:10.1016/j.ultramic.2015.05.017). The noise of the two is nearly independent, so that each adds to the other.
"""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels import ctf
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.thon import Array, ThonRings
from cryowidgets.kernels.xp import asnumpy

FAINTEST = 1e-3
"""Amplitude that rings are taken to have at least, lest the ratio of two nothings decide."""


def merge(
    whole: Spectrum, groups: Spectrum, rings: tuple[ThonRings, ThonRings], seen: tuple[Candidate, Candidate]
) -> Spectrum:
    """Add up two spectra, at each frequency in proportion to ring amplitude over variance of the noise.

    The sum is brought to the ring amplitude of the first, whose envelope is a simple one.

    Parameters
    ----------
    whole, groups : Spectrum
        Of one box and pixel size; on the host or not.
    rings : (ThonRings, ThonRings)
        The two, flattened to the end of the spectrum.
    seen : (Candidate, Candidate)
        What a rough fit found in each: its `scale`, `decay` and `noise` are used.

    Returns
    -------
    Spectrum
        On the host, with the background of `whole` and the `precision` by ring that this gives.
    """
    check(whole, groups)
    k2, _, _ = ctf.polar((whole.box, whole.box), whole.pixel_size)
    ring = np.rint(np.sqrt(k2) * whole.extent).astype(np.int64)
    first, last = int(rings[0].radius.min()), int(rings[0].radius.max())
    k2_of = (np.arange(last + 1) / whole.extent) ** 2
    first_part, other_part, variance = _parts(seen, k2_of, _common(rings))
    power, other = (asnumpy(s.power).astype(np.float64) for s in (whole, groups))
    inside = (ring >= first) & (ring <= last)
    r = ring[inside]
    y = [p[inside] / ring_power.background[r] for p, ring_power in zip((power, other), rings, strict=True)]
    power[inside] = rings[0].background[r] * np.maximum(
        1 + first_part[r] * (y[0] - 1) + other_part[r] * (y[1] - 1), 1e-3
    )
    precision = seen[0].noise ** 2 / variance
    return Spectrum(power.astype(np.float32), whole.pixel_size, whole.tiles, precision)


def check(whole: Spectrum, groups: Spectrum) -> None:
    """Raise a ValueError where two spectra have not the same elements."""
    if (whole.box, whole.extent) != (groups.box, groups.extent):
        raise ValueError(
            f"A spectrum of {whole.box} px and {whole.extent:g} Å cannot be merged with one of {groups.box} px and "
            f"{groups.extent:g} Å."
        )


def _parts(seen: tuple[Candidate, Candidate], k2: Array, common: float) -> tuple[Array, Array, Array]:
    """Factors of the two spectra, and variance of the sum, at squared frequencies."""
    amplitude = [np.maximum(s.scale * np.exp(-0.25 * s.decay * k2), FAINTEST) for s in seen]
    noise = [s.noise for s in seen]
    worth = [a / n**2 for a, n in zip(amplitude, noise, strict=True)]
    scale = amplitude[0] / (worth[0] * amplitude[0] + worth[1] * amplitude[1])
    one, other = scale * worth[0], scale * worth[1]
    variance = (one * noise[0]) ** 2 + (other * noise[1]) ** 2 + 2 * one * other * common * noise[0] * noise[1]
    return one, other, variance


def _common(rings: tuple[ThonRings, ThonRings]) -> float:
    """Correlation of the noise of two spectra, where rings are too weak to matter."""
    outer = rings[0].radius > 0.6 * rings[0].radius.max()
    return float(np.corrcoef(rings[0].y[outer], rings[1].y[outer])[0, 1])
