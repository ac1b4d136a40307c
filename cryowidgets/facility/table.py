"""The table of exposures as people take it elsewhere: one row for each, a unit in the name of each column.

::

    exposure  name  path  acquired  state  accepted  reason  flag  note  optics  …  drift_A  defocus_um  …

What a session measures is measured in the units in which people read it: `store.metrics` has label, unit and meaning.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.facility.placing import whole
from cryowidgets.store.overview import REJECTED, STATES, Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut

_ASCII = {"Å": "A", "µm": "um", "°": "deg", "e/Å²": "e_per_A2", "e/px": "e_per_px", "%": "percent"}
"""How units are spelled in names of columns, which other programs take as they are."""


@dataclass(frozen=True)
class Field:
    """A column of the table."""

    name: str
    """with its unit: ``defocus_um``"""
    unit: str
    """as people read it: µm"""
    help: str


def fields(overview: Overview) -> list[Field]:
    """The columns, in their order; of numbers those that the workflow has a step for."""
    found = [
        Field("exposure", "", "number of the exposure in the project"),
        Field("name", "", "begin of its file names in the project"),
        Field("path", "", "movie file"),
        Field("acquired", "", "acquisition time, UTC, ISO 8601"),
        Field("state", "", ", ".join(STATES)),
        Field("accepted", "", "1: done, not rejected, and within the thresholds of the session"),
        Field("reason", "", "why it was rejected or failed"),
        Field("flag", "", "1: flagged by a person"),
        Field("note", "", "what a person wrote"),
        Field("optics_group", "", "name of its optics group"),
        Field("grid_square", "", "number of its grid square, by EPU's names"),
        Field("hole", "", "number of its hole, by EPU's names"),
        Field("pixel_size_A", "Å", "pixel size of the movie"),
        Field("voltage_kV", "kV", "acceleration voltage"),
    ]
    for metric in overview.metrics.values():
        unit = _ASCII.get(metric.unit, metric.unit)
        found.append(Field(f"{metric.key}_{unit}" if unit else metric.key, metric.unit, metric.help))
    return found


def columns(
    reader: Reader, overview: Overview, only: Sequence[int] | np.ndarray | None = None, cut: Cut | None = None
) -> dict[str, Any]:
    """The table by columns, as for a Parquet file or a data frame.

    Parameters
    ----------
    reader : Reader
    overview : Overview
        Refreshed from the same reader.
    only : sequence of int, optional
        Rows of the overview, in the order in which they are wanted: those of a `Change`, or of `Overview.order`.
        All, oldest first, by default.
    cut : Cut, optional
        Thresholds in place of those of the session.

    Returns
    -------
    dict
        Names as in `fields`; lists of texts, arrays of numbers (NaN where there is none).
    """
    chosen = np.arange(len(overview)) if only is None else np.asarray(only, dtype=np.int64)
    ids = overview.id[chosen].tolist()
    accepted = overview.accepted(reader.thresholds() if cut is None else cut)[chosen]
    own = _exposures(reader, None if only is None else ids)
    reasons = _reasons(reader, overview, chosen)
    values: list[Any] = [
        overview.id[chosen],
        [overview.names[row] for row in chosen],
        [own[id][0] for id in ids],
        [iso(time) for time in overview.acquired[chosen].tolist()],
        [STATES[state] for state in overview.state[chosen]],
        accepted.astype(np.int8),
        reasons,
        overview.flag[chosen].astype(np.int8),
        [overview.notes.get(row, "") for row in chosen.tolist()],
    ]
    for by in ("optics", "square", "hole"):
        codes, labels = overview.groups(by)
        values.append([labels[code] if code >= 0 else "" for code in codes[chosen].tolist()])
    values += [np.array([own[id][n] for id in ids], dtype=np.float64) for n in (1, 2)]
    values += [overview.values[key][chosen] * metric.factor for key, metric in overview.metrics.items()]
    return dict(zip((field.name for field in fields(overview)), values, strict=True))


def write_csv(
    path: Path | str,
    reader: Reader,
    overview: Overview,
    only: Sequence[int] | np.ndarray | None = None,
    cut: Cut | None = None,
) -> int:
    """Write the table, or some rows of it, as CSV in UTF-8 (RFC 4180); returns the number of rows.

    It is written beside and moved into place, since somebody may be reading the one before.
    """
    table = columns(reader, overview, only, cut)
    with whole(Path(path)) as half, open(half, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*map(texts, table.values()), strict=True))
    return len(table["name"])


def iso(time: float) -> str:
    """``2026-11-22T08:30:00.250Z``."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def texts(values: Any) -> list[Any]:
    """A column as CSV: seven digits that count, nothing for NaN; no text that a spreadsheet takes for a formula."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "f":
            return ["" if math.isnan(value) else f"{value:.7g}" for value in values.tolist()]
        return values.tolist()
    return [f"'{text}" if text[:1] in ("=", "+", "@", "\t") else text for text in values]


def _exposures(reader: Reader, ids: list[int] | None) -> dict[int, tuple[str, float, float]]:
    """Path of the movie, pixel size, and voltage of exposures."""
    sql = "SELECT e.id, e.path, o.pixel_size, o.voltage FROM exposure e LEFT JOIN optics o ON o.id = e.optics"
    return {id: tuple(values) for id, *values in _each(reader, sql, "e.id", ids)}  # type: ignore[misc]


def _reasons(reader: Reader, overview: Overview, chosen: np.ndarray) -> list[str]:
    """Why exposures were rejected, by a person before a gate, or failed."""
    troubled = chosen[overview.state[chosen] >= REJECTED]
    if not len(troubled):
        return [""] * len(chosen)
    ids = overview.id[troubled].tolist()
    said: dict[int, str] = {}
    choosing = reader.choosing()
    sql = "SELECT exposure, state, error, step FROM task WHERE state IN ('failed', 'rejected') AND exposure NOT NULL"
    found = sorted(_each(reader, sql, "exposure", ids), key=lambda row: row[1])  # failed, then rejected
    for exposure, state, error, step in found:
        if state == "failed" or step not in choosing:
            said[exposure] = error or ""
    sql = "SELECT id, rejected FROM exposure WHERE rejected IS NOT NULL"
    said |= dict(_each(reader, sql, "id", ids))
    wanted = set(ids)
    return [said.get(id, "") if id in wanted else "" for id in overview.id[chosen].tolist()]


_MANY = 500
"""Ids in one question."""


def _each(reader: Reader, sql: str, column: str, ids: list[int] | None) -> list[tuple]:
    """Rows of a question for some ids: of few of them by the index, of many by reading all."""
    if ids is None or len(ids) > 20 * _MANY:
        return reader.query(sql)
    word = "AND" if " WHERE " in sql else "WHERE"
    found: list[tuple] = []
    for first in range(0, len(ids), _MANY):
        some = ids[first : first + _MANY]
        found += reader.query(f"{sql} {word} {column} IN ({', '.join('?' * len(some))})", some)
    return found
