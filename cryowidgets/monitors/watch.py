"""The monitors of one project at work: given what is new, they say what has become wrong or right."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.monitors import registry, settings
from cryowidgets.monitors.base import Monitor, Watched
from cryowidgets.monitors.feeds import Feeds
from cryowidgets.monitors.settings import Setting
from cryowidgets.store.alerts import Change, Clear, Raise, Said
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

REMEMBERED = 200
"""Newest alerts of the ledger that monitors are told of when they begin."""


class Watch:
    """All monitors of a project; an observer of its engine, and what a page asks how things stand.

    One that raises, or cannot be made, is said once and left out until the engine starts anew or it is changed.
    """

    def __init__(self) -> None:
        self._monitors: dict[str, Monitor] = {}
        self._feeds: dict[str, Feeds] = {}
        self._settings: dict[str, Setting] | None = None
        self._kept = ""
        self._broken: set[str] = set()

    @property
    def commands(self) -> Mapping[str, Any]:
        """What an engine that this observes can be told; see `engine.observers`."""
        return {"monitor": change, "channels": name_channels}

    def look(self, reader: Reader, now: float | None = None) -> list[Change]:
        """What has changed since the last look; costs in proportion to what is new."""
        now = time.time() if now is None else now
        found = self._follow_settings(reader, now)
        steps = list(reader.steps().values())
        for name, monitor in list(self._monitors.items()):
            try:
                changes = monitor.look(self._feeds[name].read(reader, steps, now), now)
            except Exception as error:  # whatever a plug-in does, the session goes on
                self._leave_out(name)
                said = f"The monitor {name!r} failed and watches no more: {type(error).__name__}: {error}."
                found.append(Said(said))
                continue
            found += [_signed(change, name) for change in changes]
        return found

    def watched(self) -> dict[str, list[Watched]]:
        """How the quantities of each monitor that is on stood at the last look."""
        return {name: monitor.watched() for name, monitor in self._monitors.items()}

    def off(self) -> list[str]:
        """Names of the monitors that a person switched off."""
        return [name for name, setting in (self._settings or {}).items() if not setting.on]

    def _follow_settings(self, reader: Reader, now: float) -> list[Change]:
        """Make monitors anew whose settings have changed; end the alerts of those that are off."""
        kept = reader.settings().get(settings.KEY, "")
        if self._settings is not None and kept == self._kept:
            return []
        before, self._kept = self._settings, kept
        self._settings = settings.loads(kept)
        usable, faults = registry.usable()
        found: list[Change] = [Said(sentence) for sentence in faults] if before is None else []
        alerts = reader.alerts(open=False, limit=REMEMBERED)
        alerts += [alert for alert in reader.alerts() if alert not in alerts]
        for name, kind in usable.items():
            present = self._settings.get(name, Setting())
            if before is not None and present == before.get(name, Setting()) and name not in self._broken:
                continue
            self._monitors.pop(name, None)
            if not present.on:
                over = "The monitor was switched off."
                found += [Clear(name, a.key, over) for a in alerts if a.monitor == name and a.open]
                continue
            try:
                monitor = settings.made(name, kind, self._settings)
            except CryowidgetsError as error:
                found.append(Said(f"The monitor {name!r} watches nothing: {error}"))
                continue
            monitor.restore(alert for alert in alerts if alert.monitor == name)
            self._monitors[name] = monitor
            self._feeds[name] = Feeds(monitor.takes, monitor.first)
            self._broken.discard(name)
        gone = {alert.monitor for alert in alerts if alert.open} - set(usable)
        over = "The monitor is installed no more."
        found += [Clear(alert.monitor, alert.key, over) for alert in alerts if alert.open and alert.monitor in gone]
        self._monitors = {name: self._monitors[name] for name in usable if name in self._monitors}
        return found

    def _leave_out(self, name: str) -> None:
        self._monitors.pop(name)
        self._broken.add(name)


def change(store: Store, name: str, values: Mapping[str, Any] | None = None, on: bool | None = None) -> str:
    """The command `monitor`: other values for a monitor, or switch it on or off."""
    store.put(settings.KEY, settings.changed(store.get(settings.KEY), name, values, on))
    said = [f"{key} = {value!r}" for key, value in (values or {}).items()]
    said += [] if on is None else ["is on" if on else "is off"]
    return f"monitor {name}: {', '.join(said) or 'as it was'}"


def name_channels(store: Store, names: list[str]) -> str:
    """The command `channels`: where alerts of this project go to; with none, to those that are always on."""
    store.put(settings.CHANNELS, json.dumps([str(name) for name in names]))
    return f"alerts go to {', '.join(names)}" if names else "alerts go to the channels that are always on"


def _signed(change: Raise | Clear, name: str) -> Raise | Clear:
    return dataclasses.replace(change, monitor=name)
