"""Particles cut out of a micrograph: boxes, smaller pixels, a background of mean 0 and deviation 1.

The order and the conventions are those of RELION (Scheres, J. Struct. Biol. 180 (2012) 519,
doi:10.1016/j.jsb.2012.09.006): whole boxes around the rounded place, then a Fourier crop, then normalisation by what
lies outside of a circle, from which a plane is taken away, then dust, then the contrast is turned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryowidgets.cpu import threads
from cryowidgets.kernels import ctf as lens
from cryowidgets.kernels.fourier import irfft2, rfft2


def boxes(image: Any, places: np.ndarray, side: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[Any]]:
    """Cut squares out of an image.

    Parameters
    ----------
    image : array (y, x)
    places : (n, 2)
        y, x of the centres in px.
    side : int
        Even.

    Returns
    -------
    pictures : (n, side, side) float32
        Pixel ``side // 2`` of each is the pixel of the image nearest to its place. Where the box reaches beyond the
        image, the pixels of its edge are repeated.
    rests : (n, 2)
        y, x from that pixel to the place, px: at most half a pixel.
    inside : (n,)
        Part of each box that lies in the image, 0 to 1.
    """
    image = np.asarray(image)
    centre = np.floor(np.asarray(places, float).reshape(-1, 2) + 0.5).astype(np.int64)
    offsets = np.arange(side) - side // 2
    index = [centre[:, axis, None] + offsets for axis in (0, 1)]
    inside = np.ones(len(centre))
    for axis, length in enumerate(image.shape):
        inside *= ((index[axis] >= 0) & (index[axis] < length)).mean(axis=1)
        np.clip(index[axis], 0, length - 1, out=index[axis])
    pictures = np.empty((len(centre), side, side), np.float32)
    for picture, y, x in zip(pictures, *index, strict=True):
        if x[-1] - x[0] == side - 1:
            picture[:] = image[y, x[0] : x[0] + side]
        else:
            picture[:] = image[np.ix_(y, x)]
    return pictures, np.asarray(places, float).reshape(-1, 2) - centre, inside


def scale(pictures: np.ndarray, side: int) -> NDArray[np.float32]:
    """Crop the transforms of square pictures (n, a, a), so that they have `side` px; their means stay as they are.

    Both sides are even. At the highest frequency that is left two waves become one; as in RELION, the one of positive
    frequency stands for both.
    """
    old = pictures.shape[-1]
    if side == old:
        return pictures.astype(np.float32, copy=False)
    half = fft.rfft2(pictures, workers=threads())
    rows = np.r_[0 : side // 2 + 1, old - side // 2 + 1 : old]
    small = half[:, rows, : side // 2 + 1] * np.float32(side * side / (old * old))
    return fft.irfft2(small, s=(side, side), workers=threads())


def background(side: int, radius: float) -> NDArray[np.bool_]:
    """What lies outside of a circle of `radius` px about pixel ``side // 2``: (side, side)."""
    y, x = np.ogrid[:side, :side]
    return (y - side // 2) ** 2 + (x - side // 2) ** 2 > radius * radius


def normalise(pictures: np.ndarray, radius: float, ramp: bool = True) -> NDArray[np.bool_]:
    """Give the background of pictures (n, side, side) mean 0 and standard deviation 1, in place.

    Parameters
    ----------
    radius : float
        Of the circle outside of which is background, px.
    ramp : bool
        Take away a plane that is fitted to the background, in place of its mean alone.

    Returns
    -------
    (n,) of bool
        Whether there is anything in the background at all; a picture of one value stays as it is, less its mean.
    """
    side = pictures.shape[-1]
    outside = background(side, radius).ravel()
    flat = pictures.reshape(len(pictures), -1)
    y, x = np.mgrid[:side, :side] - side / 2
    plane = np.stack([np.ones(side * side), y.ravel(), x.ravel()])[: 3 if ramp else 1].astype(np.float32)
    inverse = np.linalg.pinv(plane[:, outside].astype(np.float64)).astype(np.float32)
    flat -= (flat[:, outside] @ inverse) @ plane
    rest = flat[:, outside]
    mean = rest.mean(axis=1, dtype=np.float64)
    flat -= mean[:, None].astype(np.float32)
    deviation = np.sqrt(np.maximum((rest.astype(np.float64) ** 2).mean(axis=1) - mean**2, 0))
    varied = deviation > 0
    flat /= np.where(varied, deviation, 1)[:, None].astype(np.float32)
    return varied


def dust(pictures: np.ndarray, white: float, black: float, rng: np.random.Generator) -> int:
    """Put noise of the background in place of pixels that are far from it, in normalised pictures; returns how many.

    Parameters
    ----------
    white, black : float
        Standard deviations above and below the background from which on a pixel is dust; 0 for none.
    """
    bad = np.zeros(pictures.shape, bool)
    if white > 0:
        bad |= pictures > white
    if black > 0:
        bad |= pictures < -black
    count = int(bad.sum())
    if count:
        pictures[bad] = rng.standard_normal(count, dtype=np.float32)
    return count


def flip_phases(
    image: Any,
    pixel_size: float,
    defocus_u: float,
    defocus_v: float,
    angle: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    phase_shift: float = 0.0,
) -> Any:
    """Turn the waves of an image (y, x) that its lens has turned, so that protein is dark at all frequencies.

    Done to the whole micrograph, as a box would cut off what the lens has spread beyond it.
    """
    half = rfft2(image)
    shape = (image.shape[-2], image.shape[-1])
    function = lens.ctf_2d(shape, pixel_size, defocus_u, defocus_v, angle, voltage, cs, amplitude_contrast, phase_shift)
    return irfft2(half * np.where(function > 0, np.float32(-1), np.float32(1)), shape, overwrite=True)
