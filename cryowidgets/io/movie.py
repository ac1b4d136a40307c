"""Movies of any known format, by the extension of the file's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import compressed, eer, mrc, sidecar, stack, tiff
from cryowidgets.io.frames import Frames
from cryowidgets.io.verdict import Verdict

__all__ = ["FORMATS", "Format", "Frames", "Verdict", "open_movie", "whole"]


@dataclass(frozen=True)
class Format:
    """How files of a format are opened and judged.

    Attributes
    ----------
    options : tuple of str
        What `open_movie` may be told of such a file.
    counted : bool
        Whether a sidecar counts its frames as the file does.
    """

    open: Callable[..., Frames]
    whole: Callable[..., Verdict]
    options: tuple[str, ...] = ()
    counted: bool = True


_MRC = Format(mrc.open_upright, mrc.whole, ("signed",))
_TIFF = Format(tiff.TiffMovie, tiff.whole, ("packed",))
_EER = Format(eer.EerMovie, eer.whole, ("group", "fractions", "dose", "upsampling"), counted=False)
FORMATS = {".mrc": _MRC, ".mrcs": _MRC, ".map": _MRC, ".tif": _TIFF, ".tiff": _TIFF, ".eer": _EER}
_PACKED = Format(partial(mrc.open_upright, kind=compressed.CompressedMovie), compressed.whole, ("signed",))
FORMATS |= {name + end: _PACKED for name, format in FORMATS.items() if format is _MRC for end in compressed.SUFFIXES}


def open_movie(path: str | os.PathLike | Sequence[str | os.PathLike], **options: Any) -> Frames:
    """Open a movie; frames are read one by one or in blocks, when asked for.

    Parameters
    ----------
    path : path, or sequence of paths
        A file; or files of one frame each, MRC or TIFF; or a folder of nothing else, taken by the numbers in the names.
    group, fractions, dose, upsampling
        For EER: raw frames in a fraction, or how many fractions, or the dose of a fraction (e/Å²); 1 or 2 pixels for
        one of the camera. See `cryowidgets.io.eer.EerMovie`, which also tells what was left out.
    signed
        For MRC: whether the bytes of mode 0 are signed, where the header says the wrong thing.
    packed
        For TIFF: whether bytes are pairs of counts, where that cannot be seen from their number.

    Returns
    -------
    Frames
        With `shape` (frames, y, x), `dtype` and `pixel_size` (Å/px, 0 where the file does not tell). Rows are in the
        order of MRC: those of a TIFF are flipped, as RELION and IMOD do; those of EER are not.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, unreadable, or of a format that is not known.
    ParameterError
        An option that this format does not have, or a value that it does not take.

    Examples
    --------
    >>> with open_movie("movie.tiff") as movie:  # doctest: +SKIP
    ...     total = sum(frame.astype("f4") for frame in movie)
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not isinstance(path, str | os.PathLike):
        files = list(path)
        return stack.FrameFiles(os.path.dirname(files[0]) if files else "", files, partial(open_movie, **given))
    if os.path.isdir(path):
        return stack.FrameFiles(path, _frame_files(path), partial(open_movie, **given))
    format = _format(path)
    for name in given:
        if name not in format.options:
            known = ", ".join(format.options) or "none"
            raise ParameterError(f"{path} is of a format that has no option {name}: leave it out (options: {known}).")
    return format.open(path, **given)


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Does the format prove that the file is complete?

    Looks at headers and directories only, and never raises for what a file holds.

    Parameters
    ----------
    frames : int, optional
        How many frames there must be, raw frames of EER. Without it, what the sidecar beside the movie says (see
        `cryowidgets.io.sidecar.expected_frames`; not for EER, where it counts something else), or the file itself.

    Returns
    -------
    Verdict
        `whole` is True if the file is proven complete, False if it is proven incomplete (now: it may be growing),
        None where its format cannot tell.
    """
    try:
        if os.path.isdir(path):
            files = _frame_files(path)
            return stack.whole(path, files, [whole(file, 1) for file in files], frames)
        format = _format(path)
    except InputError as error:
        return Verdict(False, 0, str(error))
    except OSError as error:
        return Verdict(False, 0, f"{path} cannot be read: {error.strerror}.")
    if frames is None and format.counted:
        frames = sidecar.expected_frames(path)
    return format.whole(path, frames)


def _frame_files(folder: str | os.PathLike) -> list[Path]:
    return stack.in_order(folder, [name for name, format in FORMATS.items() if format in (_MRC, _TIFF)])


def _format(path: str | os.PathLike) -> Format:
    name, suffix = os.path.splitext(os.fspath(path).lower())
    if suffix in compressed.SUFFIXES:
        suffix = os.path.splitext(name)[1] + suffix
    if suffix not in FORMATS:
        plain = ", ".join(name for name, format in FORMATS.items() if format is not _PACKED)
        raise InputError(
            f"{path} is not a movie of a known format: its name must end in {plain}, "
            f"or for MRC also in {', '.join(compressed.SUFFIXES)} after that."
        )
    return FORMATS[suffix]
