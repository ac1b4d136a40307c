"""What is to do: what exists minus what is done, asked of the ledger.

Each question is put with a cursor, the newest row already seen of each input, so that a tick costs in proportion to
what is new. With cursors at zero the same question gives all that is open: that is a start, a resume and a repair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cryowidgets.model import Item
from cryowidgets.store.database import Step, batched
from cryowidgets.store.store import Store, Todo

SETTLED = "('running', 'done', 'failed', 'rejected')"
_PART = 500


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


def todo_fold(
    store: Store,
    step: str,
    kind: type[Item],
    every: int,
    flush: bool,
    first: int | None = None,
    by: str = "",
    beside: Sequence[str] = (),
) -> Todo | None:
    """The next batch of a fold: `every` new rows, or with `flush` what is left of them; and one row of each `beside`.

    None where too few have come together, the fold is at work, its last batch has failed for good, or there is nothing
    yet of what is beside.

    Parameters
    ----------
    every : int
        What a batch takes; 0 for all there is.
    first : int, optional
        What the first batch takes instead of `every`.
    by : str
        Column whose sum is counted instead of the rows.
    beside : sequence of str
        Names of further inputs: the newest row of each at the first batch goes with all.
    """
    s = store.steps()[step]
    last = last_task(store.query, s)
    if last and last[0] in ("running", "failed"):
        return None
    more = last[1][2:] if last else _newest_beside(store, s, beside)
    if None in more:
        return None
    wanted = every if last or first is None else first
    batch, came = _gathered(store, s, kind, last[1][1] if last else 0, wanted, by)
    return Todo(None, (*batch, *filter(None, more))) if batch and (came >= wanted or flush) else None


def absent(store: Store, step: str, beside: Sequence[str]) -> list[str]:
    """The sources of further inputs of a fold that is still to begin and cannot, as they have given nothing yet."""
    s = store.steps()[step]
    if not beside or last_task(store.query, s):
        return []
    newest = zip(beside, _newest_beside(store, s, beside), strict=True)
    return [s.inputs[name] for name, row in newest if row is None]


def _newest_beside(store: Store, step: Step, beside: Sequence[str]) -> tuple[int | None, ...]:
    found = []
    for name in beside:
        source = store.steps()[step.inputs[name]]
        sql = f'SELECT max(id) FROM "{source.gives.lower()}" WHERE step = ? AND version >= ?'
        found.append(store.query(sql, (source.id, source.valid_from))[0][0])
    return tuple(found)


def came(
    store: Store, step: str, kind: type[Item], every: int, first: int | None = None, by: str = ""
) -> tuple[int, int]:
    """How many have come together for the next batch of a fold, and how many it takes; see `todo_fold`."""
    s = store.steps()[step]
    last = last_batch(store.query, s)
    wanted = every if last or first is None else first
    return _gathered(store, s, kind, last[1] if last else 0, wanted, by)[1], wanted


def _gathered(
    store: Store, step: Step, kind: type[Item], done: int, wanted: int, by: str
) -> tuple[tuple[int, ...], int]:
    """First and last of the rows after `done` that make up what is wanted, none where there are no rows; and how many.

    Rows are read in parts: of a backlog no more than the batch takes.
    """
    source = batched(store.steps(), step)
    size = f'coalesce(r."{by}", 0)' if by else "1"
    sql = (
        f"SELECT r.id, {size} FROM {kind.table()} r LEFT JOIN exposure e ON e.id = r.exposure "
        "WHERE r.step = ? AND r.id > ? AND r.version >= ? AND e.rejected IS NULL ORDER BY r.id LIMIT ?"
    )
    if not wanted:
        ends = [
            store.query(sql.replace("r.id LIMIT", f"r.id {way} LIMIT"), (source.id, done, source.valid_from, 1))
            for way in ("ASC", "DESC")
        ]
        return tuple(rows[0][0] for rows in ends if rows), 0
    begin, at, count = 0, done, 0
    while count < wanted:
        part = min(wanted - count, _PART)
        rows = store.query(sql, (source.id, at, source.valid_from, part))
        for at, n in rows:
            begin = begin or at
            count += n
            if count >= wanted:
                break
        if len(rows) < part:
            break
    return ((begin, at) if begin else ()), count


def todo_newest(
    store: Store, step: str, inputs: Mapping[str, type[Item]], every: int = 1, flush: bool = True
) -> Todo | None:
    """What a step may begin with that takes the newest result of each of its sources, where that is not done yet.

    Parameters
    ----------
    inputs : mapping
        Kind of each input, in the protocol's order. The sources' results belong to no exposure.
    every : int
        So many results of the first input must have come since the one that was taken last, unless `flush`.
    """
    s = store.steps()[step]
    found = []
    for name, kind in inputs.items():
        source = store.steps()[s.inputs[name]]
        newest = store.query(
            f"SELECT max(id) FROM {kind.table()} WHERE step = ? AND version >= ?", (source.id, source.valid_from)
        )[0][0]
        if newest is None:
            return None
        found.append(newest)
    todo = Todo(None, tuple(found))
    settled = f"SELECT 1 FROM task WHERE step = ? AND inputs = ? AND version >= ? AND state IN {SETTLED}"
    if store.query(settled, (s.id, todo.key, s.valid_from)):
        return None
    if every > 1 and not flush:
        first, kind = next(iter(inputs.items()))
        source, last = store.steps()[s.inputs[first]], last_task(store.query, s)
        sql = f"SELECT count(*) FROM {kind.table()} WHERE step = ? AND version >= ? AND id > ?"
        if store.query(sql, (source.id, source.valid_from, last[1][0] if last else 0))[0][0] < every:
            return None
    return todo


def last_batch(query: Callable[..., list[tuple]], step: Step) -> tuple[str, int] | None:
    """State of a fold's newest batch and the last row in it; None where it has had none."""
    found = last_task(query, step)
    return (found[0], found[1][1]) if found else None


def last_task(query: Callable[..., list[tuple]], step: Step) -> tuple[str, tuple[int, ...]] | None:
    """State and rows of the newest task of a step whose results belong to no exposure; None where it has had none.

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
    return state, tuple(map(int, inputs.split(",")))
