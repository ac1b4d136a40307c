"""Pictures of particles as rings of their Fourier transform, and each ring as harmonics of the angle.

In such terms a picture that is turned differs by phases only, so that it is compared with another at all angles at
once by a short transform (Joyeux & Penczek, Ultramicroscopy 92 (2002) 33, doi:10.1016/S0304-3991(01)00154-1). What
lies within a radius R has harmonics up to 2πkR at the frequency k, and no others are kept.

The transform X of a real picture has X(θ + π) = X*(θ): its real part has even harmonics only and its imaginary part odd
ones. So one real signal, Re X + Im X, holds all of it; *harmonics* here are those of this signal. Products of two
of them, one conjugated, are those of X itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import jv

from cryowidgets.kernels import ctf as lens
from cryowidgets.kernels import fourier
from cryowidgets.kernels.xp import beside, namespace, to_device

_PAD = 2
_EDGE = 15.0  # Å, of the masks
_SPREAD = 20.0  # Å beyond the particle that the lens may have carried its content
_FINE = 4  # points per px of profiles in real space
_RING = 1  # the first


@dataclass(frozen=True)
class Rings:
    """Where pictures are sampled; all lengths follow from these.

    Parameters
    ----------
    box : int
        Side of the pictures, even, px.
    pixel_size : float
        Å/px.
    diameter : float
        Of the particle, Å.
    shift : float
        How far its centre may lie from that of the picture, Å.
    finest : float
        Finest detail, Å; made coarser where the pictures have none so fine.
    """

    box: int
    pixel_size: float
    diameter: float
    shift: float
    finest: float

    @cached_property
    def scaled(self) -> int:
        """Side of the whole pictures in larger pixels, px."""
        wanted = self.box * self.pixel_size * 2.2 / self.finest
        return int(min(self.box, fourier.fast_length(math.ceil(wanted))))

    @cached_property
    def pixel(self) -> float:
        """Size of those, Å."""
        return self.box * self.pixel_size / self.scaled

    @cached_property
    def side(self) -> int:
        """Side of the window about the particle, in those, px."""
        return int(min(self.scaled, fourier.fast_length(math.ceil(2 * (self._reach + _EDGE) / self.pixel))))

    @cached_property
    def _reach(self) -> float:
        return 0.5 * self.diameter + self.shift + _SPREAD

    @cached_property
    def radius(self) -> float:
        """Of the mask of averages, in those, px."""
        return float(min(0.5 * self.diameter + 5.0, 0.5 * self.side * self.pixel - _EDGE) / self.pixel)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Of the rings: (rings,) int; ring r has the frequency r / side cycles per px."""
        most = min(math.floor(self.side * self.pixel / self.finest), self.side // 2 - 2)
        return np.arange(_RING, max(most, 4) + 1)

    @cached_property
    def resolutions(self) -> np.ndarray:
        """Å: (rings,)."""
        return self.side * self.pixel / self.numbers

    @cached_property
    def highest(self) -> np.ndarray:
        """Highest harmonic of an average on each ring: (rings,) int."""
        wave = 2 * math.pi * self.numbers / self.side * (self.radius + 0.5 * _EDGE / self.pixel)
        return np.ceil(wave + 2).astype(int)

    @cached_property
    def harmonics(self) -> int:
        """How many there are, 0 included."""
        return int(self.highest[-1]) + 1

    @cached_property
    def angles(self) -> int:
        """Samples of a whole ring; so many that none of a picture's own harmonics is mistaken for an average's."""
        own = 2 * math.pi * self.numbers[-1] / self.side * (0.5 * self.side)
        return 2 * fourier.fast_length(math.ceil((own + self.harmonics + 2) / 2))

    @cached_property
    def weights(self) -> np.ndarray:
        """Elements of the picture's whole Fourier plane that a ring stands for: (rings,) float32."""
        return (2 * math.pi * self.numbers).astype(np.float32)

    @cached_property
    def twice(self) -> np.ndarray:
        """How often each harmonic counts in a sum over positive and negative ones: (harmonics,) 1, 2, 2, …"""
        return np.where(np.arange(self.harmonics) == 0, 1, 2).astype(np.float32)

    @cached_property
    def inside(self) -> np.ndarray:
        """(rings, harmonics) of 0 and 1: the harmonics that an average has."""
        return (np.arange(self.harmonics) <= self.highest[:, None]).astype(np.float32)

    @cached_property
    def directions(self) -> tuple[np.ndarray, np.ndarray]:
        """y and x of the unit vectors to the samples of half a ring: (angles // 2,); the first points along -y."""
        theta = -0.5 * math.pi + 2 * math.pi * np.arange(self.angles // 2) / self.angles
        return np.sin(theta), np.cos(theta)

    @cached_property
    def covered(self) -> float:
        """Part of the noise's power that the mask of pictures lets through."""
        return float(np.mean(np.square(self._mask.astype(np.float64))))

    # Pictures

    def sampled(self, pictures: Any) -> Any:
        """Half rings of pictures (n, box, box): (n, rings, angles // 2) complex64."""
        xp = namespace(pictures)
        small = self._windows(pictures)
        small = small * to_device((self._mask * self._even).astype(np.float32), small)
        n, side, wide = small.shape[0], self.side, _PAD * self.side
        half = side // 2
        padded = xp.zeros((n, wide, wide), dtype=small.dtype, **beside(small))
        padded[:, :half, :half], padded[:, :half, wide - half :] = small[:, half:, half:], small[:, half:, :half]
        padded[:, wide - half :, :half] = small[:, :half, half:]
        padded[:, wide - half :, wide - half :] = small[:, :half, :half]
        flat = xp.reshape(fourier.rfft2(padded), (n, -1))
        total: Any = None
        for index, part in self._corners:
            value = xp.take(flat, to_device(index, flat), axis=1) * to_device(part, flat)
            total = value if total is None else total + value
        return xp.reshape(xp.astype(total, xp.complex64), (n, len(self.numbers), self.angles // 2))

    def of_references(self, pictures: np.ndarray, pixel_size: float) -> np.ndarray:
        """Harmonics of averages (k, side, side) of any pixel size in Å, masked: (k, rings, harmonics) complex64."""
        place = np.arange(pictures.shape[-1]) - pictures.shape[-1] // 2
        y, x = ((self.numbers[:, None] * d).ravel() * (pixel_size / (self.side * self.pixel)) for d in self.directions)
        along, across = (np.exp(-2j * math.pi * k[:, None] * place).astype(np.complex64) for k in (y, x))
        halves = np.stack([np.sum((along @ picture.astype(np.complex64)) * across, axis=1) for picture in pictures])
        halves = halves.reshape(len(pictures), len(self.numbers), -1) * np.float32((pixel_size / self.pixel) ** 2)
        return np.asarray(self.masked(self.to_harmonics(halves) * self.inside), np.complex64)

    def _windows(self, pictures: Any) -> Any:
        """In larger pixels, cut to the window, free of the level outside of the particle: (n, side, side)."""
        xp = namespace(pictures)
        small = xp.astype(pictures, xp.float32)
        if self.scaled != self.box:
            shape = (self.box, self.box), (self.scaled, self.scaled)
            small = fourier.irfft2(fourier.crop(fourier.rfft2(small), *shape), shape[1])
        first = self.scaled // 2 - self.side // 2
        small = small[:, first : first + self.side, first : first + self.side]
        outside = (_distance(self.side) > 0.5 * self.diameter / self.pixel).astype(np.float32)
        if outside.any():
            level = xp.sum(small * to_device(outside / outside.sum(), small), axis=(1, 2))
            small = small - level[:, None, None]
        return small

    @cached_property
    def _mask(self) -> np.ndarray:
        edge = _EDGE / self.pixel
        return _soft(_distance(self.side), min(self._reach / self.pixel, 0.5 * self.side - edge), edge)

    @cached_property
    def _even(self) -> np.ndarray:
        """Undoes what linear interpolation in the transform takes from the outer parts of a picture."""
        profile = np.sinc((np.arange(self.side) - self.side // 2) / (_PAD * self.side)) ** -2
        return np.asarray(profile[:, None] * profile)

    @cached_property
    def _corners(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Four elements of the padded half plane about each sample, and how much each counts."""
        wide = _PAD * self.side
        y, x = (_PAD * self.numbers[:, None] * d for d in self.directions)
        low, left = np.floor(y + 1e-9).astype(np.int64), np.floor(x + 1e-9).astype(np.int64)
        parts = []
        for dy in (0, 1):
            for dx in (0, 1):
                weight = np.abs(1 - dy - (y - low)) * np.abs(1 - dx - (x - left))
                parts.append(
                    (((low + dy) % wide * (wide // 2 + 1) + left + dx).ravel(), weight.astype(np.float32).ravel())
                )
        return parts

    # The lens

    def transfer(self, optics: tuple[float, float, float], rows: tuple[np.ndarray, ...]) -> np.ndarray:
        """Transfer function at the samples, protein bright: (n, rings, angles // 2) float32.

        Parameters
        ----------
        optics : voltage (kV), cs (mm), amplitude contrast
        rows : defocus U and V (Å), angle and phase shift (degrees), (n,) each
        """
        u, v, angle, phase = (np.asarray(x, np.float64).reshape(-1, 1) for x in rows)
        k2 = (self.numbers / (self.side * self.pixel)) ** 2
        twice = 2 * np.arctan2(*self.directions)
        turn = np.deg2rad(2 * angle)
        off = np.cos(turn) * np.cos(twice) + np.sin(turn) * np.sin(twice)
        voltage, cs, contrast = optics
        level = lens.chi(k2, 0.5 * (u + v), voltage, cs, contrast) + np.deg2rad(phase)
        bent = math.pi * lens.wavelength(voltage) * k2 * (0.5 * (u - v))
        chi = (
            level.astype(np.float32)[:, :, None] + bent.astype(np.float32)[:, :, None] * off.astype(np.float32)[:, None]
        )
        return np.sin(chi, out=chi)

    # Harmonics

    def ramp(self, shifts: Any) -> Any:
        """Factors that bring content displaced by `shifts` (n, 2; y, x in px) back: (n, rings, angles // 2)."""
        xp = namespace(shifts)
        y, x = (to_device((2 * math.pi / self.side * d).astype(np.float32), shifts) for d in self.directions)
        numbers = to_device(self.numbers.astype(np.float32), shifts)
        along = shifts[:, :1] * y[None, :] + shifts[:, 1:] * x[None, :]
        phase = numbers[None, :, None] * xp.astype(along, xp.float32)[:, None, :]
        return xp.cos(phase) + 1j * xp.sin(phase)

    def to_harmonics(self, halves: Any, rings: int | None = None) -> Any:
        """Of half rings (…, rings, angles // 2): (…, rings, harmonics) complex64."""
        xp = namespace(halves)
        re, im = xp.real(halves), xp.imag(halves)
        whole = xp.concat([re + im, re - im], axis=-1)
        count = self.harmonics if rings is None else int(self.highest[rings - 1]) + 1
        if xp is np:
            import scipy.fft

            return scipy.fft.rfft(whole, axis=-1, norm="forward")[..., :count]
        return xp.fft.rfft(whole, axis=-1, norm="forward")[..., :count]

    def to_halves(self, harmonics: Any) -> Any:
        """The reverse."""
        xp = namespace(harmonics)
        whole = xp.fft.irfft(harmonics, n=self.angles, axis=-1, norm="forward")
        one, two = whole[..., : self.angles // 2], whole[..., self.angles // 2 :]
        return xp.astype(0.5 * (one + two) + 0.5j * (one - two), xp.complex64)

    # Real space

    @cached_property
    def masking(self) -> np.ndarray:
        """What masking an average does to its harmonics, the level outside taken away: (harmonics, rings, rings)."""
        inside = _soft(self._radii, self.radius, _EDGE / self.pixel)
        out = self._analysis @ (inside[:, None] * self._synthesis)
        outside = (1 - inside) * self._radii * (self._radii < 0.5 * self.side)
        if outside.sum() > 0:
            level = (outside / outside.sum()) @ self._synthesis[0]
            out[0] -= np.outer(self._analysis[0] @ inside, level)
        return np.asarray(out * self.inside.T[:, :, None] * self.inside.T[:, None, :], np.float32)

    def masked(self, harmonics: Any) -> Any:
        """Averages (…, rings, harmonics) with nothing outside of the mask."""
        xp = namespace(harmonics)
        by_harmonic = xp.moveaxis(harmonics, -1, 0)
        shape = by_harmonic.shape
        flat = xp.reshape(by_harmonic, (shape[0], -1, shape[-1]))
        turned = xp.astype(to_device(np.swapaxes(self.masking, 1, 2), harmonics), harmonics.dtype)
        return xp.moveaxis(xp.reshape(flat @ turned, shape), 0, -1)

    def drawn(self, harmonics: np.ndarray) -> np.ndarray:
        """Averages (n, rings, harmonics) as pictures (n, side, side) float32; the level outside is 0. On the host."""
        profiles = np.einsum("mpr,nrm->npm", self._synthesis, harmonics)
        factor = (1j ** np.arange(self.harmonics)) * np.where(np.arange(self.harmonics) % 2, 1j, 1)
        fine = 2 * fourier.fast_length(4 * self.harmonics)
        # harmonics are counted from the first direction, -y
        whole = np.fft.irfft(profiles * factor, n=fine, axis=-1, norm="forward")
        half = self.side // 2
        y, x = np.mgrid[: self.side, : self.side] - half
        rho = np.minimum(np.hypot(y, x) * _FINE, len(self._radii) - 1.001)
        phi = (np.arctan2(y, x) + 0.5 * math.pi) / (2 * math.pi) * fine % fine
        p, a = np.floor(rho).astype(int), np.floor(phi).astype(int)
        u, v = (rho - p).astype(np.float32), (phi - a).astype(np.float32)
        after = (a + 1) % fine
        near = whole[:, p, a % fine] * (1 - v) + whole[:, p, after] * v
        far = whole[:, p + 1, a % fine] * (1 - v) + whole[:, p + 1, after] * v
        pictures = (near * (1 - u) + far * u).astype(np.float32)
        outside = (np.hypot(y, x) > self.radius) & (np.hypot(y, x) < half)
        if outside.any():
            pictures -= pictures[:, outside].mean(axis=1)[:, None, None]
        return pictures

    def enlarged(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures (n, side, side) at the pixel size and in the box of those that came: (n, box, box)."""
        whole = np.zeros((len(pictures), self.scaled, self.scaled), np.float32)
        first = self.scaled // 2 - self.side // 2
        whole[:, first : first + self.side, first : first + self.side] = pictures
        if self.scaled == self.box:
            return whole
        shape = (self.scaled, self.scaled), (self.box, self.box)
        return np.asarray(fourier.irfft2(fourier.crop(fourier.rfft2(whole), *shape), shape[1]), np.float32)

    @cached_property
    def _radii(self) -> np.ndarray:
        return np.arange(round(0.75 * self.side * _FINE)) / _FINE

    @cached_property
    def _bessel(self) -> np.ndarray:
        argument = 2 * math.pi / self.side * self._radii[:, None] * self.numbers
        return np.stack([jv(m, argument) for m in range(self.harmonics)])

    @cached_property
    def _synthesis(self) -> np.ndarray:
        """From a harmonic on the rings to its profile in real space: (harmonics, radii, rings)."""
        return self._bessel * (2 * math.pi * self.numbers / self.side**2)

    @cached_property
    def _analysis(self) -> np.ndarray:
        """The reverse: (harmonics, rings, radii)."""
        return np.swapaxes(self._bessel, 1, 2) * (2 * math.pi * self._radii / _FINE)


def _distance(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side // 2
    return np.hypot(y, x)


def _soft(distance: np.ndarray, radius: float, edge: float) -> np.ndarray:
    """1 up to `radius`, then falling to 0 over `edge`."""
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip((distance - radius) / edge, 0, 1)))
