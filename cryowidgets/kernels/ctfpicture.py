"""The diagnostic image of a CTF fit: the spectrum with the fitted rings in its left half."""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels import ctf
from cryowidgets.kernels.ctfcurve import plain
from cryowidgets.kernels.ctfresult import ANYWHERE, CtfFit, Limits
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.thon import Array, ThonRings, flatten
from cryowidgets.kernels.xp import asnumpy

WINDOW = 12
"""Radii over which contrast is evened out: this fraction of them on either side."""


def picture(
    power: Spectrum, fit: CtfFit, voltage: float, cs: float, amplitude_contrast: float, limits: Limits = ANYWHERE
) -> Array:
    """Draw spectrum and fit.

    Every radius is shown at the same contrast, since the outer rings are weak. The fitted half ends where the agreement
    ends; without a fit both halves show the spectrum.

    Parameters
    ----------
    power, fit
        What `cryowidgets.kernels.ctffit.estimate` returned.
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    limits : Limits
        Those of the fit.

    Returns
    -------
    array, float32, (box, box)
        -1 to 1, zero frequency at ``box // 2``, rows as stored.
    """
    box = power.box
    rings = flatten(power, voltage, cs, amplitude_contrast, (limits.resolution[0], 0.0))
    if not rings.radii:
        return np.zeros((box, box), np.float32)
    k2, cos2, sin2 = ctf.polar((box, box), power.pixel_size)
    radius = np.rint(np.sqrt(k2) * power.extent).astype(np.int64)
    first = int(rings.radius.min())
    shown = (radius >= first) & (radius <= int(rings.radius.max()))
    values = asnumpy(power.power).astype(np.float64)
    half = np.zeros(values.shape)
    half[shown] = values[shown] / rings.background[radius[shown]] - 1
    half[shown] /= _strength(rings)[radius[shown] - first]
    image = _smooth(_whole_plane(half))
    if fit.found:
        d, a, b = ctf.to_terms(fit.defocus_u, fit.defocus_v, fit.angle)
        chi = ctf.chi(k2, d + a * cos2 + b * sin2, voltage, cs, amplitude_contrast, fit.phase_shift)
        depth = 0.0 if np.isnan(fit.thickness) else ctf.wavelength(voltage) * fit.thickness
        seen = -np.cos(2 * chi) * np.sign(np.sinc(depth * k2))  # dark and bright change places at a node
        model = np.where(shown & (k2 <= fit.fit_resolution**-2), seen, 0.0)
        image[:, : box // 2] = _whole_plane(model)[:, : box // 2]
    return np.clip(image, -1, 1).astype(np.float32)


def _strength(rings: ThonRings) -> Array:
    """What to divide each radius by: 2.5 deviations of the rings around, or of the noise where that is more."""
    observed = plain(rings)[1]
    kernel = np.ones(2 * max(len(observed) // WINDOW, 1) + 1)
    mean = np.convolve(observed**2, kernel, "same") / np.convolve(np.ones_like(observed), kernel, "same")
    noise = (rings.y - observed[rings.radius - int(rings.radius.min())]) / 3  # as 3 × 3 elements leave it
    return 2.5 * np.sqrt(np.maximum(mean, np.mean(noise**2)))


def _smooth(image: Array) -> Array:
    """Mean over 3 × 3 elements."""
    for axis in (0, 1):
        image = (np.roll(image, 1, axis) + image + np.roll(image, -1, axis)) / 3
    return image


def _whole_plane(half: Array) -> Array:
    """Centred whole plane of a half plane that is symmetric about the origin."""
    box = half.shape[0]
    left = half[-np.arange(box) % box][:, box // 2 - 1 : 0 : -1]
    return np.fft.fftshift(np.concatenate([half, left], axis=1))
