"""The transfer of a lens to a specimen that has depth: tilted, thick, or both.

At height z over the mean focus the transfer is ``−sin(χ + zu)`` with ``u = πλk²``, which is
``cos(zu)·(−sin χ) + sin(zu)·(−cos χ)``. So content at all heights is summed into two spectra, one weighted by cos(zu)
and one by sin(zu), and the lens is applied once. Water fills the whole depth t and is random: its power is then
``½[1 − sinc(ut)·cos 2χ]`` (McMullan et al., Ultramicroscopy 158 (2015) 26, doi:10.1016/j.ultramic.2015.05.017;
Tichelaar et al., Ultramicroscopy 216 (2020) 113023, doi:10.1016/j.ultramic.2020.113023).

Over a tilted specimen the height changes with the place. ``cos(au)`` and ``sin(au)`` for heights ``a = A·τ`` with τ
from −1 to 1 are series of Chebyshev polynomials of τ whose weights are Bessel functions of Au (Jacobi and Anger), so
that a few images, each multiplied by a polynomial of the place, add up to the exact one.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import jv

from cryowidgets.kernels import ctf
from cryowidgets.sim.band import Band

_NEGLIGIBLE = 3e-3  # of the transfer, where the series ends


class Lens:
    """Transfer functions of one movie on a band of frequencies.

    Parameters
    ----------
    sine, cosine : array (rows, columns), float32
        ``−sin χ`` and ``−cos χ`` at the mean focus with all factors that go with them.
    u : array (rows, columns), float32
        Change of χ with defocus, rad/Å.
    slope : (float, float)
        Change of the height along y and x, Å/px; 0, 0 where the specimen is not tilted.
    """

    def __init__(
        self, band: Band, sine: np.ndarray, cosine: np.ndarray, u: np.ndarray, slope: tuple[float, float]
    ) -> None:
        self.band, self.sine, self.cosine, self.u = band, sine, cosine, u
        self.tilted = any(slope)
        if self.tilted:
            height, width = band.field
            y, x = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in (height, width))
            farthest = abs(slope[0]) * (height - 1) / 2 + abs(slope[1]) * (width - 1) / 2
            self._place = np.float32(slope[0] / farthest) * y[:, None] + np.float32(slope[1] / farthest) * x
            self._weights = self._series(farthest)

    def content(self, level: np.ndarray, raised: np.ndarray | None = None) -> np.ndarray:
        """What the lens makes of content: (1, rows, columns), or (2, …) where the specimen is tilted.

        Parameters
        ----------
        level, raised : array (rows, columns), complex64
            Spectra of the phase weighted by cos(zu) and by sin(zu); None for nothing, as where all have one height.
        """
        seen = self.sine * level
        if raised is not None:
            seen += self.cosine * raised
        if not self.tilted:
            return seen[None]
        turned = self.cosine * level
        if raised is not None:
            turned -= self.sine * raised
        return np.stack([seen, turned])

    def water(self, amplitude: np.ndarray, thickness: float) -> np.ndarray:
        """Weights of independent white noises in the spectra of water: (as of `content`, noises, rows, columns)."""
        if not thickness:
            return np.stack([amplitude * part for part in self._parts()])[:, None]
        spread = np.sinc(self.u * (thickness / np.pi))
        level, raised = (amplitude * np.sqrt(0.5 * np.maximum(1 + sign * spread, 0)) for sign in (1, -1))
        if not self.tilted:  # one noise of the same power does
            return np.hypot(self.sine * level, self.cosine * raised)[None, None]
        return np.stack(
            [
                np.stack([self.sine * level, self.cosine * raised]),
                np.stack([self.cosine * level, -self.sine * raised]),
            ]
        )

    def image(self, spectra: np.ndarray, rows: slice = slice(None), plain: np.ndarray | None = None) -> np.ndarray:
        """Rows of the field (y, x), float32, of `spectra` as of `content`; `plain` is added as it is at all heights."""
        if not self.tilted:
            return self.band.image(spectra[0] if plain is None else spectra[0] + plain, rows)
        place = self._place[rows]
        later = last = np.zeros_like(place)
        for order in range(len(self._weights) - 1, 0, -1):  # Clenshaw's way to sum the series
            part = self.band.image(self._weights[order] * spectra[order % 2], rows)
            part -= last
            part += 2 * place * later
            later, last = part, later
        first = self._weights[0] * spectra[0]
        return self.band.image(first if plain is None else first + plain, rows) + place * later - last

    def _parts(self) -> tuple[np.ndarray, ...]:
        return (self.sine, self.cosine) if self.tilted else (self.sine,)

    def _series(self, farthest: float) -> list[np.ndarray]:
        """Weights of the Chebyshev polynomials; even ones of the first spectrum, odd ones of the second."""
        phase = np.float32(farthest) * self.u
        radii = np.linspace(0, float(phase.max()), 4096)
        strength = np.zeros(4096)  # of the transfer, by the phase at the farthest place
        nearest = np.searchsorted(radii, phase.ravel()).clip(0, 4095)
        np.maximum.at(strength, nearest, np.hypot(self.sine, self.cosine).ravel())
        weights: list[np.ndarray] = []
        while True:
            order = len(weights)
            bessel = jv(order, radii)
            if order > 1 and np.max(np.abs(bessel) * strength) < _NEGLIGIBLE * strength.max():
                return weights
            factor = (1 if order == 0 else 2) * (-1) ** (order // 2)
            weights.append((factor * np.interp(phase, radii, bessel)).astype(np.float32))


def slope(tilt: float, axis: float, pixel_size: float) -> tuple[float, float]:
    """Change of defocus along y and x, Å/px, of a specimen tilted by `tilt` degrees about an axis.

    The axis lies at `axis` degrees from x towards y; defocus grows to its left hand as seen with y upwards:
    ``tan(tilt)·pixel_size·(−x·sin(axis) + y·cos(axis))``.
    """
    steep, turn = math.tan(math.radians(tilt)) * pixel_size, math.radians(axis)
    return (steep * math.cos(turn), -steep * math.sin(turn)) if tilt else (0.0, 0.0)


def phases(
    band: Band,
    pixel_size: float,
    defocus: tuple[float, float, float],
    optics: tuple[float, float, float],
    phase_shift: float,
) -> tuple[np.ndarray, np.ndarray]:
    """χ (rad, float64) and u = πλk² (rad/Å, float32) on a band.

    `defocus` is U, V and the angle; `optics` voltage, Cs and amplitude contrast.
    """
    k2, cos2, sin2 = (band.take(part) for part in ctf.polar(band.field, pixel_size))
    d, a, b = ctf.to_terms(*defocus)
    u = (math.pi * ctf.wavelength(optics[0]) * k2).astype(np.float32)
    return ctf.chi(k2, d + a * cos2 + b * sin2, *optics, phase_shift), u
