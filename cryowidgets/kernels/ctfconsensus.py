"""Two estimates of one contrast transfer function: up to which resolution they agree, and their mean.

Two estimates agree at a spatial frequency as long as their phases differ by less than 90°, beyond which a correction by
one has the wrong sign by the other. Spherical aberration and amplitude contrast cancel, so with the difference of
defocus in the direction θ the difference of the phases is

    π · λ · s² · (ΔD + Δa·cos 2θ + Δb·sin 2θ) + Δφ

and it grows with the area s². What is asked for is how much of the disc of all frequencies up to the finest has a
smaller difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cryowidgets.kernels.ctf import from_terms, to_terms, wavelength

_AZIMUTHS = 720
_RIGHT_ANGLE = 0.5 * math.pi


class Aberration(NamedTuple):
    """Defocus U and V along and across an angle (Å, Å, °), and the additional phase shift (°)."""

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """How well two estimates agree.

    Attributes
    ----------
    fraction : float
        Share of the disc of frequencies in which their phases differ by less than 90°.
    resolution : float
        Radius of a disc of that area, as a spacing in Å: ``finest / sqrt(fraction)``. Infinite where they differ by
        90° everywhere.
    linear : float
        ``finest / fraction``, as Xmipp and Scipion give it: coarser, since an area is taken for a radius.
    defocus : float
        First minus second mean defocus, Å.
    astigmatism : float
        Length of the difference of the two astigmatisms as vectors of twice their angle, Å: that of U − V where the
        angles are the same.
    phase_shift : float
        First minus second phase shift, °.
    """

    fraction: float
    resolution: float
    linear: float
    defocus: float
    astigmatism: float
    phase_shift: float


def agreement(first: Aberration, second: Aberration, voltage: float, finest: float) -> Agreement:
    """Up to which resolution two estimates agree.

    Parameters
    ----------
    first, second : Aberration
    voltage : float
        kV.
    finest : float
        Spacing at the rim of the disc, Å: twice the pixel size for all that an image holds. No better agreement is
        told.

    Notes
    -----
    The area is exact in the radius, for the phase grows with its square, and a mean over 720 azimuths. The linear
    version is that of ``errorMaxFreqCTFs2D`` of Xmipp, https://github.com/I2PC/xmipp.
    """
    (d1, a1, b1), (d2, a2, b2) = to_terms(*first[:3]), to_terms(*second[:3])
    twice = 2 * math.pi * np.arange(_AZIMUTHS) / _AZIMUTHS
    defocus = (d1 - d2) + (a1 - a2) * np.cos(twice) + (b1 - b2) * np.sin(twice)
    shift = first.phase_shift - second.phase_shift
    fraction = _fraction(math.pi * wavelength(voltage) * defocus / finest**2, math.radians(shift))
    return Agreement(
        fraction=fraction,
        resolution=finest / math.sqrt(fraction) if fraction else math.inf,
        linear=finest / fraction if fraction else math.inf,
        defocus=d1 - d2,
        astigmatism=2 * math.hypot(a1 - a2, b1 - b2),
        phase_shift=shift,
    )


def mean(first: Aberration, second: Aberration) -> Aberration:
    """Mean of two estimates; astigmatisms are added as vectors, so that opposite ones cancel."""
    terms = [0.5 * (x + y) for x, y in zip(to_terms(*first[:3]), to_terms(*second[:3]), strict=True)]
    u, v, angle = from_terms(*terms)
    return Aberration(u, v, angle, 0.5 * (first.phase_shift + second.phase_shift))


def _fraction(slope: np.ndarray, shift: float) -> float:
    """Share of areas from 0 to 1 in which ``|slope · area + shift|`` is less than a right angle, over all slopes."""
    if abs(shift) >= _RIGHT_ANGLE:
        return 0.0  # they disagree from the coarsest spacing on, whatever follows
    # A slope that leads away from zero reaches the right angle sooner than one that crosses zero first.
    room = _RIGHT_ANGLE - np.sign(slope) * shift
    return float(np.mean(room / np.maximum(np.abs(slope), room)))
