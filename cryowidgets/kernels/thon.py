"""The part of a power spectrum in which rings are looked for, freed of its background.

Small arrays on the host: whatever made the spectrum, numpy fits it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import ctf, spectrum
from cryowidgets.kernels.xp import asnumpy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ThonRings:
    """Flattened spectrum: one entry for each element of the half plane within the resolution range, by radius.

    Attributes
    ----------
    y : array
        Power relative to the smooth background, minus one: rings about zero.
    weight : array
        How many elements an entry stands for, or what it is worth beside others.
    k2, cos2, sin2 : array
        Squared spatial frequency in 1/Å², cosine and sine of twice the azimuth.
    radius : array of int
        Ring of each element, in elements.
    background : array
        Smooth background of the power, by ring, from ring 0 on.
    extent : float
        Side of a tile in Å.
    box : int
        The same in elements.
    resolution : (float, float)
        Å: the range that was cut out.
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    """

    y: Array
    weight: Array
    k2: Array
    cos2: Array
    sin2: Array
    radius: NDArray[np.int64]
    background: Array
    extent: float
    box: int
    resolution: tuple[float, float]
    voltage: float
    cs: float
    amplitude_contrast: float

    @property
    def radii(self) -> int:
        """Number of radii."""
        return int(self.radius.max() - self.radius.min()) + 1 if len(self.radius) else 0

    @property
    def slope(self) -> Array:
        """Change of the phase with defocus, rad/Å."""
        return math.pi * ctf.wavelength(self.voltage) * self.k2

    def phase(self, d: float, a: float, b: float, phase_shift: float) -> Array:
        """Phase of the transfer function at each element, rad."""
        defocus = d + a * self.cos2 + b * self.sin2
        return ctf.chi(self.k2, defocus, self.voltage, self.cs, self.amplitude_contrast, phase_shift)

    def lag(self, d: float) -> tuple[Array, Array]:
        """Local frequency along x and y of the rings of defocus `d`, for `spectrum.attenuation`."""
        lag = self.lag_at(self.k2, d)
        return lag * np.sqrt(0.5 * (1 + self.cos2)), lag * np.sqrt(np.maximum(0.5 * (1 - self.cos2), 0))

    def lag_at(self, k2: Array, d: NDArray[Any] | float) -> Array:
        """The same along the radius, for any squared frequency and defocus."""
        lam = ctf.wavelength(self.voltage)
        return np.asarray(2 * lam * np.sqrt(k2) * np.abs(d - lam**2 * self.cs * 1e7 * k2) / self.extent)


def flatten(
    power: spectrum.Spectrum,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    resolution: tuple[float, float],
) -> ThonRings:
    """Cut the range of `resolution` (Å, coarse and fine) out of a spectrum and remove its background."""
    values = asnumpy(power.power).astype(np.float64).ravel()
    plane = _plane(power.box, power.extent / power.box, resolution)
    y, r = values[plane.elements], plane.radius
    background = _background(r, y) if len(y) else np.empty(0)
    return ThonRings(
        y=y / background[r] - 1,
        weight=np.ones(len(y)) if power.precision is None else asnumpy(power.precision)[r],
        k2=plane.k2,
        cos2=plane.cos2,
        sin2=plane.sin2,
        radius=r,
        background=background,
        extent=power.extent,
        box=power.box,
        resolution=resolution,
        voltage=voltage,
        cs=cs,
        amplitude_contrast=amplitude_contrast,
    )


@dataclass(frozen=True)
class _Plane:
    """Where the elements of a range of resolution lie in the half plane, by radius."""

    elements: NDArray[np.int64]
    radius: NDArray[np.int64]
    k2: Array
    cos2: Array
    sin2: Array


@lru_cache(maxsize=8)
def _plane(box: int, pixel_size: float, resolution: tuple[float, float]) -> _Plane:
    """The same for all micrographs of a session."""
    k2, cos2, sin2 = ctf.polar((box, box), pixel_size)
    extent = box * pixel_size
    radius = np.rint(np.sqrt(k2) * extent).astype(np.int64)
    trusted = np.ones(k2.shape, dtype=bool)
    trusted[:, :2] = trusted[:2, :] = trusted[-1:, :] = False  # the cross of fixed patterns and edges
    last = min(extent / max(resolution[1], 1e-6), 0.48 * box)
    inside = (radius >= extent / resolution[0]) & (radius <= last) & trusted
    elements = np.flatnonzero(inside)
    elements = elements[np.argsort(radius.ravel()[elements], kind="stable")]
    found = [values.ravel()[elements] for values in (radius, k2, cos2, sin2)]
    for values in (elements, *found):
        values.setflags(write=False)
    return _Plane(elements, *found)


def coarse(rings: ThonRings, sectors: int) -> ThonRings:
    """The same rings with the elements of a ring and an azimuth sector averaged into one: quick, a little blurred."""
    cell, weight, (k2, cos2, sin2) = coarse_cells(rings, sectors)
    ring = np.zeros(len(weight), np.int64)
    ring[cell] = rings.radius
    y = np.bincount(cell, rings.weight * rings.y) / np.maximum(weight, 1e-12)
    return replace(rings, y=y, weight=weight, k2=k2, cos2=cos2, sin2=sin2, radius=ring)


def coarse_cells(rings: ThonRings, sectors: int) -> tuple[NDArray[np.int64], Array, tuple[Array, Array, Array]]:
    """Cells of a ring and an azimuth sector, by radius.

    Returns
    -------
    The cell of each element; the weight of each cell; its mean k², cos 2θ and sin 2θ.
    """
    cells = _cells(rings.box, rings.extent / rings.box, rings.resolution, sectors)
    if len(cells.cell) != len(rings.y):
        raise ValueError("These rings are coarse already.")
    # All elements of a ring have one weight.
    weight = np.bincount(cells.cell, rings.weight).astype(np.float64)
    return cells.cell, weight, (cells.k2, cells.cos2, cells.sin2)


def elements_of(rings: ThonRings) -> NDArray[np.int64]:
    """Where the elements of flattened rings lie in the raveled power spectrum."""
    return _plane(rings.box, rings.extent / rings.box, rings.resolution).elements


def sector_of(rings: ThonRings, sectors: int) -> NDArray[np.int64]:
    """Number of the azimuth sector of each element; sector 0 begins at the x axis, the last ends there."""
    return _sector(rings.cos2, rings.sin2, sectors)


def _sector(cos2: Array, sin2: Array, sectors: int) -> NDArray[np.int64]:
    azimuth = 0.5 * np.arctan2(sin2, cos2)
    return np.floor(azimuth * (sectors / math.pi)).astype(np.int64) % sectors


@dataclass(frozen=True)
class _Cells:
    cell: NDArray[np.int64]
    k2: Array
    cos2: Array
    sin2: Array


@lru_cache(maxsize=16)
def _cells(box: int, pixel_size: float, resolution: tuple[float, float], sectors: int) -> _Cells:
    plane = _plane(box, pixel_size, resolution)
    number = plane.radius * sectors + _sector(plane.cos2, plane.sin2, sectors)
    cell = np.unique(number, return_inverse=True)[1]
    count = np.bincount(cell)
    means = [np.bincount(cell, values) / count for values in (plane.k2, plane.cos2, plane.sin2)]
    for values in (cell, *means):
        values.setflags(write=False)
    return _Cells(cell, *means)


def _background(radius: NDArray[np.int64], values: Array, degree: int = 6) -> Array:
    """Polynomial through the logarithm of the mean power of each ring; NaN before the first ring."""
    count = np.bincount(radius)
    mean = np.bincount(radius, values)[count > 0] / count[count > 0]
    ring = np.flatnonzero(count)
    degree = min(degree, len(ring) - 1)
    fit = np.polynomial.Polynomial.fit(ring, np.log(mean), degree, w=np.sqrt(count[count > 0]))
    background = np.full(len(count), np.nan)
    background[ring[0] :] = np.exp(fit(np.arange(ring[0], len(count))))
    return background
