"""How classes became what they are: the results of a sorting after each batch, as far as their files are kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import class_sheet, texts
from cryowidgets.widgets.class_closely import Course
from cryowidgets.widgets.class_sheet import Sheet, Table

MOST = 60
"""Moments that can be gone back to, evenly spread over all batches."""
KEEP = 80
"""Tables and sheets that are kept ready."""


@dataclass(frozen=True)
class Moment:
    """The state after a batch."""

    row: int
    """of the result"""
    batch: int
    particles: int

    @property
    def name(self) -> str:
        return f"{self.batch}, {texts.thousands(self.particles)} particles"


class History:
    """The moments of a step's sorting, and the classes at each of them."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        """Oldest first; the newest result is the last."""
        self._step = ""
        self._count = -1
        self._tables: OrderedDict[int, Table | None] = OrderedDict()
        self._sheets: OrderedDict[int, Sheet] = OrderedDict()

    def refresh(self, reader: Reader, step: str) -> None:
        """Take in what is new."""
        if step != self._step:
            self._step, self._count = step, -1
            self._tables.clear()
            self._sheets.clear()
        rows = reader.rows(step)
        if len(rows["id"]) == self._count:
            return
        self._count = len(rows["id"])
        total = np.asarray(rows["particles"])
        fallen = np.flatnonzero(np.diff(total) < 0)  # where it was begun again
        first = int(fallen[-1]) + 1 if len(fallen) else 0
        there = [
            Moment(int(rows["id"][i]), int(rows["batches"][i]) or i - first + 1, int(total[i]))
            for i in range(first, len(total))
            if rows["path"][i] and (reader.folder / rows["path"][i]).is_file()
        ]
        if len(there) > MOST:
            there = [there[i] for i in np.unique(np.linspace(0, len(there) - 1, MOST).round().astype(int))]
        self.moments = there

    def sheet(self, reader: Reader, at: int) -> Sheet:
        """The classes at a moment.

        Raises
        ------
        InputError
            Its files are gone or cannot be read.
        """
        row = self.moments[at].row
        if row not in self._sheets:
            self._sheets[row] = class_sheet.read(self._result(reader, row))
            while len(self._sheets) > KEEP:
                self._sheets.popitem(last=False)
        return self._sheets[row]

    def course(self, reader: Reader, identity: int) -> Course:
        """What became of a class; batches at which it was not there are left out."""
        found = []
        for moment in self.moments:
            table = self._table(reader, moment.row)
            if table is None:
                continue
            for i in np.flatnonzero(table.identity == identity):
                found.append((moment.batch, table.share[i], table.resolution[i]))
        columns = np.array(found, np.float64).reshape(-1, 3).T
        return Course(*columns)

    def _table(self, reader: Reader, row: int) -> Table | None:
        """None where its file is gone."""
        if row not in self._tables:
            try:
                self._tables[row] = class_sheet.table_of(self._result(reader, row))
            except InputError:
                self._tables[row] = None
            while len(self._tables) > KEEP:
                self._tables.popitem(last=False)
        return self._tables[row]

    def _result(self, reader: Reader, row: int) -> Any:
        result = reader.result(self._step, row)
        if result is None:
            raise InputError("This result is not there any more.")
        return result
