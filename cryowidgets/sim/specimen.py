"""The specimen as spectra of projected phase (rad): protein, the water around it, and what radiation does to both.

Numbers: 118 V·Å³ of potential per heavy atom and 130 V·Å³ per water molecule, 0.0334 water molecules per Å³, and an
interaction constant of 6.53e-4 rad/(V·Å) at 300 kV.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.special import ndtri

from cryowidgets.kernels.ctf import wavelength
from cryowidgets.sim import molecule

_ATOM, _WATER = 118.0, 130.0  # V·Å³
_WATER_DENSITY = 0.0334  # 1/Å³
_DISPLACED, _DISPLACED_WIDTH = 0.55, 2.0  # potential of the displaced solvent relative to protein; its softness in Å
_COHERENT = 0.5  # part of the water amplitude that elastic, weak-phase imaging shows


def place(
    field: tuple[int, int], pixel_size: float, mass: float, density: float, seed: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatter molecules over a field of `field` px at random orientations, apart from each other while there is room.

    Returns
    -------
    atoms : array (m, 3), float32
        Of one molecule, Å.
    positions : array (n, 2)
        y, x in px of the field.
    rotations : array (n, 3, 3)
        Each turns the molecule, whose axes are ordered x, y, z, as seen along z.
    """
    atoms = molecule.build(mass, seed)
    n = round(density * field[0] * field[1] * pixel_size**2 * 1e-8)
    apart = 2 * np.sqrt(5 / 3 * np.square(atoms).sum(axis=1).mean()) / pixel_size  # diameter of a ball of that size
    return atoms, _scatter(field, n, apart, rng), molecule.rotations(n, rng)


def protein(
    field: tuple[int, int],
    pixel_size: float,
    voltage: float,
    atoms: np.ndarray,
    positions: np.ndarray,
    rotations: np.ndarray,
) -> np.ndarray:
    """Spectrum of the molecules of `place`, (height, width // 2 + 1), complex64.

    Atoms are projected one by one to the nearest pixel.
    """
    height, width = field
    counts = np.zeros(height * width, np.int64)
    for first in range(0, len(positions), 64):
        matrix = rotations[first : first + 64, :2].reshape(-1, 3).astype(np.float32) / np.float32(pixel_size)
        xy = (matrix @ atoms.T).reshape(-1, 2, len(atoms))
        centre = positions[first : first + 64].astype(np.float32)
        x = np.rint(xy[:, 0] + centre[:, 1:]).astype(np.int32) % np.int32(width)
        y = np.rint(xy[:, 1] + centre[:, :1]).astype(np.int32) % np.int32(height)
        counts += np.bincount((y * np.int32(width) + x).ravel(), minlength=counts.size)
    phase = counts.reshape(field).astype(np.float32)
    phase *= np.float32(_ATOM * interaction(voltage) / pixel_size**2)
    spectrum = fft.rfft2(phase)
    y, x = np.fft.fftfreq(height, pixel_size)[:, None], np.fft.rfftfreq(width, pixel_size)
    soften = [np.exp(-2 * (np.pi * _DISPLACED_WIDTH * f) ** 2).astype(np.float32) for f in (y, x)]
    spectrum *= 1 - np.float32(_DISPLACED) * (soften[0] * soften[1])
    return spectrum


def water_amplitude(
    k: np.ndarray, field: tuple[int, int], pixel_size: float, voltage: float, thickness: float
) -> np.ndarray:
    """Amplitude of the spectrum of a layer of ice of `thickness` Å; multiply with `noise` for one realisation.

    Its structure factor rises from 0.15, the compressibility of water, to 1 at 4 Å.
    """
    phase = white_phase(pixel_size, voltage, thickness)
    structure = 0.15 + 0.85 * np.clip(16 * k * k, 0, 1)
    return (phase * np.sqrt(field[0] * field[1]) * np.sqrt(structure)).astype(np.float32)


def white_phase(pixel_size: float, voltage: float, thickness: float) -> float:
    """Standard deviation of the phase (rad) of a pixel of `thickness` Å of water, if its molecules lay at random."""
    molecules = _WATER_DENSITY * thickness * pixel_size**2  # in the column of one pixel
    return float(_COHERENT * _WATER * interaction(voltage) / pixel_size**2 * np.sqrt(molecules))


def water_memory(k2: np.ndarray, exposure: float) -> np.ndarray:
    """Correlation of the image of water with itself after `exposure` e/Å², at squared frequency `k2` (1/Å²).

    The beam moves each molecule by 1 Å (rms, in three dimensions) per 1 e/Å², as a random walk.
    """
    return np.exp(-2 * np.pi**2 * k2 * np.float32(exposure / 3)).astype(np.float32)


def critical_exposure(k2: np.ndarray, voltage: float) -> np.ndarray:
    """Exposure in e/Å² at which the signal at squared frequency `k2` (1/Å²) has fallen to exp(−1/2), float32.

    Measured at 300 kV; at 200 kV it is 0.8 of that, and here follows the logarithm of the voltage between.
    """
    scale = 0.8 ** (np.log(300 / voltage) / np.log(1.5))
    with np.errstate(divide="ignore"):
        return (scale * (0.24499 * k2.astype(np.float64) ** (-1.6649 / 2) + 2.8141)).astype(np.float32)


def interaction(voltage: float) -> float:
    """Phase per projected potential, rad/(V·Å), of electrons of `voltage` kV."""
    rest = 510.99895
    return 2 * np.pi / (wavelength(voltage) * voltage * 1e3) * (rest + voltage) / (2 * rest + voltage)


def noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Complex white Gaussian noise of unit variance as the half plane of a real image, complex64.

    Deviates are looked up in a table of 65,536 quantiles: five times as fast as the usual way.
    """
    n = 2 * shape[0] * shape[1]
    index = rng.integers(0, 1 << 64, size=-(-n // 4), dtype=np.uint64).view(np.uint16)[:n]
    waves = np.empty(n, np.float32)
    for start in range(0, n, 1 << 15):  # in parts that stay in the cache
        part = slice(start, start + (1 << 15))
        np.take(_quantiles(), index[part], out=waves[part], mode="clip")
    waves = waves.view(np.complex64).reshape(shape)
    waves[:, 0] *= np.float32(np.sqrt(2))  # an inverse transform uses only the Hermitian half of this column
    return waves


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    values = ndtri((np.arange(65536) + 0.5) / 65536)
    return (values / values.std() / np.sqrt(2)).astype(np.float32)


def _scatter(field: tuple[int, int], n: int, apart: float, rng: np.random.Generator) -> np.ndarray:
    """`n` positions (y, x, px), no two nearer than `apart` across the periodic field while that can be had."""
    size = np.array(field)
    placed = np.empty((n, 2))
    for i in range(n):
        best = None
        for place in rng.uniform(0, 1, (30, 2)) * size:
            gap = np.abs(placed[:i] - place)
            gap = np.minimum(gap, size - gap)
            nearest = np.square(gap).sum(axis=1).min(initial=np.inf)
            if best is None or nearest > best[0]:
                best = (nearest, place)
            if nearest > apart**2:
                break
        placed[i] = best[1]
    return placed
