"""The gain of a session: brought once into the orientation of its frames, which tell themselves whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
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
"""Counts per pixel after which no more frames of a movie are added up."""
MOVIES = 5
"""Movies that are looked at before a gain is used whose orientation they do not tell."""


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
    undecided : str
        Why the frames looked at so far do not tell its orientation, where more may; else empty.
    """

    path: str
    tested: bool = True
    notes: dict[str, str] = field(default_factory=dict)
    undecided: str = ""


@dataclass
class Evidence:
    """Raw frames looked at so far, of one movie after another."""

    total: np.ndarray | None = None
    movies: list[str] = field(default_factory=list)

    def add(self, movie: str, shape: tuple[int, int]) -> bool:
        """Add up the frames of one more movie; False where they cannot be read or have another size."""
        try:
            total = _total(movie)
        except InputError:
            return False
        if total.shape != shape:
            return False
        self.total = total if self.total is None else self.total + total
        self.movies.append(movie)
        return True

    def __str__(self) -> str:
        return " and ".join(filter(None, [", ".join(self._names[:-1]), self._names[-1]]))

    @property
    def _names(self) -> list[str]:
        return [Path(movie).name for movie in self.movies]

    def verb(self, one: str, many: str) -> str:
        return one if len(self.movies) == 1 else many


@dataclass(frozen=True)
class _Lie:
    """How a reference is to be applied."""

    operation: str
    rotation: int
    flip: str

    def __str__(self) -> str:
        flip = f", flipped {self.flip}" if self.flip != "none" else ""
        return f"rotated by {self.rotation}°{flip}"


def prepare(
    settings: ImportMovies,
    project: Path,
    movies: Sequence[str],
    shape: tuple[int, int],
    eer: bool,
    evidence: Evidence | None = None,
) -> Reference:
    """Prepare the gain for movies whose frames have a shape (y, x).

    Goes by the first of `movies`, by more of them as long as it is not decided, and by what was seen before, the
    `evidence`, which grows.

    Raises
    ------
    InputError
        The gain or the list of defects cannot be used.
    """
    notes: dict[str, str] = {}
    tested, undecided = True, ""
    evidence = evidence or Evidence()
    rotation = settings.gain_rotation if settings.gain_rotation != "auto" else 0
    lie = _Lie(_operation(settings, eer), rotation, settings.gain_flip)
    if settings.gain:
        found = _look(settings.gain, lie, movies, shape, evidence)
        if found is None:
            tested = False
        else:
            lie, notes = _judge(settings, lie, found, evidence)
            undecided = found.why if found.more and len(evidence.movies) < MOVIES else ""
            if not undecided:
                evidence.total = None
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
    return Reference(str(folder / made.name), tested, notes, undecided)


def _operation(settings: ImportMovies, eer: bool) -> str:
    if settings.gain_operation != "auto":
        return settings.gain_operation
    return "divide" if eer and Path(settings.gain).suffix.lower() != ".gain" else "multiply"


def _look(
    path: str, lie: _Lie, movies: Sequence[str], shape: tuple[int, int], evidence: Evidence
) -> Orientation | None:
    """Compare the reference with the frames of movies; None where none of these can be read."""
    raw = gain.load(path)
    reference = gain.sized(gain.inverted(raw) if lie.operation == "divide" else gain.sound(raw), shape)
    if reference is None:
        gain.read_gain(path, shape, lie.operation, lie.rotation, lie.flip)  # raises, with both sizes
        return None
    found = None
    for movie in movies:
        if evidence.add(movie, shape):
            try:
                found = orientation.find(evidence.total, reference)
            except ValueError as error:
                return Orientation(False, 0, "none", False, 0.0, 0.0, 0.0, why=str(error))
            if not found.more or len(evidence.movies) >= MOVIES:
                break
    if found is None and evidence.total is not None:
        return orientation.find(evidence.total, reference)
    return found


def _judge(settings: ImportMovies, lie: _Lie, found: Orientation, evidence: Evidence) -> tuple[_Lie, dict[str, str]]:
    """How to apply the reference, and what to say of it."""
    name, auto = Path(settings.gain).name, settings.gain_rotation == "auto"
    sure = f"correlation {found.correlation:.3f}, {found.sigmas:.0f} standard deviations"
    told_by = f"{evidence} {evidence.verb('tells', 'tell')}: {sure}"
    fits = {(rotation, flip): divides for rotation, flip, divides in found.possible}
    if not fits:
        how = f"It is used as it is, {lie}" if auto else f"It is used as told, {lie}"
        why = f"{evidence} {evidence.verb('does', 'do')} not tell whether the gain {name} fits: {found.why}"
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
            notes["gain turned"] = f"The gain {name} is {lie}, as {told_by}."
        else:
            notes["gain turned"] = (
                f"The gain {name} fits when {better}, not when {lie}, as {told_by}. Change gain_rotation."
            )
    if divides:
        if settings.gain_operation == "auto":
            lie = _Lie(better.operation, lie.rotation, lie.flip)
            notes["gain divides"] = f"The gain {name} is one to {better.operation} frames by, as {told_by}."
        else:
            notes["gain divides"] = (
                f"The gain {name} is one to {better.operation} frames by, not to {lie.operation}, as {told_by}. "
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
