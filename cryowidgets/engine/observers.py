"""Those who look on while an engine works, and may write down what they see: monitors, and who tells people of it.

The engine knows nothing of them but this. They look every few seconds at the ledger as every window does, and what they
answer is written by the one who writes. Whatever goes wrong in one of them is said once and stops nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from cryowidgets.errors import CommandError
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Change
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

EVERY = 3.0
"""Seconds from one look to the next."""


class Observer(Protocol):
    """What the engine asks of one who looks on. Beside this it may have:

    ``commands``, a mapping of names of commands to ``f(store, **args) -> str`` that carry them out and return a
    sentence for the log; and ``close(reader) -> list of changes``, called when the engine ends.
    """

    def look(self, reader: Reader) -> list[Change]:
        """What is to be written down; called every few seconds, so it costs in proportion to what is new."""
        ...


class Observers:
    """The observers of one engine.

    Parameters
    ----------
    store : Store
        Where what they say is written.
    observers : sequence of Observer
    """

    def __init__(self, store: Store, observers: Sequence[Observer]) -> None:
        self._store = store
        self._there = list(observers)
        self._reader: Reader | None = None
        self._due = 0.0

    def look(self) -> None:
        """Have all look whose time has come."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY
        for observer in list(self._there):
            self._ask(observer, observer.look)

    def command(self, name: str) -> Callable[..., str]:
        """What carries a command out that an observer knows.

        Raises
        ------
        CommandError
            None does.
        """
        for observer in self._there:
            known: Mapping[str, Any] = getattr(observer, "commands", {})
            if name in known:
                return lambda **args: known[name](self._store, **args)
        raise CommandError(f"Command {name!r} is carried out by monitors, and this engine runs without.")

    def wake(self) -> None:
        """Have them look at the next opportunity."""
        self._due = 0.0

    def close(self) -> None:
        """A last look, and the end."""
        for observer in list(self._there):
            self._ask(observer, observer.look)
        for observer in list(self._there):
            if hasattr(observer, "close"):
                self._ask(observer, observer.close)
        if self._reader is not None:
            self._reader.close()

    def _ask(self, observer: Observer, what: Callable[[Reader], list[Change]]) -> None:
        try:
            self._reader = self._reader or Reader(self._store.folder)
            changes = what(self._reader)
            if changes:
                alerts.write(self._store, changes)
        except Exception as error:
            self._there.remove(observer)
            said = f"{type(observer).__name__} failed and looks on no more: {type(error).__name__}: {error}."
            self._store.event("warning", said)
