"""Particles as what looks unlike the ice around it: no size but a rough one, no template, no shape.

In the spirit of APPLE (Heimowitz, Andén & Singer, J. Struct. Biol. 204 (2018) 215, doi:10.1016/j.jsb.2018.08.012):
windows of an image are correlated with some of its own that vary most and least; those to which many answer
are particles, those to which few do are noise, and what lies between is sorted by the mean and the deviation of windows
alone. There, a support vector machine draws the border. Here, it is the border between two Gaussians (quadratic
discriminant), which needs no parameter. A place counts only where its window differs from white noise, in the way in
which particles do, by more than chance; so an image of nothing gives nothing.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from cryowidgets.kernels import peaks
from cryowidgets.kernels.ground import ground
from cryowidgets.kernels.peaks import LOWEST, Found

WINDOW = 2 / 3
"""Side of a window in diameters."""
COARSE = 2
"""Pixels of the ground that are one when windows are correlated."""
CONTAINER = 6.0
"""Side, in diameters, of the parts of an image of which each gives four references: those that vary most and least, and
those of the highest and lowest mean."""
REFERENCES = 100
"""No more references are taken."""
ANSWER = 0.05
"""Part of the range of all answers, from the least on, above which a window answers to a reference."""
PARTICLES, NOISE = 0.03, 0.5
"""Parts of the windows: the most answered, and the least answered, of which the two kinds are learnt."""
SMALLEST = 0.4
"""Diameters: what is thinner at its thickest is no particle."""

FEWEST = 20
"""Windows, less than which tell nothing."""
_TOGETHER = 16  # references whose answers are held in memory

Gaussian = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean (2,) and covariance (2, 2)."""


def find(
    image: Any,
    pixel_size: float,
    diameter: float,
    threshold: float | None = None,
    apart: float = 0.0,
    bright: bool = False,
    masked: bool = True,
) -> Found:
    """Look for particles.

    Parameters
    ----------
    image : array (y, x)
        Aligned sum, any real type; counts, not normalised.
    pixel_size : float
        Å/px.
    diameter : float
        Of the particles, Å; half or twice of it will do.
    threshold : float, optional
        Least score: by how many standard deviations of the noise a window differs from noise in the way in which
        particles do. By default that which promises the highest F1: see `peaks.level`.
    apart : float
        Least distance of two particles, Å; 0 for 0.6 of the diameter.
    bright, masked : bool
        As for blobs.
    """
    seen = ground(image, pixel_size, diameter, diameter, bright, masked)
    if seen is None:
        return peaks.nothing(threshold, 1.0)
    size = diameter / seen.pixel
    white = (seen.signal / seen.noise).astype(np.float32)
    looks = features(white, size)
    if not seen.counts:
        looks = _standard(looks, seen.use)
    answered, sites = answers(white, seen.use, size)
    if not len(sites):
        return peaks.nothing(threshold, seen.refused)
    at = looks[:, sites[:, 0], sites[:, 1]].T.astype(np.float64)
    noise, kind = learn(at, answered, 1.0 if seen.counts else 0.25)
    likelier = _log_density(looks, *kind) > _log_density(looks, *noise)
    toward = np.linalg.solve(noise[1], kind[0] - noise[0])
    toward /= max(float(np.hypot(*toward)), 1e-12)
    score = np.tensordot(toward, looks, 1).astype(np.float32)
    thick = max(1, round(0.5 * SMALLEST * size))
    y, x = np.ogrid[-thick : thick + 1, -thick : thick + 1]
    likelier = ndimage.binary_opening(likelier & seen.use, y * y + x * x <= thick * thick)
    smooth = ndimage.gaussian_filter(score, size / 8)
    least = threshold if threshold is not None else LOWEST if seen.counts else 0.5
    y, x = peaks.maxima(smooth, (apart or 0.6 * diameter) / seen.pixel, use=likelier & (score > least))
    order = np.argsort(-score[y, x], kind="stable")
    y, x = y[order], x[order]
    if threshold is None and seen.counts:
        density = (0.5 * WINDOW * size) ** -2
        least = peaks.threshold(score[y, x], np.stack([y, x], axis=-1), seen.use, density, size)
    above = score[y, x] > least
    y, x = y[above], x[above]
    return Found(
        seen.whole(np.stack(peaks.refined(smooth, y, x), axis=-1)),
        score[y, x].astype(np.float64),
        np.full(len(y), float(diameter)),
        float(least),
        seen.refused,
    )


