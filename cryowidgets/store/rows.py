"""Kinds of data as tables and back: one column for each field of the dataclass."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cryowidgets.model import NAN, Item, Optics

if TYPE_CHECKING:
    F = TypeVar("F", bound=Callable[..., Any])

    def cache(function: F) -> F:
        """What mypy should think of functools.cache, which it takes to be unable to hash the classes of dataclasses."""
        return function
else:
    cache = functools.cache

OPTICS = tuple(f.name for f in dataclasses.fields(Optics))
_SQL = {int: "INTEGER", bool: "INTEGER", float: "REAL", str: "TEXT", np.ndarray: "BLOB"}


@cache
def column_types(kind: type[Item]) -> dict[str, type]:
    """Python type of each column of a kind.

    Raises
    ------
    TypeError
        A field is none of int, bool, float, str and numpy array.
    """
    hints = typing.get_type_hints(kind)
    types = {}
    for name in kind.columns():
        hint = hints[name]
        found = [t for t in (hint, *typing.get_args(hint)) if t in _SQL]
        if not found:
            raise TypeError(f"{kind.__name__}.{name}: a column holds int, bool, float, str or ndarray, not {hint}")
        types[name] = found[0]
    return types


@cache
def defaults(kind: type[Item]) -> dict[str, str]:
    """What each column of a kind holds where nothing was written, as SQL spells it: the default of its field.

    A field that must be given has none; then it is what its type calls nothing.
    """
    fields = kind.columns()
    return {name: _literal(fields[name].default, t) for name, t in column_types(kind).items()}


@cache
def declarations(kind: type[Item]) -> dict[str, str]:
    """Type and default of each column of a kind, as SQL spells them."""
    return {name: f"{_SQL[t]} DEFAULT {defaults(kind)[name]}" for name, t in column_types(kind).items()}


def optics_default(name: str) -> str | None:
    """What a column of the optics holds where nothing was written; None where it must be given."""
    field = next(f for f in dataclasses.fields(Optics) if f.name == name)
    if field.default is dataclasses.MISSING:
        return None
    return _literal(field.default, type(field.default))


@cache
def create_table(kind: type[Item]) -> tuple[str, ...]:
    """Statements that make the table of a kind where there is none yet."""
    table, word = kind.table(), kind.word()
    columns = "".join(f', "{name}" {declared}' for name, declared in declarations(kind).items())
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL "
        f"REFERENCES step, exposure INTEGER REFERENCES exposure, task INTEGER NOT NULL REFERENCES task, "
        f"version INTEGER NOT NULL, time REAL NOT NULL{columns}, UNIQUE (exposure, step))",
        f"CREATE INDEX IF NOT EXISTS {word}_step ON {table} (step, id)",
    )


@cache
def insert_row(kind: type[Item]) -> str:
    names = ["step", "exposure", "task", "version", "time", *(f'"{name}"' for name in column_types(kind))]
    return f"INSERT INTO {kind.table()} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


@cache
def select_items(kind: type[Item], lacking: frozenset[str] = frozenset()) -> str:
    """Rows as `item` wants them, up to the WHERE; the table is r, the exposure e.

    Columns that are `lacking`, in a ledger that an earlier version made, are read as their defaults; those of the
    optics are named ``optics.pixel_size``.
    """
    lens = [optics_default(n) or "NULL" if f"optics.{n}" in lacking else f"o.{n}" for n in OPTICS]
    own = [defaults(kind)[n] if n in lacking else f'r."{n}"' for n in column_types(kind)]
    columns = ["r.id", "r.exposure", "e.name", *lens, *own]
    return (
        f"SELECT {', '.join(columns)} FROM {kind.table()} r "
        "LEFT JOIN exposure e ON e.id = r.exposure LEFT JOIN optics o ON o.id = e.optics"
    )


def item(kind: type[Item], row: Sequence[Any]) -> Item:
    """The item of a row that `select_items` gave."""
    id, exposure, name = row[:3]
    optics = None
    if row[3] is not None:
        optics = Optics(**dict(zip(OPTICS, row[3 : 3 + len(OPTICS)], strict=True)))
    values = {
        column: decode(value, t)
        for (column, t), value in zip(column_types(kind).items(), row[3 + len(OPTICS) :], strict=True)
    }
    return kind(id=id, exposure=exposure or 0, name=name or f"{kind.word()}_{id}", optics=optics, **values)


def _literal(value: Any, t: type) -> str:
    if value is dataclasses.MISSING:
        value = {int: 0, bool: 0, str: ""}.get(t)
    value = encode(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if value in (math.inf, -math.inf):
        return "9e999" if value > 0 else "-9e999"
    return "NULL" if value is None else repr(int(value) if isinstance(value, bool) else value)


def encode_item(result: Item) -> list[Any]:
    """Values of an item's columns as SQLite keeps them."""
    return [encode(getattr(result, name)) for name in column_types(type(result))]


def encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(value, dtype=np.float32), allow_pickle=False)
        return buffer.getvalue()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value


def decode(value: Any, t: type) -> Any:
    if value is None:
        return NAN if t is float else None
    if t is np.ndarray:
        return np.load(io.BytesIO(value), allow_pickle=False)
    return bool(value) if t is bool else value
