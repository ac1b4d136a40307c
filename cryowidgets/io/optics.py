"""What a movie was taken with, of what people, sidecars and headers say; and which optics group it belongs to.

What the user says counts more than a sidecar, and a sidecar more than the header of the movie. Where they disagree, a
sentence tells it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.metadata import Metadata
from cryowidgets.io.movie import open_movie
from cryowidgets.model import Optics

USUAL_VOLTAGE = 300.0
"""kV, where nobody tells."""

_PIXEL, _DOSE = 0.01, 0.05  # EPU tells the dose as measured, which varies by 2 % from shot to shot
_SAME = {"pixel_size": 0.005, "dose_per_frame": 0.1}  # what movies of one group may differ by, where it is measured
_UNKNOWING = 1.0
"""Å/px: what many programs write into a header where they do not know."""


@dataclass(frozen=True)
class Header:
    """What a movie file tells of itself.

    Attributes
    ----------
    shape : (int, int)
        Of its frames, y and x.
    pixel_size : float
        Å/px, 0 where it does not tell.
    total_dose : float
        e/Å² of the whole movie, 0 where it does not tell; EER does.
    """

    shape: tuple[int, int]
    pixel_size: float = 0.0
    total_dose: float = 0.0


def read_header(path: str | Path) -> Header:
    """Read what a movie tells of itself, without its frames.

    Raises
    ------
    InputError
        The file cannot be read as a movie.
    """
    if Path(path).suffix.lower() in (".mrc", ".mrcs"):
        head = mrc.read_header(path)
        return Header((head.shape[1], head.shape[2]), head.pixel_size)
    with open_movie(path) as movie:
        return Header((movie.shape[1], movie.shape[2]), movie.pixel_size, float(getattr(movie, "dose", 0.0)))


@dataclass(frozen=True)
class Settled:
    """What was decided.

    Attributes
    ----------
    optics : Optics
    measured : tuple of str
        Which of its values nobody said, so that they may vary a little from movie to movie.
    notes : dict
        Sentences on what disagrees, by the kind of disagreement.
    """

    optics: Optics
    measured: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


def settle(path: str, said: Optics, found: Metadata, header: Header, frames: int = 0) -> Settled:
    """Decide the optics of one movie.

    Parameters
    ----------
    path : str
        The movie, for the sentences.
    said : Optics
        What the user says; pixel size, voltage and dose are 0 where nothing is said.
    found : Metadata
        What the files beside it say.
    header : Header
        What it says itself.
    frames : int
        How many frames the file holds, raw frames of EER; 0 where unknown.

    Raises
    ------
    InputError
        Nobody tells the pixel size.
    """
    notes: dict[str, str] = {}
    pixel = found.frame_pixel_size(header.shape)
    doubtful = header.pixel_size == _UNKNOWING
    by_header = 0.0 if doubtful and (said.pixel_size > 0 or pixel > 0) else header.pixel_size
    sources = {"you say": said.pixel_size, "its sidecar says": pixel, "its header says": by_header}
    pixel_size = _decide(path, "pixel size", "Å/px", sources, _PIXEL, notes)
    if pixel_size is None:
        raise InputError(
            f"The pixel size of {path} is not known: neither a sidecar nor its header tells it. Set pixel_size."
        )
    if doubtful and by_header:
        notes["pixel size 1"] = (
            f"The pixel size of {path} is 1 Å/px by its header, which many programs write where they do not know it: "
            "set pixel_size if it is another."
        )
    sources = {"you say": said.voltage, "its sidecar says": found.voltage}
    voltage = _decide(path, "voltage", "kV", sources, _PIXEL, notes)
    if voltage is None:
        voltage = USUAL_VOLTAGE
        notes["no voltage"] = f"Nobody tells the voltage of {path}: {voltage:g} kV is taken; set it if it is another."
    sources = {
        "you say": said.dose_per_frame,
        "its sidecar says": found.frame_dose(frames),
        "its header says": header.total_dose / frames if frames else 0.0,
    }
    dose = _decide(path, "exposure of a frame", "e/Å²", sources, _DOSE, notes)
    for number, sentence in enumerate(found.warnings):
        notes[f"sidecar {number}"] = sentence
    optics = replace(said, pixel_size=pixel_size, voltage=voltage, dose_per_frame=dose or 0.0)
    return Settled(optics, tuple(name for name in _SAME if not getattr(said, name) > 0), notes)


class OpticsGroups:
    """The optics groups of a session, as movies come one by one.

    A movie joins the nearest group that it lies close enough to, else it begins one. Groups never merge or split, so a
    name once given keeps its meaning; where shots lie apart by more than twice the tolerance and repeat within it, the
    order in which they come does not matter.

    Parameters
    ----------
    known : iterable of (Optics, (float, float) or None, int)
        Groups of before: optics, mean beam shift and number of movies.
    """

    def __init__(self, known: Iterable[tuple[Optics, tuple[float, float] | None, int]] = ()) -> None:
        self._optics: list[Optics] = []
        self._centres: dict[str, tuple[float, float, int]] = {}
        for optics, shift, count in known:
            if optics not in self._optics:
                self._optics.append(optics)
            if shift is not None:
                self._join(optics.name, shift, count)

    def place(
        self,
        optics: Optics,
        measured: Iterable[str] = (),
        shift: tuple[float, float] | None = None,
        tolerance: float = math.nan,
    ) -> Optics:
        """The optics of a movie with the name of its group, and numbers as the group has them.

        Parameters
        ----------
        optics : Optics
            Its name is that of the only group, or what the names of all begin with.
        measured : iterable of str
            Values that are the group's where they nearly are.
        shift : (float, float), optional
            Beam shift; without it there are no groups by shift.
        tolerance : float
            How far from the centre of its group a shot may lie, in the unit of `shift`.
        """
        if shift is not None and tolerance > 0:
            optics = replace(optics, name=self._group(optics.name, shift, tolerance))
        measured = [name for name in _SAME if name in measured]
        for known in self._optics:
            same = replace(optics, **{name: getattr(known, name) for name in measured})
            if known == same and all(_near(getattr(known, n), getattr(optics, n), _SAME[n]) for n in measured):
                return known
        self._optics.append(optics)
        return optics

    def _group(self, name: str, shift: tuple[float, float], tolerance: float) -> str:
        near = [(math.dist(shift, centre[:2]), group) for group, centre in self._centres.items()]
        distance, group = min(near, default=(math.inf, ""))
        if distance > tolerance:
            stem = re.sub(r"\d+$", "", name) or "opticsGroup"
            number = len(self._centres) + 1
            while (group := f"{stem}{number}") in self._centres:
                number += 1
        self._join(group, shift, 1)
        return group

    def _join(self, group: str, shift: tuple[float, float], count: int) -> None:
        x, y, n = self._centres.get(group, (0.0, 0.0, 0))
        total = n + count
        self._centres[group] = ((x * n + shift[0] * count) / total, (y * n + shift[1] * count) / total, total)


def _decide(
    path: str, what: str, unit: str, sources: dict[str, float], tolerance: float, notes: dict[str, str]
) -> float | None:
    """The first value that is told; those after it that differ from it become a sentence."""
    told = [(who, value) for who, value in sources.items() if math.isfinite(value) and value > 0]
    if not told:
        return None
    who, first = told[0]
    for other, value in told[1:]:
        if not _near(first, value, tolerance):
            notes[f"{what}: {other}"] = (
                f"The {what} of {path}: {who} {first:.4g} {unit}, and {other} {value:.4g} {unit}. "
                f"{first:.4g} {unit} is used."
            )
    return first


def _near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b))
