"""Find monitors by name: ours and those of plug-ins come through the same door, see `cryowidgets.plugins`."""

from __future__ import annotations

import difflib
from typing import Any

from cryowidgets import plugins
from cryowidgets.errors import PluginError, WorkflowError
from cryowidgets.monitors.base import Monitor
from cryowidgets.plugins import Plugin

_ORDER = ("ctf", "drift", "ice", "particles", "dose", "gain", "pace", "system")


def installed() -> dict[str, Plugin]:
    """What packages bring, by name, whether it can be used or not: ours first. Nothing is imported yet."""
    found = plugins.installed(plugins.MONITORS)
    return {name: found[name] for name in sorted(found, key=lambda n: (_place(n), n))}


def get(name: str) -> type[Monitor]:
    """The monitor class of that name.

    Raises
    ------
    WorkflowError
        No such monitor is installed.
    PluginError
        It is, and cannot be used.
    """
    found = installed()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise WorkflowError(f"No monitor {name!r} is installed.{hint} Installed: {', '.join(found)}.")
    return plugins.load(found[name], fault)


def usable() -> tuple[dict[str, type[Monitor]], list[str]]:
    """All monitors that can be used, by name, and a sentence for each that cannot."""
    found: dict[str, type[Monitor]] = {}
    faults = []
    for name in installed():
        try:
            found[name] = get(name)
        except PluginError as error:
            faults.append(str(error))
    return found, faults


def fault(found: Any) -> str:
    """Why something is no monitor; empty where it is one."""
    if not (isinstance(found, type) and issubclass(found, Monitor)):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"an object of type {type(found).__name__}"
        return f"its line names {what}, which is not derived from cryowidgets.monitors.base.Monitor."
    if found.readings is Monitor.readings:
        return f"{found.__name__} has no method readings()."
    if not (isinstance(found.takes, tuple) and all(isinstance(name, str) for name in found.takes)):
        return f"{found.__name__}.takes is {found.takes!r}: write the names of the numbers, ('drift', 'ice')."
    try:
        found()
    except Exception as error:
        return f"it cannot be made with its defaults: {type(error).__name__}: {error}."
    return ""


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
