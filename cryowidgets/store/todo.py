"""What is to do: what exists minus what is done, asked of the ledger.

Each question is put with a cursor, the newest row already seen of each input, so that a tick costs in proportion to
what is new. With cursors at zero the same question gives all that is open: that is a start, a resume and a repair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryowidgets.model import Item
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store, Todo

SETTLED = "('running', 'done', 'failed', 'rejected')"


def todo(
    store: Store, step: str, inputs: Mapping[str, type[Item]], cursors: Mapping[str, int]
) -> tuple[list[Todo], dict[str, int]]:
    """Open tasks of a map or join among what came after the cursors.

    Parameters
    ----------
    store : Store
    step : str
        Name of the step.
    inputs : mapping
        Kind of each input, in the protocol's order.
    cursors : mapping
        Newest row already seen of each input; 0 to see all.

    Returns
    -------
    list of Todo, dict
        What is open, oldest row first, and the new cursors.
    """
    s = store.steps()[step]
    names = list(inputs)
    fresh = {}
    for name, kind in inputs.items():
        source = store.steps()[s.inputs[name]]
        newest = store.query(f"SELECT max(id) FROM {kind.table()} WHERE step = ?", (source.id,))[0][0]
        fresh[name] = newest or 0
    found: dict[tuple[int, ...], tuple] = {}
    for driver in names:
        if fresh[driver] > cursors.get(driver, 0):
            sql, values = _question(store, s, inputs, driver, cursors.get(driver, 0))
            for row in store.query(sql, values):
                found.setdefault(row[2:], row[:2])
    return [Todo(exposure, ids, acquired or 0.0) for ids, (exposure, acquired) in sorted(found.items())], fresh


def _question(store: Store, step: Step, inputs: Mapping[str, type[Item]], driver: str, since: int) -> tuple[str, list]:
    names = list(inputs)
    alias = {name: f"i{n}" for n, name in enumerate(names)}
    d = alias[driver]
    joins, where, values = [], [], []
    for name in names:
        source = store.steps()[step.inputs[name]]
        a = alias[name]
        if name != driver:
            joins.append(f"JOIN {inputs[name].table()} {a} ON {a}.step = {source.id} AND {a}.exposure = {d}.exposure")
        where.append(f"{a}.version >= {source.valid_from}")
    key = " || ',' || ".join(f"{alias[n]}.id" for n in names)
    ids = ", ".join(f"{alias[n]}.id" for n in names)
    sql = (
        f"SELECT {d}.exposure, e.acquired, {ids} FROM {inputs[driver].table()} {d} "
        f"{' '.join(joins)} LEFT JOIN exposure e ON e.id = {d}.exposure "
        f"WHERE {d}.step = ? AND {d}.id > ? AND {' AND '.join(where)} AND e.rejected IS NULL "
        f"AND NOT EXISTS (SELECT 1 FROM task t WHERE t.step = ? AND t.inputs = CAST({key} AS TEXT) "
        f"AND t.version >= ? AND t.state IN {SETTLED})"
    )
    values = [store.steps()[step.inputs[driver]].id, since, step.id, step.valid_from]
    return sql, values


def todo_fold(store: Store, step: str, kind: type[Item], every: int, flush: bool) -> Todo | None:
    """The next batch of a fold: `every` new rows, or with `flush` what is left of them.

    None where too few have come together, the fold is at work, or its last batch has failed for good.
    """
    s = store.steps()[step]
    source = store.steps()[next(iter(s.inputs.values()))]
    last = last_batch(store.query, s)
    done = 0
    if last:
        state, done = last
        if state in ("running", "failed"):
            return None
    batch = store.query(
        f"SELECT min(id), max(id), count(*) FROM (SELECT r.id FROM {kind.table()} r "
        "LEFT JOIN exposure e ON e.id = r.exposure WHERE r.step = ? AND r.id > ? AND r.version >= ? "
        "AND e.rejected IS NULL ORDER BY r.id LIMIT ?)",
        (source.id, done, source.valid_from, every),
    )[0]
    first, newest, count = batch
    if not count or (count < every and not flush):
        return None
    return Todo(None, (first, newest))


def last_batch(query: Callable[..., list[tuple]], step: Step) -> tuple[str, int] | None:
    """State of a fold's newest batch and the last row in it; None where it has had none.

    Of the done ones the result is asked, of the others the index of troubles: else each task would be looked at.
    """
    table = step.gives.lower()
    found: list[tuple] = []
    if query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)):
        newest = f'SELECT task FROM "{table}" WHERE step = ? ORDER BY id DESC LIMIT 1'
        found += query(
            f"SELECT id, state, inputs FROM task WHERE id = ({newest}) AND version >= ?", (step.id, step.valid_from)
        )
    for state in ("running", "failed", "rejected"):
        found += query(
            "SELECT id, state, inputs FROM task WHERE step = ? AND state = ? AND version >= ? "
            "AND state IN ('running', 'failed', 'rejected') ORDER BY id DESC LIMIT 1",
            (step.id, state, step.valid_from),
        )
    if not found:
        return None
    _, state, inputs = max(found)
    return state, int(inputs.split(",")[1])
