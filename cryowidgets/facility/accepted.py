"""The results of a session that count: nobody has rejected them, and they lie within its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.errors import CryowidgetsError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Columns, Reader


class Accepted:
    """The results of a session that count; who is left out is found once, for all kinds.

    Parameters
    ----------
    reader : Reader
    thresholds : bool
        Where thresholds are saved with the project, leave out exposures that do not lie within them.
    """

    def __init__(self, reader: Reader, thresholds: bool = True) -> None:
        self._reader = reader
        self._out = rejected(reader)
        cut = reader.thresholds() if thresholds else {}
        if cut:
            overview = Overview()
            overview.refresh(reader)
            self._out |= set(overview.id[~overview.accepted(cut)].tolist())

    def of(self, kind: type[Item]) -> dict[int, dict[str, Any]]:
        """Results of the last step that gives a kind, by exposure, in the order of acquisition.

        Passed over are steps that only choose among items, for others behind them, and those whose results belong to no
        exposure.
        """
        steps = self._reader.steps().values()
        giving = [s.name for s in steps if s.gives == kind.__name__ and not s.fold and not _chooses(s.protocol)]
        found = rows(self._reader.rows(giving[-1])) if giving else []
        found.sort(key=lambda row: (row["acquired"], row["exposure"]))
        return {row["exposure"]: row for row in found if row["exposure"] not in self._out}


@dataclass(frozen=True)
class LeftOut:
    """How many exposures are handed on, and why the others are not; together they are all."""

    accepted: int
    by_person: int
    by_gates: int
    by_thresholds: int
    unfinished: int
    """that wait, are under way, or failed"""

    def __str__(self) -> str:
        said = {"a person": self.by_person, "gates": self.by_gates, "thresholds": self.by_thresholds}
        why = ", ".join(f"{count} by {who}" for who, count in said.items())
        rest = f"; {self.unfinished} not done" if self.unfinished else ""
        return f"{self.accepted} exposures accepted; left out: {why}{rest}"


def left_out(reader: Reader, thresholds: bool = True) -> LeftOut:
    """Who counts, and who does not."""
    overview = Overview()
    overview.refresh(reader)
    cut = reader.thresholds() if thresholds else {}
    counts = overview.count(cut)
    done = overview.count({}).accepted
    by_person = reader.query("SELECT count(*) FROM exposure WHERE rejected IS NOT NULL")[0][0]
    unfinished = len(overview) - done - counts.rejected
    return LeftOut(counts.accepted, by_person, counts.rejected - by_person, done - counts.accepted, unfinished)


def _chooses(protocol: str) -> bool:
    try:
        return registry.get(protocol).chooses
    except CryowidgetsError:
        return False  # of a plug-in that is not here


def rejected(reader: Reader) -> set[int]:
    """Exposures that a person or a gate has rejected."""
    states = reader.exposures()
    return {id for id, state in zip(states["id"].tolist(), states["state"], strict=True) if state == "rejected"}


def rows(table: Columns) -> list[dict[str, Any]]:
    """A table by rows."""
    columns = [values.tolist() if isinstance(values, np.ndarray) else values for values in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]
