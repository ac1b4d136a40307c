"""What windows ask: read-only, light, and in proportion to what is new."""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.io import corrections
from cryowidgets.io.corrections import Corrections
from cryowidgets.model import NAN, NOT_CHOSEN, Item, Optics
from cryowidgets.store import alerts, migrations, rows, samples, thresholds
from cryowidgets.store import nodes as graph
from cryowidgets.store.alerts import Alert
from cryowidgets.store.database import NAME, Step, read_steps
from cryowidgets.store.lock import Holder, holder
from cryowidgets.store.nodes import Cost, Node
from cryowidgets.store.provenance import Origin, trace
from cryowidgets.store.record import Record, record
from cryowidgets.store.samples import Mount, Worker
from cryowidgets.store.thresholds import Cut

_TYPES = {"INTEGER": int, "REAL": float, "TEXT": str}
Columns = dict[str, Any]
"""A table by columns: numpy arrays of numbers, lists of texts."""
ANSWERS = 200
"""Answers that a reader keeps at most while nobody writes."""
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    id: int
    time: float
    kind: str
    step: str | None
    exposure: int | None
    text: str


@dataclass(frozen=True)
class TaskRow:
    """One attempt of a step on an exposure."""

    step: str
    state: str
    attempt: int
    error: str | None
    traceback: str | None
    host: str | None
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class ExposureRow:
    """All that is known of one exposure."""

    id: int
    name: str
    path: str
    acquired: float
    rejected: str | None
    items: dict[str, Item]
    tasks: list[TaskRow]
    cleaned: dict[str, float] = field(default_factory=dict)
    """files of the items, absolute, that were taken away to make room, and when (UTC s)"""


@dataclass(frozen=True)
class Failure:
    """Something that failed for good."""

    exposure: int | None
    name: str
    step: str
    error: str


@dataclass(frozen=True)
class Session:
    """The head of the page."""

    name: str
    folder: Path
    created: float
    stream: str
    """open, stopping or closed"""
    paused: bool
    engine: Holder | None
    found: int
    done: int
    failed: int
    rejected: int
    waiting: int
    rate_per_hour: float
    """exposures that reached the last step in the last 10 minutes, per hour; NaN before the first"""
    latency: float
    """median s from a file's last change to the result of the last step, of the last 50; NaN before the first"""


