"""Where monitors' numbers come from: each feed remembers how far it has read, and reads what is new.

=======================  ============================================================================================
in `takes`               what is given
=======================  ============================================================================================
``drift``, ``defocus``…  a number of each exposure, by its key in `store.metrics`
``acquired``             when each exposure was acquired, UTC s
``silence``              s since the last movie was found; 0 while none is waited for
``waiting``              movies that wait to be processed
``system.cpu``…          a column of the ledger's table `system`
``disk.free``            GB; and ``disk.full`` s until it is full, ``disk.silent`` s, ``disk.seen`` MB/s: of each disk
                         that the session uses, under ``disk.free:/its/place``
``lost``                 number of workers that are lost or silent
``gain.residual``        least share of the gain's pattern that is left in frames, and the step's words on it
``dose.alert``           1 where the newest movies have another dose than was told, and the words on it
=======================  ============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from cryowidgets.monitors.window import Points
from cryowidgets.store import migrations
from cryowidgets.store.database import Step
from cryowidgets.store.metrics import METRICS
from cryowidgets.store.queries import Reader

HISTORY = 1000
"""Newest values that are read when an engine starts, and at most at a time."""
DISKS_EVERY = 10.0
"""Seconds between looks at the disks."""
SIGMAS = 3.0
"""Standard errors that are taken off a gain's residual."""


class Feeds:
    """All that some monitors take.

    Parameters
    ----------
    names : iterable of str
        What is asked for.
    first : int
        How many of the first values of a session are given as well, at the beginning.
    """

    def __init__(self, names: Iterable[str], first: int = 0) -> None:
        self._names = sorted(set(names))
        self._first = first
        self._since: dict[tuple[str, int], int] = {}
        self._disks: dict[str, Points] = {}
        self._disks_due = 0.0

    def read(self, reader: Reader, steps: Sequence[Step], now: float) -> dict[str, Points]:
        """What is new since it was last asked, of steps in the order of the workflow; costs in proportion to that."""
        news: dict[str, Points] = {}
        for name in self._names:
            if name in METRICS and METRICS[name].column:
                news[name] = self._metric(reader, name, steps)
            elif name == "gain.residual":
                news[name] = self._gain(reader, steps)
            elif name == "dose.alert":
                news[name] = self._dose(reader, steps)
            elif name == "acquired":
                news[name] = self._acquired(reader)
        if {"silence", "waiting"} & set(self._names):
            news |= _session(reader, now)
        if any(name.startswith("system.") for name in self._names):
            news |= self._system(reader)
        if any(name.startswith("disk.") for name in self._names):
            if now >= self._disks_due:  # when a disk will be full is the one costly question
                self._disks, self._disks_due = _disks(reader, now), now + DISKS_EVERY
            news |= self._disks
        if "lost" in self._names:
            news["lost"] = _lost(reader, now)
        return news

    def _metric(self, reader: Reader, key: str, steps: Sequence[Step]) -> Points:
        metric = METRICS[key]
        of_kind = [s for s in steps if s.gives == metric.kind and not s.fold]
        if metric.which == "first":
            of_kind = of_kind[:1]  # gates behind it hand on the same
        found: list[tuple] = []
        for step in of_kind:
            found += self._rows(reader, key, step, metric.column)
        return _points(found)

    def _rows(self, reader: Reader, name: str, step: Step, column: str) -> list[tuple]:
        """New rows of a step: id, exposure, acquired, value, optics; the session's first and the newest of all."""
        table = step.gives.lower()
        words = {word for word in column.replace("(", " ").replace(")", " ").split() if word.isidentifier()}
        if not words <= migrations.columns(reader.database, table):
            return []
        since = self._since.get((name, step.id), 0)
        sql = (
            f'SELECT r.id, r.exposure, e.acquired, {column}, e.optics FROM "{table}" r '
            "JOIN exposure e ON e.id = r.exposure WHERE r.step = ? AND r.id > ? ORDER BY r.id"
        )
        found = reader.query(f"{sql} DESC LIMIT {HISTORY}", (step.id, since))[::-1]
        if found:
            self._since[name, step.id] = found[-1][0]
            if not since and self._first and len(found) == HISTORY:
                first = reader.query(f"{sql} LIMIT {self._first}", (step.id, 0))
                found = [*(row for row in first if row[0] < found[0][0]), *found]
        return found

    def _gain(self, reader: Reader, steps: Sequence[Step]) -> Points:
        values, texts = [], []
        for step in (s for s in steps if s.gives == "Gain"):
            since = self._since.get(("gain", step.id), 0)
            newest = (
                reader.query(
                    "SELECT id, time, residual, residual_error, alert FROM gain WHERE step = ? AND id > ? "
                    "ORDER BY id DESC LIMIT 1",
                    (step.id, since),
                )
                if "gain" in reader.tables()
                else []
            )
            for id, at, residual, error, alert in newest:
                self._since["gain", step.id] = id
                if residual is not None:
                    values.append((id, id, at, max(0.0, abs(residual) - SIGMAS * (error or 0.0)), 0))
                    texts.append(alert or "")
        return _points(values, exposures=False, texts=tuple(texts))

    def _dose(self, reader: Reader, steps: Sequence[Step]) -> Points:
        found, texts = [], []
        known = "dose_alert" in migrations.columns(reader.database, "micrograph")
        for step in (s for s in steps if s.protocol == "DoseAnalysis" and known):
            since = self._since.get(("dose.alert", step.id), 0)
            newest = reader.query(
                "SELECT r.id, r.exposure, e.acquired, r.dose_alert <> '', e.optics, r.dose_alert FROM micrograph r "
                "JOIN exposure e ON e.id = r.exposure WHERE r.step = ? AND r.id > ? ORDER BY r.id DESC LIMIT 1",
                (step.id, since),
            )
            for *row, said in newest:
                self._since["dose.alert", step.id] = row[0]
                found.append(tuple(row))
                texts.append(said)
        return _points(found, texts=tuple(texts))

    def _acquired(self, reader: Reader) -> Points:
        since = self._since.get(("acquired", 0), 0)
        sql = "SELECT id, id, acquired, acquired, optics FROM exposure WHERE id > ? ORDER BY id DESC LIMIT ?"
        found = reader.query(sql, (since, HISTORY))[::-1]
        if found:
            self._since["acquired", 0] = found[-1][0]
        return _points(found)

    def _system(self, reader: Reader) -> dict[str, Points]:
        names = [name.partition(".")[2] for name in self._names if name.startswith("system.")]
        there = migrations.columns(reader.database, "system")
        names = [name for name in names if name in there]
        since = self._since.get(("system", 0), 0)
        columns = "".join(f', "{name}"' for name in names)
        sql = f"SELECT id, time{columns} FROM system WHERE id > ? ORDER BY id DESC LIMIT ?"
        found = reader.query(sql, (since, HISTORY))[::-1]
        if found:
            self._since["system", 0] = found[-1][0]
        return {
            f"system.{name}": _points([(row[0], row[0], row[1], row[2 + n], 0) for row in found], exposures=False)
            for n, name in enumerate(names)
        }


