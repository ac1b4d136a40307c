"""What has to be made again since it was cleaned: who waits for it, what is under way, what is hopeless."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryowidgets.engine.workshop import Outcome
from cryowidgets.model import Item
from cryowidgets.store import cleaning
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store, Task

Key = tuple[int, int]
"""Step and exposure."""


@dataclass(frozen=True)
class Row:
    """A result whose files are gone, and the task that made it."""

    kind: type[Item]
    id: int
    version: int
    inputs: tuple[int, ...]


class Again:
    """Keeps account for the desk; all of it can be asked of the ledger, and is, by `refresh`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[int, Row] = {}
        self.hopeless: set[Key] = set()
        """what could not be made again, so that nothing waits for it"""
        self.changed = False
        """what waited may be looked at again"""
        self.refresh()

    def refresh(self) -> None:
        """Ask the ledger anew."""
        self.any = bool(self._store.query("SELECT 1 FROM cleaned LIMIT 1"))
        self.wanted = cleaning.wanted(self._store)
        self.going = cleaning.going(self._store)
        """exposures of which files are being taken away"""

    def clear(self) -> None:
        """Take files away that are to go, for a moment."""
        if self.going and cleaning.take_away(self._store):
            self.going = set()
            self.changed = True

    def count(self, step: int) -> int:
        """How many results of a step are to be made again."""
        return sum(wanted == step for wanted, _ in self.wanted)

    def want(self, keys: Iterable[Key]) -> None:
        """Have files made again, now that somebody needs them."""
        names = {step.id: step.name for step in self._store.steps().values()}
        for key in keys:
            if key not in self.wanted:
                cleaning.want(self._store, [key[1]], names[key[0]])
                self.wanted[key] = None

    def needed(self, keys: set[Key]) -> set[Key]:
        """Those of them that can be made again: a movie cannot, and what failed once is not waited for."""
        made = {step.id for step in self._store.steps().values() if step.inputs}
        return {key for key in keys - self.hopeless if key[0] in made}

    def result(self, step: Step, kind: type[Item], exposure: int) -> Row | None:
        """The result whose files are gone; None where it is to be made anew in any case."""
        found = self._store.query(
            f"SELECT r.id, r.version, t.inputs FROM {kind.table()} r JOIN task t ON t.id = r.task "
            "WHERE r.step = ? AND r.exposure = ? AND r.version >= ?",
            (step.id, exposure, step.valid_from),
        )
        if not found:
            return None
        id, version, inputs = found[0]
        return Row(kind, id, version, tuple(map(int, inputs.split(","))))

    def begin(self, task: Task, row: Row) -> None:
        self._rows[task.id] = row

    def forget(self) -> None:
        """Nothing is under way any more."""
        self._rows.clear()

    def book(self, task: Task, outcome: Outcome) -> bool:
        """Write down how a task ended, if it was one of these; else nothing is done and the answer is no."""
        row = self._rows.pop(task.id, None)
        if row is None:
            return False
        step = self._store.steps()[task.step]
        assert task.exposure is not None
        key = (step.id, task.exposure)
        said = {
            "host": outcome.host,
            "pid": outcome.pid,
            "started": outcome.started,
            "finished": outcome.finished,
            "software": outcome.software,
        }
        if task.version < step.valid_from:
            self._store.finish(task, "superseded", **said)  # redone with other values in the meantime
            self._settle(key)
            return True
        if outcome.state == "lost":
            self._store.finish(task, "lost", error=outcome.error, **said)  # and is begun again
            return True
        why = outcome.error or ""
        if outcome.state == "done":
            why = self._lacking(key)
            if not why:
                cleaning.restored(self._store, task, row.kind, row.id, **said)
                self._settle(key)
                return True
        with self._store.transaction():
            self._store.finish(task, "lost", error=why, traceback=outcome.traceback, **said)
            self.give_up(key, why)
        return True

    def give_up(self, key: Key, why: str) -> None:
        """Files cannot be made again: what waits for them goes on, and says so if it cannot do without."""
        cleaning.give_up(self._store, *key, why)
        self.hopeless.add(key)
        self._settle(key)

    def drop(self, key: Key) -> None:
        """A result is to be made anew in any case, and its files with it."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM cleaned WHERE step = ? AND exposure = ?", key)
        self._settle(key)

    def _settle(self, key: Key) -> None:
        self.wanted.pop(key, None)
        self.changed = True

    def _lacking(self, key: Key) -> str:
        """Files that the task should have made again and has not."""
        paths = self._store.query("SELECT path FROM cleaned WHERE step = ? AND exposure = ?", key)
        absent = [path for (path,) in paths if not (self._store.folder / path).is_file()]
        return f"the step did not write {', '.join(absent)} this time." if absent else ""