def features(white: np.ndarray, size: float) -> NDArray[np.float32]:
    """Mean and deviation of the window around each pixel, (2, y, x): of white noise, both have mean 0 and deviation 1.

    The deviation is that of an image that has lost its finest grain; its distribution is made normal by its cubic root
    (Wilson & Hilferty, PNAS 17 (1931) 684).
    """
    side = max(3, 2 * round(0.5 * WINDOW * size) - 1)
    mean = ndimage.uniform_filter(white, side) * np.float32(side)
    width = max(size / 14, 0.6)
    lags = np.arange(-side + 1, side)
    like = np.exp(-(lags[:, None] ** 2 + lags**2) / (4 * width**2))  # of softened noise with itself
    pairs = (side - np.abs(lags[:, None])) * (side - np.abs(lags)) / side**4
    lost, free = float((like * pairs).sum()), 1 / float((like**2 * pairs).sum())
    soft = ndimage.gaussian_filter(white, width)
    variance = ndimage.uniform_filter(np.square(soft), side) - np.square(ndimage.uniform_filter(soft, side))
    power = _softened(width) * (1 - lost)
    spread = 2 / (9 * max(free - 1, 1.0))
    root = np.cbrt(np.maximum(variance / np.float32(power), 0))
    return np.stack([mean, (root - np.float32(1 - spread)) / np.float32(spread**0.5)])


