"""Movies of any known format, by the extension of the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, sidecar, tiff
from cryowidgets.io.verdict import Verdict

__all__ = ["FORMATS", "Frames", "Verdict", "open_movie", "whole"]


class Frames(Protocol):
    """An open movie: a context manager whose ``movie[i]`` reads frame i, (y, x) in the row order of MRC."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    pixel_size: float

    def __len__(self) -> int: ...
    def __getitem__(self, frame: int) -> np.ndarray: ...
    def __enter__(self) -> Frames: ...
    def __exit__(self, *error: object) -> None: ...
    def close(self) -> None: ...


FORMATS = {
    ".mrc": (mrc.MrcMovie, mrc.whole, mrc.read),
    ".mrcs": (mrc.MrcMovie, mrc.whole, mrc.read),
    ".tif": (tiff.TiffMovie, tiff.whole, tiff.read),
    ".tiff": (tiff.TiffMovie, tiff.whole, tiff.read),
}


def open_movie(path: str | os.PathLike) -> Frames:
    """Open a movie; frames are read one by one, when asked for.

    Returns
    -------
    Frames
        With `shape` (frames, y, x), `dtype` and `pixel_size` (Å/px, 0 where the file does not tell). Rows are in the
        order of MRC: those of a TIFF are flipped, as RELION and IMOD do.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, unreadable, or of a format that is not known.

    Examples
    --------
    >>> with open_movie("movie.tiff") as movie:  # doctest: +SKIP
    ...     total = sum(frame.astype("f4") for frame in movie)
    """
    return _format(path)[0](path)


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Does the format prove that the file is complete?

    Looks at headers and directories only, and never raises for what a file holds.

    Parameters
    ----------
    frames : int, optional
        How many frames there must be. Without it, what the sidecar beside the movie says (see
        `cryowidgets.io.sidecar.expected_frames`), or the file itself.

    Returns
    -------
    Verdict
        `whole` is True if the file is proven complete, False if it is proven incomplete (now: it may be growing),
        None where its format cannot tell.
    """
    try:
        judge = _format(path)[1]
    except InputError as error:
        return Verdict(False, 0, str(error))
    return judge(path, frames if frames is not None else sidecar.expected_frames(path))


def _format(path: str | os.PathLike) -> tuple:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path} is not a movie of a known format: its name must end in {', '.join(FORMATS)}.")
    return FORMATS[suffix]
