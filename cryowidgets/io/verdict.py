"""What a file's own format says about whether the file is complete."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

TAIL = 256  # bytes at the end of the last frame that are looked at


@dataclass(frozen=True)
class Verdict:
    """Is this file whole?

    Attributes
    ----------
    whole : bool or None
        True: the format proves it. False: the format proves the contrary. None: the format cannot tell, time must.
    frames : int
        Frames that are complete in the file as it is now.
    why : str
        A sentence that names the file.
    """

    whole: bool | None
    frames: int
    why: str


def judge(path: str | os.PathLike, frames: int, expected: int | None) -> Verdict:
    """Verdict on a file of which the format says that it holds `frames` complete frames and nothing incomplete."""
    if expected is None or frames == expected:
        return Verdict(True, frames, f"{path} is whole: {frames} frames.")
    if frames < expected:
        return Verdict(False, frames, f"{path} holds {frames} of {expected} frames.")
    return Verdict(False, frames, f"{path} holds {frames} frames where {expected} are expected.")


def blank(file: BinaryIO, end: int, length: int) -> bool:
    """Whether the last bytes before `end`, at most `length` of them, are all zero.

    A program that copies may give the copy its final size first and fill it from the front: then the end is blank.
    """
    length = min(length, TAIL)
    file.seek(end - length)
    return not any(file.read(length))
