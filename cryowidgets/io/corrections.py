"""What a person has corrected of the picks of a micrograph, as a small file of its own in the project.

It lies apart from what steps have made, ``corrections/STEP/MICROGRAPH.json``, so that it is there still when the picker
has been asked again with other values, and goes with a project that is copied.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryowidgets.errors import InputError

FOLDER = "corrections"
MOST = 20_000
"""Places that may be added to a micrograph, and taken away from it."""
SAME = 0.5
"""Places so near to each other, px, are one: what was said twice was said once."""


@dataclass(frozen=True)
class Corrections:
    """Places that a person has added and taken away.

    Attributes
    ----------
    added, removed : (n, 2)
        y, x in px of the micrograph.
    pixel_size : float
        Å/px of that micrograph; NaN as long as nothing is corrected.
    """

    added: NDArray[np.float64]
    removed: NDArray[np.float64]
    pixel_size: float = math.nan

    def __bool__(self) -> bool:
        return bool(len(self.added) or len(self.removed))

    def scaled(self, pixel_size: float) -> Corrections:
        """The same in a micrograph of that many Å/px."""
        factor = self.pixel_size / pixel_size
        return self if not factor > 0 else Corrections(self.added * factor, self.removed * factor, pixel_size)

    def then(self, add: Any, remove: Any) -> Corrections:
        """With more of both, first what is taken away: what was added goes, a pick is marked to go.

        A place added just where a pick was taken away brings that pick back.
        """
        added, removed = list(map(tuple, self.added.tolist())), list(map(tuple, self.removed.tolist()))
        for place in map(tuple, np.asarray(remove, float).reshape(-1, 2).tolist()):
            if not _drop(added, place) and _nearest(removed, place) is None:
                removed.append(place)
        for place in map(tuple, np.asarray(add, float).reshape(-1, 2).tolist()):
            if not _drop(removed, place) and _nearest(added, place) is None:
                added.append(place)
        return Corrections(_places(added), _places(removed), self.pixel_size)


def path(project: Path | str, step: str, micrograph: str) -> Path:
    """Where the corrections of a step lie, whether there are any or not."""
    return Path(project) / FOLDER / step / f"{micrograph}.json"


def read(file: str | os.PathLike) -> Corrections:
    """Read corrections; none where there is no file.

    Raises
    ------
    InputError
        The file is not what it should be.
    """
    try:
        said = json.loads(Path(file).read_text())
        found = Corrections(_places(said["added"]), _places(said["removed"]), float(said["pixel_size"]))
    except FileNotFoundError:
        return Corrections(np.zeros((0, 2)), np.zeros((0, 2)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} does not hold corrections of picks: {error}. Forget them with 'unpick'.") from None
    if not all(np.isfinite(places).all() for places in (found.added, found.removed)):
        raise InputError(f"{file} holds a place that is not a number. Forget these corrections with 'unpick'.")
    return found


def write(file: str | os.PathLike, corrections: Corrections) -> None:
    """Write corrections in one go: a reader sees those of before, or these. None take the file away."""
    file = Path(file)
    if not corrections:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "pixel_size": corrections.pixel_size,
        "added": corrections.added.tolist(),
        "removed": corrections.removed.tolist(),
    }
    half = file.with_name(f".{file.name}.making")
    half.write_text(json.dumps(said))
    os.replace(half, file)


def _nearest(places: list[tuple[float, float]], place: tuple[float, float]) -> int | None:
    """Index of the place that is the same, the nearest of several; None where there is none."""
    near = [(math.hypot(y - place[0], x - place[1]), i) for i, (y, x) in enumerate(places)]
    distance, index = min(near, default=(math.inf, -1))
    return index if distance <= SAME else None


def _drop(places: list[tuple[float, float]], place: tuple[float, float]) -> bool:
    """Take away the place that is the same; whether there was one."""
    index = _nearest(places, place)
    if index is not None:
        del places[index]
    return index is not None


def _places(given: Any) -> NDArray[np.float64]:
    return np.array(given, float).reshape(-1, 2)
