"""Lists of the defects of a camera, as SerialEM and MotionCor2 write them, or as a map.

SerialEM's text has a keyword and numbers on each line (``BadColumns 10 11``, ``PartialBadColumn 70 1 10 50``); rows are
counted from the top. MotionCor2's has ``x y width height`` on each line, rows counted as in an MRC file. A map is an
image, not zero where a pixel is bad.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, tiff

_MAPS = {".mrc": mrc.read, ".mrcs": mrc.read, ".tif": tiff.read, ".tiff": tiff.read}


def read(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Read a list or map of defects.

    Parameters
    ----------
    shape : (int, int)
        Size of the movie's frames, y and x. A list of a camera of half or twice the size is scaled, as SerialEM lists
        the pixels of the sensor also for super-resolution.

    Returns
    -------
    array (y, x), bool
        True at defects, in the row order of MRC and the orientation of the frames.

    Raises
    ------
    InputError
        Not readable, or of a camera of another size.
    """
    suffix = Path(path).suffix.lower()
    mask = _MAPS[suffix](path) != 0 if suffix in _MAPS else _text(path, shape)
    scaled = fit(mask, shape)
    if scaled is None:
        raise InputError(
            f"The defects {path} are those of a camera of {_px(mask.shape)} px and the movie {_px(shape)} px (y×x): "
            "give the defects of this camera."
        )
    return scaled


def fit(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """Mask of pixels twice or half as large: a pixel is bad where any part of it is; None where no such size fits."""
    if mask.ndim != 2:
        return None
    height, width = mask.shape
    if mask.shape == tuple(shape):
        return mask
    if (2 * height, 2 * width) == tuple(shape):
        return mask.repeat(2, axis=0).repeat(2, axis=1)
    if (height, width) == (2 * shape[0], 2 * shape[1]):
        return mask.reshape(shape[0], 2, shape[1], 2).any(axis=(1, 3))
    return None


def _text(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    table: list[tuple[str, list[int]]] = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        key = "Rectangle" if re.fullmatch(r"-?\d+", words[0]) else words.pop(0)
        try:
            values = [int(word) for word in words]
        except ValueError:
            if key in _LEAST or key in _SETTINGS:
                raise InputError(f"{path}, line {number}: {line.strip()!r} has something else than numbers.") from None
            continue  # a keyword of some later version
        if len(values) < _LEAST.get(key, 0):
            raise InputError(f"{path}, line {number}: {line.strip()!r} has fewer numbers than {key} takes.")
        table.append((key, values))
    if not any(key in _LEAST or key in _SETTINGS for key, _ in table):
        raise InputError(f"{path} is no list of defects: neither SerialEM's keywords nor lines of x y width height.")
    return _draw(path, table, shape)


_LEAST = {"BadColumns": 1, "BadRows": 1, "PartialBadColumn": 4, "PartialBadRow": 4, "BadPixels": 2, "Rectangle": 4}
_SETTINGS = ("CameraSizeX", "CameraSizeY", "WasScaled", "UsableArea", "RotationAndFlip", "K2Type", "FalconType")


def _draw(path: str | os.PathLike, table: list[tuple[str, list[int]]], shape: tuple[int, int]) -> np.ndarray:
    """Mask in the size of the camera that the list tells, else in that of the frames."""
    told = {key: values for key, values in table if key in _SETTINGS and values}
    height, width = told.get("CameraSizeY", shape)[0], told.get("CameraSizeX", shape[::-1])[0]
    if not (0 < height < 1 << 16 and 0 < width < 1 << 16):
        raise InputError(f"{path} tells a camera of {height}×{width} px (y×x), which makes no sense.")
    mask = np.zeros((height, width), bool)
    side = 2 if told.get("WasScaled", [0])[0] > 0 else 1  # of a pixel of the sensor, in those of super-resolution
    for key, v in table:
        if key == "BadColumns":
            for x in v:
                _fill(mask, 0, height, x, x + 1)
        elif key == "BadRows":
            for y in v:
                _fill(mask, y, y + 1, 0, width)
        elif key == "PartialBadColumn":  # x, width, first and last y
            _fill(mask, v[2], v[3] + 1, v[0], v[0] + v[1])
        elif key == "PartialBadRow":  # y, height, first and last x
            _fill(mask, v[0], v[0] + v[1], v[2], v[3] + 1)
        elif key == "BadPixels":
            for x, y in zip(v[::2], v[1::2], strict=False):
                _fill(mask, y, y + side, x, x + side)
        elif key == "UsableArea" and len(v) == 4:  # top, left, bottom, right; 0 for no limit
            top, left, bottom, right = v
            _fill(mask, 0, top, 0, width)
            _fill(mask, bottom + 1 if bottom else height, height, 0, width)
            _fill(mask, 0, height, 0, left)
            _fill(mask, 0, height, right + 1 if right else width, width)
    mask = mask[::-1].copy()  # from the top, until here
    for key, v in table:
        if key == "Rectangle":
            _fill(mask, v[1], v[1] + v[3], v[0], v[0] + v[2])
    return mask


def _fill(mask: np.ndarray, y: int, y_end: int, x: int, x_end: int) -> None:
    mask[max(y, 0) : max(y_end, 0), max(x, 0) : max(x_end, 0)] = True


def _px(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
