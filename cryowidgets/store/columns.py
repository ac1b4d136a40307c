"""Columns that grow: what a window holds of a ledger, appended to in proportion to what is new."""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.model import NAN


class Column:
    """Values of one type, one for each row; `view` is what others may read."""

    def __init__(self, dtype: Any, empty: Any = 0) -> None:
        self._empty = NAN if np.dtype(dtype).kind == "f" else empty
        self._values = np.full(1024, self._empty, dtype=dtype)
        self.grow(0)

    def grow(self, count: int) -> None:
        """Have so many rows; new ones are empty."""
        if count > len(self._values):
            larger = np.full(max(count, 2 * len(self._values)), self._empty, dtype=self._values.dtype)
            larger[: len(self._values)] = self._values
            self._values = larger
        self.view = self._values[:count]
        self.view.flags.writeable = False

    def put(self, rows: Any, values: Any) -> None:
        """Set some rows."""
        self._values[rows] = values


class Labels:
    """Names that many rows share, as numbers."""

    def __init__(self) -> None:
        self.codes = Column(np.int32, -1)
        self.names: list[str] = []
        self._known: dict[str, int] = {}

    def code(self, name: str) -> int:
        """The number of a name; −1 for an empty one."""
        if not name:
            return -1
        if name not in self._known:
            self._known[name] = len(self.names)
            self.names.append(name)
        return self._known[name]
