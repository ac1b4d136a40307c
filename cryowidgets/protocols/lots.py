"""Particles as kernels take them, so many at a time: pictures, the lens and each one's defocus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.frames import Frames
from cryowidgets.protocols import relion_files
from cryowidgets.protocols.relion_files import Blocks

AT_ONCE = 512
"""Pictures in memory at one time."""


@dataclass(frozen=True)
class Lot:
    """Particles of one lens.

    Attributes
    ----------
    rows : (n,) int
        Places in the table that they come from.
    pictures : (n, box, box) float32
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    ctf : of four (n,) float arrays
        Defocus U and V in Å, the angle of U and the phase shift in degrees.
    """

    rows: np.ndarray
    pictures: np.ndarray
    voltage: float
    cs: float
    amplitude_contrast: float
    ctf: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def lots(blocks: Blocks, what: str, where: Callable[[str], str], box: int, at_once: int = AT_ONCE) -> Iterator[Lot]:
    """Read the particles of a star file, in its order.

    Parameters
    ----------
    blocks : dict
        See `relion_files.particles`.
    what : str
        What errors call it.
    where : callable
        From the path of a stack as the file has it to the one to open: `Out.absolute`.
    box : int
        Side that all pictures have, px.
    at_once : int
        How many are given at most; the last of a lens may be fewer.

    Raises
    ------
    InputError
        A column or a stack is missing, a stack has not the pictures named or another box, or phases were flipped.
    """
    optics, table = relion_files.particles(blocks, what)
    groups = _groups(optics, what)
    ctf = _ctf(table, what)
    group = np.asarray(table["rlnOpticsGroup"])
    names = [str(name).rpartition("@") for name in table["rlnImageName"]]
    begin = 0
    with _Stacks(where, box) as stacks:
        while begin < len(names):
            if group[begin] not in groups:
                raise InputError(f"{what}: particle {begin + 1} is of optics group {group[begin]}, which is not told.")
            lens = groups[group[begin]]
            end = begin + 1
            while end < min(len(names), begin + at_once) and groups.get(group[end]) == lens:
                end += 1
            pictures = np.empty((end - begin, box, box), np.float32)
            for place, (number, _, stack) in enumerate(names[begin:end]):
                pictures[place] = stacks.picture(stack, number)
            yield Lot(np.arange(begin, end), pictures, *lens, tuple(x[begin:end] for x in ctf))  # type: ignore[arg-type]
            begin = end


class _Stacks:
    """The stack that was read last stays open: particles of a micrograph come one after the other."""

    def __init__(self, where: Callable[[str], str], box: int) -> None:
        self._where, self._box = where, box
        self._name = ""
        self._open: Frames | None = None
        self._closing = ExitStack()

    def __enter__(self) -> _Stacks:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def picture(self, name: str, number: str) -> np.ndarray:
        if name != self._name or self._open is None:
            self._closing.close()
            self._open = self._closing.enter_context(mrc.open_upright(self._where(name)))
            self._name = name
        stack = self._open
        if stack.shape[1:] != (self._box, self._box):
            y, x = stack.shape[1:]
            raise InputError(f"{name} has pictures of {y}×{x} px and others of {self._box}: extract all with one box.")
        if not (number.isdecimal() and 1 <= int(number) <= len(stack)):
            raise InputError(f"Picture {number!r} is asked of {name}, which has 1 to {len(stack)}.")
        return stack[int(number) - 1]


def _groups(optics: Mapping[str, list], what: str) -> dict[int, tuple[float, float, float]]:
    """Voltage, Cs and amplitude contrast of each optics group."""
    columns = ("rlnOpticsGroup", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
    for column in columns:
        if column not in optics:
            raise InputError(f"{what} has no column {column} in its optics.")
    if any(int(flipped) for flipped in optics.get("rlnCtfDataArePhaseFlipped", ())):
        raise InputError(
            f"The phases of {what} are flipped already, and classes are corrected for the lens while they are made: "
            "extract without phase_flip."
        )
    return {number: tuple(map(float, lens)) for number, *lens in zip(*(optics[c] for c in columns), strict=True)}  # type: ignore[misc]


def _ctf(table: Mapping[str, list], what: str) -> tuple[np.ndarray, ...]:
    missing = [column for column in ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle") if column not in table]
    if missing:
        raise InputError(f"{what} has no column {missing[0]}, which classification needs.")
    count = len(table["rlnImageName"])
    columns = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift")
    return tuple(np.asarray(table.get(column, np.zeros(count)), np.float64) for column in columns)
