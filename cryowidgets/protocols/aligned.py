"""What all programs that align movies have in common: sums and shifts become files and an item."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg, mrc, star
from cryowidgets.io.movie import whole
from cryowidgets.kernels import quality
from cryowidgets.model import Micrograph, Movie, Optics
from cryowidgets.protocols import relion
from cryowidgets.protocols.out import Out


def optics_of(movie: Movie) -> Optics:
    """The optics of a movie, whose pixel size every program needs.

    Raises
    ------
    InputError
        They are not known.
    """
    if movie.optics is None or not movie.optics.pixel_size > 0:
        raise InputError(f"{movie.path} comes without optics: its pixel size is needed to align it.")
    return movie.optics


def displacements(corrections: np.ndarray) -> np.ndarray:
    """From what MotionCor and RELION call shifts to what we call so.

    Theirs is by how much to move the content of a frame so that it lies on that of their reference; ours is by how
    much it lies away from that of the first frame.

    Parameters
    ----------
    corrections : (n, 2)
        x and y in px.

    Returns
    -------
    (n, 2)
        y and x in px.
    """
    corrections = np.asarray(corrections, float)[:, ::-1]
    return (corrections[:1] - corrections) + 0.0  # no minus zero


def micrograph(
    movie: Movie,
    out: Out,
    optics: Optics,
    sums: dict[str, Path],
    shifts: np.ndarray,
    first: int = 1,
    binning: float = 1.0,
    frames: int = 0,
    eer: tuple[int, int] = (1, 1),
    **made_by: str,
) -> Micrograph:
    """Take over what a program wrote.

    Parameters
    ----------
    optics : Optics
        Of the frames that were added up.
    sums : dict
        Files by the field of `Micrograph` that they are for; ``path`` is the plain sum.
    shifts : (n, 2)
        Displacement of each frame that was used, y and x in px of the frames.
    first : int
        The first frame that was used, counted from 1.
    frames : int
        Frames of the movie; 0 where only those used are known.
    eer : (int, int)
        Upsampling, and raw frames in a fraction.

    Raises
    ------
    InputError
        A sum is not whole, or all of one value, or one is of another size than another.
    """
    suffixes = {"path": ".mrc", "dose_weighted": "_DW.mrc", "even": "_EVN.mrc", "odd": "_ODD.mrc"}
    shape = None
    for name, file in sums.items():
        verdict = whole(file)
        if verdict.whole is False:
            raise InputError(verdict.why)
        found = mrc.read_header(file).shape[1:]
        if shape is not None and tuple(found) != shape:
            raise InputError(f"{file.name} has {found[0]}×{found[1]} px, another sum {shape[0]}×{shape[1]} px (y×x).")
        shape = tuple(found)
        shutil.move(file, out.file(suffixes[name]))
    image = mrc.read(out.file(".mrc"))
    if image.ndim != 2 or not np.ptp(image[:: max(image.shape[0] // 64, 1)]) > 0:
        raise InputError(f"{sums['path'].name} is no image: all its pixels are alike.")
    jpeg.write(out.file("_thumbnail.jpg"), image)
    last = first - 1 + len(shifts)
    full = (max(frames, last), *(round(n * binning) for n in image.shape))
    numbers = range(first - 1, last)
    blocks = relion.metadata(movie, optics, full, numbers, shifts, None, binning, None, eer)
    star.write(out.file(".star"), blocks)
    before = optics.pre_exposure + optics.dose_per_frame * (first - 1)
    path = quality.path(shifts, optics.pixel_size, optics.dose_per_frame, before)
    return Micrograph(
        **{name: out.name(suffixes[name]) for name in sums},
        thumbnail=out.name("_thumbnail.jpg"),
        metadata=out.name(".star"),
        pixel_size=optics.pixel_size * binning,
        height=image.shape[0],
        width=image.shape[1],
        frames=len(shifts),
        motion_total=path.total,
        motion_early=path.early,
        motion_late=path.late,
        motion_worst=path.worst,
        shifts=shifts,
        **made_by,
    )
