"""How large the particles of a micrograph are, when nobody has said so.

Blobs of one diameter after the other are looked for, from the largest on, and at the places that are found the answers
of filters of all sizes are compared, each in deviations of white noise: a filter matched to what is there stands out
most (Lindeberg, Int. J. Comput. Vis. 30 (1998) 79, doi:10.1023/A:1008045108935, for the scale space). As long as the
blobs looked for are larger than the particles, each particle is found once and the filter that stands out has the size
of the particle, whatever the former; when they are smaller, parts of particles are found. So the largest diameter that
agrees with what it finds, and below which the answer stays the same, is that of the particles: neither that of their
domains, nor that of groups of them. Where particles lie so close that they touch, larger blobs find more than one and
smaller ones parts: then no size is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryowidgets.cpu import threads
from cryowidgets.kernels import blobs
from cryowidgets.kernels.xp import asnumpy

LEAST = 8
"""Particles of which a micrograph can tell a size."""
WIDER = 1.5
"""Blobs are looked for that are so many times as large as the particles: then each is found once, at its middle."""
MATCHED = 1.07
"""Diameter of the filter that stands out most over that of the ball whose radius of gyration the particle has: the mean
of simulated molecules of 60 to 1500 kDa at 0.8 to 2.5 µm underfocus, which differ by a tenth."""
STEP = 1.25
"""Ratio of the diameters that are looked for one after the other."""
STEADY, HOLDS = 0.2, 1
"""So little (a logarithm) may the answer change over so many steps below the diameter that agrees: groups of particles
are found at any size that is looked for."""
GROWS, NEAR = 0.5, 1.5
"""Power of the blobs' diameter with which what they find may grow, from where they agree to so many times that. What
lies alone is found once by larger blobs too, a power of 0 to 0.3; of a crowd more is found together, 0.6 to 1."""
SIDE = 64
ACROSS = 3.0
"""Pixels of the mean particle, and how many diameters they are."""
AGREE = 0.25
"""Spread of the micrographs' diameters, as a part of their median, from which on they tell nothing together."""
FEWEST = 3
"""Micrographs that have to tell a size."""


@dataclass(frozen=True)
class Size:
    """What one micrograph says.

    Attributes
    ----------
    diameter : float
        Of a ball with the particles' radius of gyration, Å; NaN where it cannot be told.
    curve : (n,)
        How far filters of the `diameters` that were asked for stand out at the particles, in deviations of the noise.
    count : int
        Particles found.
    picture : (SIDE, SIDE) float32
        Their mean, `ACROSS` diameters wide, dark particles bright.
    reason : str
        Why there is no diameter; empty where there is one.
    """

    diameter: float
    curve: NDArray[np.float64]
    count: int
    picture: NDArray[np.float32]
    reason: str = ""


def diameters(shortest: float, longest: float) -> NDArray[np.float64]:
    """Diameters of the particles, Å, at which a curve has its values."""
    return np.geomspace(0.7 * shortest, 1.4 * longest, 41)


def measure(
    image: Any, pixel_size: float, shortest: float = 60.0, longest: float = 600.0, bright: bool = False
) -> Size:
    """Measure the size of the particles in one micrograph.

    Film, dirt and empty ice are left out as in `blobs.find`.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, counts.
    pixel_size : float
        Å/px.
    shortest, longest : float
        Between which diameters the particles' is, Å.
    bright : bool
        Particles are brighter than the ice.
    """
    image, pixel = _binned(asnumpy(image), pixel_size, shortest / 16)
    asked = diameters(shortest, longest)
    longest = min(longest, min(image.shape) * pixel / 4)
    none = np.zeros((SIDE, SIDE), np.float32)
    if longest < shortest:
        said = f"a micrograph of {min(image.shape) * pixel:.0f} Å is too small for particles of {shortest:.0f} Å"
        return Size(math.nan, np.zeros(len(asked)), 0, none, said)
    answers = _Answers(image, pixel, asked * MATCHED, bright)
    seen: list[tuple[float, float]] = []  # what each diameter finds, and how far that is from agreeing; logarithms
    found_by: list[tuple[float, float]] = []
    agreed, most, wanted = None, 0, WIDER * longest
    while wanted >= WIDER * shortest / STEP**3:
        found = blobs.find(image, pixel, wanted / 1.2, wanted * 1.2, bright=bright)
        most = max(most, len(found.places))
        if len(found.places) < LEAST:
            seen, agreed = [], None
        else:
            curve = answers.at(found.places)
            size = math.log(_top(asked, curve))
            seen.append((size, size + math.log(WIDER / wanted)))
            found_by.append((wanted, math.exp(size)))
            if agreed is None or abs(size - agreed) > STEADY:
                agreed = _agreed(seen[-2:])
                since = len(seen)
            steady = agreed is not None and len(seen) == since + HOLDS
            at = math.exp(agreed) if steady and agreed is not None else math.nan
            if shortest <= at <= longest and _alone(at, found_by):
                return Size(at, curve, len(found.places), answers.mean(found.places, at))
        wanted /= STEP
    said = f"at most {most} particles were found, and {LEAST} are needed"
    if most >= LEAST:
        said = f"what is there has no size between {shortest:.0f} and {longest:.0f} Å, or lies too close to tell one"
    return Size(math.nan, np.zeros(len(asked)), most, none, said)


