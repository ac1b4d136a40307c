"""The loop of `gain` on the host."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def add_rows(frames: np.ndarray, total: np.ndarray, first: int, end: int) -> None:
    """Add the frames (n, y, x) to rows `first` to `end` - 1 of `total` (y, x)."""
    for y in range(first, end):
        line = total[y]
        for j in range(len(frames)):
            row = frames[j, y]
            for x in range(len(line)):
                line[x] += row[x]
