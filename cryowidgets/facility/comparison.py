"""Whether two sets of RELION star files say the same, to rounding: of a session and of its repetition."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.io import star

TABLES = {
    "movies.star": ("movies", "rlnMicrographMovieName"),
    "corrected_micrographs.star": ("micrographs", "rlnMicrographName"),
    "micrographs_ctf.star": ("micrographs", "rlnMicrographName"),
}
"""Files, the block of each that has a row for each exposure, and the column that names it."""
TURNS = {"rlnDefocusAngle": 180.0, "rlnPhaseShift": 180.0}
"""Angles that come back to the same after so many degrees."""


@dataclass(frozen=True)
class Compared:
    """One column of one file, over all rows."""

    file: str
    column: str
    rows: int
    worst: float
    """largest difference, relative to the value or to what is usual in the column, whichever is more; of texts the
    share of those that differ"""
    alike: bool


def compare(
    recorded: Path | str, repeated: Path | str, names: Collection[str] | None = None, tolerance: float = 1e-3
) -> list[Compared]:
    """Compare all star files that `facility.relion.export` writes, also those of each movie's shifts.

    Parameters
    ----------
    recorded, repeated : path
        Two folders.
    names : collection of str, optional
        Exposures that count; all by default.
    tolerance : float
        Relative difference that is rounding.

    Returns
    -------
    list of Compared
        An entry for each column; where rows are there in one of them alone, one with the column ``rows``.

    Raises
    ------
    ProjectError
        There is nothing to compare with.
    """
    recorded, repeated = Path(recorded), Path(repeated)
    if not (recorded / "movies.star").exists():
        raise ProjectError(f"{recorded} has no movies.star: it is not the record of a session.")
    found: list[Compared] = []
    for file, (block, key) in TABLES.items():
        found += _tables(file, *(_rows(folder / file, block, key, names) for folder in (recorded, repeated)), tolerance)
    shifts = [_shifts(folder, names) for folder in (recorded, repeated)]
    found += _tables("MotionCorr/*.star", *shifts, tolerance)
    return found


def _rows(file: Path, block: str, key: str, names: Collection[str] | None) -> dict[Any, dict[str, Any]]:
    """Rows by exposure."""
    if not file.exists():
        return {}
    table = star.read(file)[block]
    rows = {}
    for i, name in enumerate(table[key]):
        exposure = Path(str(name)).stem
        if names is None or exposure in names:
            rows[exposure] = {column: values[i] for column, values in table.items()}
    return rows


def _shifts(folder: Path, names: Collection[str] | None) -> dict[Any, dict[str, Any]]:
    """Shifts of the whole frame, by exposure and frame."""
    rows = {}
    for file in sorted(folder.glob("MotionCorr/*.star")):
        if names is not None and file.stem not in names:
            continue
        table = star.read(file)["global_shift"]
        for i, frame in enumerate(table["rlnMicrographFrameNumber"]):
            rows[file.stem, int(frame)] = {column: values[i] for column, values in table.items()}
    return rows


def _tables(file: str, recorded: Mapping[Any, dict], repeated: Mapping[Any, dict], tolerance: float) -> list[Compared]:
    alone = set(recorded) ^ set(repeated)
    found = []
    if alone:
        found.append(Compared(file, "rows", len(alone), math.inf, False))
    both = [key for key in recorded if key in repeated]
    for column in dict.fromkeys(c for key in both for c in (*recorded[key], *repeated[key])):
        pairs = [(recorded[key].get(column), repeated[key].get(column)) for key in both]
        worst = _worst(column, pairs)
        found.append(Compared(file, column, len(pairs), worst, worst <= tolerance))
    return found


def _worst(column: str, pairs: list[tuple[Any, Any]]) -> float:
    try:
        a, b = np.array(pairs, dtype=np.float64).T
    except (TypeError, ValueError):
        return float(np.mean([x != y for x, y in pairs]))
    off = np.abs(a - b)
    turn = TURNS.get(column)
    if turn:
        return float(np.min([off % turn, -off % turn], axis=0).max() / turn)
    usual = float(np.median(np.abs(a)))
    scale = np.maximum(np.abs(a), max(usual, 1e-9))
    return float(np.max(off / scale))
