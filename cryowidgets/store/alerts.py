"""Alerts in the ledger: what is wrong with a session, since when, who knows of it, and when it was right again.

A monitor says `Raise` and `Clear`; `write` puts that into the ledger, an event for each change. Of one thing, that is a
monitor and a key of its own, there is at most one open alert: said again it is the same one, and only where it has
become worse it is news. So an alert that is open is state, not a flood, and survives whoever found it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryowidgets.errors import CommandError
from cryowidgets.model import NAN
from cryowidgets.store.store import Store

LEVELS = ("note", "warning", "alarm")
"""From the least to the worst: worth knowing; look at it today; look at it now."""
Query = Callable[..., list[tuple]]


@dataclass(frozen=True)
class Alert:
    """Something that is, or was, wrong with a session."""

    id: int
    monitor: str
    """Name of the monitor that found it."""
    key: str
    """Which of the monitor's quantities."""
    level: str
    """note, warning or alarm"""
    text: str
    value: float
    """What was measured when it was opened, or when it became worse; NaN where it is no number."""
    allowed: float
    """The limit that was broken, in the unit of the value; NaN where there is none."""
    exposure: int | None
    """The newest exposure that shows it."""
    opened: float
    """UTC s"""
    cleared: float | None
    """UTC s; None while it is open"""
    cleared_text: str
    acknowledged: float | None
    """UTC s; None as long as nobody has said that they know"""
    acknowledged_by: str

    @property
    def open(self) -> bool:
        return self.cleared is None

    @property
    def rank(self) -> int:
        """Place of its level in `LEVELS`."""
        return LEVELS.index(self.level) if self.level in LEVELS else 0


@dataclass(frozen=True)
class Raise:
    """Something is wrong: an alert is to be open."""

    monitor: str
    key: str
    level: str
    text: str
    value: float = NAN
    allowed: float = NAN
    exposure: int | None = None


@dataclass(frozen=True)
class Clear:
    """It is right again: no alert is to be open."""

    monitor: str
    key: str
    text: str = ""


@dataclass(frozen=True)
class Sent:
    """A channel has taken a message about alerts, or about their end."""

    channel: str
    alerts: Sequence[int] = ()
    """Ids of those whose opening was told."""
    cleared: Sequence[int] = ()
    """Ids of those whose end was told."""


@dataclass(frozen=True)
class Said:
    """A sentence for the log, of kind `warning` unless another is named."""

    text: str
    kind: str = field(default="warning")


Change = Raise | Clear | Sent | Said


def write(store: Store, changes: Iterable[Change], now: float | None = None) -> list[Alert]:
    """Write down what monitors have found, in one transaction.

    Returns
    -------
    list of Alert
        Those that were opened, became worse or were cleared, as they are now.
    """
    now = time.time() if now is None else now
    touched: list[int] = []
    with store.transaction():
        for change in changes:
            if isinstance(change, Raise):
                touched += _raise(store, change, now)
            elif isinstance(change, Clear):
                touched += _clear(store, change, now)
            elif isinstance(change, Sent):
                _sent(store, change, now)
            else:
                store.event(change.kind, change.text)
    return [alert for id in touched for alert in select(store.query, "WHERE id = ?", (id,))]


def acknowledge(store: Store, id: int, by: str) -> Alert:
    """Somebody knows of an alert: nobody is told of it any more.

    Raises
    ------
    CommandError
        There is no such alert.
    """
    found = select(store.query, "WHERE id = ?", (id,))
    if not found:
        raise CommandError(f"There is no alert {id!r}; 'cryowidgets alerts {store.folder}' lists those that there are.")
    if found[0].acknowledged is None:
        with store.transaction() as db:
            sql = "UPDATE alert SET acknowledged = ?, acknowledged_by = ? WHERE id = ?"
            db.execute(sql, (time.time(), by, id))
    return select(store.query, "WHERE id = ?", (id,))[0]


def select(query: Query, where: str = "", values: Sequence[Any] = (), order: str = "id") -> list[Alert]:
    """Alerts as the ledger has them; none where it is of a version that knew none."""
    if not query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alert'"):
        return []
    sql = (
        "SELECT id, monitor, key, level, text, value, allowed, exposure, opened, cleared, cleared_text, acknowledged, "
        f"acknowledged_by FROM alert {where} ORDER BY {order}"
    )
    return [
        Alert(*head, NAN if value is None else value, NAN if allowed is None else allowed, *tail)  # type: ignore[call-arg]
        for *head, value, allowed, e, o, c, ct, a, ab in query(sql, values)
        for tail in [(e, o, c, ct, a, ab)]
    ]


def listed(query: Query, open: bool = True, limit: int | None = None) -> list[Alert]:
    """Open alerts, the worst and of these the newest first; or all that there ever were, the newest first."""
    if open:
        found = sorted(select(query, "WHERE cleared IS NULL"), key=lambda alert: (-alert.rank, -alert.id))
        return found[:limit]
    return select(query, order=f"id DESC LIMIT {-1 if limit is None else int(limit)}")


def _raise(store: Store, change: Raise, now: float) -> list[int]:
    there = select(store.query, "WHERE monitor = ? AND key = ? AND cleared IS NULL", (change.monitor, change.key))
    value, allowed = _number(change.value), _number(change.allowed)
    if not there:
        id = store.insert(
            "INSERT INTO alert (monitor, key, level, text, value, allowed, exposure, opened) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (change.monitor, change.key, change.level, change.text, value, allowed, change.exposure, now),
        )
        store.event("alert", f"{change.monitor}: {change.text}", exposure=change.exposure)
        return [id]
    (alert,) = there
    if LEVELS.index(change.level) <= alert.rank:
        return []
    with store.transaction() as db:
        db.execute(
            "UPDATE alert SET level = ?, text = ?, value = ?, allowed = ?, exposure = ?, acknowledged = NULL, "
            "acknowledged_by = '' WHERE id = ?",
            (change.level, change.text, value, allowed, change.exposure, alert.id),
        )
        db.execute("DELETE FROM notice WHERE alert = ?", (alert.id,))  # what is worse than was told is to be told
    store.event("alert.worse", f"{change.monitor}: {change.text}", exposure=change.exposure)
    return [alert.id]


def _clear(store: Store, change: Clear, now: float) -> list[int]:
    there = select(store.query, "WHERE monitor = ? AND key = ? AND cleared IS NULL", (change.monitor, change.key))
    for alert in there:
        with store.transaction() as db:
            db.execute("UPDATE alert SET cleared = ?, cleared_text = ? WHERE id = ?", (now, change.text, alert.id))
        store.event("alert.cleared", f"{change.monitor}: {change.text or alert.text}", exposure=alert.exposure)
    return [alert.id for alert in there]


def _sent(store: Store, change: Sent, now: float) -> None:
    with store.transaction() as db:
        for column, ids in (("opened", change.alerts), ("cleared", change.cleared)):
            for id in ids:
                db.execute(
                    f"INSERT INTO notice (alert, channel, {column}) VALUES (?, ?, ?) "
                    f"ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
                    (id, change.channel, now),
                )


def _number(value: float) -> float | None:
    return None if value != value else float(value)
