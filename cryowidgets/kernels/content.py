"""What a micrograph shows beside its rings: carbon, dirt, crystals of ice, or nothing at all.

Carbon film is grainier than ice. So a map of the local variance between some 7 and 30 Å falls into two levels where the
edge of a hole is in view, one of which reaches the border of the image. No level is asked for: thick ice, thin ice and
doses differ, but within one image there is no other reason for two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.xp import asnumpy, namespace

PIXEL = 3.6
"""Å/px to which the image is binned."""
INNER, OUTER = 4, 4
"""The variance is that within squares of so many binned px, and a mean over so many squares along either side."""
RATIO = 1.2
"""Least ratio of the two levels."""
APART = 5.0
"""Least distance of the two levels in standard deviations within them; a gradient of thickness makes 3.5."""
LEAST = 0.03
"""Share of the image that carbon must cover to be told."""
NOTHING = 0.03
"""Excess of the variance over that of white noise below which there is nothing in the image."""
NOISE_SIDE = 1024
"""Side in px of the part of the image that is looked at for its noise."""
CRYSTAL_BAND = 3.95, 3.5
"""Å: the first three reflections of hexagonal ice, and that of cubic ice."""
CLEARLY = 1.15
"""How far above chance a spot must be: rings and the slope of the background lift some elements over others."""


@dataclass(frozen=True)
class Content:
    """What was seen.

    Attributes
    ----------
    carbon : float
        Share of the image that carbon film covers, 0 to 1.
    dirt : float
        Share of it that is grainy without reaching the border.
    excess : float
        Variance between 7 and 30 Å relative to that of white noise of the same strength, minus one; about 0 where there
        is nothing but electrons.
    spots : float
        Highest element of the spectrum between 3.95 and 3.5 Å relative to the median there; NaN where pixels are too
        coarse or no spectrum was given.
    chance : float
        What noise would reach there in one of a thousand images.
    film : array of bool, (rows, columns)
        Where carbon is, for each square of `side` px.
    side : int
    """

    carbon: float
    dirt: float
    excess: float
    spots: float
    chance: float
    film: NDArray[np.bool_]
    side: int

    @property
    def words(self) -> str:
        """In words, "" where there is nothing to say: some of "empty", "carbon", "dirt", "crystalline ice"."""
        told = {
            "empty": self.excess < NOTHING,
            "carbon": self.carbon >= LEAST,
            "dirt": self.dirt >= LEAST,
            "crystalline ice": self.spots > CLEARLY * self.chance,
        }
        return ", ".join(word for word, true in told.items() if true)


def survey(image: Any, pixel_size: float, spectrum: Spectrum | None = None) -> Content:
    """Look for what is not ice with particles.

    Parameters
    ----------
    image : array, (y, x)
        Aligned sum without dose weighting, any real type.
    pixel_size : float
        Å/px.
    spectrum : Spectrum, optional
        Its power spectrum, in which crystals are looked for.
    """
    xp = namespace(image)
    factor = max(round(PIXEL / pixel_size), 1)
    square = factor * INNER
    rows, columns = (n // square for n in image.shape)
    rows, columns = rows - rows % 2, columns
    if min(rows, columns) < 2 * OUTER:
        raise ValueError(f"An image of {image.shape} px is too small to tell what it shows.")
    # Every second row of squares tells enough, in half of the time.
    part = xp.reshape(image[: rows * square, : columns * square], (rows, square, columns * square))[::2, :, :]
    part = xp.reshape(xp.astype(part, xp.float32, copy=False), (rows * INNER // 2, factor, columns * square))
    binned = xp.reshape(xp.sum(part, axis=1), (rows * INNER // 2, columns * INNER, factor))
    binned = xp.sum(binned, axis=2) / factor**2
    binned = binned - xp.mean(binned)
    blocks = xp.reshape(binned, (rows // 2, INNER, columns, INNER))
    mean = xp.mean(blocks, axis=(1, 3))
    variance = asnumpy(xp.mean(blocks * blocks, axis=(1, 3)) - mean * mean) * (INNER**2 / (INNER**2 - 1))
    rows, columns = rows // OUTER, columns // OUTER
    grain = variance[: rows * OUTER // 2, : columns * OUTER].reshape(rows, OUTER // 2, columns, OUTER).mean(axis=(1, 3))
    grain = grain.astype(np.float64)
    rough = _two_levels(np.maximum(grain, 1e-30))
    film = _from_the_border(rough)
    part = image[: min(NOISE_SIDE, image.shape[0]), : min(NOISE_SIDE, image.shape[1])]
    white = _noise(xp.astype(part, xp.float32)) / factor**2
    smooth = grain[~rough]
    spots, chance = (math.nan, math.nan) if spectrum is None else _spots(spectrum)
    return Content(
        carbon=float(film.mean()),
        dirt=float((rough & ~film).mean()),
        excess=float(np.median(smooth)) / max(white, 1e-30) - 1,
        spots=spots,
        chance=chance,
        film=film,
        side=square * OUTER,
    )


def _two_levels(grain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the upper of two levels is; nowhere if there is one only."""
    values = ndimage.uniform_filter(np.log(grain), 3, mode="nearest")  # film is not a single square
    ordered = np.sort(values.ravel())
    n = len(ordered)
    low = np.arange(1, n)
    sums = np.cumsum(ordered)[:-1]
    total, squares = ordered.sum(), float(np.sum(ordered**2))
    means = sums / low, (total - sums) / (n - low)
    between = low * (n - low) * (means[1] - means[0]) ** 2  # Otsu's criterion
    cut = int(np.argmax(between))
    distance = float(means[1][cut] - means[0][cut])
    within = math.sqrt(max((squares - low[cut] * means[0][cut] ** 2 - (n - low[cut]) * means[1][cut] ** 2) / n, 1e-30))
    if distance < math.log(RATIO) or distance < APART * within:
        return np.zeros(grain.shape, bool)
    return np.asarray(values > 0.5 * (ordered[cut] + ordered[cut + 1]))


