"""Particles as what resembles a template: a matched filter that knows the lens and the noise.

The filter is the template as the lens shows it, divided by the power of the noise (Sigworth, J. Struct. Biol. 145
(2004) 111, doi:10.1016/j.jsb.2003.09.025). Where an image varies more than it does around particles, an answer counts
the less, as in a local correlation (Roseman, Ultramicroscopy 94 (2003) 225, doi:10.1016/S0304-3991(02)00333-9). Scores
are in standard deviations of the noise, as those of blobs are.

Many templates in many directions differ little. So the image is filtered with the few principal pictures of them all,
of which every answer is a sum: a hundred rotated templates take the time of some thirty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryowidgets.cpu import threads
from cryowidgets.kernels import ctf, discs, peaks
from cryowidgets.kernels.discs import squared_frequency
from cryowidgets.kernels.ground import BACKGROUND, Ground, emptiest, ground
from cryowidgets.kernels.noisepower import NoisePower, noise_power
from cryowidgets.kernels.peaks import LOWEST, Found
from cryowidgets.kernels.templatebank import SPHERES, principal, spheres, turned

REFERENCE = 320
"""Side in px of the fields of noise in which chance is counted."""
COUNTED = 40
"""Peaks of noise, the highest, of which chance is told."""
RESTLESS = 1.5
"""Times the variation around most particles from which on a score counts the less: it is dirt, or the rim of film."""
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Lens:
    """What the lens did to a micrograph: defocus in Å, angles in degrees, kV, mm."""

    defocus_u: float
    defocus_v: float
    angle: float
    voltage: float
    cs: float
    amplitude_contrast: float
    phase_shift: float = 0.0


def find(
    image: Any,
    pixel_size: float,
    diameter: float,
    templates: Any = None,
    template_pixel: float = 0.0,
    lens: Lens | None = None,
    turn: float = 0.0,
    threshold: float | None = None,
    apart: float = 0.0,
    bright: bool = False,
    masked: bool = True,
    hollow: float = 0.0,
) -> Found:
    """Look for particles.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    diameter : float
        Of the particles, Å.
    templates : array (n, a, b), optional
        Particles bright, in the middle, without the effects of the lens; by default spheres of about the diameter.
    template_pixel : float
        Of the templates, Å/px; 0 for that of the micrograph.
    lens : Lens, optional
        By which templates are changed as the micrograph was; by default they are taken as they are.
    turn : float
        Step of the rotations that are tried, degrees; 0 for as much as the pixels of the search resolve.
    threshold : float, optional
        Least score in standard deviations of the noise. By default what noise alone, filtered in the same way, reaches
        in `peaks.CHANCE` places of a micrograph; where there are many particles lower, until noise makes `peaks.FALSE`
        of the places.
    apart : float
        Least distance of two particles, Å; 0 for 0.6 of the diameter.
    bright : bool
        Particles are brighter than the ice, as in negative stain that was inverted.
    masked : bool
        Look for nothing on carbon film and dirt.
    hollow : float
        Part of the diameter of the spheres that is empty: 0 for balls, near 1 for shells.

    Returns
    -------
    Found
        `diameters` are those of the spheres, or that given.

    Raises
    ------
    ValueError
        The templates show nothing, or the image is smaller than a particle.
    """
    seen = ground(image, pixel_size, diameter, diameter, bright, masked)
    if seen is None:
        return peaks.nothing(threshold, 1.0)
    size = diameter / seen.pixel
    if templates is None:
        bank, sizes = spheres(size, hollow), diameter * np.array(SPHERES)
    else:
        bank = turned(templates, (template_pixel or pixel_size) / seen.pixel, size, turn)
        sizes = np.full(len(bank), diameter)
    white = (seen.signal / seen.noise).astype(np.float32)
    search = _Search(bank, _noise(white, seen, diameter), seen.pixel, diameter, lens)
    radius = (apart or 0.6 * diameter) / seen.pixel
    y, x, scores, best, place = _looked(search, white, seen, radius)
    least = threshold
    if least is None and seen.counts:
        least = max(search.level(scores, float(seen.use.sum())), peaks.valley(scores))
    elif least is None:
        least = peaks.two_kinds(scores)
    above = scores > least
    return Found(
        seen.whole(place[above]),
        scores[above],
        sizes[best[above]],
        float(least),
        seen.refused,
    )


def _noise(white: np.ndarray, seen: Ground, diameter: float) -> NoisePower:
    """Power of the noise between whatever looks like a particle."""
    blob = discs.answers(white, seen.pixel, np.array([diameter]))[0][0]
    usual = 1.0 if seen.counts else emptiest(blob, seen.use, diameter / seen.pixel)
    y, x = peaks.maxima(blob, 0.5 * diameter / seen.pixel, LOWEST * usual)
    free = np.ones(white.shape, bool)
    free[y, x] = False
    free = ndimage.distance_transform_edt(free) > 0.5 * diameter / seen.pixel if len(y) else free
    return noise_power(white, free & seen.use, diameter / seen.pixel, seen.counts)


def _looked(search: _Search, white: np.ndarray, seen: Ground, radius: float) -> tuple[np.ndarray, ...]:
    """Look, take away from the image what was found, and look again: what stays of each is its score.

    A template answers also beside a particle, where the lens has spread its image; so two particles make a third
    between them, unless they are taken away.

    Returns
    -------
    y, x, scores, template, refined places (n, 2)
        The highest first.
    """
    fields, weights = search.fields(white)
    score = _highest(fields, weights)
    y, x = peaks.maxima(score, radius, LOWEST if seen.counts else 0.5, seen.use)
    place = np.stack(peaks.refined(score, y, x), axis=-1)
    first = score[y, x].astype(np.float64)
    best = (weights @ fields[:, y, x]).argmax(axis=0) if len(y) else np.zeros(0, int)
    if not len(y):
        return y, x, first, best, place
    rest = white - search.shown(white.shape, y, x, best, first)
    fields, _ = search.fields(rest)
    left = np.einsum("nk,kn->n", weights[best], fields[:, y, x])
    scores = np.maximum(first + left, 0) / _restless(rest, y, x, first, 2 * radius)
    order = np.argsort(-scores, kind="stable")
    return y[order], x[order], scores[order], best[order], place[order]


def _restless(rest: np.ndarray, y: np.ndarray, x: np.ndarray, scores: np.ndarray, size: float) -> Any:
    """How much more an image varies at some places than at most, less what was found there; at least 1."""
    energy = ndimage.uniform_filter(np.square(rest), max(3, round(size)))[y, x]
    spread = np.sqrt(np.maximum(energy, 0))
    usual = float(np.median(spread[scores >= np.median(scores)]))
    return np.maximum(spread / max(RESTLESS * usual, 1e-30), 1)


class _Search:
    """A bank of templates with all that turns them into filters of images of any shape."""

    def __init__(self, bank: np.ndarray, power: NoisePower, pixel: float, diameter: float, lens: Lens | None) -> None:
        self.pictures, self.sums = principal(bank)
        self.power, self.pixel, self.diameter, self.lens = power, pixel, diameter, lens
        self._kept: dict[tuple[int, ...], tuple[NDArray[np.complex64], NDArray[np.float32]]] = {}

    def fields(self, white: np.ndarray, noise: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the principal pictures answer (k, y, x), and how they add up (m, k) to scores of the templates.

        An image that is pure `noise` is white; else it has the power of the noise.
        """
        shape = white.shape
        spectra, weights = self._gram(shape)
        spread = np.sqrt(self.power.at(squared_frequency(shape, self.pixel), self.pixel))
        half = fft.rfft2(white, workers=threads())
        half *= self._transfer(shape) / (spread if noise else spread * spread)
        found = np.empty((len(spectra), *shape), np.float32)
        for field, spectrum in zip(found, spectra, strict=True):
            field[:] = fft.irfft2(np.conj(spectrum) * half, s=shape, workers=threads())
        return found, weights

    def _gram(self, shape: tuple[int, ...]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Spectra of the principal pictures in an image of `shape`, and their weights in templates of length 1."""
        if shape in self._kept:
            return self._kept[shape]
        spread = np.sqrt(self.power.at(squared_frequency(shape, self.pixel), self.pixel))
        twice = np.full(spread.shape[1], 2.0, np.float32)
        twice[0] = 1
        if shape[1] % 2 == 0:
            twice[-1] = 1
        scale = self._transfer(shape) / spread * np.sqrt(twice / np.float32(shape[0] * shape[1]))
        spectra = np.empty((len(self.pictures), *spread.shape), np.complex64)
        side = self.pictures.shape[-1]
        for spectrum, picture in zip(spectra, self.pictures, strict=True):
            placed = np.zeros(shape, np.float32)
            placed[:side, :side] = picture[: shape[0], : shape[1]]
            spectrum[:] = fft.rfft2(np.roll(placed, (-(side // 2),) * 2, axis=(0, 1)), workers=threads())
        parts = (spectra * scale).reshape(len(spectra), -1).view(np.float32)
        gram = (parts @ parts.T).astype(np.float64)
        lengths = np.sqrt(np.maximum(np.einsum("mi,ij,mj->m", self.sums, gram, self.sums, optimize=True), 1e-30))
        self._kept = {shape: (spectra, (self.sums / lengths[:, None]).astype(np.float32))}
        return self._kept[shape]

    def shown(
        self, shape: tuple[int, ...], y: np.ndarray, x: np.ndarray, best: np.ndarray, scores: np.ndarray
    ) -> NDArray[np.float32]:
        """The image of particles at given pixels with the templates and the scores that they were found with."""
        _, weights = self._gram(shape)
        side = self.pictures.shape[-1]
        canvas = np.zeros((shape[0] + 2 * side, shape[1] + 2 * side), np.float32)
        for a, b, row, score in zip(y + side - side // 2, x + side - side // 2, weights[best], scores, strict=True):
            canvas[a : a + side, b : b + side] += np.tensordot(np.float32(score) * row, self.pictures, 1)
        half = fft.rfft2(canvas[side:-side, side:-side], workers=threads())
        half *= self._transfer(shape)
        return fft.irfft2(half, s=shape, workers=threads())

    def level(self, scores: np.ndarray, pixels: float) -> float:
        """Threshold for sorted scores, the highest first, in so many pixels: see `find`."""
        noise = np.random.default_rng(0).standard_normal((REFERENCE, REFERENCE), np.float32)
        chance = _highest(*self.fields(noise, noise=True))
        heights = np.sort(chance[peaks.maxima(chance, 0.3 * self.diameter / self.pixel)])[::-1]
        rank = min(COUNTED, len(heights) // 4)  # the lower ones hide each other
        cells = rank / peaks.expected_by_chance(float(heights[rank]), 1.0)
        return peaks.level(scores, cells * pixels / REFERENCE**2)

    def _transfer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """What the lens and the flattening of the background leave of a template."""
        squared = squared_frequency(shape, self.pixel)
        flattened = 1 - np.exp(-2 * (math.pi * BACKGROUND * self.diameter) ** 2 * squared)
        if self.lens is None:
            return flattened
        lens = self.lens
        defocus = (lens.defocus_u, lens.defocus_v, lens.angle)
        optics = (lens.voltage, lens.cs, lens.amplitude_contrast, lens.phase_shift)
        return -flattened * ctf.ctf_2d((shape[0], shape[1]), self.pixel, *defocus, *optics)


def _highest(fields: np.ndarray, weights: np.ndarray) -> NDArray[np.float32]:
    """The score of the best template at each pixel."""
    flat = fields.reshape(len(fields), -1)
    best = np.empty(flat.shape[1], np.float32)
    for first in range(0, flat.shape[1], _CHUNK):
        part = slice(first, first + _CHUNK)
        np.max(weights @ flat[:, part], axis=0, out=best[part])
    return best.reshape(fields.shape[1:])
