"""The gain of a camera from the movies that it took, and what is wrong with the gain that is used.

Counts of a pixel are Poisson with the mean S·L: its sensitivity S, and the light L, which is smooth and differs from
movie to movie. So the sum T of raw frames of many movies, divided by its own smooth version, is the most likely S: as
smoothing is linear, one sum is all that has to be kept. The error of a pixel with N counts is 1/√N. What all pixels of
a column or a row have in common is known far better, and the rest is pulled towards none in proportion to how much of
its spread is noise (shrinkage, James & Stein 1961), which is better than either 1/√N or no gain at all.

Scales of more than some 150 px cannot be told from light and are left as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.kernels.gain import find_defects
from cryowidgets.kernels.orientation import pattern
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

SMOOTHING = 64.0
"""px, standard deviation of the Gaussian that light is taken to be smooth over."""

SIGMAS = 6.0
"""How far a residual must stand out of chance to be spoken of."""

_BLOCK = 16


@dataclass(frozen=True)
class Estimate:
    """A gain from data.

    Attributes
    ----------
    gain : array (y, x), float32
        Multiplies raw frames; its mean is 1, and zero marks defects.
    counts : float
        Per pixel, of all movies: N.
    spread : float
        Standard deviation of the sensitivity from pixel to pixel, its noise taken out.
    error : float
        Expected root mean square error of the gain, relative.
    needed : float
        Counts per pixel from which on the gain is worth being used: 4/spread², where its signal is twice its noise.
    defects : int
        How many pixels are.
    """

    gain: Any
    counts: float
    spread: float
    error: float
    needed: float
    defects: int

    @property
    def usable(self) -> bool:
        return self.counts >= self.needed


@dataclass(frozen=True)
class Figures:
    """What Sorzano et al. (2018, doi:10.1016/j.jsb.2018.04.003) watch of a gain: by defects that come it becomes wider.

    Attributes
    ----------
    deviation : float
        Standard deviation.
    width : float
        97.5th percentile over the 2.5th.
    peak : float
        Largest over the 97.5th percentile.
    """

    deviation: float
    width: float
    peak: float


def estimate(total: Any, shrink: bool = True) -> Estimate:
    """Estimate the gain from the sum of raw frames of many movies.

    Parameters
    ----------
    total : array (y, x)
        Sum of raw counts.
    shrink : bool
        Pull pixels towards what their column and row have in common, as far as their spread is noise.
    """
    xp = namespace(total)
    bad = to_device(find_defects(total).mask(), total)
    counts = xp.astype(total, xp.float32)
    counts = xp.where(bad, xp.zeros_like(counts), counts)
    good = xp.astype(~bad, xp.float32)
    share = max(float(xp.mean(good)), 1e-9)
    level = smooth(counts, good)
    one = xp.ones_like(counts)
    lit = (level > 0) & ~bad
    relative = xp.where(lit, counts / xp.where(level > 0, level, one) - 1, xp.zeros_like(counts))
    # The smooth of a product is not the product of the smooth ones: what is left of the smooth is taken out again.
    relative = xp.where(lit, relative - smooth(relative, good), xp.zeros_like(counts))
    lines, rest = _split(relative, good)
    mean = float(xp.sum(counts) / xp.sum(good)) if share > 1e-6 else 0.0
    noise = 1 / mean if mean > 0 else math.inf
    variance = max(_variance(rest, ~lit) - noise, 0.0)
    keep = variance / (variance + noise) if shrink and math.isfinite(noise) else 1.0
    sensitivity = 1 + lines + keep * rest
    gain = xp.where(lit & (sensitivity > 0), 1 / xp.where(sensitivity > 0, sensitivity, one), xp.zeros_like(counts))
    scale = float(xp.sum(gain)) / max(int(xp.sum(xp.astype(lit, xp.int64))), 1)
    common = _variance(lines, ~lit)
    error = math.sqrt(variance * noise / (variance + noise)) if keep < 1 else math.sqrt(noise)
    return Estimate(
        gain=xp.astype(gain / (scale or 1.0), xp.float32),
        counts=mean,
        spread=math.sqrt(variance + common),
        error=error,
        needed=4 / (variance + common) if variance + common > 0 else math.inf,
        defects=int(xp.sum(xp.astype(bad, xp.int64))),
    )


def roughness(total: Any) -> float:
    """How far the light in a movie is from smooth, of the sum of its raw frames: large with edges of carbon or ice."""
    xp = namespace(total)
    image = xp.astype(total, xp.float32)
    blocks = asnumpy(_block_means(image)).astype(np.float64)
    level = asnumpy(_block_means(smooth(image))).astype(np.float64)
    usable = level > 0
    return float(np.std(blocks[usable] / level[usable])) if usable.any() else math.inf


def residual(total: Any, gain: Any) -> tuple[float, float]:
    """How much of a gain's own pattern is left in frames that were multiplied with it.

    Parameters
    ----------
    total : array (y, x)
        Sum of raw frames, of one movie or many.
    gain : array (y, x)
        What multiplies them.

    Returns
    -------
    (float, float)
        The share and its standard error. It is 0 where the gain is right, and −1 where frames get a pattern that they
        did not have: the gain of another camera or orientation, or of frames that were corrected before. In between
        lies one that has aged, or that is noisy itself.
    """
    xp = namespace(total, gain)
    known = xp.isfinite(gain) & (gain > 0)
    corrected = xp.where(known, xp.astype(total, gain.dtype) * gain, xp.full_like(gain, float("nan")))
    left, left_size, some = pattern(corrected, counts=True)
    own, own_size, others = pattern(gain, counts=False)
    if min(some, others) < 0.5 or own_size == 0:
        return math.nan, math.nan
    ratio = left_size / own_size
    return float(xp.sum(left * own)) * ratio, ratio / math.sqrt(math.prod(left.shape))


def figures(gain: Any) -> Figures:
    """The monitor's figures of a gain, or of the gain that is left over once frames are corrected."""
    values = asnumpy(gain).astype(np.float32)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return Figures(math.nan, math.nan, math.nan)
    low, high = np.percentile(values, (2.5, 97.5))
    return Figures(float(values.std(dtype=np.float64)), float(high / low), float(values.max() / high))


