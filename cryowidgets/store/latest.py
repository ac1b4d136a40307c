"""What the ledger has that a window has not: the questions behind `Overview`, each in proportion to its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryowidgets.store import migrations
from cryowidgets.store.metrics import METRICS
from cryowidgets.store.queries import Reader

STATES = ("waiting", "running", "done", "rejected", "failed")
CLOSED = "closed"
"""Name of the column with the time at which a movie's file was complete."""
_MANY = 500
"""Values in one question: SQLite takes 32,766, and plans worse the more there are."""


@dataclass
class Source:
    """A step whose results have numbers that are shown, and how far they were read."""

    id: int
    step: str
    kind: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    rank: int
    """of two steps that make the same kind, the one with the greater rank has the last word"""
    last: bool
    """its results are the end of the way of an exposure"""
    since: int = 0


def signature(reader: Reader) -> tuple:
    """Changes when something touches so many exposures that all must be read anew."""
    steps = tuple((s.id, s.gives, s.valid_from) for s in reader.steps().values())
    return steps, reader.last_step(), frozenset(reader.choosing()), frozenset(reader.tables())


def sources(reader: Reader) -> list[Source]:
    """The steps to read, in the order of the workflow."""
    there, last = reader.tables(), reader.last_step()
    found: list[Source] = []
    for rank, step in enumerate(reader.steps().values()):
        metrics = [m for m in METRICS.values() if m.kind == step.gives]
        movie = step.gives == "Movie"
        if step.fold or step.gives.lower() not in there or not (metrics or movie or step.id == last):
            continue
        first = any(m.which == "first" for m in metrics)
        if first and step.id != last and any(s.kind == step.gives for s in found):
            continue  # the first step has said all that counts
        columns = {m.key: m.column for m in metrics}
        if movie:
            columns = {CLOSED: "closed"}
        known = migrations.columns(reader.database, step.gives.lower())
        columns = {key: text for key, text in columns.items() if _words(text) <= known}
        found.append(
            Source(step.id, step.name, step.gives, tuple(columns), tuple(columns.values()), -rank if first else rank,
                   step.id == last)
        )  # fmt: skip
    lowest = min((s.rank for s in found), default=0)
    for source in found:
        source.rank -= lowest
    return found


def results(reader: Reader, source: Source) -> list[tuple]:
    """New rows of a step: id, exposure, time, and its columns."""
    columns = "".join(f", {column}" for column in source.columns)
    return reader.query(
        f'SELECT id, exposure, time{columns} FROM "{source.kind.lower()}" WHERE step = ? AND id > ? '
        "AND exposure IS NOT NULL ORDER BY id",
        (source.id, source.since),
    )


def arrivals(reader: Reader, since: int) -> list[tuple]:
    """New exposures: id, name, path, acquired, name of the optics."""
    return reader.query(
        "SELECT e.id, e.name, e.path, e.acquired, o.name FROM exposure e LEFT JOIN optics o ON o.id = e.optics "
        "WHERE e.id > ? ORDER BY e.id",
        (since,),
    )


def touched(reader: Reader, since: int | None) -> tuple[int, set[int]]:
    """Newest event, and the exposures of those after `since`; of none where that is None."""
    newest = reader.query("SELECT coalesce(max(id), 0) FROM event")[0][0]
    if since is None or newest == since:
        return newest, set()
    found = reader.query(
        "SELECT DISTINCT exposure FROM event WHERE id > ? AND id <= ? AND exposure IS NOT NULL", (since, newest)
    )
    return newest, {id for (id,) in found}


def running(reader: Reader) -> set[int]:
    """Exposures that something is done with now: nothing in the log says so."""
    found: set[int] = set()
    for step in reader.steps().values():
        # Said twice: SQLite then knows that the index of troubles has all of them.
        rows = reader.query(
            "SELECT exposure FROM task WHERE step = ? AND state = 'running' "
            "AND state IN ('running', 'failed', 'rejected') AND exposure IS NOT NULL",
            (step.id,),
        )
        found.update(id for (id,) in rows)
    return found


def states(reader: Reader, ids: Iterable[int] | None) -> dict[str, set[int]]:
    """Exposures by state, but for those that wait; where several apply, the later one of the answer counts.

    The rules are those of `Reader.exposures`.
    """
    last, choosing = reader.last_step(), reader.choosing()
    found: dict[str, set[int]] = {name: set() for name in ("running", "done", "failed", "rejected")}
    if ids is None:
        found["running"] = running(reader)
        found["done"] = {
            id for (id,) in reader.query("SELECT exposure FROM task WHERE step = ? AND state = 'done'", (last,)) if id
        }
        for step in reader.steps().values():
            rows = reader.query(
                "SELECT exposure, state FROM task WHERE step = ? AND state IN ('failed', 'rejected') "
                "AND state IN ('running', 'failed', 'rejected') AND exposure IS NOT NULL",
                (step.id,),
            )
            for id, state in rows:
                if state == "failed" or step.id not in choosing:
                    found[state].add(id)
        found["rejected"].update(id for (id,) in reader.query("SELECT id FROM exposure WHERE rejected IS NOT NULL"))
        return found
    for some in _parts(ids):
        marks = ", ".join("?" * len(some))
        rows = reader.query(
            f"SELECT exposure, state, step FROM task WHERE exposure IN ({marks}) "
            "AND state IN ('running', 'done', 'failed', 'rejected')",
            some,
        )
        for id, state, step in rows:
            if (state != "done" or step == last) and (state != "rejected" or step not in choosing):
                found[state].add(id)
        sql = f"SELECT id FROM exposure WHERE id IN ({marks}) AND rejected IS NOT NULL"
        found["rejected"].update(id for (id,) in reader.query(sql, some))
    return found


def marks(reader: Reader, ids: Iterable[int] | None) -> Iterator[tuple[int, int, str]]:
    """Flags and notes of people, of exposures that have one: id, flag, note."""
    flag = "flag" if "flag" in migrations.columns(reader.database, "exposure") else "0"
    if ids is None:
        yield from reader.query(f"SELECT id, {flag}, note FROM exposure WHERE {flag} <> 0 OR note <> ''")
        return
    for some in _parts(ids):
        marks = ", ".join("?" * len(some))
        yield from reader.query(
            f"SELECT id, {flag}, note FROM exposure WHERE id IN ({marks}) AND ({flag} <> 0 OR note <> '')", some
        )


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    all = list(ids)
    for first in range(0, len(all), _MANY):
        yield all[first : first + _MANY]


def _words(expression: str) -> set[str]:
    """Names of columns in an expression of `METRICS`."""
    return {word for word in expression.replace("(", " ").replace(")", " ").split() if word.isidentifier()}
