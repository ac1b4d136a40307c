"""How classes came about, in one file of a bounded size: averages after some batches, figures after more of them."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg

FRAMES = 40
"""Batches whose averages are kept at most."""
FIGURES = 400
"""Batches whose figures are kept at most."""
SIDE = 48
"""px of such an average at most."""

_FIGURES = ("identity", "share", "resolution", "score")


@dataclass(frozen=True)
class History:
    """What is kept, the oldest batch first and the newest always last.

    When there would be too many batches, those between two multiples of a doubled step go, so that they stay evenly
    spread over all that there were.

    Attributes
    ----------
    frames : (f,) int
        The batches whose averages are kept, counted from 1; figures of these are kept as well.
    averages : (f, k, side, side) uint8
        Each stretched on its own; 128 where a slot was empty.
    batches : (b,) int
        The batches whose figures are kept.
    sorted : (b,) int
        Particles sorted by then.
    identity : (b, k) int32
    share, resolution, score : (b, k) float32
        See `classfiles.ClassModel`.
    """

    frames: np.ndarray
    averages: np.ndarray
    batches: np.ndarray
    sorted: np.ndarray
    identity: np.ndarray
    share: np.ndarray
    resolution: np.ndarray
    score: np.ndarray

    @classmethod
    def none(cls, classes: int) -> History:
        """Before the first batch."""
        nothing = np.zeros((0, classes), np.float32)
        no, side = np.zeros(0, np.int64), 1
        averages = np.zeros((0, classes, side, side), np.uint8)
        return cls(no, averages, no, no, nothing.astype(np.int32), nothing, nothing, nothing)

    def extended(self, batch: int, sorted: int, model: Any, averages: np.ndarray) -> History:
        """With one more batch; what was said of it or of later ones before is forgotten.

        Parameters
        ----------
        batch : int
            Its number, from 1.
        sorted : int
            Particles sorted by then.
        model : ClassModel, or what else has its attributes
        averages : (k, box, box) array
        """
        small = _small(averages, np.asarray(model.particles) > 0)[None]
        old = self.frames < batch
        kept = small if not old.any() else np.concatenate([self.averages[old], small])
        frames = np.append(self.frames[old], batch)
        before = self.batches < batch
        figures = {
            name: np.concatenate([getattr(self, name)[before], _row(getattr(model, name), getattr(self, name).dtype)])
            for name in _FIGURES
        }
        batches, total = np.append(self.batches[before], batch), np.append(self.sorted[before], sorted)
        some = _spread(batches, FIGURES)
        both = np.flatnonzero(np.isin(frames, batches[some]))
        which = both[_spread(frames[both], FRAMES)]
        return replace(
            self,
            frames=frames[which],
            averages=kept[which],
            batches=batches[some],
            sorted=total[some],
            **{name: values[some] for name, values in figures.items()},
        )


def write(path: str | os.PathLike, history: History) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, **{name: getattr(history, name) for name in History.__dataclass_fields__})


def read(path: str | os.PathLike) -> History:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        The file is missing or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            return History(**{name: kept[name] for name in History.__dataclass_fields__})
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{Path(path).name} is no history of classes: {error}.") from error


def _spread(batches: np.ndarray, most: int) -> np.ndarray:
    """Which batches stay: at most so many, the newest among them."""
    step = 1
    chosen = np.ones(len(batches), bool)
    while chosen.sum() > most:
        step *= 2
        chosen = batches % step == 0
        chosen[-1] = True
    return np.flatnonzero(chosen)


def _row(values: Any, kind: np.dtype) -> np.ndarray:
    return np.asarray(values).astype(kind)[None]


def _small(averages: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Averages (k, side, side) uint8, by cutting their transform."""
    from cryowidgets.kernels import fourier  # here, since pages that only read a history need no transforms

    averages = np.nan_to_num(np.asarray(averages, np.float32))
    box = averages.shape[-1]
    side = min(box, SIDE)
    if side < box:
        spectrum = fourier.crop(fourier.rfft2(averages), (box, box), (side, side))
        averages = np.asarray(fourier.irfft2(spectrum, (side, side)))
    out = np.full(averages.shape, 128, np.uint8)
    for slot in np.flatnonzero(filled):
        out[slot] = jpeg.greys(averages[slot])
    return out
