"""Which monitors of a project are on, and with which values: only what a person changed is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryowidgets.monitors import registry
from cryowidgets.monitors.base import Monitor

KEY = "monitors"
"""The project's setting that holds them, JSON."""
CHANNELS = "channels"
"""The project's setting with the names of the channels that alerts go to, JSON; none: those that are always on."""


@dataclass(frozen=True)
class Setting:
    """What a person changed of one monitor."""

    on: bool = True
    values: Mapping[str, Any] = field(default_factory=dict)


def loads(text: str) -> dict[str, Setting]:
    """Of all monitors that a person changed, by name."""
    return {name: Setting(bool(kept["on"]), kept["values"]) for name, kept in json.loads(text or "{}").items()}


def dumps(settings: Mapping[str, Setting]) -> str:
    kept = {name: {"on": s.on, "values": dict(s.values)} for name, s in settings.items() if not s.on or s.values}
    return json.dumps(kept)


def changed(text: str, name: str, values: Mapping[str, Any] | None = None, on: bool | None = None) -> str:
    """The project's settings with one monitor changed; a value that is the default is kept no longer.

    Raises
    ------
    CryowidgetsError
        There is no such monitor, or it does not take the values.
    """
    settings = loads(text)
    before = settings.get(name, Setting())
    monitor = registry.get(name)
    tried = monitor(**{**monitor.known(before.values), **(values or {})})
    defaults = monitor().values()
    kept = {key: value for key, value in tried.values().items() if value != defaults[key]}
    settings[name] = Setting(before.on if on is None else bool(on), kept)
    return dumps(settings)


def made(name: str, monitor: type[Monitor], settings: Mapping[str, Setting]) -> Monitor:
    """A monitor with the project's values; those that another version wrote and this one does not know are left out."""
    return monitor(**monitor.known(settings.get(name, Setting()).values))


def channels(text: str) -> list[str]:
    """Names of the channels that a project names."""
    return [str(name) for name in json.loads(text or "[]")]
