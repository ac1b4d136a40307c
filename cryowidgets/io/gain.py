"""Gain references, of any camera, as one array that multiplies the frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, tiff

_READERS = {".mrc": mrc.read, ".mrcs": mrc.read, ".tif": tiff.read, ".tiff": tiff.read}


def read_gain(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Read a gain reference, an image that multiplies the frames.

    Parameters
    ----------
    shape : (int, int)
        Size of the movie's frames, y and x.

    Returns
    -------
    array (y, x), float32
        In the row order of MRC; zero marks defects.

    Raises
    ------
    InputError
        Not readable, or of another size than the frames.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS:
        raise InputError(f"{path} is not a gain of a known format: its name must end in {', '.join(_READERS)}.")
    gain = _READERS[suffix](path)
    if gain.shape != tuple(shape):
        found, wanted = ("×".join(map(str, s)) for s in (gain.shape, shape))
        raise InputError(
            f"The gain {path} has {found} px and the movie {wanted} px (y×x): give the gain of this camera."
        )
    return gain.astype(np.float32)
