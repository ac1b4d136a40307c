"""Many small pictures as one, for people."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from cryowidgets.io import jpeg

_SIDE = 512  # px of the whole


def write_mosaic(path: Path, pictures: np.ndarray, most: int = 100) -> None:
    """Write some pictures side by side as a JPEG, each stretched on its own, row by row from the top left.

    Parameters
    ----------
    pictures : (n, y, x) array
        The first `most` of them are shown.
    """
    shown = np.asarray(pictures[:most], np.float32)
    count, height, width = shown.shape
    across = max(math.ceil(math.sqrt(count)), 1)
    down = math.ceil(count / across)
    tile = np.zeros((down * height, across * width), np.float32)
    for i, picture in enumerate(shown):
        low, high = np.percentile(picture, (0.5, 99.5))
        y, x = i // across * height, i % across * width
        tile[y : y + height, x : x + width] = np.clip((picture - low) / (high - low), 0, 1) if high > low else 0.5
    jpeg.write(path, tile, 0, 100, max_side=max(_SIDE, across * 48))
