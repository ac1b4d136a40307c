"""Particles as blobs: places where a filter of about their size answers far above what the noise can do.

The Laplacian of a Gaussian of RELION (Zivanov et al., eLife 7 (2018) e42166, doi:10.7554/eLife.42166) and the
difference of two Gaussians of Appion's DoG picker (Voss et al., J. Struct. Biol. 166 (2009) 205,
doi:10.1016/j.jsb.2009.01.004). What is ours is the scale of the scores: they are in standard deviations of the noise of
the electrons at that place, which is measured at high frequencies, where nothing else is seen. So one threshold holds
for thin ice, thick ice and any dose, and an image of nothing gives nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from cryowidgets.cpu import threads
from cryowidgets.kernels.content import LEAST, Content, survey
from cryowidgets.kernels.xp import asnumpy

PER_DIAMETER = 16
"""Binned pixels across the smallest particle."""
BACKGROUND = 1.5
"""Standard deviation of the background in diameters of the largest particle."""
OPAQUE = 0.15
"""Part of the electrons that no particle takes away: more is dirt."""
STRANGE = 6.0
"""The same in standard deviations, of images whose values are no counts."""
FILTERED = 6.0
"""The emptiest places of an image vary by less than so many times the noise of its highest frequencies, or those were
filtered away."""
CHANCE = 0.05
"""Places that noise alone may give in a micrograph, where no threshold is given."""
FALSE = 0.02
"""Part of the places that may be noise, where there are more of them than that."""
LOWEST = 3.5
"""No lower threshold is chosen."""
STEPS = 3
"""Diameters tried between the smallest and the largest."""


@dataclass(frozen=True)
class Found:
    """Places and how sure they are, the surest first.

    Attributes
    ----------
    places : (n, 2)
        y, x in px of the micrograph.
    scores : (n,)
        Standard deviations of the noise.
    diameters : (n,)
        Å, of the filter that answers most.
    threshold : float
        Least score.
    power : (n,)
        Mean part of the electrons that is missing (or, in negative contrast, too many) within half a diameter.
    refused : float
        Share of the micrograph where nothing was looked for: film, dirt and edges.
    """

    places: NDArray[np.float64]
    scores: NDArray[np.float64]
    diameters: NDArray[np.float64]
    power: NDArray[np.float64]
    threshold: float
    refused: float


def find(
    image: Any,
    pixel_size: float,
    smallest: float,
    largest: float,
    threshold: float | None = None,
    apart: float = 0.0,
    bright: bool = False,
    ratio: float = 0.0,
    masked: bool = True,
) -> Found:
    """Look for particles.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    smallest, largest : float
        Diameters of the particles, Å.
    threshold : float, optional
        Least score in standard deviations of the noise. By default what noise alone reaches in `CHANCE` places of a
        micrograph, about 4.5 to 5; where there are many particles lower, until noise makes `FALSE` of the places.
    apart : float
        Least distance of two particles, Å; 0 for 0.6 of the mean diameter.
    bright : bool
        Particles are brighter than the ice, as in negative stain that was inverted.
    ratio : float
        Of the widths of two Gaussians whose difference is the filter, 1.05 to 3; 0 for the Laplacian of one.
    masked : bool
        Look for nothing on carbon film and dirt.
    """
    image = asnumpy(image)
    step = max(1, round(smallest / PER_DIAMETER / pixel_size))
    pixel = pixel_size * step
    flat = _binned(image, step)
    wide, middle = BACKGROUND * largest / pixel, math.sqrt(smallest * largest)
    diameters = np.geomspace(smallest, largest, STEPS if largest > smallest else 1)
    whole, none = np.ones(flat.shape, bool), np.zeros(flat.shape, bool)
    signal, _ = _relative(flat, none, smallest / pixel, wide, math.inf)
    sigma = _noise(signal, whole, wide)
    if not np.isfinite(sigma).all():
        return _nothing(threshold or math.inf, 1.0)
    floor = _emptiest(_answers(signal / sigma, pixel, np.array([middle]), ratio)[0][0], whole, middle / pixel)
    film, opaque = none, math.inf
    if masked and floor < FILTERED:
        film, opaque = _film(survey(image, pixel_size), flat.shape, step, 0.5 * largest / pixel), OPAQUE
    elif masked:
        low = _smooth(signal, smallest / pixel / 6)
        opaque = STRANGE * 1.4826 * float(np.median(np.abs(low - np.median(low))))
    signal, dirt = _relative(flat, film, smallest / pixel, wide, opaque)
    use = ~(film | dirt)
    if not use.any():
        return _nothing(threshold or math.inf, 1.0)
    if floor < FILTERED:
        sigma = _noise(signal, use, wide)
    else:
        sigma = np.full_like(sigma, np.sqrt(np.mean(np.square(signal[use]))))
    signal = np.where(use, signal, 0) * (-1 if bright else 1)
    answers, spreads = _answers(signal / sigma, pixel, diameters, ratio)
    if floor >= FILTERED:
        answers /= np.float32(_emptiest(answers[len(answers) // 2], use, middle / pixel))
    score = answers.max(axis=0)

    margin = math.ceil(0.5 * smallest / pixel)
    inner = np.zeros_like(use)
    inner[margin : flat.shape[0] - margin, margin : flat.shape[1] - margin] = True
    use &= inner
    radius = (apart or 0.3 * (smallest + largest)) / pixel
    cells = len(diameters) * use.sum() / (0.5 * diameters[0] / pixel) ** 2
    top = use & (score > (threshold if threshold is not None else LOWEST if floor < FILTERED else 0.5))
    y, x = _maxima(np.where(top, score, -np.inf), radius)
    least = threshold
    if least is None:
        least = _level(score[y, x], cells) if floor < FILTERED else _two_kinds(score[y, x])
    above = score[y, x] > least
    y, x = y[above], x[above]
    power = ndimage.gaussian_filter(signal, 0.25 * smallest / pixel)[y, x]
    places = np.stack(_refined(score, y, x), axis=-1)
    return Found(
        (places + 0.5) * step - 0.5,
        score[y, x].astype(np.float64),
        diameters[(answers[:, y, x] * spreads[:, None]).argmax(axis=0)],
        power.astype(np.float64),
        float(least),
        1.0 - float(use.mean()),
    )


def _nothing(threshold: float, refused: float) -> Found:
    none = np.zeros(0)
    return Found(np.zeros((0, 2)), none, none, none, threshold, refused)


def _binned(image: np.ndarray, step: int) -> NDArray[np.float32]:
    rows, columns = (n // step for n in image.shape)
    if not rows or not columns:
        raise ValueError(f"an image of {image.shape} px is smaller than one particle")
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _film(content: Content, shape: tuple[int, ...], step: int, beyond: float) -> NDArray[np.bool_]:
    """Where film is, and as far around it as a particle that touches it reaches, in binned pixels."""
    if content.carbon < LEAST:
        return np.zeros(shape, bool)
    at = [
        np.minimum(np.arange(n) * step // content.side, m - 1) for n, m in zip(shape, content.film.shape, strict=True)
    ]
    film = content.film[np.ix_(*at)]
    return ndimage.distance_transform_edt(~film) <= beyond


def _relative(
    flat: np.ndarray, film: np.ndarray, size: float, wide: float, opaque: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Part of the electrons that is missing against the background, and where it is more than a particle can take.

    Dirt pulls the background down beside it; so the background is measured anew without the dirt that was found.
    """
    dirt = np.zeros(flat.shape, bool)
    for _ in range(3):
        weight = (~(film | dirt)).astype(np.float32)
        background = _smooth(flat * weight, wide) / np.maximum(_smooth(weight, wide), 1e-3)
        signal = 1 - flat / np.where(background > 0, background, np.inf)
        if opaque == math.inf:
            break
        found = _smooth(signal, size / 6) > opaque
        found = ndimage.distance_transform_edt(~found) <= 0.3 * size if found.any() else found
        if (found == dirt).all():
            break
        dirt = found
    return signal.astype(np.float32), dirt