def _from_the_border(rough: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts that reach the border and are more than a few squares."""
    labels, count = ndimage.label(rough)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    wanted = [part for part in border.tolist() if part and sizes[part] >= LEAST * rough.size]
    return np.isin(labels, wanted)


def _noise(part: Any) -> float:
    """Variance of a pixel by itself, from second mixed differences, which see the finest detail; without hot pixels."""
    xp = namespace(part)
    rows = part[1:, :] - part[:-1, :]
    squares = (rows[:, 1:] - rows[:, :-1]) ** 2
    usual = squares < 25 * float(xp.mean(squares))
    kept = xp.sum(xp.where(usual, squares, xp.zeros_like(squares)), dtype=xp.float64)
    return float(kept) / max(int(xp.sum(xp.astype(usual, xp.int64))), 1) / 4


def _spots(spectrum: Spectrum) -> tuple[float, float]:
    """Highest element of the band over the median, and the value that chance exceeds in one of a thousand."""
    power = asnumpy(spectrum.power)
    box = power.shape[0]
    y = np.fft.fftfreq(box, spectrum.pixel_size)[:, None]
    x = np.fft.rfftfreq(box, spectrum.pixel_size)[None, :]
    k = np.sqrt(x * x + y * y)
    inside = (k > 1 / CRYSTAL_BAND[0]) & (k < 1 / CRYSTAL_BAND[1])
    inside[:, :2] = inside[:2] = inside[-1] = False
    if k[0, -1] < 1 / CRYSTAL_BAND[1] or not inside.any():
        return math.nan, math.nan
    # The mean power of n independent tiles follows a gamma distribution; overlapping ones are fewer.
    tiles = max(0.8 * spectrum.tiles, 1.0)
    chance = special.gammainccinv(tiles, 1e-3 / np.count_nonzero(inside)) / special.gammaincinv(tiles, 0.5)
    return float(power[inside].max() / np.median(power[inside])), float(chance)
