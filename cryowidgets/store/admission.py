"""What the door writes into the ledger: exposures, and whether their files became movies."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from cryowidgets import plugins
from cryowidgets.model import Movie, Optics
from cryowidgets.store import rows
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store


def admit(store: Store, step: str, arrivals: Iterable[tuple[str, float, Movie]]) -> list[int]:
    """Write down whole movies, in one transaction: path where found, acquisition time (UTC s), movie.

    Each movie's `name` is made unique here. A path that is known already, because it had failed before, keeps
    its exposure. Returns the exposures' ids.
    """
    source = store.steps()[step]
    ids = []
    with store.transaction():
        for path, acquired, movie in arrivals:
            exposure = _exposure(store, path, movie.name, acquired, movie.found, movie.optics)
            task = _door_task(store, source, exposure, "done", None)
            store.replace_result(source, exposure, movie, task, source.version)
            store.event("exposure", f"{path} arrived", step, exposure)
            ids.append(exposure)
    return ids


def refuse(store: Store, step: str, path: str, name: str, optics: Optics, found: float, why: str) -> int:
    """Write down a file that did not become a movie, and why; once, however often it is said."""
    source = store.steps()[step]
    with store.transaction() as db:
        exposure = _exposure(store, path, name, found, found, optics)
        said = db.execute(
            "SELECT 1 FROM task WHERE step = ? AND exposure = ? AND state = 'failed' AND error = ?",
            (source.id, exposure, why),
        ).fetchone()
        if not said:
            _door_task(store, source, exposure, "failed", why)
            store.event("task.failed", why, step, exposure)
    return exposure


def known_paths(store: Store, step: str) -> tuple[set[str], set[str]]:
    """Where exposures were found: of those that became movies, and of those that were refused."""
    found = store.query(
        "SELECT e.path, m.id IS NULL FROM exposure e LEFT JOIN movie m ON m.exposure = e.id AND m.step = ?",
        (store.steps()[step].id,),
    )
    return {path for path, refused in found if not refused}, {path for path, refused in found if refused}


def _exposure(store: Store, path: str, name: str, acquired: float, found: float, optics: Optics | None) -> int:
    known = store.query("SELECT id FROM exposure WHERE path = ?", (path,))
    if known:
        with store.transaction() as db:
            db.execute("UPDATE exposure SET acquired = ? WHERE id = ?", (acquired, known[0][0]))
            if optics is not None:
                db.execute("UPDATE exposure SET optics = ? WHERE id = ?", (_optics_id(store, optics), known[0][0]))
        return known[0][0]
    if optics is None:
        raise ValueError(f"{path} has no optics")
    row = (_unique(store, name, path), path, acquired, found, _optics_id(store, optics))
    return store.insert("INSERT INTO exposure (name, path, acquired, found, optics) VALUES (?, ?, ?, ?, ?)", row)


def _unique(store: Store, name: str, path: str) -> str:
    """The base name, with folders of the path before it as far as others have the same."""
    folders = list(Path(path).parent.parts[1:])
    candidate = name
    while store.query("SELECT 1 FROM exposure WHERE name = ?", (candidate,)):
        if not folders:
            raise ValueError(f"no unique name for {path}")
        candidate = f"{folders.pop()}_{candidate}"
    return candidate


def _optics_id(store: Store, optics: Optics) -> int:
    values = astuple(optics)
    where = " AND ".join(f"{name} = ?" for name in rows.OPTICS)
    known = store.query(f"SELECT id FROM optics WHERE {where}", values)
    if known:
        return known[0][0]
    columns, marks = ", ".join(rows.OPTICS), ", ".join("?" * len(values))
    return store.insert(f"INSERT INTO optics ({columns}) VALUES ({marks})", values)


def _door_task(store: Store, step: Step, exposure: int, state: str, error: str | None) -> int:
    now, program = time.time(), f"{plugins.OURS} {plugins.our_version()}"
    last = store.query("SELECT max(attempt) FROM task WHERE step = ? AND exposure = ?", (step.id, exposure))[0][0]
    with store.transaction() as db:
        db.execute(
            "UPDATE task SET state = 'retry' WHERE step = ? AND exposure = ? AND state = 'failed'", (step.id, exposure)
        )
    return store.insert(
        "INSERT INTO task (step, exposure, inputs, version, attempt, state, error, host, pid, submitted, started, "
        "finished, software) VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (step.id, exposure, step.version, (last or 0) + 1, state, error, *_here(), now, now, now, program),
    )


def _here() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def known_optics(store: Store, step: str) -> list[tuple[Optics, tuple[float, float] | None, int]]:
    """Optics of a source's movies, the oldest first, with the mean of their beam shifts and their number."""
    columns = ", ".join(f"o.{name}" for name in rows.OPTICS)
    store.ensure_table(Movie)
    found = store.query(
        f"SELECT {columns}, avg(m.beam_shift_x), avg(m.beam_shift_y), count(*) FROM movie m "
        "JOIN exposure e ON e.id = m.exposure JOIN optics o ON o.id = e.optics "
        "WHERE m.step = ? GROUP BY o.id ORDER BY min(e.id)",
        (store.steps()[step].id,),
    )
    return [
        (Optics(**dict(zip(rows.OPTICS, values, strict=True))), None if x is None or y is None else (x, y), count)
        for *values, x, y, count in found
    ]


def set_optics(store: Store, source: str, movies: Iterable[tuple[int, Movie]]) -> None:
    """The microscope was described wrongly: give a source's movies other optics and gains, redo what came of them.

    `movies` are exposures and what their movies are now, as the door describes them.
    """
    step = store.steps()[source]
    with store.transaction() as db:
        for exposure, movie in movies:
            if movie.optics is None:
                raise ValueError(f"{movie.path} has no optics")
            db.execute("UPDATE exposure SET optics = ? WHERE id = ?", (_optics_id(store, movie.optics), exposure))
            db.execute(
                "UPDATE movie SET gain = ?, warning = ? WHERE step = ? AND exposure = ?",
                (movie.gain, movie.warning, step.id, exposure),
            )
        for child in store.downstream(source):
            store.begin_again(child)