def _noise(signal: np.ndarray, use: np.ndarray, wide: float) -> NDArray[np.float32]:
    """Standard deviation of the noise of a binned pixel, at each of them, from the highest frequencies."""
    corner = signal[1:, 1:] - signal[:-1, 1:] - signal[1:, :-1] + signal[:-1, :-1]
    square = np.pad(corner * corner, ((1, 0), (1, 0)))
    weight = use.astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        local = _smooth(square * weight, wide) / np.maximum(_smooth(weight, wide), 1e-3) / 4
        mean = square[use].mean() / 4 if use.any() else math.nan
    if not mean > 0:
        return np.full(signal.shape, np.nan, np.float32)
    return np.sqrt(np.maximum(local, 0.04 * mean)).astype(np.float32)


def _emptiest(answer: np.ndarray, use: np.ndarray, diameter: float) -> float:
    """Standard deviation of an answer where it varies least, from windows of one diameter: of pure noise about 1."""
    side = max(3, round(diameter))
    share = ndimage.uniform_filter(use.astype(np.float32), side)
    local = np.sqrt(np.maximum(ndimage.uniform_filter(np.where(use, answer, 0) ** 2, side), 0))
    inside = local[side:-side:2, side:-side:2][share[side:-side:2, side:-side:2] > 0.999]
    # Windows of pure noise vary by chance: a tenth of them show less than 0.6 of it.
    return float(np.percentile(inside, 10)) / 0.6 if inside.size else 1.0


