"""Samples of the machine, its disks and its workers: written by the engine, thinned out, read by windows.

Every sample is kept for an hour, one a minute for a day, one in ten minutes for a month. So a session of any length
has at most about 8,000 rows of `system` and 6,200 of each disk; of workers there is one row each.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryowidgets.model import NAN
from cryowidgets.store.disk import WINDOW, full_at

if TYPE_CHECKING:
    from cryowidgets.store.store import Store

SLOTS = (60.0, 600.0)
"""Seconds: the first sample of each slot has grade 1 or 2, the others 0."""
KEPT = (3600.0, 86400.0, 30 * 86400.0)
"""Seconds that samples of each grade are kept."""
GONE = 3600.0
"""Seconds that a worker stays to be seen after it is gone."""
_THINNED_EVERY = 300.0

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mount:
    """A disk that the session uses, as it was last seen."""

    place: str
    """mount point"""
    device: str
    type: str
    network: bool
    uses: tuple[str, ...]
    """what is there: project, movies, gain"""
    time: float
    """UTC s of the sample"""
    total: float
    """GB; NaN while it does not answer, as all numbers here where they are not known"""
    free: float
    """GB"""
    read: float
    """MB/s of the whole machine"""
    write: float
    """MB/s of the whole machine"""
    seen: float
    """MB/s at which workers got what they read, over the last minutes in which they read"""
    silent: float
    """s since a question that it has not answered; 0 where it answers"""
    full: float
    """UTC s when it will be full; NaN where it will not, or too little is known"""


@dataclass(frozen=True)
class Worker:
    """A worker, as it was last seen."""

    key: str
    name: str
    host: str
    state: str
    """working, idle, silent, lost, left; ended with its engine"""
    step: str
    """what it does; empty where nothing"""
    exposure: int | None
    begun: float
    """UTC s, since when it does that"""
    done: int
    """tasks"""
    first: float
    """UTC s"""
    last: float
    """UTC s"""
    cpu: float
    """% of one core; NaN where not known"""
    memory: float
    """MB; NaN where not known"""


class Samples:
    """Writes samples into a ledger and takes old ones away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thinned = 0.0
        self._newest: dict[str, float] = {}

    def add(self, system: Row | None = None, mounts: Iterable[Row] = (), workers: Iterable[Row] = ()) -> None:
        """Write rows of the tables `system`, `mount` and `worker`; a worker's row takes the place of its last."""
        with self._store.transaction() as db:
            if system:
                self._insert("system", {**system, "grade": self._grade("", system["time"])})
            for mount in mounts:
                self._insert("mount", {**mount, "grade": self._grade(mount["place"], mount["time"])})
            for worker in workers:
                names = ", ".join(worker)
                marks = ", ".join("?" * len(worker))
                db.execute(f"INSERT OR REPLACE INTO worker ({names}) VALUES ({marks})", list(worker.values()))
            now = system["time"] if system else time.time()
            if abs(now - self._thinned) > _THINNED_EVERY:
                self._thinned = now
                thin(self._store, now)

    def _insert(self, table: str, row: Row) -> None:
        marks = ", ".join("?" * len(row))
        with self._store.transaction() as db:
            db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    def _grade(self, place: str, now: float) -> int:
        """By whether a sample of this slot is there already."""
        if place not in self._newest:
            sql = "SELECT max(time) FROM mount WHERE place = ?" if place else "SELECT max(time) FROM system"
            self._newest[place] = self._store.query(sql, (place,) if place else ())[0][0] or 0.0
        before, self._newest[place] = self._newest[place], now
        return sum(int(now / slot) != int(before / slot) for slot in SLOTS)


def thin(store: Store, now: float) -> None:
    """Take away samples that are older than their grade is kept, and workers long gone."""
    with store.transaction() as db:
        for table in ("system", "mount"):
            for grade, kept in enumerate(KEPT):
                db.execute(f"DELETE FROM {table} WHERE grade = ? AND time < ?", (grade, now - kept))
        db.execute("DELETE FROM worker WHERE last < ?", (now - GONE,))


def end_workers(store: Store) -> None:
    """Whatever workers there were, they ended with their engine."""
    with store.transaction() as db:
        changes = "state = 'left', step = NULL, exposure = NULL, begun = NULL"
        db.execute(f"UPDATE worker SET {changes} WHERE state NOT IN ('lost', 'left')")


def mounts(query: Callable[..., list[tuple]]) -> list[Mount]:
    """The disks that the session uses, the project's first; `query` asks the ledger."""
    if not _there(query, "mount"):
        return []
    newest = query(
        "SELECT place, device, type, network, uses, time, total, free, read, write, seen, silent FROM mount "
        "WHERE id IN (SELECT max(id) FROM mount GROUP BY place) ORDER BY uses NOT LIKE 'project%', place"
    )
    last = max((row[5] for row in newest), default=0.0)
    found = []
    for place, device, type, network, uses, at, *numbers in newest:
        if at < last - 300:
            continue  # the session uses it no more
        total, free, read, write, seen, silent = (NAN if value is None else value for value in numbers)
        past = query(
            "SELECT time, free FROM mount WHERE place = ? AND time >= ? AND (grade > 0 OR time > ?) ORDER BY time",
            (place, at - WINDOW, at - 900),
        )
        when = full_at([t for t, _ in past], [math.nan if f is None else f for _, f in past])
        if math.isnan(seen):
            seen = _recently_seen(query, place, at)
        where = (place, device, type, bool(network), tuple(uses.split(",")) if uses else (), at)
        found.append(Mount(*where, total, free, read, write, seen, silent, when))
    return found


def workers(query: Callable[..., list[tuple]]) -> list[Worker]:
    """Workers by name, those that are there first; `query` asks the ledger."""
    if not _there(query, "worker"):
        return []
    found = query(
        "SELECT key, name, host, state, coalesce(step, ''), exposure, begun, done, first, last, cpu, memory FROM worker"
    )
    made = [Worker(*row[:6], *(NAN if v is None else v for v in row[6:])) for row in found]
    return sorted(made, key=lambda w: (w.state in ("lost", "left"), w.host, len(w.name), w.name, w.first))


def _recently_seen(query: Callable[..., list[tuple]], place: str, at: float) -> float:
    found = query(
        "SELECT seen FROM mount WHERE place = ? AND time > ? AND seen IS NOT NULL ORDER BY time DESC LIMIT 1",
        (place, at - 600),
    )
    return found[0][0] if found else NAN


def _there(query: Callable[..., list[tuple]], table: str) -> bool:
    """A ledger of an earlier version that no engine has opened since lacks these tables."""
    return bool(query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))
