"""The files of a sorting into classes: a RELION star file of the classes, and one of each batch of particles.

A batch's file names the one before it, so that what a batch costs does not grow with the number of batches. Columns
that RELION does not know begin with cw and do not disturb it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import star

UNKNOWN = 999.0
"""Å; what RELION writes of a resolution or accuracy that it cannot tell."""

_CHAIN = "cw_batch"
_COLUMNS: dict[str, str] = {
    "share": "rlnClassDistribution",
    "resolution": "rlnEstimatedResolution",
    "score": "rlnClassScore",
    "good": "rlnSelected",
    "identity": "cwIdentity",
    "parent": "cwParent",
    "particles": "cwParticles",
    "size": "cwSize",
    "age": "cwAge",
}


@dataclass(frozen=True)
class ClassModel:
    """What is known of the classes, one element for each slot; empty slots have no particles.

    Attributes
    ----------
    identity, parent : (k,) int
        A slot whose class died and that began anew has another identity, and knows the one that it came from. They are
        counted from 1; the identity of an empty slot is 0, and so is the parent of a class that came from none.
    particles, age : (k,) int
        Particles so far, batches that it has lived through.
    share, resolution, size, score : (k,) float
        Share of the particles, Å, Å, 0 to 1; NaN where unknown.
    good : (k,) bool
        Whether it looks like particles.
    pixel_size : float
        Å/px of the averages.
    """

    identity: np.ndarray
    parent: np.ndarray
    share: np.ndarray
    particles: np.ndarray
    resolution: np.ndarray
    size: np.ndarray
    score: np.ndarray
    good: np.ndarray
    age: np.ndarray
    pixel_size: float = math.nan

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def filled(self) -> np.ndarray:
        """Slots with particles, the largest first."""
        order = np.argsort(-self.share, kind="stable")
        return order[self.particles[order] > 0]


def write_model(path: str | os.PathLike, model: Any, averages: str, pixel_size: float, box: int) -> None:
    """Write what is known of the classes.

    Parameters
    ----------
    model : ClassModel, or what else has its attributes
    averages : str
        The stack of the averages, as the file is to name it.
    """
    count = len(model.identity)
    table: dict[str, Any] = {"rlnReferenceImage": [f"{i:06d}@{averages}" for i in range(1, count + 1)]}
    for name, column in _COLUMNS.items():
        values = np.asarray(getattr(model, name))
        if name in ("resolution", "score"):
            values = np.where(np.isfinite(values), values, UNKNOWN if name == "resolution" else 0.0)
        table[column] = values.astype(int) if name == "good" else values
        if name == "resolution":
            table["rlnAccuracyRotations"] = np.full(count, UNKNOWN)
            table["rlnAccuracyTranslationsAngst"] = np.full(count, UNKNOWN)
    general = {
        "rlnReferenceDimensionality": 2,
        "rlnDataDimensionality": 2,
        "rlnOriginalImageSize": box,
        "rlnPixelSize": float(pixel_size),
        "rlnNrClasses": count,
    }
    star.write(path, {"model_general": general, "model_classes": table})


def read_model(path: str | os.PathLike) -> ClassModel:
    """Read what is known of the classes, from our files or RELION's.

    Of RELION's classes the identity is the place in the stack, from 1; what it does not tell is NaN, the number of
    particles 1 where the class has a share and 0 where not, and none is good.

    Raises
    ------
    InputError
        The file is missing or has no classes.
    """
    blocks = star.read(path)
    table = blocks.get("model_classes", {})
    if "rlnClassDistribution" not in table:
        raise InputError(f"{path} has no table model_classes with a column rlnClassDistribution.")
    columns = {name: np.atleast_1d(np.asarray(value)) for name, value in table.items()}
    share = columns["rlnClassDistribution"].astype(float)
    count = len(share)
    absent: dict[str, np.ndarray] = {
        "identity": np.arange(1, count + 1),
        "parent": np.zeros(count),
        "particles": share > 0,
        "good": np.zeros(count),
        "age": np.zeros(count),
    }
    found: dict[str, np.ndarray] = {}
    for name, column in _COLUMNS.items():
        if name == "good" and "cwIdentity" not in columns:
            values = absent[name]  # RELION's own choice is another matter
        else:
            values = columns.get(column, absent.get(name, np.full(count, np.nan)))
        kind = {"good": bool, "share": float, "resolution": float, "size": float, "score": float}.get(name, int)
        try:
            found[name] = values.astype(kind)
        except ValueError:
            raise InputError(f"{path}: the column {column} holds something that is no number.") from None
    resolution = found["resolution"]
    found["resolution"] = np.where((resolution > 0) & (resolution < 0.9 * UNKNOWN), resolution, np.nan)
    pixel_size = blocks.get("model_general", {}).get("rlnPixelSize", math.nan)
    return ClassModel(**found, pixel_size=float(pixel_size))


def counting(model: Any, keep: Collection[int], drop: Collection[int], least: float) -> np.ndarray:
    """Which classes count, (k,) bool: those chosen by hand, and of the others those that are good enough.

    Parameters
    ----------
    model : ClassModel, or what else has its identity, score and good
    keep, drop : collections of int
        Identities of classes that count, and do not count, in any case.
    least : float
        Least score of the others; 0 for those that look like particles. Where a program judges no classes, all others
        count as long as none is kept by hand.
    """
    kept, dropped = (np.isin(model.identity, list(chosen)) for chosen in (keep, drop))
    if not np.isfinite(model.score).any():
        return (kept if keep else np.ones(len(kept), bool)) & ~dropped
    return (kept | (model.score >= least if least else model.good == 1)) & ~dropped


def write_batch(
    path: str | os.PathLike,
    optics: Mapping[str, Sequence],
    table: Mapping[str, Sequence],
    number: int,
    before: str = "",
) -> None:
    """Write the particles of a batch with their classes.

    Parameters
    ----------
    number : int
        Of the batch, from 1.
    before : str
        File of the batch before it, in the same folder; empty for the first.
    """
    chain: dict[str, Any] = {"cwBatch": number}
    if before:
        chain["cwBefore"] = Path(before).name
    star.write(path, {"optics": dict(optics), "particles": dict(table), _CHAIN: chain})


def link(blocks: Mapping[str, Mapping[str, Any]]) -> tuple[int, str]:
    """Number of a batch and name of the file of the one before it; 1 and nothing for a file that stands alone."""
    chain = blocks.get(_CHAIN, {})
    return int(chain.get("cwBatch", 1)), Path(str(chain.get("cwBefore", ""))).name
