"""The gain of a session: brought once into the orientation of its frames, which tell themselves whether it fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import gain
from cryowidgets.io.movie import open_movie
from cryowidgets.kernels import orientation
from cryowidgets.kernels.orientation import Orientation
from cryowidgets.protocols.import_movies import ImportMovies

ENOUGH = 20.0
"""Counts per pixel after which no more frames are added up."""


@dataclass(frozen=True)
class Reference:
    """A prepared gain.

    Attributes
    ----------
    path : str
        Relative to the project.
    tested : bool
        Whether it could be compared with frames.
    notes : dict
        Sentences about it, by kind.
    """

    path: str
    tested: bool = True
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lie:
    """How a reference is to be applied."""

    operation: str
    rotation: int
    flip: str

    def __str__(self) -> str:
        flip = f", flipped {self.flip}" if self.flip != "none" else ""
        return f"rotated by {self.rotation}°{flip}"


def prepare(settings: ImportMovies, project: Path, movie: str, shape: tuple[int, int], eer: bool) -> Reference:
    """Prepare the gain for movies whose frames have a shape (y, x), going by one of them.

    Raises
    ------
    InputError
        The gain or the list of defects cannot be used.
    """
    notes: dict[str, str] = {}
    tested = True
    rotation = settings.gain_rotation if settings.gain_rotation != "auto" else 0
    lie = _Lie(_operation(settings, eer), rotation, settings.gain_flip)
    if settings.gain:
        found = _look(settings.gain, lie, movie, shape)
        if found is None:
            tested = False
        else:
            lie, notes = _judge(settings, lie, found, movie)
    folder = Path("steps", "movies")
    made = gain.prepare(
        project / folder,
        shape,
        settings.gain,
        settings.defects,
        operation=lie.operation,
        rotation=lie.rotation,
        flip=lie.flip,
    )
    return Reference(str(folder / made.name), tested, notes)


def _operation(settings: ImportMovies, eer: bool) -> str:
    if settings.gain_operation != "auto":
        return settings.gain_operation
    return "divide" if eer and Path(settings.gain).suffix.lower() != ".gain" else "multiply"


def _look(path: str, lie: _Lie, movie: str, shape: tuple[int, int]) -> Orientation | None:
    """Compare the reference with the frames of a movie; None where these cannot be read."""
    raw = gain.load(path)
    reference = gain.sized(gain.inverted(raw) if lie.operation == "divide" else gain.sound(raw), shape)
    if reference is None:
        gain.read_gain(path, shape, lie.operation, lie.rotation, lie.flip)  # raises, with both sizes
        return None
    try:
        total = _total(movie)
    except InputError:
        return None
    try:
        return orientation.find(total, reference)
    except ValueError as error:
        return Orientation(False, 0, "none", False, 0.0, 0.0, 0.0, why=str(error))


def _judge(settings: ImportMovies, lie: _Lie, found: Orientation, movie: str) -> tuple[_Lie, dict[str, str]]:
    """How to apply the reference, and what to say of it."""
    name, auto = Path(settings.gain).name, settings.gain_rotation == "auto"
    evidence = f"{Path(movie).name} tells: correlation {found.correlation:.3f}, {found.sigmas:.0f} standard deviations"
    fits = {(rotation, flip): divides for rotation, flip, divides in found.possible}
    if not fits:
        how = f"It is used as it is, {lie}" if auto else f"It is used as told, {lie}"
        why = f"{Path(movie).name} does not tell whether the gain {name} fits: {found.why}"
        return lie, {"gain undecided": f"{why}. {how}."}
    told = orientation.canonical(lie.rotation, lie.flip)
    divides = fits.get(told, found.divides)
    better = _Lie(
        {"multiply": "divide", "divide": "multiply"}[lie.operation] if divides else lie.operation,
        *(told if told in fits else (found.rotation, found.flip)),
    )
    notes: dict[str, str] = {}
    if told not in fits:
        if auto:
            lie = _Lie(lie.operation, better.rotation, better.flip)
            notes["gain turned"] = f"The gain {name} is {lie}, as {evidence}."
        else:
            notes["gain turned"] = (
                f"The gain {name} fits when {better}, not when {lie}, as {evidence}. Change gain_rotation."
            )
    if divides:
        if settings.gain_operation == "auto":
            lie = _Lie(better.operation, lie.rotation, lie.flip)
            notes["gain divides"] = f"The gain {name} is one to {better.operation} frames by, as {evidence}."
        else:
            notes["gain divides"] = (
                f"The gain {name} is one to {better.operation} frames by, not to {lie.operation}, as {evidence}. "
                "Change gain_operation."
            )
    return lie, notes


def _total(path: str) -> np.ndarray:
    """Sum of raw frames, as many as it takes."""
    with open_movie(path) as movie:
        total = np.zeros(movie.shape[1:], np.float32)
        for number in range(len(movie)):
            total += movie[number]
            if float(total[::8, ::8].mean()) > ENOUGH:
                break
    return total