def _answers(
    signal: np.ndarray, pixel: float, diameters: np.ndarray, ratio: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What filters of each diameter (Å) say, (filters, y, x), in deviations that white noise of variance 1 gives them.

    And these deviations: an answer times its own tells, of a series of filters, which one has the size of the particle;
    without, the larger one always gains from the noise that it leaves out.
    """
    height, width = signal.shape
    half = fft.rfft2(signal, workers=threads())
    y, x = np.fft.fftfreq(height, pixel)[:, None], np.fft.rfftfreq(width, pixel)[None, :]
    squared = (y * y + x * x).astype(np.float32)
    twice = np.full(squared.shape[1], 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    found = np.empty((len(diameters), height, width), np.float32)
    spreads = np.empty(len(diameters))
    for i, (answer, diameter) in enumerate(zip(found, diameters, strict=True)):
        shape = difference(squared, diameter, ratio) if ratio else laplacian(squared, diameter)
        spreads[i] = math.sqrt(float((shape**2 * twice).sum(dtype=np.float64)) / (height * width))
        answer[:] = fft.irfft2(half * (shape / np.float32(spreads[i])), s=signal.shape, workers=threads())
    return found, spreads


def laplacian(squared: Any, diameter: float) -> Any:
    """Laplacian of a Gaussian for a diameter in Å, at squared frequencies in 1/Å²; positive on a particle."""
    width = 1 / (2 * diameter)  # of the filter, 1/Å; the Gaussian's in real space is the diameter over π
    scaled = squared / np.float32(width * width)
    return scaled * np.exp(-0.5 * scaled)


def difference(squared: Any, diameter: float, ratio: float) -> Any:
    """Difference of two Gaussians whose widths have a ratio and which cancels at the rim of the particle."""
    narrow = 0.5 * diameter * math.sqrt((ratio**2 - 1) / (4 * ratio**2 * math.log(ratio)))
    scaled = -2 * math.pi**2 * narrow * narrow * squared
    return np.exp(scaled) - np.exp(np.float32(ratio * ratio) * scaled)


def _maxima(score: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Highest places first, none within `radius` of a higher one that was taken."""
    y, x = np.nonzero((score == ndimage.maximum_filter(score, 3)) & np.isfinite(score))
    order = np.argsort(-score[y, x], kind="stable")
    y, x = y[order], x[order]
    places = np.stack([y, x], axis=-1)
    taken = np.zeros(len(y), bool)
    free = np.ones(len(y), bool)
    near = cKDTree(places).query_ball_point(places, radius) if len(y) else []
    for i, around in enumerate(near):
        if free[i]:
            taken[i] = True
            free[around] = False
    return y[taken], x[taken]


def _level(scores: np.ndarray, cells: float) -> float:
    """Threshold for sorted scores, the highest first, in an image of so many `cells`, squares of a filter's radius."""
    levels = np.arange(LOWEST, 9.0, 0.05)
    noise = expected_by_chance(levels, cells)
    found = np.searchsorted(-scores, -levels)
    sure = levels[np.argmax(noise <= CHANCE)]
    return float(min(sure, levels[np.argmax(noise <= np.maximum(CHANCE, FALSE * found))]))


def _two_kinds(scores: np.ndarray) -> float:
    """Threshold between two kinds of maxima (Otsu, IEEE Trans. SMC 9 (1979) 62): where noise is not what it was."""
    if len(scores) < 2:
        return math.inf
    ranks = np.arange(1, len(scores))
    sums = np.cumsum(scores)
    above, below = sums[:-1] / ranks, (sums[-1] - sums[:-1]) / (len(scores) - ranks)
    return float(scores[int(np.argmax(ranks * (len(scores) - ranks) * np.square(above - below))) + 1])


def expected_by_chance(level: Any, cells: float) -> Any:
    """Maxima of a smooth field of Gaussian noise above a high level, in standard deviations.

    Their density goes as (t² − 1) exp(−t²/2) (Adler, The Geometry of Random Fields, 1981, ch. 6).
    """
    return cells * (level**2 - 1) * np.exp(-0.5 * level**2) / (2 * math.pi) ** 1.5


def _refined(score: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tops of parabolas through maxima and their neighbours: a fraction of a binned pixel."""

    def offset(below: np.ndarray, at: np.ndarray, above: np.ndarray) -> np.ndarray:
        bend = below - 2 * at + above
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(bend < 0, np.clip(0.5 * (below - above) / bend, -0.5, 0.5), 0.0)

    at = score[y, x].astype(np.float64)
    return (
        y + offset(score[y - 1, x], at, score[y + 1, x]),
        x + offset(score[y, x - 1], at, score[y, x + 1]),
    )


def _smooth(image: np.ndarray, sigma: float) -> NDArray[np.float32]:
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