def smooth(image: Any, good: Any = None, sigma: float = SMOOTHING) -> Any:
    """An image (y, x) under a Gaussian, mirrored at the edges: float32.

    Means of blocks of 16² px are what is smoothed, so structure finer than that is gone whatever `sigma`.

    Parameters
    ----------
    good : array (y, x), optional
        1 at pixels to be used and 0 at others, which must be 0 in `image`.
    """
    xp = namespace(image)
    means = _block_means(xp.astype(image, xp.float32))
    rows, columns = (
        to_device(_weights(n, sigma / min(_BLOCK, side)), image)
        for n, side in zip(means.shape, image.shape, strict=True)
    )
    level = rows @ means @ columns.T
    if good is not None:
        level = level / xp.clip(rows @ _block_means(good) @ columns.T, 1e-6, None)
    for axis, length in ((0, image.shape[0]), (1, image.shape[1])):
        level = _stretch(level, length, axis)
    return level


def _weights(blocks: int, sigma: float) -> np.ndarray:
    """Weight of each block along an axis for each other, float32; rows sum to 1. `sigma` is in blocks."""
    place = np.arange(blocks) + 0.5
    weights = np.zeros((blocks, blocks))
    for image in (place, -place, 2 * blocks - place):  # the blocks, and their images in the edges
        weights += np.exp(-0.5 * np.square((place[:, None] - image) / sigma))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _stretch(level: Any, length: int, axis: int) -> Any:
    """From the centres of blocks to pixels, straight lines between them."""
    xp = namespace(level)
    blocks, side = level.shape[axis], min(_BLOCK, length)
    place = np.clip((np.arange(length) + 0.5) / side - 0.5, 0, blocks - 1)
    below = np.minimum(place.astype(np.int64), max(blocks - 2, 0))
    part = to_device((place - below).astype(np.float32), level)
    part = part[:, None] if axis == 0 else part[None, :]
    first = xp.take(level, to_device(below, level), axis=axis)
    second = xp.take(level, to_device(np.minimum(below + 1, blocks - 1), level), axis=axis)
    return first + (second - first) * part


def _block_means(image: Any) -> Any:
    xp = namespace(image)
    height, width = image.shape
    side_y, side_x = min(_BLOCK, height), min(_BLOCK, width)
    ny, nx = height // side_y, width // side_x
    blocks = xp.reshape(image[: ny * side_y, : nx * side_x], (ny, side_y, nx, side_x))
    return xp.mean(blocks, axis=(1, 3))


def _split(relative: Any, good: Any) -> tuple[Any, Any]:
    """What columns and rows have in common, and the rest; both (y, x), zero at defects."""
    xp = namespace(relative)
    lines = xp.zeros_like(relative)
    for axis in (0, 1):
        number = xp.clip(xp.sum(good, axis=axis, keepdims=True), 1, None)
        lines = lines + xp.sum((relative - lines) * good, axis=axis, keepdims=True) / number
    lines = lines * good
    return lines, relative * good - lines


def _variance(values: Any, bad: Any) -> float:
    """Of the values that are not bad, robust against the few that are far out."""
    kept = asnumpy(values)[~asnumpy(bad)].astype(np.float64)
    if not kept.size:
        return 0.0
    limit = 6 * 1.4826 * float(np.median(np.abs(kept[:: max(1, kept.size // 1_000_000)])))
    inside = kept[np.abs(kept) <= limit] if limit > 0 else kept
    return float(np.var(inside)) if inside.size else 0.0
