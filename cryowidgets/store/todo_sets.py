"""What is to do at a step that takes the items of either of two steps, of one without the other, or among recent."""

from __future__ import annotations

from collections.abc import Mapping

from cryowidgets.model import Item
from cryowidgets.store.store import Store, Todo
from cryowidgets.store.todo import SETTLED


def todo_either(
    store: Store, step: str, kind: type[Item], cursors: Mapping[str, int]
) -> tuple[list[Todo], dict[str, int]]:
    """Open tasks among items of the first and of the second input; of one exposure, that of the first.

    Where the item of the second came before, that of the first takes its place when it comes. Cursors are as for
    `todo.todo`.
    """
    found, fresh = [], {}
    for name, other in (("first", None), ("second", "first")):
        rows, fresh[name] = _open(store, step, name, kind, cursors.get(name, 0), other, kind)
        found += rows
    return found, fresh


def todo_without(
    store: Store, step: str, kinds: Mapping[str, type[Item]], cursors: Mapping[str, int], ended: bool
) -> tuple[list[Todo], dict[str, int]]:
    """Open tasks among items of the first input of whose exposure the second has none, once the second has `ended`."""
    if not ended:
        return [], dict(cursors)
    found, newest = _open(store, step, "first", kinds["first"], cursors.get("first", 0), "second", kinds["second"])
    return found, {"first": newest}


def recent(store: Store, kind: type[Item], source: str, row: int, count: int, least: int) -> list[Item]:
    """Up to `count` valid items of a step, the last of which is `row`; later ones too where else they were too few."""
    s = store.steps()[source]
    valid = (
        f"SELECT r.id FROM {kind.table()} r LEFT JOIN exposure e ON e.id = r.exposure "
        "WHERE r.step = ? AND r.version >= ? AND e.rejected IS NULL"
    )
    before = store.query(f"{valid} AND r.id <= ? ORDER BY r.id DESC LIMIT ?", (s.id, s.valid_from, row, count))
    after: list[tuple] = []
    if len(before) < least:
        more = (s.id, s.valid_from, row, least - len(before))
        after = store.query(f"{valid} AND r.id > ? ORDER BY r.id LIMIT ?", more)
    return [store.item(kind, id) for (id,) in (*reversed(before), *after)]


def overtaken(store: Store, step: str, kind: type[Item], exposure: int | None, row: int) -> bool:
    """Whether the first input of a step has an item of the exposure by now, other than the one that was taken."""
    first = store.steps()[store.steps()[step].inputs["first"]]
    found = store.query(
        f"SELECT 1 FROM {kind.table()} WHERE step = ? AND exposure = ? AND version >= ? AND id <> ?",
        (first.id, exposure, first.valid_from, row),
    )
    return bool(found)


def _open(
    store: Store, step: str, name: str, kind: type[Item], since: int, other: str | None, other_kind: type[Item]
) -> tuple[list[Todo], int]:
    """Open tasks of one input, without those of whose exposure another has an item; and its newest row."""
    s = store.steps()[step]
    source = store.steps()[s.inputs[name]]
    newest = store.query(f"SELECT max(id) FROM {kind.table()} WHERE step = ?", (source.id,))[0][0] or 0
    if newest <= since:
        return [], newest
    sql = (
        f"SELECT d.exposure, d.id, e.acquired FROM {kind.table()} d LEFT JOIN exposure e ON e.id = d.exposure "
        "WHERE d.step = ? AND d.id > ? AND d.version >= ? AND e.rejected IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM task t WHERE t.step = ? AND t.inputs = CAST(d.id AS TEXT) "
        f"AND t.version >= ? AND t.state IN {SETTLED})"
    )
    values = [source.id, since, source.valid_from, s.id, s.valid_from]
    if other:
        there = store.steps()[s.inputs[other]]
        sql += (
            f" AND NOT EXISTS (SELECT 1 FROM {other_kind.table()} o WHERE o.step = ? AND o.exposure = d.exposure "
            "AND o.version >= ?)"
        )
        values += [there.id, there.valid_from]
    found = store.query(f"{sql} ORDER BY d.id", values)
    return [Todo(exposure, (row,), acquired or 0.0) for exposure, row, acquired in found], newest