def answers(white: np.ndarray, use: np.ndarray, size: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How many references each of the windows of an image answers to, and the middles (n, 2) of the windows."""
    shape = [n // COARSE * COARSE for n in white.shape]
    small = white[: shape[0], : shape[1]].reshape(shape[0] // COARSE, COARSE, shape[1] // COARSE, COARSE)
    small = small.mean(axis=(1, 3))
    blocks = use[: shape[0], : shape[1]].reshape(shape[0] // COARSE, COARSE, shape[1] // COARSE, COARSE)
    free = np.asarray(blocks.all(axis=(1, 3)))
    side = max(3, round(WINDOW * size / COARSE))
    half = side // 2
    lines = [np.arange(side, n - side, half) for n in small.shape]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
    inside = free[grid[:, 0], grid[:, 1]] if len(grid) else np.zeros(0, bool)
    if np.count_nonzero(inside) < FEWEST:
        return np.zeros(0), np.zeros((0, 2), np.int64)
    grid = grid[inside]
    mean = ndimage.uniform_filter(small, side)
    vary = ndimage.uniform_filter(np.square(small), side) - np.square(mean)
    chosen = _references(grid, mean[tuple(grid.T)], vary[tuple(grid.T)], CONTAINER * size / COARSE)
    windows = sliding_window_view(small, (side, side))
    pictures = windows[chosen[:, 0] - half, chosen[:, 1] - half].reshape(len(chosen), -1)
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    hits = np.zeros(len(grid))
    every = windows.reshape(-1, side * side)
    for first in range(0, len(pictures), _TOGETHER):
        like = (pictures[first : first + _TOGETHER] @ every.T).reshape(-1, *windows.shape[:2])
        found = _stand_out(like, lines, side)[:, inside]
        low, high = found.min(axis=1, keepdims=True), found.max(axis=1, keepdims=True)
        hits += (found > low + ANSWER * (high - low)).sum(axis=0)
    return hits, grid * COARSE + COARSE // 2


def _stand_out(like: np.ndarray, lines: list[np.ndarray], side: int) -> np.ndarray:
    """The highest of the answers (n, y, x) around each window on a grid, less their mean: (n, windows).

    An answer stands at the corner of its window, `lines` are the middles.
    """
    top, total = like, like
    for axis, line in ((2, lines[1]), (1, lines[0])):
        step, first = int(line[1] - line[0]) if len(line) > 1 else 1, int(line[0]) - 2 * (side // 2)
        parts = [slice(first + i, first + i + step * (len(line) - 1) + 1, step) for i in range(side)]
        at: list[tuple[slice, ...]] = [(slice(None),) * axis + (part,) for part in parts]
        top, total = reduce(np.maximum, [top[i] for i in at]), reduce(np.add, [total[i] for i in at])
    return (top - total / np.float32(side * side)).reshape(len(like), -1)


def learn(looks: np.ndarray, answered: np.ndarray, least: float, rounds: int = 10) -> tuple[Gaussian, Gaussian]:
    """Mean and covariance of the features of noise, and those of particles.

    Parameters
    ----------
    looks : (n, 2)
        Features of windows.
    answered : (n,)
        How many references each answers to.
    least : float
        Variance that features of either kind have at least.
    rounds : int
        Of expectation and maximisation, by which the windows that lie between are sorted too. Noise stays what it was:
        in a crowded image it would take over.
    """
    order = np.argsort(answered, kind="stable")
    noise = _gaussian(looks[order[: int(NOISE * len(order))]], least)
    dense = order[looks[order, 0] > np.median(looks[:, 0])]  # what lies between crowded particles varies as much
    kind = _gaussian(looks[dense[-max(int(PARTICLES * len(order)), 8) :]], least)
    share = 0.2
    for _ in range(rounds):
        odds = _log_density(looks.T, *kind) - _log_density(looks.T, *noise) + np.log(share / (1 - share))
        belongs = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        share = float(np.clip(belongs.mean(), 0.02, 0.6))
        if belongs.sum() < 8:
            break
        kind = _gaussian(looks, least, belongs)
    return noise, kind


def _gaussian(looks: np.ndarray, least: float, weights: np.ndarray | None = None) -> Gaussian:
    weights = np.ones(len(looks)) if weights is None else weights
    mean = np.average(looks, axis=0, weights=weights)
    away = looks - mean
    lengths, directions = np.linalg.eigh((weights[:, None] * away).T @ away / weights.sum())
    return mean, (directions * np.maximum(lengths, least)) @ directions.T


def _log_density(looks: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Of a Gaussian, less a constant, at features (2, …)."""
    inverse = np.linalg.inv(covariance)
    a, b = looks[0] - mean[0], looks[1] - mean[1]
    square = inverse[0, 0] * a * a + 2 * inverse[0, 1] * a * b + inverse[1, 1] * b * b
    return -0.5 * (square + np.log(np.linalg.det(covariance)))


def _references(grid: np.ndarray, mean: np.ndarray, vary: np.ndarray, side: float) -> NDArray[np.int64]:
    """Middles of the windows of the highest and lowest mean and variance in each part of an image."""
    part = (grid // max(side, 1)).astype(int)
    label = part[:, 0] * (part[:, 1].max() + 1) + part[:, 1]
    chosen = []
    for number in np.unique(label):
        inside = np.flatnonzero(label == number)
        for values in (mean, vary):
            chosen += [inside[np.argmin(values[inside])], inside[np.argmax(values[inside])]]
    once = np.unique(chosen)
    return grid[once[:: max(1, -(-len(once) // REFERENCES))]]


def _softened(width: float) -> float:
    """Variance of white noise after a Gaussian of that width."""
    n = np.arange(-int(4 * width + 1), int(4 * width + 1) + 1)
    one = np.exp(-0.5 * (n / width) ** 2)
    return float((np.square(one).sum() / one.sum() ** 2) ** 2)


def _standard(looks: np.ndarray, use: np.ndarray) -> NDArray[np.float32]:
    """Features less their median and over their spread, where the noise is not what it was."""
    middle = np.median(looks[:, use], axis=1)[:, None, None]
    spread = 1.4826 * np.median(np.abs(looks - middle)[:, use], axis=1)[:, None, None]
    return ((looks - middle) / np.maximum(spread, 1e-6)).astype(np.float32)
