"""The loop of `sums` on the host: one pass over each transform, without temporary images."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def gather(
    half: np.ndarray,  # (y, x) complex64: transform of one sum, in place freed of the response of moving
    rows: np.ndarray,  # (y,) float32: one over the response
    columns: np.ndarray,  # (x,) float32
    ky2: np.ndarray,  # (y,) float32: squared frequency
    kx2: np.ndarray,  # (x,) float32
    curve: np.ndarray,  # (points,) float32
    per: float,  # points per frequency
    total: np.ndarray,  # (y, x) complex64, added to; (0, 0) where there is no weighted sum
    first: int,
    end: int,
) -> None:
    """Rows `first` to `end` - 1 of a transform, and what of it goes into the weighted sum."""
    weighted = total.shape[0] > 0
    for y in range(first, end):
        for x in range(half.shape[1]):
            value = half[y, x] * (rows[y] * columns[x])
            half[y, x] = value
            if weighted:
                point = np.int64(np.sqrt(ky2[y] + kx2[x]) * np.float32(per) + np.float32(0.5))
                total[y, x] += value * curve[point if point < len(curve) else len(curve) - 1]
