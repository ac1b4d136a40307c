"""How bright a micrograph is where there is nothing but ice: what a trained picker wants as 0, and its deviation as 1.

Pixels are of two kinds, each a Gaussian of the same deviation: bright ones, which are ice, and dark ones, which are
particles, film or dirt. Few are dark, mostly, which a Beta(900, 1) distribution of the bright ones' share says before
anything was seen. The model is that of Bepler et al., Nat Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8, with
which the networks of Topaz were trained. Here, a histogram is fitted in place of the pixels, so that it takes no time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryowidgets.kernels.fourier import crop, irfft2, rfft2

_ALPHA = 900.0  # of the Beta distribution
_BINS = 1024
_REACH = 10.0  # deviations about the mean that the histogram covers; what lies beyond is counted at its ends
_STARTS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.98)  # shares of bright pixels
_STEPS, _ENOUGH = 200, 1e-3  # iterations; gain of the logarithm of the likelihood below which they end


def standardised(image: Any, scale: int = 1) -> NDArray[np.float32]:
    """A micrograph (y, x), reduced by a factor, with ice of mean 0 and deviation 1; one of a single value becomes 0.

    Rows and columns at its end that do not fill a pixel of the smaller one are left out.
    """
    small = np.asarray(image, np.float32)
    if scale > 1:
        shape = (image.shape[0] // scale, image.shape[1] // scale)
        whole = (shape[0] * scale, shape[1] * scale)
        small = irfft2(crop(rfft2(small[: whole[0], : whole[1]]), whole, shape), shape)
    mean, deviation = ice(small)
    return ((small - mean) / (deviation or 1.0)).astype(np.float32)


def ice(image: Any) -> tuple[float, float]:
    """Mean and deviation of the bright kind of pixels, or of all where one kind explains them as well."""
    image = np.asarray(image, np.float32)
    mean, deviation = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
    if not deviation > 1e-6 * abs(mean):
        return mean, 0.0
    reach = _REACH * deviation
    low, high = max(float(image.min()), mean - reach), min(float(image.max()), mean + reach)
    counts, edges = np.histogram(np.clip(image, low, high), _BINS, (low, high))
    values = (edges[1:] + edges[:-1]) / 2
    alone = _log_sum(counts, _log_gauss(values, mean, deviation**2)) + np.log(_ALPHA)
    best = max(_fit(values, counts, share) for share in _STARTS)
    return best[1:] if best[0] > alone else (mean, deviation)


def _fit(values: np.ndarray, counts: np.ndarray, share: float) -> tuple[float, float, float]:
    """Logarithm of the likelihood, mean and deviation of the bright kind, beginning with a share of bright pixels."""
    total = counts.sum()
    bright = (np.cumsum(counts) > (1 - share) * total).astype(float)
    last = -np.inf
    for _ in range(_STEPS):
        many = np.array([(counts * (1 - bright)).sum(), (counts * bright).sum()])
        if many.min() <= 0:
            return -np.inf, 0.0, 0.0
        share = min((many[1] + _ALPHA - 1) / (total + _ALPHA - 1), 1 - 1e-12)
        dark_mean, mean = (counts * (1 - bright) * values).sum() / many[0], (counts * bright * values).sum() / many[1]
        spread = (1 - bright) * (values - dark_mean) ** 2 + bright * (values - mean) ** 2
        variance = (counts * spread).sum() / total
        as_dark = np.log(1 - share) + _log_gauss(values, dark_mean, variance)
        as_bright = np.log(share) + _log_gauss(values, mean, variance)
        both = np.logaddexp(as_dark, as_bright)
        bright = np.exp(as_bright - both)
        now = _log_sum(counts, both) + np.log(_ALPHA) + (_ALPHA - 1) * np.log(share)
        if now - last <= _ENOUGH:
            break
        last = now
    return float(now), float(mean), float(np.sqrt(variance))


def _log_gauss(values: np.ndarray, mean: float, variance: float) -> np.ndarray:
    return -((values - mean) ** 2) / (2 * variance) - 0.5 * np.log(2 * np.pi * variance)


def _log_sum(counts: np.ndarray, logs: np.ndarray) -> float:
    return float((counts * logs).sum())
