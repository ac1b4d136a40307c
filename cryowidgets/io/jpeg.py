"""Pictures for people: small, contrast-stretched JPEGs."""

from __future__ import annotations

import io
import os

import numpy as np
from PIL import Image

from cryowidgets.errors import InputError


def write(
    path: str | os.PathLike,
    image: np.ndarray,
    low_percentile: float = 1.0,
    high_percentile: float = 99.0,
    max_side: int = 512,
    quality: int = 85,
) -> None:
    """Write an image as an 8-bit grey JPEG, averaged down to at most `max_side` px.

    Rows are written in the order of the array, so positions on the picture are positions in the image, scaled.

    Parameters
    ----------
    image : array (y, x)
        Any real numbers; what is not finite is drawn as the median.
    low_percentile, high_percentile : float
        Values at these percentiles of the reduced picture become black and white.
    """
    image = np.asarray(image)
    if image.ndim != 2:
        raise ValueError(f"a picture has two dimensions, not {image.ndim}: {path}")
    # Pillow averages exactly, whatever the ratio, but only in its 32-bit mode; first by whole numbers, which is faster.
    step = max(1, max(image.shape) // (4 * max_side))
    if step > 1:
        height, width = (n // step * step for n in image.shape)
        # lines are added up before pixels: that reads memory as it lies, five times as fast as the mean of blocks
        lines = sum((image[i:height:step].astype(np.float32, copy=False) for i in range(1, step)), image[:height:step])
        image = sum((lines[:, i:width:step] for i in range(1, step)), lines[:, :width:step]) / np.float32(step * step)
    picture = image.astype(np.float32)
    finite = np.isfinite(picture)
    if not finite.all():
        picture[~finite] = np.median(picture[finite]) if finite.any() else 0
    scale = max_side / max(picture.shape)
    if scale < 1:
        height, width = (max(1, round(n * scale)) for n in picture.shape)
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
    grey = greys(picture, low_percentile, high_percentile)
    Image.fromarray(grey).save(path, format="JPEG", quality=quality)


def greys(picture: np.ndarray, low_percentile: float = 0.5, high_percentile: float = 99.5) -> np.ndarray:
    """A picture (y, x) of finite numbers as bytes, uint8: values at these percentiles become black and white.

    One that does not vary is 128 all over.
    """
    low, high = np.percentile(picture, (low_percentile, high_percentile))
    stretched = (picture - low) * (255 / (high - low)) if high > low else np.full_like(picture, 128)
    return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def shrunk(path: str | os.PathLike, side: int, quality: int = 80) -> bytes:
    """A smaller copy of a JPEG file, its longer side at most `side` px.

    The file is decoded at a fraction of its size, as the format allows, so that hundreds of them take a second.

    Raises
    ------
    InputError
        The file is missing or holds no JPEG.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            picture.draft(picture.mode, (side, side))
            picture.thumbnail((side, side), Image.Resampling.BOX)
            out = io.BytesIO()
            picture.save(out, format="JPEG", quality=quality)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a JPEG: {error}.") from error
    return out.getvalue()


def encoded(grey: np.ndarray, quality: int = 88) -> bytes:
    """A picture (y, x) of bytes, uint8, as the content of a JPEG file."""
    out = io.BytesIO()
    Image.fromarray(grey).save(out, format="JPEG", quality=quality)
    return out.getvalue()
