"""Gain references of any camera as one array that multiplies the frames.

============  =========================================================================================
file          what it is taken for
============  =========================================================================================
MRC, TIFF     multiplies the frames; for EER movies divides them, as RELION has it. TIFF rows are flipped
``.gain``     a TIFF of Falcon cameras: multiplies, and its rows are as those of the frames, not flipped
DM3, DM4      multiplies; rows are flipped
============  =========================================================================================

Where that is wrong, `operation` says so. Zero, negative and not finite values mark defects in all of them.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import defects as lists
from cryowidgets.io import dm4, mrc, tiff
from cryowidgets.io.gainterms import FLIPS, ROTATIONS


def read_gain(
    path: str | os.PathLike,
    shape: tuple[int, int],
    operation: str = "multiply",
    rotation: int = 0,
    flip: str = "none",
    eer: bool = False,
) -> np.ndarray:
    """Read a gain reference and bring it into the orientation and size of the frames.

    Parameters
    ----------
    path : path
        An MRC, TIFF, ``.gain``, DM3 or DM4 file.
    shape : (int, int)
        Size of the movie's frames, y and x. A gain of super-resolution serves counting frames, whose pixels are as
        sensitive as the mean of four, and the other way round.
    operation : {"multiply", "divide", "auto"}
        What the file does to frames; "auto" goes by the kind of file.
    rotation : {0, 90, 180, 270}
        Degrees clockwise as seen with the first row on top: RELION's and MotionCor2's 0 to 3 times 90.
    flip : {"none", "up-down", "left-right"}
        Done after the rotation: RELION's and MotionCor2's 0, 1 and 2.
    eer : bool
        Whether the movie is of EER, for "auto".

    Returns
    -------
    array (y, x), float32
        Multiplies the frames, in the row order of MRC; zero marks defects.

    Raises
    ------
    InputError
        Not readable, or of another size than the frames.
    """
    raw = load(path)
    if operation == "auto":
        operation = "divide" if eer and Path(path).suffix.lower() != ".gain" else "multiply"
    gain = turn(inverted(raw) if operation == "divide" else sound(raw), rotation, flip)
    fitted = _fit(gain, shape)
    if fitted is None:
        found, wanted = ("×".join(map(str, s)) for s in (gain.shape, shape))
        how = f" when turned by {rotation}°" if rotation in (90, 270) else ""
        raise InputError(
            f"The gain {path} has {found} px{how} and the movie {wanted} px (y×x): give the gain of this camera."
        )
    return np.ascontiguousarray(fitted)


def prepare(
    folder: str | os.PathLike,
    shape: tuple[int, int],
    path: str = "",
    defects: str = "",
    **options: str | int | bool,
) -> Path:
    """Write a gain that multiplies frames of `shape` as they are, for all programs to read, and return where.

    Parameters
    ----------
    folder : path
        Where to. The name holds a digest of all that goes in, so that a gain that changes gets another file.
    path, defects : str
        The gain reference, and a list or map of defects; either may be empty.
    **options
        `operation`, `rotation`, `flip` and `eer` of `read_gain`.

    Raises
    ------
    InputError
        As `read_gain` and `cryowidgets.io.defects.read` do.
    """
    digest = hashlib.blake2b(repr((shape, sorted(options.items()))).encode(), digest_size=4)
    for source in filter(None, (path, defects)):
        try:
            digest.update(Path(source).read_bytes())
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror}.") from error
    target = Path(folder) / f"gain_{digest.hexdigest()}.mrc"
    if target.is_file():
        return target
    gain = read_gain(path, shape, **options) if path else np.ones(shape, np.float32)  # type: ignore[arg-type]
    if defects:
        gain[lists.read(defects, shape)] = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        mrc.write(half, gain)
        os.replace(half, target)
    finally:
        half.unlink(missing_ok=True)
    return target


def load(path: str | os.PathLike) -> np.ndarray:
    """The numbers of a gain file as they are, (y, x) in the row order of MRC.

    Raises
    ------
    InputError
        Not readable, of an unknown format, or not one image.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS:
        raise InputError(f"{path} is not a gain of a known format: its name must end in {', '.join(_READERS)}.")
    image = _READERS[suffix](path)
    if image.ndim != 2:
        raise InputError(f"{path} holds {len(image)} images: a gain is one.")
    return image


_READERS = {
    ".mrc": mrc.read,
    ".mrcs": mrc.read,
    ".tif": tiff.read,
    ".tiff": tiff.read,
    ".gain": lambda path: tiff.read(path)[..., ::-1, :],
    ".dm4": dm4.read,
    ".dm3": dm4.read,
}


def turn(image: np.ndarray, rotation: int = 0, flip: str = "none") -> np.ndarray:
    """Rotate clockwise as seen with row 0 on top, then flip; see `read_gain`."""
    if rotation not in ROTATIONS or flip not in FLIPS:
        raise ValueError(f"a gain is turned by one of {ROTATIONS} and flipped by one of {FLIPS}")
    turned = np.rot90(image, -rotation // 90)
    return {"none": turned, "up-down": turned[::-1], "left-right": turned[:, ::-1]}[flip]


def inverted(raw: np.ndarray) -> np.ndarray:
    """What multiplies frames where `raw` divides them: mean/raw, float32; zero stays zero."""
    flat = sound(raw)
    mean = flat[flat > 0].mean(dtype=np.float64) if flat.any() else 1.0
    return np.divide(np.float32(mean), flat, out=np.zeros_like(flat), where=flat > 0)


def sound(raw: np.ndarray) -> np.ndarray:
    """float32, zero where it was negative or not finite."""
    gain = raw.astype(np.float32)
    gain[~(np.isfinite(gain) & (gain > 0))] = 0
    return gain


def sized(gain: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """The gain, not turned yet, with pixels of the size of the frames; None where no turn could make it fit."""
    for wanted in (tuple(shape), tuple(shape[::-1])):
        fitted = _fit(gain, (wanted[0], wanted[1]))
        if fitted is not None:
            return fitted
    return None


def _fit(gain: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """The gain for pixels twice or half as large; None where no such size fits.

    Four pixels of super-resolution that are counted as one see it as the mean of their sensitivities 1/G: one that is
    a defect makes the whole a defect. A sensor's pixel is as sensitive in each of its quarters.
    """
    height, width = gain.shape
    if gain.shape == tuple(shape):
        return gain
    if (height, width) == (2 * shape[0], 2 * shape[1]):
        quarters = gain.reshape(shape[0], 2, shape[1], 2)
        with np.errstate(divide="ignore"):
            return (4 / (1 / quarters).sum(axis=(1, 3))).astype(np.float32)
    if (2 * height, 2 * width) == tuple(shape):
        return gain.repeat(2, axis=0).repeat(2, axis=1)
    return None
