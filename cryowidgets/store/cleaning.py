"""Files that were taken away to make room: which may go, that they are gone, and how they come back.

The results stay, with the names of their files; the table `cleaned` says which of these are no more. Whatever needs
such a file again has its task done again first, with the parameters of then: the row of the result is kept, so that
nothing that came of it is done again (`restored`). So cleaning costs time later and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryowidgets.model import Item
from cryowidgets.spelling import size
from cryowidgets.store.database import Step
from cryowidgets.store.reach import downstream
from cryowidgets.store.todo import SETTLED

if TYPE_CHECKING:
    from cryowidgets.store.store import Store, Task

Query = Callable[..., list[tuple]]

RECOMPUTABLE = {
    "micrographs": "aligned sums without dose weighting",
    "weighted": "aligned sums with dose weighting",
    "halves": "sums of even and of odd frames",
    "spectra": "power spectra, and those with the fit",
    "particles": "stacks of particles",
}
"""What may go and can be made again, by category."""
RAW = "raw"
_OF = {
    ("Movie", "path"): RAW,
    ("Movie", "gain"): "gains",
    ("Micrograph", "path"): "micrographs",
    ("Micrograph", "dose_weighted"): "weighted",
    ("Micrograph", "even"): "halves",
    ("Micrograph", "odd"): "halves",
    ("Micrograph", "power_spectrum"): "spectra",
    ("Ctf", "spectrum"): "spectra",
    ("Ctf", "picture"): "thumbnails",
    ("Particles", "path"): "particles",
}
_KINDS = {"Gain": "gains", "Classes": "classes", "Micrograph": "tables", "Ctf": "tables", "Picks": "picks"}
_KINDS |= {"Particles": "tables", "Movie": "tables"}
_PART = 500


@dataclass(frozen=True)
class Cleanable:
    """A file that may go."""

    path: str
    """relative to the project; of a raw movie absolute"""
    step: int
    exposure: int
    category: str


def category(kind: str, column: str) -> str:
    """What people call the files of a column: micrographs, weighted, halves, spectra, thumbnails, particles, …"""
    if column == "thumbnail":
        return "thumbnails"
    return _OF.get((kind, column)) or _KINDS.get(kind, "results")


def files(query: Query, step: Step, what: Collection[str] | None = None) -> list[tuple[int | None, str, str]]:
    """Exposure, path and category of the files that a step has written and its present results name.

    Of files that only the newest result of a fold keeps, that one is named. A gate hands on files of others, which are
    not its own. With `what` only those categories.
    """
    kind = Item.kinds.get(step.gives)
    if kind is None or not query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (kind.word(),)):
        return []
    there = {row[1] for row in query(f'PRAGMA table_info("{kind.word()}")')}
    found: list[tuple[int | None, str, str]] = []
    for name, field in kind.columns().items():
        label = category(kind.__name__, name)
        if not field.metadata.get("file") or name not in there or (what is not None and label not in what):
            continue
        inside = "" if label == RAW and not step.inputs else f'AND substr("{name}", 1, ?) = ?'
        own = f"steps/{step.name}/"
        values: tuple = (step.id, *((len(own), own) if inside else ()))
        if field.metadata.get("newest"):
            inside += f" AND id = (SELECT max(id) FROM {kind.table()} WHERE step = {step.id})"
        sql = f'SELECT exposure, "{name}" FROM {kind.table()} WHERE step = ? AND "{name}" <> \'\' {inside}'
        found += [(exposure, path, label) for exposure, path in query(sql, values)]
    return found


def plan(
    query: Query, steps: Mapping[str, Step], what: Collection[str], exposures: Collection[int] | None = None
) -> tuple[list[Cleanable], list[str]]:
    """Files that may go now, and sentences about what has to stay.

    Left alone is what is being done, what waits for a step that will read the files, and what is to be done again.

    Parameters
    ----------
    what : collection of str
        Categories of `RECOMPUTABLE`.
    exposures : collection of int, optional
        Only their files; all by default.
    """
    gone = _gone(query)
    busy = {id for (id,) in query("SELECT exposure FROM task WHERE state = 'running' AND exposure IS NOT NULL")}
    ended = {id for (id,) in query("SELECT id FROM exposure WHERE rejected IS NOT NULL")}
    sql = "SELECT exposure FROM task WHERE state IN ('failed', 'rejected') AND exposure IS NOT NULL"
    ended |= {id for (id,) in query(sql)}
    wanted = None if exposures is None else set(exposures)
    found: list[Cleanable] = []
    kept: list[str] = []
    for step in steps.values():
        if step.fold or not step.inputs:
            continue
        mine = files(query, step, what)
        if not mine:
            continue
        fold = next((s.name for s in _folds(steps, step) if s.state != "finished"), "")
        if fold:
            kept.append(f"files of {step.name} stay: {fold} may read all of them again until it has finished")
            continue
        still = (_valid(query, step) - busy) & (ended | _through(query, steps, step))
        waiting: set[int] = set()
        for exposure, path, label in mine:
            if exposure is None or path in gone or (wanted is not None and exposure not in wanted):
                continue
            if exposure not in still:
                waiting.add(exposure)
                continue
            found.append(Cleanable(path, step.id, exposure, label))
        if waiting:
            n = len(waiting)
            kept.append(f"files of {step.name} for {n} exposure{'s' if n > 1 else ''} stay: something is still to do")
    return found, kept


def raw_of_rejected(query: Query, steps: Mapping[str, Step]) -> list[Cleanable]:
    """Movie files of exposures that a person has rejected."""
    gone = _gone(query)
    out = {id for (id,) in query("SELECT id FROM exposure WHERE rejected IS NOT NULL")}
    return [
        Cleanable(path, step.id, exposure, RAW)
        for step in steps.values()
        if not step.inputs
        for exposure, path, _ in files(query, step, (RAW,))
        if exposure is not None and exposure in out and path not in gone
    ]


def _gone(query: Query) -> set[str]:
    if not query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'cleaned'"):
        return set()  # the ledger of an earlier version
    return {path for (path,) in query("SELECT path FROM cleaned")}


def _folds(steps: Mapping[str, Step], step: Step) -> list[Step]:
    """Folds that take what a step makes, also where gates hand it on."""
    below = [steps[name] for name in downstream(steps, [step.name])]
    return [s for s in below if s.fold and any(steps[source].gives == step.gives for source in s.inputs.values())]


def _valid(query: Query, step: Step) -> set[int]:
    sql = f'SELECT exposure FROM "{step.gives.lower()}" WHERE step = ? AND version >= ? AND exposure IS NOT NULL'
    return {id for (id,) in query(sql, (step.id, step.valid_from))}


def _through(query: Query, steps: Mapping[str, Step], step: Step) -> set[int]:
    """Exposures that have been through every step behind this one that is still at work."""
    rest = _valid(query, step)
    for name in downstream(steps, [step.name]):
        below = steps[name]
        if below.fold:
            continue
        sql = f"SELECT exposure FROM task WHERE step = ? AND version >= ? AND state IN {SETTLED}"
        settled = {id for (id,) in query(sql, (below.id, below.valid_from))}
        if not (settled and below.state == "finished"):  # one that has finished takes not all that comes
            rest &= settled
    return rest


def said(count: int, bytes: int, why: str, kept: Iterable[str]) -> str:
    """What was done, as it stands in the log."""
    return "; ".join([f"{count} file{'s' if count != 1 else ''} of {size(bytes)} cleaned: {why}", *kept])


# Taking away ----------------------------------------------------------------------------------------------------


def mark(store: Store, chosen: Iterable[Cleanable], why: str) -> tuple[int, int]:
    """Write down that files go; number and bytes. Those that are not there are left out: they are a fault, not room."""
    rows: list[tuple] = []
    now = time.time()
    for one in chosen:
        try:
            size = os.lstat(store.folder / one.path).st_size
        except OSError:
            continue
        rows.append((one.path, one.step, one.exposure, size, now, why))
    with store.transaction() as db:
        sql = "INSERT OR REPLACE INTO cleaned (path, step, exposure, size, time, why) VALUES (?, ?, ?, ?, ?, ?)"
        db.executemany(sql, rows)
    return len(rows), sum(row[3] for row in rows)


def take_away(store: Store, seconds: float = 0.05) -> bool:
    """Remove files that were marked, for about so long; whether there are none left. What fails stays marked."""
    until = time.monotonic() + seconds
    sql = "SELECT path FROM cleaned WHERE gone = 0 LIMIT ?"
    while rows := store.query(sql, (_PART,)):
        for (path,) in rows:
            try:
                os.unlink(store.folder / path)
            except FileNotFoundError:
                pass
            except OSError as error:
                store.event("warning", f"{path} was to be cleaned and cannot be taken away: {error.strerror}.")
        with store.transaction() as db:
            db.executemany("UPDATE cleaned SET gone = 1 WHERE path = ?", rows)
        if time.monotonic() > until:
            return False
    return True


def going(store: Store) -> set[int]:
    """Exposures of which files are being taken away: nothing must be written for them yet."""
    return {id for (id,) in store.query("SELECT DISTINCT exposure FROM cleaned WHERE gone = 0")}


# Coming back ----------------------------------------------------------------------------------------------------


def want(store: Store, exposures: Collection[int] | None = None, step: str | None = None) -> int:
    """Have files made again; the number of results whose files they are."""
    where, values = ["wanted = 0"], []
    if step is not None:
        where.append("step = ?")
        values.append(store.steps()[step].id)
    count = 0
    parts = [None] if exposures is None else [list(exposures)[i : i + _PART] for i in range(0, len(exposures), _PART)]
    with store.transaction() as db:
        for some in parts:
            marks = "" if some is None else f" AND exposure IN ({', '.join('?' * len(some))})"
            given = [*values, *(some or ())]
            text = f"{' AND '.join(where)}{marks}"
            sql = f"SELECT count(*) FROM (SELECT DISTINCT step, exposure FROM cleaned WHERE {text})"
            count += db.execute(sql, given).fetchone()[0]
            db.execute(f"UPDATE cleaned SET wanted = 1 WHERE {text}", given)
    return count


def wanted(store: Store) -> dict[tuple[int, int], None]:
    """Steps and exposures whose files are to be made again, sources first."""
    sql = "SELECT DISTINCT step, exposure FROM cleaned WHERE wanted = 1 ORDER BY step, exposure"
    return dict.fromkeys((step, exposure) for step, exposure in store.query(sql))


def fold_lacks(store: Store, kind: type[Item], source: str) -> set[tuple[int, int]]:
    """The same of all that a step has made: a fold may read again what it was given before."""
    names = ", ".join(f'r."{name}"' for name, f in kind.columns().items() if f.metadata.get("file"))
    if not names:
        return set()
    sql = (
        f"SELECT DISTINCT c.step, c.exposure FROM cleaned c JOIN {kind.table()} r ON r.exposure = c.exposure "
        f"AND r.step = ? WHERE c.path IN ({names})"
    )
    return {(step, exposure) for step, exposure in store.query(sql, (store.steps()[source].id,))}


def missing(store: Store, items: Iterable[Item]) -> set[tuple[int, int]]:
    """Steps and exposures to be done again before these items can be read."""
    found: set[tuple[int, int]] = set()
    for item in items:
        gone = store.query("SELECT path, step FROM cleaned WHERE exposure = ?", (item.exposure,))
        if gone:
            own = item.filed(store.folder)
            names = {getattr(own, name) for name, f in own.columns().items() if f.metadata.get("file")}
            found.update((step, item.exposure) for path, step in gone if path in names)
    return found


def give_up(store: Store, step: int, exposure: int, why: str) -> None:
    """Files cannot be made again, for now."""
    with store.transaction() as db:
        db.execute("UPDATE cleaned SET wanted = 0 WHERE step = ? AND exposure = ?", (step, exposure))
        name = next((s.name for s in store.steps().values() if s.id == step), None)
        store.event("warning", f"Cleaned files of {name} could not be made again: {why}", name, exposure)


def restored(store: Store, task: Task, kind: type[Item], row: int, **booked: Any) -> None:
    """A task has made the files of a result again: the result stays what it is, and is of this task now."""
    step = store.steps()[task.step]
    with store.transaction() as db:
        ((before,),) = store.query(f"SELECT task FROM {kind.table()} WHERE id = ?", (row,))
        store.finish(task, "done", None, **booked)
        db.execute("UPDATE task SET state = 'superseded' WHERE id = ?", (before,))
        db.execute(f"UPDATE {kind.table()} SET task = ? WHERE id = ?", (task.id, row))
        db.execute("DELETE FROM cleaned WHERE step = ? AND exposure = ?", (step.id, task.exposure))