class Reader:
    """A project's ledger, opened for looking.

    Raises
    ------
    ProjectError
        The folder is not a project, or one of a newer version. One of an earlier version that no engine has opened
        since is shown as it is: what it does not know has its default.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self._file = self.folder / NAME
        if not self._file.is_file():
            raise ProjectError(
                f"{self.folder} is not a project: it has no {NAME}. Make one with 'cryowidgets new {self.folder} …'."
            )
        self._immutable: tuple[int, int] | None = None
        self._seen: Any = None
        self._answers: dict[str, tuple[Any, dict[Any, Any]]] = {}
        self._db = self._open()
        try:
            migrations.check(self._db, self._file)
        except ProjectError:
            self._db.close()
            raise

    def _open(self) -> sqlite3.Connection:
        """Read-only; where an unwritable folder has no writer, SQLite can read it only as one that never changes."""
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            db = sqlite3.connect(f"file:{quote(str(self._file))}?{mode}", uri=True, timeout=10.0, isolation_level=None)
            try:
                db.execute("SELECT count(*) FROM project").fetchone()
            except sqlite3.OperationalError:
                db.close()
                if "immutable" in mode:
                    raise
                continue
            self._immutable = self._stamp() if "immutable" in mode else None
            return db
        raise AssertionError("unreachable")

    def _stamp(self) -> tuple[int, int]:
        stat = os.stat(self._file)
        return stat.st_mtime_ns, os.path.exists(f"{self._file}-wal")

    def query(self, sql: str, values: Any = ()) -> list[tuple]:
        """Rows of a question of one's own; see `schema.sql`."""
        return self.database.execute(sql, values).fetchall()

    @property
    def database(self) -> sqlite3.Connection:
        """The connection itself, which cannot write; a new one where a file that never changes has changed."""
        if self._immutable is not None and self._stamp() != self._immutable:
            self._db.close()
            self._db = self._open()
        return self._db

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Changes ----------------------------------------------------------------------------------------------------

    def changed(self) -> bool:
        """Whether anything was written since this was last asked; True the first time."""
        before, self._seen = self._seen, self._version()
        return self._seen != before

    def _version(self, pragma: str = "data_version") -> Any:
        answer = self.query(f"PRAGMA {pragma}")
        return answer if self._immutable is None else self._immutable

    def _once(self, question: Any, ask: Callable[[], T], pragma: str = "data_version") -> T:
        """An answer that holds until somebody writes, or changes the tables: parts of a page ask the same things."""
        now = self._version(pragma)
        then, answers = self._answers.get(pragma, (None, {}))
        if now != then or len(answers) > ANSWERS:
            answers = {}
            self._answers[pragma] = now, answers
        if question not in answers:
            answers[question] = ask()
        return answers[question]

    def events(self, since: int = 0, limit: int = 1000) -> list[Event]:
        """The newest `limit` events after the one with id `since`, oldest first."""
        sql = "SELECT id, time, kind, step, exposure, text FROM event WHERE id > ? ORDER BY id DESC LIMIT ?"
        return [Event(*row) for row in reversed(self.query(sql, (since, limit)))]

    def answer(self, ref: str) -> Event | None:
        """What became of a command that `inbox.send` gave this reference; None as long as no engine has seen it."""
        found = self.query("SELECT id, time, kind, step, exposure, text FROM event WHERE ref = ?", (ref,))
        return Event(*found[0]) if found else None

    # Steps ------------------------------------------------------------------------------------------------------

    def steps(self) -> dict[str, Step]:
        """All steps by name, in the order of the workflow."""
        return dict(self._once("steps", lambda: read_steps(self.database)))

    def nodes(self) -> list[Node]:
        """The workflow as a page draws it: each step with state, reason and counts; then what cannot be run here."""
        return graph.nodes(self.query, self.steps())

    def cost(self, step: str, scope: str) -> Cost:
        """What a change of a step would have done again, and for how long: scope `new`, `branch` or `all`."""
        return graph.cost(self.query, self.steps(), step, scope)

    def tally(self) -> dict[str, dict[str, int]]:
        """Number of tasks of each step in each state: running, done, rejected, failed, retry, lost, superseded."""
        found: dict[str, dict[str, int]] = {name: {} for name in self.steps()}
        for step, state, n in self.query("SELECT s.name, t.state, t.n FROM tally t JOIN step s ON s.id = t.step"):
            found[step][state] = n
        return found

    def rows(
        self, step: str, since: int = 0, limit: int | None = None, exposures: Sequence[int] | None = None
    ) -> Columns:
        """A step's results after row `since`, oldest first: all, the newest `limit`, or those of `exposures`.

        Returns
        -------
        dict
            id, exposure, name, acquired (UTC s), time (UTC s, when it was finished), and the kind's columns but for
            its arrays.
        """
        gives = self.query("SELECT gives FROM step WHERE name = ?", (step,))[0][0]
        table = f'"{gives.lower()}"'
        head = {"id": int, "exposure": int, "name": str, "acquired": float, "time": float}
        types = {
            name: _TYPES[sql]
            for _, name, sql, *_ in self.query(f"PRAGMA table_info({table})")
            if sql in _TYPES and name not in ("id", "step", "exposure", "task", "version", "time")
        }
        names = {name: f'r."{name}"' for name in types}
        kind = Item.kinds.get(gives)
        if kind:
            for name in migrations.lacking(self.database, kind):
                t = rows.column_types(kind)[name]
                if t in (int, float, str):
                    types[name], names[name] = t, rows.defaults(kind)[name]
        chosen = "" if exposures is None else f"AND r.exposure IN ({', '.join('?' * len(exposures))})"
        plus = "" if exposures is None else "+"  # keeps SQLite from the index of steps: that of exposures is better
        columns = ", ".join(names.values())
        sql = (
            f"SELECT r.id, r.exposure, e.name, e.acquired, r.time, {columns} "
            f"FROM {table} r LEFT JOIN exposure e ON e.id = r.exposure "
            f"JOIN step s ON s.id = {plus}r.step WHERE s.name = ? AND {plus}r.id > ? {chosen} "
            "ORDER BY r.id DESC LIMIT ?"
        )
        found = self.query(sql, (step, since, *(exposures or ()), -1 if limit is None else limit))[::-1]
        return _columns({**head, **types}, found)

    def result(self, step: str, id: int | None = None) -> Item | None:
        """The result of a step in row `id`, by default the newest; None where there is none. Its paths are absolute.

        What a fold makes belongs to no exposure, so this is the way to it.
        """
        s = self.steps()[step]
        kind = Item.kinds.get(s.gives)
        if kind is None or not self._has_table(kind):
            return None
        which = "" if id is None else "AND r.id = ? "
        sql = rows.select_items(kind, self._lacking(kind)) + f" WHERE r.step = ? {which}ORDER BY r.id DESC LIMIT 1"
        found = self.query(sql, (s.id,) if id is None else (s.id, id))
        return rows.item(kind, found[0]).located(self.folder) if found else None

    def provenance(self, kind: str, id: int) -> Origin:
        """Where the item in row `id` of a kind comes from, back to its movie; see `store.provenance`."""
        return trace(self.query, self.steps(), kind, id)

    def record(self) -> Record:
        """What the session was done with: versions of parameters, software, decisions; for the end of a session."""
        return record(self.query, self.steps())

    def warnings(self, limit: int = 10) -> list[str]:
        """The newest sentences of warning about the session as a whole, oldest first; each is in the log once."""
        sql = "SELECT text FROM event WHERE kind = 'warning' ORDER BY id DESC LIMIT ?"
        return [text for (text,) in reversed(self.query(sql, (limit,)))]

    def alerts(self, open: bool = True, limit: int | None = None) -> list[Alert]:
        """What monitors find wrong: the open alerts, the worst first, or with `open=False` all, the newest first."""
        return alerts.listed(self.query, open, limit)

    def exposures(
        self, since: int = 0, limit: int | None = None, skip: int = 0, ids: Sequence[int] | None = None
    ) -> Columns:
        """Exposures after the one with id `since`, oldest first, with what became of them.

        The newest `limit` of them, or all; with `skip`, not counting so many of the very newest; or those of `ids`.

        Returns
        -------
        dict
            id, name, acquired (UTC s), state (waiting, running, done, rejected, failed), reason.
        """
        chosen = "" if ids is None else f"AND id IN ({', '.join('?' * len(ids))})"
        sql = (
            "SELECT e.id, e.name, e.acquired, "
            "CASE WHEN e.rejected IS NOT NULL OR r.id IS NOT NULL THEN 'rejected' WHEN f.id IS NOT NULL THEN 'failed' "
            "WHEN d.id IS NOT NULL THEN 'done' WHEN w.id IS NOT NULL THEN 'running' ELSE 'waiting' END, "
            "coalesce(e.rejected, r.error, f.error, '') "
            f"FROM (SELECT * FROM exposure WHERE id > ? {chosen} ORDER BY id DESC LIMIT ? OFFSET ?) e "
            "LEFT JOIN task r ON r.id = (SELECT max(id) FROM task WHERE exposure = e.id AND state = 'rejected' "
            f"AND step NOT IN ({', '.join(map(str, self.choosing()))})) "
            "LEFT JOIN task f ON f.id = (SELECT max(id) FROM task WHERE exposure = e.id AND state = 'failed') "
            "LEFT JOIN task d ON d.id = (SELECT max(id) FROM task WHERE exposure = e.id AND state = 'done' "
            "AND step = ?) "
            "LEFT JOIN task w ON w.id = (SELECT max(id) FROM task WHERE exposure = e.id AND state = 'running') "
            "ORDER BY e.id DESC"
        )
        limited = -1 if limit is None else limit
        found = self.query(sql, (since, *(ids or ()), limited, skip, self.last_step()))[::-1]
        return _columns({"id": int, "name": str, "acquired": float, "state": str, "reason": str}, found)

    def optics(self) -> dict[int, Optics]:
        """What the microscope was set to for each exposure, by its id."""
        there = migrations.columns(self.database, "optics")
        columns = [n if n in there else rows.optics_default(n) or "NULL" for n in rows.OPTICS]
        found = self.query(f"SELECT id, {', '.join(columns)} FROM optics")
        settings = {id: Optics(**dict(zip(rows.OPTICS, values, strict=True))) for id, *values in found}
        return {exposure: settings[id] for exposure, id in self.query("SELECT id, optics FROM exposure ORDER BY id")}

    def exposure(self, id: int) -> ExposureRow:
        """All about one exposure; its items' paths are absolute.

        Raises
        ------
        ProjectError
            There is no such exposure.
        """
        return self._once(("exposure", id), lambda: self._exposure(id))

    def _exposure(self, id: int) -> ExposureRow:
        found = self.query("SELECT id, name, path, acquired, rejected FROM exposure WHERE id = ?", (id,))
        if not found:
            raise ProjectError(f"{self.folder} has no exposure {id}.")
        tasks = self.query(
            "SELECT s.name, t.state, t.attempt, t.error, t.traceback, t.host, t.started, t.finished FROM task t "
            "JOIN step s ON s.id = t.step WHERE t.exposure = ? ORDER BY t.id",
            (id,),
        )
        items: dict[str, Item] = {}
        where = " WHERE r.exposure = ?"
        for kind in Item.kinds.values():
            if self._has_table(kind):
                steps = dict(self.query(f"SELECT id, step FROM {kind.table()} WHERE exposure = ?", (id,)))
                for row in self.query(rows.select_items(kind, self._lacking(kind)) + where, (id,)):
                    items[self._step_names()[steps[row[0]]]] = rows.item(kind, row).located(self.folder)
        gone = []
        if "cleaned" in self.tables():
            gone = self.query("SELECT path, time FROM cleaned WHERE exposure = ?", (id,))
        cleaned = {str(self.folder / path): time for path, time in gone}
        return ExposureRow(*found[0], items, [TaskRow(*t) for t in tasks], cleaned)  # type: ignore[call-arg]

    def corrections(self, step: str, exposure: int) -> Corrections:
        """What a person has corrected of the picks of an exposure, y and x in px of its micrograph; see `io`.

        Raises
        ------
        ProjectError
            There is no such exposure.
        """
        found = self.query("SELECT name FROM exposure WHERE id = ?", (exposure,))
        if not found or step not in self.steps():
            raise ProjectError(f"{self.folder} has no step {step!r}, or no exposure {exposure}.")
        return corrections.read(corrections.path(self.folder, step, found[0][0]))

    def system(self, since: int = 0, limit: int | None = None) -> Columns:
        """Samples of the machine's load after row `since`, oldest first; see `schema.sql` for the units."""
        names = ["time", "cpu", "memory", "disk_read", "disk_write", "disk_free", "workers", "running", "queue"]
        names += ["gpu", "gpu_memory", "swap"]
        there = migrations.columns(self.database, "system")
        columns = ", ".join(name if name in there else "NULL" for name in names)
        sql = f"SELECT id, {columns} FROM system WHERE id > ? ORDER BY id DESC LIMIT ?"
        found = self.query(sql, (since, -1 if limit is None else limit))[::-1]
        return _columns({"id": int, **dict.fromkeys(names, float)}, found)

    def mounts(self) -> list[Mount]:
        """Disks that the session uses, the project's first: space, rates, and when each will be full."""
        return samples.mounts(self.query)

    def workers(self) -> list[Worker]:
        """Workers, those that are there first; ones that are gone stay for an hour."""
        return samples.workers(self.query)

    # The whole --------------------------------------------------------------------------------------------------

    def thresholds(self) -> Cut:
        """The thresholds that were saved with the project; empty where none were."""
        return thresholds.loads(self.settings().get(thresholds.KEY, ""))

    def settings(self) -> dict[str, str]:
        """What the project knows of itself: its name, the description of its workflow, and the like."""
        return dict(self.query("SELECT key, value FROM project"))

    def session(self) -> Session:
        """Numbers for the head of a page; a handful of index look-ups, however large the project."""
        settings = dict(self.query("SELECT key, value FROM project"))
        tally = self.tally()
        steps = self.steps()
        choosing = self.choosing()
        last = next((s.name for s in steps.values() if s.id == self.last_step()), "")
        found = self.query("SELECT count(*) FROM exposure")[0][0]
        failed = sum(states.get("failed", 0) for states in tally.values())
        rejected = sum(tally.get(s.name, {}).get("rejected", 0) for s in steps.values() if s.id not in choosing)
        # A person's word counts whatever else became of an exposure, and each exposure once.
        none, marks = f"({', '.join(map(str, choosing))})", "SELECT 1 FROM task t WHERE t.exposure = e.id AND t.state"
        by_hand, also_done, also_rejected = self.query(
            f"SELECT count(*), coalesce(sum(EXISTS ({marks} = 'done' AND t.step = ?)), 0), "
            f"coalesce(sum(EXISTS ({marks} = 'rejected' AND t.step NOT IN {none})), 0) "
            "FROM exposure e WHERE e.rejected IS NOT NULL",
            (self.last_step(),),
        )[0]
        rejected += by_hand - also_rejected
        done = tally.get(last, {}).get("done", 0) - also_done
        rate, latency = self._pace()
        return Session(
            name=settings["name"],
            folder=self.folder,
            created=float(settings["created"]),
            stream=settings["stream"],
            paused=settings["paused"] == "1",
            engine=holder(self.folder),
            found=found,
            done=done,
            failed=failed,
            rejected=rejected,
            waiting=max(0, found - done - failed - rejected),
            rate_per_hour=rate,
            latency=latency,
        )

    def failures(self) -> list[Failure]:
        """What failed for good, oldest first."""
        sql = (
            "SELECT t.exposure, coalesce(e.name, t.inputs), s.name, coalesce(t.error, '') FROM task t "
            "JOIN step s ON s.id = t.step LEFT JOIN exposure e ON e.id = t.exposure "
            "WHERE t.state = 'failed' ORDER BY t.id"
        )
        return [Failure(*row) for row in self.query(sql)]

    def reasons(self, step: str) -> dict[str, int]:
        """How many items of a gate each of its rules holds back, the most frequent first; one may break several."""
        if "reason" not in self.tables():
            return {}  # written by an earlier version
        sql = (
            "SELECT r.rule, count(*) FROM task t JOIN step s ON s.id = t.step JOIN reason r ON r.task = t.id "
            "WHERE s.name = ? AND t.state = 'rejected' AND t.version >= s.valid_from GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return dict(self.query(sql, (step,)))

    def choosing(self) -> set[int]:
        """Ids of steps whose rejections say nothing against an exposure, told by the newest of each."""
        if "reason" not in self.tables():
            return set()
        sql = (
            "SELECT s.id FROM step s JOIN reason r ON r.task = (SELECT max(id) FROM task WHERE step = s.id "
            "AND state = 'rejected' AND state IN ('running', 'failed', 'rejected')) WHERE r.rule = ?"
        )
        return {id for (id,) in self.query(sql, (NOT_CHOSEN,))}

    def _pace(self) -> tuple[float, float]:
        """Rate per hour and median latency, from the newest results of the last step: a few hundred rows at most."""
        last = self.query("SELECT id, lower(gives) FROM step WHERE id = ?", (self.last_step(),))
        if not last or not {"movie", last[0][1]} <= self.tables():
            return NAN, NAN
        step, table = last[0]
        recent = self.query(
            f"SELECT r.time, m.closed FROM {table} r LEFT JOIN movie m ON m.exposure = r.exposure "
            "WHERE r.step = ? ORDER BY r.id DESC LIMIT 50",
            (step,),
        )
        if not recent:
            return NAN, NAN
        waits = [finished - closed for finished, closed in recent if finished and closed]
        window = 600.0
        since = time.time() - window
        newest = f"SELECT time FROM {table} WHERE step = ? ORDER BY id DESC LIMIT 2000"
        count = self.query(f"SELECT count(*) FROM ({newest}) WHERE time > ?", (step, since))[0][0]
        found = "SELECT found FROM exposure ORDER BY id DESC LIMIT 2000"
        start = self.query(f"SELECT min(found) FROM ({found}) WHERE found > ?", (since,))[0][0]
        span = min(window, max(time.time() - start, 60.0)) if start else window
        return 3600.0 * count / span, statistics.median(waits) if waits else NAN

    def last_step(self) -> int:
        """The last step that has a result for each exposure: what it has done, is done."""
        return max((step.id for step in self.steps().values() if not step.fold), default=0)

    def _step_names(self) -> dict[int, str]:
        return dict(self.query("SELECT id, name FROM step"))

    def tables(self) -> set[str]:
        """Names of all tables."""
        sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return self._once("tables", lambda: {name for (name,) in self.query(sql)}, "schema_version")

    def _lacking(self, kind: type[Item]) -> frozenset[str]:
        """Columns of a kind that the ledger does not have yet: an engine may add them."""

        def find() -> frozenset[str]:
            optics = set(rows.OPTICS) - migrations.columns(self.database, "optics")
            return frozenset([*migrations.lacking(self.database, kind), *(f"optics.{name}" for name in optics)])

        return self._once(kind, find, "schema_version")

    def _has_table(self, kind: type[Item]) -> bool:
        return kind.word() in self.tables()


def _columns(types: dict[str, type], found: list[tuple]) -> Columns:
    made: Columns = {}
    for (name, t), values in zip(types.items(), zip(*found, strict=True) if found else ((),) * len(types), strict=True):
        if t is str:
            made[name] = [v or "" for v in values]
        else:
            missing = NAN if t is float else 0
            made[name] = np.array([missing if v is None else v for v in values], dtype=t)
    return made
