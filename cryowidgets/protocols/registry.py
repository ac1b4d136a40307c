"""Find protocols by name: ours and those of plug-ins come through the same door, see `cryowidgets.plugins`."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

from cryowidgets import plugins
from cryowidgets.errors import PluginError, WorkflowError
from cryowidgets.model import Item
from cryowidgets.plugins import Plugin
from cryowidgets.protocols.base import Either, Many, Maybe, Protocol, Recent, Without

_local: dict[str, type[Protocol]] = {}
_sound: weakref.WeakSet[type[Protocol]] = weakref.WeakSet()  # looked at already: this is asked for every task


def installed() -> dict[str, Plugin]:
    """What packages bring, by protocol name, whether it can be used or not; nothing is imported yet."""
    return plugins.installed(plugins.PROTOCOLS)


def register(protocol: type[Protocol]) -> type[Protocol]:
    """Make a protocol known in this process alone, for a notebook that tries one out. Use as a decorator.

    Workers are other processes: a protocol for them belongs in a module with an entry point.
    """
    _local[protocol.__name__] = protocol
    return protocol


def names() -> list[str]:
    return sorted({*installed(), *_local})


def usable() -> dict[str, type[Protocol]]:
    """All protocols that can be used, by name; what is broken is left out. Imports every one of them."""
    found = {}
    for name in names():
        try:
            found[name] = get(name)
        except PluginError:
            continue
    return found


def get(name: str) -> type[Protocol]:
    """The protocol class of that name.

    A name with a colon, ``package.module:Class``, is imported as written, so that a protocol under development
    needs no entry point.

    Raises
    ------
    WorkflowError
        No such protocol is installed.
    PluginError
        It is, and cannot be used: it cannot be imported, is no protocol, or another one has its name.
    """
    if name in _local:
        return _local[name]
    plugin = installed().get(name)
    if plugin is not None:
        return plugins.load(plugin, fault if plugin.package != plugins.OURS else _none)
    if ":" in name:
        return _written_out(name)
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise WorkflowError(f"No protocol {name!r} is installed.{hint} Installed: {', '.join(names())}.")


def name_of(protocol: type[Protocol]) -> str:
    """The name under which a worker can find the class again."""
    name, written_out = protocol.__name__, f"{protocol.__module__}:{protocol.__qualname__}"
    if _local.get(name) is protocol:
        return name
    for plugin in installed().values():
        if plugin.point.value == written_out:
            return plugin.name
    try:
        return name if name in installed() and get(name) is protocol else written_out
    except PluginError:
        return written_out


def software(name: str) -> str:
    """The packages that do the work of a protocol, and their versions: ``cryowidgets 0.1.0, mine 1.2``."""
    plugin = installed().get(name) if name not in _local else None
    ours = f"{plugins.OURS} {plugins.our_version()}"
    if plugin is None or plugin.package == plugins.OURS:
        return ours
    return f"{ours}, {plugin.package} {plugin.version}"


def fault(found: Any) -> str:
    """Why something is no protocol that steps can be made of; empty where it is one."""
    if not (isinstance(found, type) and issubclass(found, Protocol)):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"an object of type {type(found).__name__}"
        return f"its line names {what}, which is not derived from cryowidgets.Protocol."
    gives = getattr(found, "gives", None)
    if not _is_kind(gives):
        return f"{found.__name__}.gives is {gives!r}: write the kind of item that it makes, for instance Micrograph."
    takes = found.takes
    special = isinstance(takes, Many | Either | Without | Recent) and _is_kind(takes.kind)
    if not (takes is None or _is_kind(takes) or special):
        kinds = takes.values() if isinstance(takes, Mapping) else ()
        if not (kinds and all(_is_kind(kind.kind if isinstance(kind, Maybe) else kind) for kind in kinds)):
            return f"{found.__name__}.takes is {takes!r}: write a kind of item, Many(kind), or kinds by input name."
        if not found.needed():
            return f"{found.__name__}.takes names no input that must be linked: write one of them without Maybe."
    beside: Any = takes.beside if isinstance(takes, Many) else {}
    if not isinstance(beside, Mapping):
        return f"{found.__name__}.takes has {beside!r} beside: write kinds of items by input name."
    for name, kind in beside.items():
        kind = kind.kind if isinstance(kind, Maybe) else kind
        if not _is_kind(kind):
            return f"{found.__name__}.takes has {kind!r} beside as {name!r}: write a kind of item."
        if name == kind.word():
            return f"{found.__name__}.takes has {name!r} beside: only what it takes many of is called by its kind."
    try:
        found.parameters()
    except Exception as error:
        return f"its parameters cannot be read: {type(error).__name__}: {error}."
    return ""


def _written_out(name: str) -> type[Protocol]:
    point = EntryPoint(name, name, plugins.PROTOCOLS)
    plugin = Plugin(plugins.PROTOCOLS, name, point, name.partition(":")[0], "")
    try:
        found = point.load()
        said = "" if found in _sound else fault(found)
    except Exception as error:
        raise PluginError(f"Protocol {name!r} cannot be imported: {plugins.explain(error, plugin)}") from error
    if said:
        raise PluginError(f"Protocol {name!r} cannot be used: {said}")
    _sound.add(found)
    return found


def _none(found: Any) -> str:
    return ""


def _is_kind(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Item)
