"""Exhaustive search for the defocus of a flattened power spectrum.

The spectrum is averaged over azimuth sectors. Within a sector astigmatism is nothing but another defocus, so one
table of correlations (sector × defocus) answers for every astigmatism by adding up its entries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels import ctf, spectrum
from cryowidgets.kernels.thon import Array, ThonRings, sector_of

SECTORS = 18
SMOOTH = 4
"""Degree of the smooth curve in each profile that is no evidence of rings."""
DECAYS = (100.0, 400.0)
"""Decays, Å², of the ring amplitude ``exp(-B k² / 4)`` that are tried."""
PHASE_STEP = 10.0


@dataclass(frozen=True)
class Candidate:
    """A maximum of the search: defocus terms in Å, phase shift in degrees, decay in Å², height in sigma.

    A rough fit adds the amplitude of the rings, relative to the background at low frequency, and the noise of an
    element of weight 1.
    """

    d: float
    a: float
    b: float
    phase: float
    decay: float
    height: float
    scale: float = 0.1
    noise: float = math.nan


def search(
    rings: ThonRings,
    defocus: tuple[float, float],
    astigmatism: float,
    phases: tuple[float, float] = (0.0, 0.0),
    count: int = 4,
) -> list[Candidate]:
    """The highest maxima over the mean defocus, best first.

    Parameters
    ----------
    rings : ThonRings
        The flattened spectrum.
    defocus : (float, float)
        Range of the mean defocus, Å.
    astigmatism : float
        Largest U − V, Å.
    phases : (float, float)
        Range of the phase shift, degrees; equal where it is known.
    count : int
        How many maxima.
    """
    table = _Table(rings, defocus, 0.5 * astigmatism)
    low, high = phases
    return table.maxima(np.linspace(low, high, 1 + math.ceil((high - low) / PHASE_STEP)))[:count]


class _Table:
    """Sector profiles and the correlations of models with them."""

    def __init__(self, rings: ThonRings, defocus: tuple[float, float], half_astigmatism: float) -> None:
        self.rings = rings
        self.profile, self.weight, self.k2, self.sigma = _sectors(rings)
        self.step = 0.3 / (math.pi * ctf.wavelength(rings.voltage) * float(self.k2[-1]))
        self.reach = math.ceil(half_astigmatism / self.step)
        self.size = math.ceil((defocus[1] - defocus[0]) / self.step) + 1
        self.wide = defocus[0] + self.step * np.arange(-self.reach, self.size + self.reach)
        self.grid = self.wide[self.reach : self.reach + self.size]
        x = np.linspace(-1, 1, len(self.k2))
        curves = np.polynomial.chebyshev.chebvander(x, SMOOTH) * np.sqrt(self.weight.sum(0))[:, None]
        self.smooth = np.linalg.qr(curves)[0].T

    def maxima(self, phases: Array) -> list[Candidate]:
        """Local maxima over the mean defocus of the best over astigmatism, phase and decay."""
        a, b = self._lattice()
        azimuth = (np.arange(SECTORS) + 0.5) * math.pi / SECTORS
        shift = np.rint(a[:, None] * np.cos(2 * azimuth) + b[:, None] * np.sin(2 * azimuth)).astype(int) + self.reach
        every = np.arange(self.size)
        best = np.full(self.size, -np.inf)
        found = np.zeros((self.size, 4))
        for decay in DECAYS:
            tables, spread = self._correlate(decay)
            cosine, sine = (self._over_sectors(table, shift) for table in tables)
            for phase in phases:
                c, s = math.cos(math.radians(2 * phase)), math.sin(math.radians(2 * phase))
                total = c * cosine + s * sine
                which = np.argmax(total, axis=0)
                norm = np.sqrt(c * c * spread[0] + s * s * spread[1] + 2 * c * s * spread[2])
                height = total[which, every] / (self.sigma * norm)
                higher = height > best
                best[higher] = height[higher]
                known = np.full((self.size, 2), (phase, decay))
                here = np.column_stack([self.step * a[which], self.step * b[which], known])
                found[higher] = here[higher]
        peaks = [(i, *found[i].tolist()) for i in _peaks(best)]
        return [Candidate(float(self.grid[i]), a, b, phase, decay, float(best[i])) for i, a, b, phase, decay in peaks]

    def _lattice(self) -> tuple[Array, Array]:
        """Astigmatism terms in steps of the defocus grid, every second of them."""
        line = np.arange(-(self.reach // 2), self.reach // 2 + 1) * 2.0
        a, b = np.meshgrid(line, line)
        inside = a * a + b * b <= self.reach**2
        return a[inside], b[inside]

    def _over_sectors(self, table: NDArray[np.float32], shift: NDArray[np.int64]) -> NDArray[np.float32]:
        """Sum over sectors, each at its own defocus: (lattice, defocus)."""
        windows = np.lib.stride_tricks.sliding_window_view(table, self.size, axis=1)
        total = np.zeros((len(shift), self.size), np.float32)
        for j in range(SECTORS):
            total += windows[j, shift[:, j]]
        return total

    def _correlate(self, decay: float) -> tuple[list[NDArray[np.float32]], list[Array]]:
        """Correlation of each sector with each defocus, for ``-cos 2χ`` and ``sin 2χ``, and their (co)variances.

        A phase shift φ only mixes the two: ``-cos 2(χ + φ) = cos 2φ · (-cos 2χ) + sin 2φ · sin 2χ``.
        """
        r = self.rings
        twice = 2 * ctf.chi(self.k2, self.wide[:, None], r.voltage, r.cs, r.amplitude_contrast)
        lag = 0.7 * r.lag_at(self.k2, self.wide[:, None])  # along x and y on the diagonal: about the mean over azimuth
        root = np.sqrt(self.weight.sum(0))
        envelope = np.exp(-0.25 * decay * self.k2) * spectrum.attenuation(lag, lag) * root
        models = [-np.cos(twice) * envelope, np.sin(twice) * envelope]
        models = [m - (m @ self.smooth.T) @ self.smooth for m in models]  # what a smooth background would swallow
        shared = spectrum.correlation(lag, lag)
        middle = slice(self.reach, self.reach + self.size)
        spread = [np.sum((models[m] * models[n] * shared)[middle], axis=1) for m, n in ((0, 0), (1, 1), (0, 1))]
        weighted = self.profile * (self.weight / root)
        return [(weighted @ m.T).astype(np.float32) for m in models], spread


def _sectors(rings: ThonRings) -> tuple[Array, Array, Array, float]:
    """Mean (sector, ring), weight of each, k² of the rings, noise of an element of weight 1."""
    sector = sector_of(rings, SECTORS)
    first, n = int(rings.radius.min()), rings.radii
    index = sector * n + rings.radius - first

    def total(values: Array) -> Array:
        return np.bincount(index, values, SECTORS * n).astype(np.float64)

    weight = total(rings.weight)
    profile = total(rings.weight * rings.y) / np.maximum(weight, 1e-9)
    rest = rings.y - profile[index]
    sigma = math.sqrt(float(np.sum(rings.weight * rest**2)) / max(len(rest) - int((weight > 0).sum()), 1))
    ring = np.arange(first, first + n)
    shape = (SECTORS, n)
    return profile.reshape(shape), weight.reshape(shape), (ring / rings.extent) ** 2, sigma


def _peaks(values: Array) -> list[int]:
    """Indices of the local maxima, the highest first; the ends of the range count."""
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    inner = padded[1:-1]
    peaks = np.flatnonzero((inner >= padded[:-2]) & (inner > padded[2:]))
    return sorted(peaks.tolist(), key=lambda i: -values[i])
