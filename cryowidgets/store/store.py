"""The ledger: what happened to every item, in one SQLite file that one process writes.

One transaction for each finished task; before it, the task did not happen. What is to do is never written down: it is
what exists minus what is done (`todo.py`), so that starting, resuming and repairing are the same code.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import ProjectError, WorkflowError
from cryowidgets.model import Item, Reason
from cryowidgets.store import migrations, rows
from cryowidgets.store.database import NAME, Step, connect_for_writing, read_steps
from cryowidgets.store.reach import downstream, reached


@dataclass(frozen=True)
class Task:
    """One attempt of a step on its inputs, as claimed."""

    id: int
    step: str
    exposure: int | None
    inputs: tuple[int, ...]
    version: int
    attempt: int


@dataclass(frozen=True)
class Todo:
    """Something that exists and is not done: rows of the inputs, in their order; for a fold, first and last."""

    exposure: int | None
    inputs: tuple[int, ...]
    acquired: float = 0.0

    @property
    def key(self) -> str:
        return ",".join(map(str, self.inputs))


class Store:
    """A project's ledger, opened for writing. Hold the project's `WriterLock` while an engine uses it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        file = self.folder / NAME
        if not file.is_file():
            raise ProjectError(
                f"{self.folder} is not a project: it has no {NAME}. Make one with 'cryowidgets new {self.folder} …'."
            )
        try:
            self._db = connect_for_writing(file)
        except sqlite3.OperationalError as error:
            raise ProjectError(f"Cannot write to {file}: {error}. Is it a project of yours?") from None
        try:
            migrations.check(self._db, file)
        except ProjectError:
            self._db.close()
            raise
        self._steps: dict[str, Step] | None = None
        self._tables: dict[str, type[Item]] = {}

    @classmethod
    def create(cls, folder: Path | str, name: str = "") -> Store:
        """Make a project folder with an empty ledger.

        Raises
        ------
        ProjectError
            There is one already, or the folder cannot be written to.
        """
        folder = Path(folder).absolute()
        file = folder / NAME
        if file.exists():
            raise ProjectError(f"{folder} is a project already. Choose another folder, or open it.")
        try:
            (folder / "inbox").mkdir(parents=True, exist_ok=True)
            (folder / "steps").mkdir(exist_ok=True)
            (folder / "logs").mkdir(exist_ok=True)
        except OSError as error:
            raise ProjectError(f"Cannot make a project in {folder}: {error.strerror}.") from None
        half = file.with_suffix(".making")
        half.unlink(missing_ok=True)
        db = sqlite3.connect(half)
        migrations.make(db)
        now = time.time()
        settings = {"name": name or folder.name, "created": repr(now), "stream": "open", "paused": "0"}
        db.executemany("INSERT INTO project VALUES (?, ?)", settings.items())
        db.commit()
        db.close()
        half.rename(file)
        return cls(folder)

    def upgrade(self) -> str:
        """Bring a project of an earlier version to the present format; see `migrations.upgrade`."""
        self._tables.clear()
        self._steps = None
        return migrations.upgrade(self._db, self.folder / NAME)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nested ones join the outer."""
        if self._db.in_transaction:
            yield self._db
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            self._steps = None
            raise
        self._db.execute("COMMIT")

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple]:
        return self._db.execute(sql, parameters).fetchall()

    def insert(self, sql: str, values: Sequence[Any]) -> int:
        """Add a row; returns its id."""
        with self.transaction() as db:
            id = db.execute(sql, values).lastrowid
        assert id is not None
        return id

    # Settings of the project ------------------------------------------------------------------------------------

    def get(self, key: str, default: str = "") -> str:
        found = self.query("SELECT value FROM project WHERE key = ?", (key,))
        return found[0][0] if found else default

    def put(self, key: str, value: str) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT INTO project VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
            )

    def event(
        self, kind: str, text: str, step: str | None = None, exposure: int | None = None, ref: str | None = None
    ) -> None:
        """Append to the log; a `ref` can be written only once."""
        with self.transaction() as db:
            db.execute(_EVENT, (time.time(), kind, step, exposure, text, ref))

    def has_event(self, ref: str) -> bool:
        return bool(self.query("SELECT 1 FROM event WHERE ref = ?", (ref,)))

    # Steps ------------------------------------------------------------------------------------------------------

    def steps(self) -> dict[str, Step]:
        """All steps by name, in the order in which they were added."""
        if self._steps is None:
            self._steps = read_steps(self._db)
        return self._steps

    def forget_steps(self) -> None:
        """Have the steps read anew; to be said after each change of the table of steps."""
        self._steps = None

    def add_step(
        self,
        name: str,
        protocol: str,
        gives: type[Item],
        params: dict[str, Any],
        inputs: dict[str, str],
        fold: bool = False,
        label: str = "",
        comment: str = "",
        after: Sequence[str] = (),
        hold: bool = False,
        newest: bool = False,
    ) -> Step:
        with self.transaction() as db:
            if name in self.steps():
                raise WorkflowError(f"There is a step {name!r} already. Give this one another name.")
            if gives is Item:  # it passes on what it is given
                source = inputs.get("first") or next(iter(inputs.values()))
                gives = Item.kinds[self.steps()[source].gives]
            id = self.insert(
                'INSERT INTO step (name, protocol, gives, fold, label, comment, "after", hold) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, protocol, gives.__name__, fold, label, comment, json.dumps(list(after)), hold),
            )
            self.ensure_table(gives)
            db.execute("INSERT INTO params VALUES (?, 1, ?, ?)", (id, json.dumps(params), time.time()))
            for input, source in inputs.items():
                if source not in self.steps():
                    raise WorkflowError(f"Step {name!r} takes {input!r} from {source!r}, which is not a step.")
                db.execute("INSERT INTO link VALUES (?, ?, ?)", (id, input, self.steps()[source].id))
            self._steps = None
            self.set_fold(name, fold, newest)
        return self.steps()[name]

    def set_params(
        self, name: str, params: dict[str, Any], redo: bool = False, scope: str = "", outdates: bool = True
    ) -> None:
        """Give a step new parameters, as a new version.

        Parameters
        ----------
        name : str
        params : dict
            All of them.
        redo : bool
            The same as scope `branch`.
        scope : str, optional
            ``new``: only new items see the new values; what is there stays valid and counts as outdated. ``branch``:
            what the step made is to be made again, and all that came of it. ``all``: so is all that came of the
            movies. An import keeps its movies whatever the scope.
        outdates : bool
            Whether older results count as outdated where they stay.
        """
        step = self.steps()[name]
        scope = scope or ("branch" if redo else "new")
        with self.transaction():
            self._next_version(step, params)
            changed = {k: v for k, v in params.items() if step.params.get(k) != v}
            if scope != "new":
                for child in reached(self.steps(), name, scope):
                    self.begin_again(child, bump=child.name != name)
            elif changed and outdates:
                for child in [step, *self.downstream(name)] if step.inputs else self.downstream(name):
                    self.outdate(child, bump=child.name != name)
            what = ", ".join(f"{k} = {v!r}" for k, v in changed.items()) or "no value changed"
            self.event("params", f"{name}: {what} ({_SAID[scope]})", name)

    def begin_again(self, step: Step, bump: bool = True) -> None:
        """Have what a step made, or failed to, made again; by a new version with the same values, or the present."""
        with self.transaction() as db:
            new = self._next_version(step) if bump else self.steps()[step.name].version
            db.execute("UPDATE step SET valid_from = ?, fresh_from = ? WHERE id = ?", (new, new, step.id))
            # Said twice: SQLite then knows that the index of troubles has all of them.
            db.execute(
                "UPDATE task SET state = 'superseded' WHERE step = ? AND state IN ('failed', 'rejected') "
                "AND state IN ('running', 'failed', 'rejected')",
                (step.id,),
            )
            self._steps = None

    def outdate(self, step: Step, bump: bool = True) -> None:
        """Have what a step made so far count as outdated, though it stays valid."""
        with self.transaction() as db:
            new = self._next_version(step) if bump else self.steps()[step.name].version
            db.execute("UPDATE step SET fresh_from = ? WHERE id = ?", (new, step.id))
            self._steps = None

    def _next_version(self, step: Step, params: dict[str, Any] | None = None) -> int:
        """Give a step new parameters, or the same again, under the next number."""
        present = self.steps()[step.name]
        values = present.params if params is None else params
        new = present.version + 1
        with self.transaction() as db:
            db.execute("INSERT INTO params VALUES (?, ?, ?, ?)", (step.id, new, json.dumps(values), time.time()))
            db.execute("UPDATE step SET version = ? WHERE id = ?", (new, step.id))
            self._steps = None
        return new

    def set_fold(self, name: str, fold: bool, newest: bool = False) -> None:
        """Say whether a step takes many items, so that its results belong to no exposure, or only the `newest` of such.

        A map or join of such results is of the second sort by itself.
        """
        step = self.steps()[name]
        loose = bool(step.inputs) and all(self.steps()[source].fold for source in step.inputs.values())
        sort = 2 if loose and (newest or not fold) else int(fold)
        if sort != step.fold + step.newest:
            with self.transaction() as db:
                db.execute("UPDATE step SET fold = ? WHERE name = ?", (sort, name))
                if not sort:  # what it had made belongs to no exposure, so nothing would take its place
                    table = Item.kinds[step.gives].table()
                    sql = f"DELETE FROM {table} WHERE step = ? AND exposure IS NULL RETURNING task"
                    old = db.execute(sql, (step.id,)).fetchall()
                    db.executemany("UPDATE task SET state = 'superseded' WHERE id = ?", old)
                self._steps = None

    def downstream(self, name: str) -> list[Step]:
        """All steps that depend on a step, directly or not, in the order of the workflow."""
        return [self.steps()[below] for below in downstream(self.steps(), [name])]

    def set_state(self, name: str, state: str, reason: str = "") -> None:
        step = self.steps()[name]
        if (step.state, step.reason) == (state, reason):
            return
        with self.transaction() as db:
            db.execute("UPDATE step SET state = ?, reason = ? WHERE id = ?", (state, reason, step.id))
            if state != step.state:
                self.event("step", f"{name} is {state}" + (f": {reason}" if reason else ""), name)
            self._steps = None

    # Tasks ------------------------------------------------------------------------------------------------------

    def claim(self, step: str, todos: Sequence[Todo], version: int | None = None) -> list[Task]:
        """Write down that these are now being done, with the present parameters or those of a `version`."""
        s = self.steps()[step]
        version = s.version if version is None else version
        claimed = []
        now = time.time()
        with self.transaction() as db:
            for todo in todos:
                attempts = db.execute(
                    "SELECT coalesce(max(attempt), 0) FROM task WHERE step = ? AND inputs = ? AND version >= ?",
                    (s.id, todo.key, s.valid_from),
                ).fetchone()[0]
                id = self.insert(
                    "INSERT INTO task (step, exposure, inputs, version, attempt, state, submitted) "
                    "VALUES (?, ?, ?, ?, ?, 'running', ?)",
                    (s.id, todo.exposure, todo.key, version, attempts + 1, now),
                )
                claimed.append(Task(id, step, todo.exposure, todo.inputs, version, attempts + 1))
        return claimed

    def finish(
        self,
        task: Task,
        state: str,
        result: Item | None = None,
        error: str | None = None,
        traceback: str | None = None,
        host: str = "",
        pid: int = 0,
        started: float | None = None,
        finished: float | None = None,
        reasons: Sequence[Reason] = (),
        software: str | None = None,
    ) -> None:
        """Record the end of a task, its result or what speaks against one, and an event, in one transaction."""
        step = self.steps()[task.step]
        now = time.time()
        with self.transaction() as db:
            db.execute(
                "UPDATE task SET state = ?, error = ?, traceback = ?, host = ?, pid = ?, started = ?, finished = ?, "
                "software = ? WHERE id = ?",
                (state, error, traceback, host, pid, started, finished or now, software, task.id),
            )
            if result is not None:
                self.replace_result(step, task.exposure, result, task.id, task.version)
            for reason in reasons:
                values = (task.id, reason.rule, rows.encode(reason.value), rows.encode(reason.limit))
                db.execute("INSERT OR REPLACE INTO reason VALUES (?, ?, ?, ?)", values)
            db.execute(_EVENT, (now, f"task.{state}", task.step, task.exposure, error or "", None))

    def replace_result(self, step: Step, exposure: int | None, result: Item, task: int, version: int) -> None:
        """Put a result in place of what the step had made of the same exposure before."""
        kind = type(result)
        self.ensure_table(kind)
        if exposure is not None:
            # Files that were cleaned are there again, or the new result has others.
            self._db.execute("DELETE FROM cleaned WHERE step = ? AND exposure = ?", (step.id, exposure))
            old = self._db.execute(
                f"DELETE FROM {kind.table()} WHERE step = ? AND exposure = ? RETURNING task", (step.id, exposure)
            ).fetchall()
        elif self._db.execute(
            "SELECT 1 FROM made WHERE step = ? AND version < ? AND n > 0", (step.id, step.valid_from)
        ).fetchone():
            # A fold began anew: what it had made of the same items before has been there to be looked at until now.
            old = self._db.execute(
                f"DELETE FROM {kind.table()} WHERE step = ? AND version < ? RETURNING task", (step.id, step.valid_from)
            ).fetchall()
        else:
            old = []
        for (before,) in old:
            self._db.execute("UPDATE task SET state = 'superseded' WHERE id = ?", (before,))
        self._db.execute(
            rows.insert_row(kind), (step.id, exposure, task, version, time.time(), *rows.encode_item(result))
        )

    def ensure_table(self, kind: type[Item]) -> None:
        """Make the table of a kind where there is none; refuse one that lacks columns, see `upgrade`."""
        table = kind.table()
        if self._tables.get(table) is kind:
            return
        with self.transaction() as db:
            for statement in rows.create_table(kind):
                db.execute(statement)
        lacking = migrations.lacking(self._db, kind)
        if lacking:
            raise ProjectError(
                f"Table {table} of {self.folder / NAME} lacks {', '.join(lacking)}: the kind {kind.__name__} has "
                f"changed since. Start the engine anew, which adds them: 'cryowidgets run {self.folder}'."
            )
        self._tables[table] = kind

    def item(self, kind: type[Item], id: int) -> Item:
        """One row of a kind, its files' paths absolute."""
        found = self.query(rows.select_items(kind) + " WHERE r.id = ?", (id,))
        return rows.item(kind, found[0]).located(self.folder)

    def items(self, kind: type[Item], step: str, first: int, last: int) -> list[Item]:
        """A step's valid rows from `first` to `last`, both included: what a fold is given."""
        s = self.steps()[step]
        sql = rows.select_items(kind) + (
            " WHERE r.step = ? AND r.id BETWEEN ? AND ? AND r.version >= ? AND (e.rejected IS NULL) ORDER BY r.id"
        )
        return [rows.item(kind, row).located(self.folder) for row in self.query(sql, (s.id, first, last, s.valid_from))]

    def last_result(self, kind: type[Item], step: str) -> Item | None:
        """Newest valid result of a fold."""
        s = self.steps()[step]
        sql = rows.select_items(kind) + " WHERE r.step = ? AND r.version >= ? ORDER BY r.id DESC LIMIT 1"
        found = self.query(sql, (s.id, s.valid_from))
        return rows.item(kind, found[0]).located(self.folder) if found else None

    # Second chances ---------------------------------------------------------------------------------------------

    def abandon(self) -> int:
        """Give back what a dead engine had claimed; the number of tasks."""
        with self.transaction() as db:
            sql = "UPDATE task SET state = 'lost', finished = ? WHERE state = 'running'"
            return db.execute(sql, (time.time(),)).rowcount

    def retry(self, step: str | None = None, exposure: int | None = None) -> int:
        """Let failed tasks be tried again; the number of them."""
        where, values = ["state = 'failed'", "inputs <> ''"], []
        if step is not None:
            where.append("step = ?")
            values.append(self.steps()[step].id)
        if exposure is not None:
            where.append("exposure = ?")
            values.append(exposure)
        with self.transaction() as db:
            sql = f"UPDATE task SET state = 'retry' WHERE {' AND '.join(where)} RETURNING exposure"
            again = db.execute(sql, values).fetchall()
            self._tell_of("exposure.retry", "to be tried again", (id for (id,) in again))
            return len(again)

    def reject(self, exposures: int | Sequence[int], why: str | None) -> None:
        """A person takes exposures out, or, with None, back in."""
        self._mark(exposures, "rejected", why, "rejected by hand" if why else "readmitted by hand")

    def flag(self, exposures: int | Sequence[int], on: bool) -> None:
        """Mark exposures to be found again, or no longer."""
        self._mark(exposures, "flag", int(on), "flagged" if on else "no longer flagged")

    def note(self, exposures: int | Sequence[int], text: str) -> None:
        """Keep what a person wrote of exposures, in place of what was there; empty takes it away."""
        self._mark(exposures, "note", text, "a note was written" if text else "the note was taken away")

    def _mark(self, exposures: int | Sequence[int], column: str, value: Any, said: str) -> None:
        ids = [exposures] if isinstance(exposures, int) else list(exposures)
        with self.transaction() as db:
            db.executemany(f"UPDATE exposure SET {column} = ? WHERE id = ?", [(value, id) for id in ids])
            self._tell_of(f"exposure.{column}", said, ids)

    def _tell_of(self, kind: str, said: str, exposures: Iterable[int | None]) -> None:
        """An event for each exposure whose state changed by no task of its own: so windows look at it again."""
        now = time.time()
        self._db.executemany(_EVENT, [(now, kind, None, id, said, None) for id in exposures if id is not None])

    def rejected_tasks(self, exposure: int) -> list[tuple[int, Task]]:
        """Where gates have stopped an exposure: the steps' ids and tasks."""
        found = self.query(
            "SELECT s.name, t.id, t.inputs, t.version, t.attempt, s.id FROM task t JOIN step s ON s.id = t.step "
            "WHERE t.exposure = ? AND t.state = 'rejected' AND t.version >= s.valid_from",
            (exposure,),
        )
        return [
            (id, Task(task, step, exposure, tuple(map(int, inputs.split(","))), version, attempt))
            for step, task, inputs, version, attempt, id in found
        ]


_SAID = {
    "new": "from the next item on",
    "branch": "everything is done again",
    "all": "everything is done again, from the import on",
}
_EVENT = "INSERT INTO event (time, kind, step, exposure, text, ref) VALUES (?, ?, ?, ?, ?, ?)"
