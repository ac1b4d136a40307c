"""The contrast transfer function: what a lens does to each spatial frequency.

One convention throughout. Underfocus is positive; U is the larger defocus and lies along `angle`, which is measured
from the x axis (columns) towards the y axis (rows as stored), in (-90, 90]. The function is ``-sin(chi)``, so that
protein is dark as in a raw image and low frequencies are negative under focus. Programs that show protein
white, RELION among them, use ``+sin(chi)``.

Phases follow Rohou & Grigorieff, J. Struct. Biol. 192 (2015) 216, doi:10.1016/j.jsb.2015.08.008.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cryowidgets.kernels.xp import namespace


def ctf_2d(
    shape: tuple[int, int],
    pixel_size: float,
    defocus_u: float,
    defocus_v: float,
    angle: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    phase_shift: float = 0.0,
    *,
    layout: str = "rfft",
    xp: Any = np,
) -> Any:
    """Transfer function of an image of `shape`, to be multiplied with its Fourier transform.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in px.
    pixel_size : float
        Å/px.
    defocus_u, defocus_v, angle : float
        Defocus along and across `angle` in Å, and that angle in degrees.
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    phase_shift : float
        Additional phase shift of a phase plate, degrees.
    layout : {"rfft", "fft", "centred"}
        Half plane as of ``rfft2``, whole plane as of ``fft2``, or that with zero frequency at ``shape // 2``.
    xp : array namespace
        Where the array is made: numpy, cupy, …

    Returns
    -------
    array, float32, (height, width // 2 + 1) for "rfft", else (height, width)
    """
    d, a, b = to_terms(defocus_u, defocus_v, angle)
    k2, cos2, sin2 = polar(shape, pixel_size, layout=layout, xp=xp)
    phase = chi(k2, d + a * cos2 + b * sin2, voltage, cs, amplitude_contrast, phase_shift)
    return xp.astype(-xp.sin(phase), xp.float32)


def ctf_1d(k: Any, defocus: Any, voltage: float, cs: float, amplitude_contrast: float, phase_shift: float = 0.0) -> Any:
    """Transfer function at the spatial frequencies `k` (array, 1/Å); the other arguments as for `ctf_2d`."""
    xp = namespace(k)
    return -xp.sin(chi(k * k, defocus, voltage, cs, amplitude_contrast, phase_shift))


def chi(k2: Any, defocus: Any, voltage: float, cs: float, amplitude_contrast: float, phase_shift: float = 0.0) -> Any:
    """Phase of the transfer function in rad, amplitude contrast included.

    Parameters
    ----------
    k2 : array
        Squared spatial frequency, 1/Å².
    defocus : float or array
        Defocus in the direction of each frequency, Å; broadcast against `k2`.
    voltage, cs, amplitude_contrast, phase_shift : float
        kV, mm, fraction, degrees.
    """
    lam = wavelength(voltage)
    constant = math.radians(phase_shift) + math.asin(amplitude_contrast)
    return math.pi * lam * k2 * (defocus - 0.5 * lam**2 * cs * 1e7 * k2) + constant


def wavelength(voltage: float) -> float:
    """Relativistic wavelength in Å of electrons accelerated by `voltage` kV: 0.01969 Å at 300 kV."""
    volts = 1e3 * voltage
    return 12.2642596 / math.sqrt(volts * (1 + 0.978466e-6 * volts))


def defocus_at(azimuth: Any, defocus_u: Any, defocus_v: Any, angle: Any) -> Any:
    """Defocus in Å in the direction `azimuth` (array, degrees from x towards y); all broadcast against each other."""
    xp = namespace(azimuth)
    mean, half = 0.5 * (defocus_u + defocus_v), 0.5 * (defocus_u - defocus_v)
    return mean + half * xp.cos((azimuth - angle) * (math.pi / 90))


def to_terms(defocus_u: float, defocus_v: float, angle: float) -> tuple[float, float, float]:
    """Write defocus as ``d + a·cos 2θ + b·sin 2θ`` (Å each), which has no singularity where U = V."""
    half, twice = 0.5 * (defocus_u - defocus_v), math.radians(2 * angle)
    return 0.5 * (defocus_u + defocus_v), half * math.cos(twice), half * math.sin(twice)


def from_terms(d: float, a: float, b: float) -> tuple[float, float, float]:
    """Undo `to_terms`: U ≥ V in Å and the angle in (-90, 90] degrees; the angle is 0 where U = V."""
    half = math.hypot(a, b)
    angle = math.degrees(0.5 * math.atan2(b, a)) if half > 0 else 0.0
    return d + half, d - half, 90.0 if angle <= -90 else angle


def polar(shape: tuple[int, int], pixel_size: float, *, layout: str = "rfft", xp: Any = np) -> tuple[Any, Any, Any]:
    """Squared spatial frequency (1/Å²), cos 2θ and sin 2θ of each element of a transform; layouts as for `ctf_2d`.

    θ is the azimuth from x towards y; at zero frequency, where it has no meaning, cos 2θ and sin 2θ are 0.
    """
    height, width = shape
    ky = _frequencies(height, pixel_size, xp)
    kx = _frequencies(width, pixel_size, xp)
    if layout == "rfft":
        kx = xp.abs(kx[: width // 2 + 1])
    elif layout == "centred":
        ky, kx = xp.roll(ky, height // 2), xp.roll(kx, width // 2)
    elif layout != "fft":
        raise ValueError(f"There is no layout {layout!r}: write 'rfft', 'fft' or 'centred'.")
    ky, kx = ky[:, None], kx[None, :]
    k2 = kx * kx + ky * ky
    safe = xp.where(k2 > 0, k2, xp.ones_like(k2))
    return k2, (kx * kx - ky * ky) / safe, 2 * kx * ky / safe


def _frequencies(n: int, pixel_size: float, xp: Any) -> Any:
    """As ``fftfreq``, in 1/Å and float64."""
    index = xp.astype(xp.arange(n), xp.float64)
    return xp.where(index < (n + 1) // 2, index, index - n) / (n * pixel_size)
