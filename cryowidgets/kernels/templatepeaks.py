"""Peaks of templates taken apart: which of them are particles, and which are what a particle does beside itself.

A template answers not only where its particle is: also beside it, where half of it fits, where the lens has spread its
image, and, by a part of it, where a particle is cut by the edge of the picture. So the highest peak is taken for a
particle, its image is taken away from all answers around, and so on with the highest that is left (as CLEAN: Högbom,
Astron. Astrophys. Suppl. 15 (1974) 417); then the heights of all are fitted together. What one template answers to
another is known, so this needs no second look at the picture.

No template is quite like its particle. What stays of a particle when its template was taken away is no noise, but no
other particle either; so, where two templates overlap, the lower peak counts as much less as what stays of the higher
one can be.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from cryowidgets.kernels.discs import squared_frequency
from cryowidgets.kernels.templatesearch import REACH, Search

ROUNDS = 20
"""In which heights are fitted to each other, each time by half of the way."""


def peeled(
    search: Search,
    y: np.ndarray,
    x: np.ndarray,
    best: np.ndarray,
    heights: np.ndarray,
    apart: float,
    least: float,
    misfit: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the peaks of templates apart.

    Parameters
    ----------
    search : Search
    y, x, best, heights : (n,)
        Pixels, templates that answer most there, and what they answer, in deviations of the noise.
    apart : float
        Least distance of two particles, px.
    least : float
        Least height of what is left.
    misfit : float
        What stays of a particle without its template, as a part of its height.

    Returns
    -------
    chosen : (m,)
        Which of the peaks are particles, or noise.
    fitted : (m,)
        What they answer without their neighbours.
    scores : (m,)
        The same in deviations of the noise and of what is left of higher neighbours.
    """
    pixels = np.stack([y, x], axis=-1)
    if not len(pixels):
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    answers = _Answers(search)
    near = cKDTree(pixels).query_ball_point(pixels, answers.reach, return_sorted=True)
    left, free = heights.astype(np.float64), np.ones(len(pixels), bool)
    chosen, pairs = [], []
    while True:
        top = int(np.argmax(np.where(free, left, -np.inf)))
        if not free[top] or left[top] < least:
            break
        chosen.append(top)
        around = np.array([i for i in near[top] if i != top], np.int64)
        away = pixels[around] - pixels[top]
        said = answers.between(best[top], best[around], away)
        left[around] -= left[top] * said
        free[top] = False
        free[around[np.hypot(*away.T) <= apart]] = False
        pairs.append((np.full(len(around), top), around, said, answers.overlap(away)))
    if not chosen:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    kept = np.array(chosen)
    of, at, said, shared = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    both = np.isin(at, kept)
    of, at, said, shared = of[both], at[both], said[both], shared[both]
    n, fitted = len(pixels), left.copy()
    for _ in range(ROUNDS):
        alone = np.maximum(heights - np.bincount(at, said * fitted[of], n), 0)
        fitted = 0.5 * (fitted + alone)
    higher = fitted[of] > fitted[at]
    stays = np.bincount(at[higher], (shared * np.square(fitted[of]))[higher], n)
    return kept, fitted[kept], (fitted / np.sqrt(1 + misfit**2 * stays))[kept]


class _Answers:
    """What templates say of each other at any distance."""

    def __init__(self, search: Search) -> None:
        self.side, self.shape, self.weights = search.pictures.shape[-1], search.patch, search.weights
        self.reach, self.first = REACH * search.diameter / search.pixel, search.patch[0] // 2 - self.side // 2
        power = search.power.at(squared_frequency(self.shape, search.pixel), search.pixel)
        self.filter = np.square(search.transfer(self.shape)) / power
        self.spectra = search.spectra(self.shape).reshape(len(search.pictures), -1)
        middle = np.exp(-2j * np.pi * (self.shape[0] // 2) * np.fft.fftfreq(self.shape[0]))
        self.filter = self.filter * np.outer(middle, middle[: self.filter.shape[1]]).astype(np.complex64)
        self.pictures = search.pictures.reshape(len(search.pictures), -1)
        some = self.weights[:: max(1, len(self.weights) // 32)]
        white = (some @ self.spectra).reshape(len(some), *self.filter.shape) * np.sqrt(np.abs(self.filter))
        energy = np.square(fft.irfft2(white, s=self.shape)).mean(axis=0)
        like = fft.irfft2(np.abs(fft.rfft2(energy)) ** 2, s=self.shape)
        self._overlap = np.maximum(like / like[0, 0], 0)

    def between(self, one: int, others: np.ndarray, away: np.ndarray) -> NDArray[np.float64]:
        """What templates `others` answer, `away` px (n, 2) from a particle of height 1 that is like template `one`."""
        half = (self.weights[one] @ self.spectra).reshape(self.filter.shape) * self.filter
        seen = fft.irfft2(half, s=self.shape)
        parts = sliding_window_view(seen, (self.side, self.side))[self.first + away[:, 0], self.first + away[:, 1]]
        expected = self.weights[others] @ self.pictures
        return np.einsum("ni,ni->n", parts.reshape(len(parts), self.side**2), expected).astype(np.float64)

    def overlap(self, away: np.ndarray) -> NDArray[np.float64]:
        """How much of the energy of two templates lies in the same places, 1 where they cover each other."""
        return self._overlap[away[:, 0], away[:, 1]].astype(np.float64)