def _agreed(seen: list[tuple[float, float]]) -> float | None:
    """Logarithm of the diameter that agrees with what it finds, between the last two that were looked for."""
    size, gap = seen[-1]
    if gap < 0 or (len(seen) == 1 and gap > math.log(STEP)):
        return None
    if len(seen) == 1:
        return size
    return float(np.interp(0.0, [seen[0][1], gap], [seen[0][0], size])) if seen[0][1] < 0 else None


def _alone(size: float, found_by: list[tuple[float, float]]) -> bool:
    """Whether blobs that are somewhat larger find the same size, Å: no other particle touches."""
    larger = [(wanted / (WIDER * size), found / size) for wanted, found in found_by]
    return all(found <= max(blob**GROWS, 1.05) for blob, found in larger if 1 < blob <= NEAR)


def together(sizes: NDArray[np.float64]) -> tuple[float, float, str]:
    """Diameter by several micrographs, its standard error, and why there is none.

    Parameters
    ----------
    sizes : (n,)
        Diameter by each micrograph, NaN where it could not tell.

    Returns
    -------
    float, float, str
        Å, from the median, so that some micrographs may be wrong; Å, of the scatter of the micrographs alone; a
        sentence without a full stop, or nothing.
    """
    told = np.asarray(sizes, float)[np.isfinite(sizes)]
    if len(told) < FEWEST:
        return math.nan, math.nan, f"{len(told)} of {len(sizes)} micrographs tell a size, and {FEWEST} are needed"
    middle = float(np.median(told))
    spread = 1.4826 * float(np.median(np.abs(told - middle)))
    if spread > AGREE * middle:
        low, high = np.percentile(told, (16, 84))
        return math.nan, math.nan, f"micrographs tell different sizes, most from {low:.0f} to {high:.0f} Å"
    return middle, 1.2533 * spread / math.sqrt(len(told)), ""


class _Answers:
    """Answers of Laplacians of Gaussians of many diameters to one image, in deviations of white noise."""

    def __init__(self, image: np.ndarray, pixel: float, filters: np.ndarray, bright: bool) -> None:
        self._step = max(1, int(filters[0] / 6 / pixel))
        flat, self._pixel = _binned(image, pixel, self._step * pixel)
        wide = min(1.5 * filters[-1] / self._pixel, min(flat.shape) / 4)
        background = ndimage.gaussian_filter(flat, wide, mode="nearest", truncate=3.0)
        self._signal = (flat - background if bright else background - flat) / np.float32(np.mean(flat) or 1.0)
        corner = self._signal[1:, 1:] - self._signal[:-1, 1:] - self._signal[1:, :-1] + self._signal[:-1, :-1]
        noise = 1.4826 * float(np.median(np.abs(corner))) / 2
        half = fft.rfft2(self._signal, workers=threads())
        y = np.fft.fftfreq(flat.shape[0], self._pixel)[:, None]
        x = np.fft.rfftfreq(flat.shape[1], self._pixel)[None, :]
        squared = (y * y + x * x).astype(np.float32)
        self._maps = np.empty((len(filters), *flat.shape), np.float32)
        for found, diameter in zip(self._maps, filters, strict=True):
            scaled = squared * np.float32(4 * diameter * diameter)  # a Gaussian as wide as the diameter over π
            shape = scaled * np.exp(-0.5 * scaled)
            gain = math.sqrt(float(np.mean(np.square(shape), dtype=np.float64))) * (noise or 1.0)
            found[:] = fft.irfft2(half * (shape / np.float32(gain)), s=flat.shape, workers=threads())

    def at(self, places: np.ndarray) -> NDArray[np.float64]:
        """Median answer of each filter at places in px of the image."""
        at = np.rint((places + 0.5) / self._step - 0.5).astype(int)
        y, x = np.clip(at, 0, np.array(self._signal.shape) - 1).T
        return np.median(self._maps[:, y, x], axis=1).astype(np.float64)

    def mean(self, places: np.ndarray, diameter: float) -> NDArray[np.float32]:
        """Mean of the image about places."""
        across = (np.arange(SIDE) + 0.5 - SIDE / 2) * (ACROSS * diameter / SIDE / self._pixel)
        centres = (places + 0.5) / self._step - 0.5
        y, x = (centres[:, i, None] + across for i in (0, 1))
        grid = np.broadcast_arrays(y[:, :, None], x[:, None, :])
        return ndimage.map_coordinates(self._signal, grid, order=1, mode="nearest").mean(axis=0).astype(np.float32)


def _binned(image: np.ndarray, pixel_size: float, wanted: float) -> tuple[NDArray[np.float32], float]:
    """Means of squares of at most `wanted` Å, and their side in Å."""
    step = max(1, int(wanted / pixel_size + 1e-6))
    rows, columns = (n // step for n in image.shape)
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean(axis=(1, 3), dtype=np.float32), pixel_size * step


def _top(at: np.ndarray, curve: np.ndarray) -> float:
    """Where a curve over evenly spaced logarithms is highest, by a parabola through three of its values."""
    i = int(np.clip(np.argmax(curve), 1, len(curve) - 2))
    below, top, above = curve[i - 1 : i + 2]
    bend = below - 2 * top + above
    offset = float(np.clip(0.5 * (below - above) / bend, -1, 1)) if bend < 0 else 0.0
    return float(at[i] * (at[1] / at[0]) ** offset)
