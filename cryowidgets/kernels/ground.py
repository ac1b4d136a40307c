"""What every picker does first: pixels of a fitting size, a flat background, the noise, and what is not to be searched.

The image becomes the part of the electrons that is missing against the background, so that dark particles are positive
whatever the dose. Its noise is measured at the highest frequencies, where nothing else is seen, and at each place, so
that scores mean the same in thin ice and in thick. Film, its edge, dirt, and borders that somebody has filled are left
out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryowidgets.kernels import discs
from cryowidgets.kernels.content import LEAST, Content, survey
from cryowidgets.kernels.xp import asnumpy

PER_DIAMETER = 16
"""Binned pixels across the smallest particle."""
EDGE = 0.4
"""Diameters of a middling particle from the side of the micrograph within which no centre is looked for."""
BACKGROUND = 1.5
"""Standard deviation of the background in diameters of the largest particle."""
ROUNDING = 1e-6
"""Noise relative to the background below which there is none, only rounding: a picture of a single value."""
OPAQUE = 0.15
"""Part of the electrons that no particle takes away: more is dirt."""
STRANGE = 6.0
"""The same in standard deviations, of images whose values are no counts."""
FILTERED = 6.0
"""The emptiest places of an image vary by less than so many times the noise of its highest frequencies, or those were
filtered away."""
RIM = 0.4
"""Width of the rim of dirt, in diameters, that is thinner and is left out with it."""
RIDGE = 3.5
"""Standard deviations of the bright side by which an edge of film stands out, …"""
LONG = 3.0
"""… and its least length in diameters of the largest particle."""
FILLED = 0.2
"""Neighbouring rows of a border that was filled differ by less than this part of what others do."""
BORDER = 0.1
"""No wider border is looked for, in parts of the side."""


@dataclass(frozen=True)
class Ground:
    """A micrograph made ready to be searched.

    Attributes
    ----------
    signal : array (y, x), float32
        Part of the electrons that particles take away (or add, if they are bright); 0 where nothing is to be found.
    noise : array (y, x), float32
        Standard deviation of the noise of a binned pixel.
    use : array (y, x), bool
        Where centres of particles may lie.
    ice : array (y, x), bool
        The same and the sides, where particles are cut off.
    step : int
        Pixels of the micrograph in a binned one.
    pixel : float
        Å, of the binned ones.
    counts : bool
        Whether the noise of electrons is seen at the highest frequencies; if not, somebody filtered the image, and
        `noise` is but the deviation of all there is.
    """

    signal: NDArray[np.float32]
    noise: NDArray[np.float32]
    use: NDArray[np.bool_]
    ice: NDArray[np.bool_]
    step: int
    pixel: float
    counts: bool

    @property
    def refused(self) -> float:
        """Share of the micrograph where nothing is to be found."""
        return 1.0 - float(self.use.mean())

    def whole(self, places: np.ndarray) -> NDArray[np.float64]:
        """Places of binned pixels in px of the micrograph."""
        return (np.asarray(places, np.float64) + 0.5) * self.step - 0.5


def ground(
    image: Any, pixel_size: float, smallest: float, largest: float, bright: bool = False, masked: bool = True
) -> Ground | None:
    """Make a micrograph ready; None where there is nothing in it to search.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    smallest, largest : float
        Diameters of the particles, Å.
    bright : bool
        Particles are brighter than the ice.
    masked : bool
        Leave out carbon film and dirt.

    Raises
    ------
    ValueError
        The image is smaller than a binned pixel.
    """
    image = asnumpy(image)
    step = max(1, round(smallest / PER_DIAMETER / pixel_size))
    pixel = pixel_size * step
    flat = _binned(image, step)
    wide, middle = BACKGROUND * largest / pixel, math.sqrt(smallest * largest)
    border = _border(flat)
    signal, _ = _relative(flat, border, smallest / pixel, wide, math.inf)
    noise = noise_of(signal, ~border, wide)
    if not (np.isfinite(noise).all() and np.median(noise) > ROUNDING):
        return None
    answer = discs.answers(np.where(border, 0, signal / noise), pixel, np.array([middle]))[0][0]
    counts = emptiest(answer, ~border, middle / pixel) < FILTERED
    out, opaque = border, math.inf
    if masked and counts:
        out, opaque = border | _film(survey(image, pixel_size), flat.shape, step, 0.5 * largest / pixel), OPAQUE
    elif masked:
        low = smooth(signal, smallest / pixel / 6)
        opaque = STRANGE * 1.4826 * float(np.median(np.abs(low - np.median(low))))
        out = out | _ridges(low, ~border, largest / pixel)
    signal, dirt = _relative(flat, out, smallest / pixel, wide, opaque)
    use = ~(out | dirt)
    if not use.any():
        return None
    if counts:
        noise = noise_of(signal, use, wide)
    else:
        noise = np.full_like(noise, np.sqrt(np.mean(np.square(signal[use]))))
    signal = np.where(use, signal, np.float32(0)) * np.float32(-1 if bright else 1)
    ice = use.copy()
    margin = math.ceil(EDGE * middle / pixel)
    use[:margin] = use[-margin:] = use[:, :margin] = use[:, -margin:] = False
    if border.any():
        use &= ndimage.distance_transform_edt(~border) > margin
    return Ground(signal, noise, use, ice, step, pixel, counts)


def emptiest(answer: np.ndarray, use: np.ndarray, diameter: float) -> float:
    """Standard deviation of an answer where it varies least, from windows of one diameter: of pure noise about 1."""
    side = max(3, round(diameter))
    share = ndimage.uniform_filter(use.astype(np.float32), side)
    local = np.sqrt(np.maximum(ndimage.uniform_filter(np.where(use, answer, 0) ** 2, side), 0))
    inside = local[side:-side:2, side:-side:2][share[side:-side:2, side:-side:2] > 0.999]
    # Windows of pure noise vary by chance: a tenth of them show less than 0.6 of it.
    return float(np.percentile(inside, 10)) / 0.6 if inside.size else 1.0


def noise_of(signal: np.ndarray, use: np.ndarray, wide: float) -> NDArray[np.float32]:
    """Standard deviation of the noise of a binned pixel, at each of them, from the highest frequencies."""
    corner = signal[1:, 1:] - signal[:-1, 1:] - signal[1:, :-1] + signal[:-1, :-1]
    square = np.pad(corner * corner, ((1, 0), (1, 0)))
    weight = use.astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        local = smooth(square * weight, wide) / np.maximum(smooth(weight, wide), 1e-3) / 4
        mean = square[use].mean() / 4 if use.any() else math.nan
    if not mean > 0:
        return np.full(signal.shape, np.nan, np.float32)
    return np.sqrt(np.maximum(local, 0.04 * mean)).astype(np.float32)


def smooth(image: np.ndarray, sigma: float) -> NDArray[np.float32]:
    """A Gaussian mean; a wide one of means of squares, between which it is straight."""
    image = image.astype(np.float32, copy=False)
    side = int(sigma / 4)
    if side < 2 or min(image.shape) < 4 * side:
        return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    height, width = (-(-n // side) for n in image.shape)
    padded = np.pad(image, [(0, n * side - m) for n, m in zip((height, width), image.shape, strict=True)], "edge")
    means = padded.reshape(height, side, width, side).mean(axis=(1, 3))
    coarse = ndimage.gaussian_filter(means, sigma / side, mode="nearest", truncate=3.0)
    at = [((np.arange(n) + 0.5) / side - 0.5).astype(np.float32) for n in image.shape]
    low = [np.clip(a.astype(int), 0, n - 2) for a, n in zip(at, coarse.shape, strict=True)]
    part = [np.clip(a - b, 0, 1).astype(np.float32) for a, b in zip(at, low, strict=True)]
    rows = coarse[low[0]] * (1 - part[0])[:, None] + coarse[low[0] + 1] * part[0][:, None]
    return rows[:, low[1]] * (1 - part[1]) + rows[:, low[1] + 1] * part[1]


def _binned(image: np.ndarray, step: int) -> NDArray[np.float32]:
    rows, columns = (n // step for n in image.shape)
    if not rows or not columns:
        raise ValueError(f"an image of {image.shape} px is smaller than one particle")
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _border(flat: np.ndarray) -> NDArray[np.bool_]:
    """Rows and columns at the sides that somebody has filled with one value or with their neighbours."""
    filled = np.zeros(flat.shape, bool)
    for axis in (0, 1):
        change = np.abs(np.diff(flat, axis=axis)).mean(axis=1 - axis)
        usual, n = float(np.median(change)), len(change)
        low = np.flatnonzero(change < FILLED * usual)
        before, after = low[low < BORDER * n], low[low >= (1 - BORDER) * n]
        rows = np.zeros(n + 1, bool)
        if len(before):
            rows[: before[-1] + 2] = True
        if len(after):
            rows[after[0] :] = True
        filled |= rows[:, None] if axis == 0 else rows
    return filled


def _film(content: Content, shape: tuple[int, ...], step: int, beyond: float) -> NDArray[np.bool_]:
    """Where film is, and as far around it as a particle that touches it reaches, in binned pixels."""
    if content.carbon < LEAST:
        return np.zeros(shape, bool)
    at = [
        np.minimum(np.arange(n) * step // content.side, m - 1) for n, m in zip(shape, content.film.shape, strict=True)
    ]
    film = content.film[np.ix_(*at)]
    return ndimage.distance_transform_edt(~film) <= beyond


def _ridges(low: np.ndarray, use: np.ndarray, size: float) -> NDArray[np.bool_]:
    """Bright lines much longer than a particle, which the lens draws along the edge of film, and what lies at them.

    Nothing that is dark is taken for an edge: particles are dark, and lie side by side.
    """
    high = -np.where(use, low - np.median(low[use]), 0)
    usual = 1.4826 * float(np.median(high[high > 0])) if (high > 0).any() else 0.0
    labels, count = ndimage.label(high > RIDGE * usual)
    edges = np.zeros(low.shape, bool)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if math.hypot(*(part.stop - part.start for part in box)) > LONG * size:
            edges[box] |= labels[box] == number
    return ndimage.distance_transform_edt(~edges) <= 0.6 * size if edges.any() else edges


def _relative(
    flat: np.ndarray, film: np.ndarray, size: float, wide: float, opaque: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Part of the electrons that is missing against the background, and where it is more than a particle can take.

    Dirt pulls the background down beside it; so the background is measured anew without the dirt that was found.
    """
    dirt = np.zeros(flat.shape, bool)
    for _ in range(3):
        weight = (~(film | dirt)).astype(np.float32)
        background = smooth(flat * weight, wide) / np.maximum(smooth(weight, wide), 1e-3)
        signal = 1 - flat / np.where(background > 0, background, np.inf)
        if opaque == math.inf:
            break
        found = smooth(signal, size / 6) > opaque
        found = ndimage.distance_transform_edt(~found) <= RIM * size if found.any() else found
        if (found == dirt).all():
            break
        dirt = found
    return signal.astype(np.float32), dirt