def _points(rows: list[tuple], exposures: bool = True, texts: tuple[str, ...] = ()) -> Points:
    if not rows:
        return Points(exposures=exposures, texts=texts)
    _, ids, times, values, groups = zip(*rows, strict=True)
    return Points(
        np.array(ids, np.int64),
        np.array(times, float),
        np.array([math.nan if value is None else value for value in values], float),
        np.array(groups, np.int64),
        exposures,
        texts=texts,
    )


def _session(reader: Reader, now: float) -> dict[str, Points]:
    session = reader.session()
    last = reader.query("SELECT found, name FROM exposure ORDER BY id DESC LIMIT 1")
    waited = bool(last) and session.stream == "open" and not session.paused
    begun = reader.query("SELECT max(time) FROM event WHERE kind IN ('engine', 'stream') AND id > ?", (_late(reader),))
    since = max(last[0][0], begun[0][0] or 0.0) if waited else now  # an engine that was off has not waited
    said = f"; the last was {last[0][1]}" if waited else ""
    return {
        "silence": Points.at(now, max(0.0, now - since), text=said),
        "waiting": Points.at(now, float(session.waiting)),
    }


def _late(reader: Reader) -> int:
    """An event beyond which it is cheap to look."""
    return reader.query("SELECT coalesce(max(id), 0) FROM event")[0][0] - 5000


def _disks(reader: Reader, now: float) -> dict[str, Points]:
    found = {}
    for mount in reader.mounts():
        label = f"the disk {mount.place} ({', '.join(mount.uses)})" if mount.uses else f"the disk {mount.place}"
        left = mount.full - now if mount.full == mount.full else math.inf
        values = {"free": mount.free, "full": left, "silent": mount.silent, "seen": mount.seen}
        for name, value in values.items():
            at = mount.time if name != "full" else now
            found[f"disk.{name}:{mount.place}"] = Points.at(at, value, label=label)
    return found


def _lost(reader: Reader, now: float) -> Points:
    """A worker that was lost counts until another has come in its place."""
    workers = reader.workers()
    gone = sorted((w for w in workers if w.state in ("lost", "silent")), key=lambda w: w.last)
    since = gone[0].last if gone else math.inf
    came = sum(w.first >= since for w in workers if w.state in ("working", "idle"))
    gone = gone[came:]
    names = ", ".join(f"{worker.name} on {worker.host}" for worker in gone[:3])
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return Points.at(now, float(len(gone)), text=f"Workers are lost or do not answer: {names}{more}." if gone else "")
