"""The loop of `flowtiles` on the host."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled

TILE = 32


@compiled
def tile_products(
    image: np.ndarray,  # (y, x) float32
    down: np.ndarray,  # (y, x) float32
    right: np.ndarray,  # (y, x) float32
    out: np.ndarray,  # (tile rows, tile columns, 2) float64
    first: int,
    end: int,
) -> None:
    """Rows `first` to `end` - 1 of the sums of ``image·down`` and ``image·right`` over each tile."""
    height, width = image.shape
    for i in range(first, end):
        out[i] = 0
        for y in range(i * TILE, min((i + 1) * TILE, height)):
            a, b, c = image[y], down[y], right[y]
            for k in range(out.shape[1]):
                along_y, along_x = np.float32(0), np.float32(0)
                for x in range(k * TILE, min((k + 1) * TILE, width)):
                    along_y += a[x] * b[x]
                    along_x += a[x] * c[x]
                out[i, k, 0] += along_y
                out[i, k, 1] += along_x
