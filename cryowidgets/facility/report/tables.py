"""The table of exposures beside a report: as CSV, and as Parquet where asked for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from cryowidgets.errors import ProgramError
from cryowidgets.facility import table
from cryowidgets.facility.placing import whole
from cryowidgets.store.overview import Change, Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut

CSV, PARQUET = "exposures.csv", "exposures.parquet"
MISSING = "A table in Parquet needs pyarrow: pip install 'cryowidgets[parquet]'"


class Tables:
    """Writes the table again and again; lines of exposures for which nothing changed are kept.

    Raises
    ------
    ProgramError
        Parquet is asked for and pyarrow is missing.
    """

    def __init__(self, folder: Path, parquet: bool) -> None:
        self._folder, self._parquet = folder, parquet
        if parquet:
            _pyarrow()
        self._lines: list[str] = []
        self._head = ""
        self._cut: Cut = {}

    def write(self, reader: Reader, overview: Overview, change: Change) -> list[Path]:
        """Write what is new, and return the files."""
        cut = reader.thresholds()
        if change.fresh or cut != self._cut:
            self._lines, self._cut = [], cut
            rows = None
        else:
            rows = change.rows
        if rows is None or rows.size or not self._head:
            self._format(table.columns(reader, overview, rows, cut), rows)
        files = [_whole(self._folder / CSV, "".join([self._head, *self._lines]))]
        if self._parquet:
            files.append(write_parquet(self._folder / PARQUET, reader, overview, cut))
        return files

    def _format(self, columns: dict[str, Any], rows: Any) -> None:
        self._head = _lines([tuple(columns)])[0]
        made = _lines(zip(*map(table.texts, columns.values()), strict=True))
        if rows is None:
            self._lines = made
            return
        for row, line in zip(rows.tolist(), made, strict=True):
            if row < len(self._lines):
                self._lines[row] = line
            else:
                self._lines.append(line)  # rows of a change are in their order


def write_parquet(path: Path, reader: Reader, overview: Overview, cut: Cut | None = None) -> Path:
    """The same table as Parquet: typed columns, with unit and meaning in the metadata of each.

    Raises
    ------
    ProgramError
        pyarrow is missing.
    """
    arrow, parquet = _pyarrow()
    columns = table.columns(reader, overview, cut=cut)
    made, fields = [], []
    for field in table.fields(overview):
        values = columns[field.name]
        if field.name == "acquired":
            times = (overview.acquired * 1e3).round().astype("int64")
            column = arrow.array(times, arrow.timestamp("ms", tz="UTC"))
        elif isinstance(values, list):
            column = arrow.array(values, arrow.string())
        else:
            column = arrow.array(values, from_pandas=True)  # NaN is no value
        about = {"unit": field.unit, "description": field.help}
        made.append(column)
        fields.append(arrow.field(field.name, column.type, metadata={k: v for k, v in about.items() if v}))
    with whole(path) as half:
        parquet.write_table(arrow.Table.from_arrays(made, schema=arrow.schema(fields)), half)
    return path


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ProgramError(f"{MISSING}.") from None
    return pyarrow, pyarrow.parquet


def _lines(rows: Any) -> list[str]:
    """Rows as CSV, one text each."""
    found = []
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer).writerow(row)
        found.append(buffer.getvalue())
    return found


def _whole(path: Path, text: str) -> Path:
    with whole(path) as half:
        half.write_text(text, encoding="utf-8", newline="")
    return path
