"""Find protocols by name: ours and those of plug-ins come through the same entry point group."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from cryowidgets.errors import WorkflowError
from cryowidgets.protocols.base import Protocol

GROUP = "cryowidgets.protocols"
_local: dict[str, type[Protocol]] = {}


@cache
def installed() -> dict[str, EntryPoint]:
    """Entry points by protocol name; nothing is imported yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def register(protocol: type[Protocol]) -> type[Protocol]:
    """Make a protocol known in this process alone, for a notebook that tries one out. Use as a decorator.

    Workers are other processes: a protocol for them belongs in a module with an entry point.
    """
    _local[protocol.__name__] = protocol
    return protocol


def names() -> list[str]:
    return sorted({*installed(), *_local})


def get(name: str) -> type[Protocol]:
    """The protocol class of that name.

    A name with a colon, ``package.module:Class``, is imported as written, so that a protocol under development
    needs no entry point.

    Raises
    ------
    WorkflowError
        No such protocol is installed, or it cannot be imported.
    """
    if name in _local:
        return _local[name]
    point = installed().get(name)
    if point is None and ":" in name:
        point = EntryPoint(name, name, GROUP)
    if point is None:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise WorkflowError(f"No protocol {name!r} is installed.{hint} Installed: {', '.join(names())}.")
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise WorkflowError(f"Protocol {name!r} ({point.value}) cannot be imported: {error}.") from error


def name_of(protocol: type[Protocol]) -> str:
    """The name under which a worker can find the class again."""
    name = protocol.__name__
    if _local.get(name) is protocol or name in installed():
        return name
    return f"{protocol.__module__}:{protocol.__qualname__}"
