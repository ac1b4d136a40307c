"""All exposures of a session by columns, kept up with the ledger at a cost in proportion to what is new.

Windows and reports ask it what no page should ask the ledger of 49,000 rows again and again: how many are within
these thresholds, which are the worst, how did the drift go over four days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from cryowidgets.errors import ParameterError
from cryowidgets.store import latest
from cryowidgets.store.columns import Column, Labels
from cryowidgets.store.latest import STATES, Source
from cryowidgets.store.metrics import METRICS, Metric
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut

__all__ = ["STATES", "Bins", "Change", "Counts", "Overview"]

REJECTED, DONE = STATES.index("rejected"), STATES.index("done")
_NAMES = {"square": re.compile(r"GridSquare_(\d+)"), "hole": re.compile(r"FoilHole_(\d+)")}
"""What EPU calls its folders and files."""


@dataclass(frozen=True)
class Change:
    """What a refresh found: all anew where `fresh`, else `rows` that are new or have changed, in their order."""

    fresh: bool
    rows: np.ndarray


@dataclass(frozen=True)
class Bins:
    """A number over time: bins of equal length, `time` in UTC s at their middle; NaN where `n` is 0."""

    time: np.ndarray
    low: np.ndarray
    mean: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class Counts:
    """How many exposures thresholds leave; the four add up to all."""

    accepted: int
    outside: int
    unknown: int
    """not done, or a bounded number could not be measured"""
    rejected: int


class Overview:
    """Rows are exposures in the order of their ids; call `refresh` before the first look.

    Attributes
    ----------
    id, acquired, state, flag : numpy arrays (n,)
        Exposure's id; acquisition time in UTC s; index into `STATES`; whether a person flagged it. Read only, and
        replaced by each refresh.
    names : list of str
    notes : dict of int to str
        What people wrote, by row.
    metrics : dict of str to Metric
        Those that the workflow has a step for.
    steps : dict of str to str
        For each kind the name of the step whose numbers are shown first: the first for micrographs, else the last.
    """

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._begin()

    def _begin(self) -> None:
        self._id, self._acquired = Column(np.int64), Column(np.float64)
        self._state, self._flag = Column(np.int8), Column(np.bool_, False)
        self._finished, self._closed = Column(np.float64), Column(np.float64)
        self._groups = {"square": Labels(), "hole": Labels(), "optics": Labels()}
        self._values: dict[str, Column] = {}
        self._rank: dict[str, Column] = {}
        self.names: list[str] = []
        self.notes: dict[int, str] = {}
        self.metrics: dict[str, Metric] = {}
        self.steps: dict[str, str] = {}
        self._sources: list[Source] = []
        self._signature: tuple = ()
        self._event = 0
        self._running: set[int] = set()
        self._share()

    # Keeping up -------------------------------------------------------------------------------------------------

    def refresh(self, reader: Reader) -> Change:
        """Read what is new. Where something was done that touches everything, all is read anew."""
        signature = latest.signature(reader)
        fresh = reader is not self._reader or signature != self._signature
        if fresh:
            self._begin()
            self._reader, self._signature = reader, signature
            self._sources = latest.sources(reader)
            self._name_steps()
        event, touched = latest.touched(reader, None if fresh else self._event)
        first = len(self)
        self._add(reader, latest.arrivals(reader, int(self._id.view[-1]) if first else 0))
        changed = {*range(first, len(self))}
        for source in self._sources:
            changed.update(self._take(reader, source))
        running = latest.running(reader)
        again = touched | (running ^ self._running)
        rows = None if fresh else [row for row in map(self._find, again) if row >= 0]
        if rows is None or rows:
            changed.update(self._judge(reader, rows))
        self._event, self._running = event, running
        self._share()
        if fresh:
            return Change(True, np.arange(len(self)))
        return Change(False, np.array(sorted(changed), dtype=np.int64))

    def _name_steps(self) -> None:
        for source in self._sources:
            if source.kind != "Micrograph" or source.kind not in self.steps:
                self.steps[source.kind] = source.step
        here = {source.kind for source in self._sources}
        columns = {key for source in self._sources for key in source.keys}
        for key, metric in METRICS.items():
            if key in columns or (not metric.kind and "Movie" in here):
                self.metrics[key] = metric
                self._values[key] = Column(np.float64)
        self._rank = {kind: Column(np.int16, -1) for kind in here}

    def _all(self) -> list[Column]:
        own = [self._id, self._acquired, self._state, self._flag, self._finished, self._closed]
        return [*own, *(g.codes for g in self._groups.values()), *self._values.values(), *self._rank.values()]

    def _add(self, reader: Reader, arrivals: list[tuple]) -> None:
        if not arrivals:
            return
        first = len(self)
        for column in self._all():
            column.grow(first + len(arrivals))
        new = slice(first, first + len(arrivals))
        ids, names, paths, acquired, optics = zip(*arrivals, strict=True)
        self._id.put(new, ids)
        self._acquired.put(new, acquired)
        self.names += names
        for key, label in self._groups.items():
            if key == "optics":
                label.codes.put(new, [label.code(name or "") for name in optics])
                continue
            texts = paths if key == "square" else names
            found = (_NAMES[key].search(text) for text in texts)
            label.codes.put(new, [label.code(match[1]) if match else -1 for match in found])

    def _take(self, reader: Reader, source: Source) -> list[int]:
        """A step's new results; those of a step whose word counts less stay where there is a better one."""
        found = latest.results(reader, source)
        if not found:
            return []
        source.since = found[-1][0]
        columns = list(zip(*found, strict=True))
        rows = self._rows(np.array(columns[1], dtype=np.int64))
        rank = self._rank[source.kind]
        here = rows >= 0
        if source.last:
            self._finished.put(rows[here], np.array(columns[2], dtype=np.float64)[here])
        mine = here & (rank.view[np.maximum(rows, 0)] <= source.rank)
        touched, rows = rows[here], rows[mine]
        rank.put(rows, source.rank)
        for key, values in zip(source.keys, columns[3:], strict=True):
            numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)[mine]
            (self._closed if key == latest.CLOSED else self._values[key]).put(rows, numbers)
        if "latency" in self._values:
            self._values["latency"].put(touched, self._finished.view[touched] - self._closed.view[touched])
        return touched.tolist()

    def _judge(self, reader: Reader, rows: list[int] | None) -> list[int]:
        """State, flag and note of some rows, or of all."""
        ids = None if rows is None else self._id.view[np.array(rows, dtype=np.int64)].tolist()
        wanted = np.arange(len(self)) if rows is None else np.array(rows, dtype=np.int64)
        if rows is not None:
            for row in rows:
                self.notes.pop(row, None)
            self._flag.put(wanted, False)
        states = latest.states(reader, ids)
        self._state.put(wanted, 0)
        for state, members in states.items():
            found = self._rows(np.array(sorted(members), dtype=np.int64))
            self._state.put(found[found >= 0], STATES.index(state))
        for id, flag, note in latest.marks(reader, ids):
            row = self._find(id)
            if row >= 0:
                self._flag.put(row, bool(flag))
                if note:
                    self.notes[row] = note
        return wanted.tolist()

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        """Rows of exposures; −1 for those that are not here."""
        known = self._id.view
        if not len(known):
            return np.full(len(ids), -1)
        rows = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[rows] == ids, rows, -1)

    def _find(self, id: int) -> int:
        return int(self._rows(np.array([id]))[0])

    def _share(self) -> None:
        self.id, self.acquired = self._id.view, self._acquired.view
        self.state, self.flag = self._state.view, self._flag.view
        self.values = {key: column.view for key, column in self._values.items()}

    # Questions --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._id.view)

    def row(self, exposure: int) -> int:
        """Row of an exposure.

        Raises
        ------
        ParameterError
            There is none of this id.
        """
        row = self._find(exposure)
        if row < 0:
            raise ParameterError(f"There is no exposure {exposure}.")
        return row

    @property
    def groupings(self) -> tuple[str, ...]:
        """By what exposures can be told apart here: ``square``, ``hole``, ``optics``; only where there are several."""
        return tuple(by for by, labels in self._groups.items() if len(labels.names) > 1)

    def groups(self, by: str) -> tuple[np.ndarray, list[str]]:
        """For each row the index of its label, −1 for none; and the labels."""
        return self._groups[by].codes.view, self._groups[by].names

    def bins(self, key: str, count: int = 500, first: float | None = None, last: float | None = None) -> Bins:
        """A number over acquisition time, from `first` to `last` in UTC s, by default over the whole session."""
        start = float(self.acquired.min()) if first is None and len(self) else first or 0.0
        end = float(self.acquired.max()) if last is None and len(self) else last or 0.0
        width = max(end - start, 1.0) / count
        time = start + width * (np.arange(count) + 0.5)
        values = self.values[key]
        at = np.floor((self.acquired - start) / width)
        use = np.isfinite(values) & (at >= 0) & (self.acquired <= end)
        bin = np.minimum(at[use], count - 1).astype(np.int64)
        values = values[use]
        n = np.bincount(bin, minlength=count)
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, bin, values)
        np.maximum.at(high, bin, values)
        empty = n == 0
        mean = np.bincount(bin, values, minlength=count) / np.maximum(n, 1)
        for column in (low, mean, high):
            column[empty] = np.nan
        return Bins(time, low, mean, high, n)

    def histogram(self, key: str, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
        """Edges (count + 1,) and counts (count,) of a number; few far outliers fall into the outermost bins."""
        values = self.values[key][np.isfinite(self.values[key])]
        if not len(values):
            return np.linspace(0.0, 1.0, count + 1), np.zeros(count, dtype=np.int64)
        low, high = np.percentile(values, [0.5, 99.5])
        margin = 0.1 * (high - low) or max(abs(low) * 0.05, 0.5)
        low, high = max(float(values.min()), low - margin), min(float(values.max()), high + margin)
        if low == high:
            low, high = low - margin, high + margin
        edges = np.linspace(low, high, count + 1)
        return edges, np.histogram(np.clip(values, low, high), edges)[0]

    def accepted(self, cut: Cut) -> np.ndarray:
        """Which rows are done, not rejected, and have every bounded number within its bounds: (n,) of bool."""
        return (self.state == DONE) & self._within(cut)[0]

    def count(self, cut: Cut) -> Counts:
        """How many rows thresholds leave."""
        within, outside = self._within(cut)
        done, rejected = self.state == DONE, self.state == REJECTED
        accepted = int(np.count_nonzero(done & within))
        out = int(np.count_nonzero(outside & ~rejected))
        gone = int(np.count_nonzero(rejected))
        return Counts(accepted, out, len(self) - accepted - out - gone, gone)

    def _within(self, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """Rows with all bounded numbers within, and rows with one of them known to be outside."""
        within, outside = np.ones(len(self), dtype=bool), np.zeros(len(self), dtype=bool)
        for key, (low, high) in cut.items():
            if key not in self.values:
                continue  # of a step that the workflow does not have
            values = self.values[key]
            inside = np.isfinite(values)
            beyond = np.zeros(len(self), dtype=bool)
            for bound, worse in ((low, np.less), (high, np.greater)):
                if bound is not None:
                    beyond |= worse(values, bound)  # False for NaN
            within &= inside & ~beyond
            outside |= beyond
        return within, outside

    def order(self, by: str = "acquired", descending: bool = True, where: np.ndarray | None = None) -> np.ndarray:
        """Rows in the order of a number, of ``acquired``, ``name`` or ``state``; of those in `where`, a mask (n,).

        Rows without the number come last in either direction; equal ones by acquisition, in the same direction.
        """
        rows = np.arange(len(self)) if where is None else np.flatnonzero(where)
        sign = -1.0 if descending else 1.0
        time = sign * self.acquired[rows]
        if by == "acquired":
            return rows[np.lexsort((sign * rows, time))]
        if by == "name":
            ranked = np.empty(len(self), dtype=np.int64)
            ranked[sorted(range(len(self)), key=self.names.__getitem__)] = np.arange(len(self))
            return rows[np.argsort(sign * ranked[rows], kind="stable")]
        values = self.state[rows].astype(float) if by == "state" else self.values[by][rows]
        return rows[np.lexsort((time, sign * values, np.isnan(values)))]
