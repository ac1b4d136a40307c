"""Whole-frame motion as other programs measure it: for comparison, and for those who must do as others did.

``relion``: each frame against the sum of the others, weighted by a fixed envelope, as RELION's own implementation does
(Zivanov et al., IUCrJ 6 (2019) 5, doi:10.1107/S205225251801463X). ``pairs``: all pairs of frames at low resolution, and
the shifts by least squares, as in Li et al., Nat. Methods 10 (2013) 584, doi:10.1038/nmeth.2472, and FlexAlign.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.kernels import fourier
from cryowidgets.kernels.band import Band, Spectra
from cryowidgets.kernels.motionsearch import Peaks
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

ENVELOPE = 150.0
"""B of the envelope ``exp(-2B·k²)`` in px², with k in cycles/px."""

ROUNDS, ENOUGH = 5, 0.5
"""Rounds of comparison with the sum, and px below which a change ends them."""

PAIRS_RESOLUTION = 10.0
"""Å that pairs of frames are compared down to."""


def relion(spectra: Spectra, pixel_size: float, max_shift: float) -> np.ndarray:
    """Shifts (n, 2) px, mean zero, from the highest points of correlations with the sum."""
    band = spectra.band
    weight = np.exp(-2 * ENVELOPE * np.square(band.radius))[band.ring] * band.weight
    compare = _Compare(spectra, band, weight, pixel_size, max_shift)
    shifts = np.zeros((spectra.n, 2))
    for _ in range(ROUNDS):
        aligned = compare.aligned(shifts)
        total = sum(aligned[1:], start=aligned[0])
        step = np.stack([compare.shift(total - own, own) for own in aligned])
        step -= step.mean(axis=0)
        shifts = shifts + step
        if np.sqrt(np.square(step).mean()) < ENOUGH:
            break
    return shifts


def pairs(spectra: Spectra, pixel_size: float, max_shift: float) -> np.ndarray:
    """Shifts (n, 2) px, mean zero, by least squares from all pairs; pairs that contradict the others are left out."""
    n = spectra.n
    band, rows = spectra.band.within(pixel_size / PAIRS_RESOLUTION)
    weight = ((spectra.high_pass / spectra.power)[band.ring] * band.weight).astype(np.float32)
    compare = _Compare(spectra, band, weight, pixel_size, 2 * max_shift, rows)
    frames = compare.aligned(np.zeros((n, 2)))
    first, second = np.triu_indices(n, 1)
    seen = np.stack([compare.shift(frames[i], frames[j]) for i, j in zip(first, second, strict=True)])
    design = np.zeros((len(first), n))
    design[np.arange(len(first)), second], design[np.arange(len(first)), first] = 1, -1
    kept = np.ones(len(first), bool)
    for _ in range(5):
        shifts = np.linalg.lstsq(design[kept], seen[kept], rcond=None)[0]
        rest = np.linalg.norm(design @ shifts - seen, axis=1)
        within = rest < 3 * max(np.sqrt(np.mean(rest[kept] ** 2)), 1e-6)
        if (within == kept).all() or within.sum() < 2 * n:
            break
        kept = within
    return np.asarray(shifts - shifts.mean(axis=0))


METHODS = {"relion": relion, "pairs": pairs}


class _Compare:
    """Shifts between spectra of a band."""

    def __init__(
        self,
        spectra: Spectra,
        band: Band,
        weight: np.ndarray,
        pixel_size: float,
        max_shift: float,
        rows: np.ndarray | None = None,
    ) -> None:
        like = spectra.faded[0]
        self._xp, self._band = namespace(like), band
        self._frames = spectra.faded
        if rows is not None:
            where = to_device(rows, like)
            self._frames = [self._xp.take(x, where, axis=0)[:, : band.c + 1] for x in self._frames]
        self._weight = to_device(asnumpy(weight).astype(np.float32), like)
        grid = fourier.fast_length(2 * band.m + 2), fourier.fast_length(2 * band.c + 2)
        self._peaks = Peaks(grid, np.array(band.shape) / grid, max_shift / pixel_size, like)

    def aligned(self, shifts: np.ndarray) -> list[Any]:
        moved = []
        for x, shift in zip(self._frames, shifts, strict=True):
            y_phase, x_phase = self._band.phases(shift, x)
            moved.append(x * y_phase * x_phase)
        return moved

    def shift(self, reference: Any, own: Any) -> np.ndarray:
        """Displacement of the content of `own` relative to `reference`: (2,) px."""
        return self._peaks.find(self._xp.conj(reference) * own * self._weight, self._band)[0]
