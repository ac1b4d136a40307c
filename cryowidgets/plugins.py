"""Plug-ins: what other packages bring by entry points, and what is wrong with it.

A package becomes a plug-in by lines in its ``pyproject.toml``, in any of these groups:

=========================  =====================================  ===================================================
group                      a line                                 what it is
=========================  =====================================  ===================================================
``cryowidgets.protocols``  ``Denoise = "mine.denoise:Denoise"``   a `Protocol` class by its own name
``cryowidgets.templates``  ``mine = "mine.templates"``            a package with workflows, ``*.json`` and the like
``cryowidgets.views``      ``Denoise = "mine.view:DenoiseView"``  how a protocol's results are drawn, a `ResultView`
``cryowidgets.tabs``       ``Tilts = "mine.tab:TiltTab"``         a tab of a session's page, a `Tab`
``cryowidgets.monitors``   ``damp = "mine.damp:Humidity"``        a judgement about numbers, a `Monitor`
=========================  =====================================  ===================================================

Our own protocols, tabs and monitors come through the same door. Nothing is imported before it is asked for by name, and
whatever goes wrong then is one `PluginError` with a sentence: a broken plug-in harms nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points, version
from pathlib import Path
from typing import Any

from cryowidgets.errors import PluginError

PROTOCOLS = "cryowidgets.protocols"
TEMPLATES = "cryowidgets.templates"
VIEWS = "cryowidgets.views"
TABS = "cryowidgets.tabs"
MONITORS = "cryowidgets.monitors"
GROUPS = {PROTOCOLS: "protocol", TEMPLATES: "template", VIEWS: "view", TABS: "tab", MONITORS: "monitor"}
"""All groups, and what one line of each brings."""
OURS = "cryowidgets"
"""The package whose names no plug-in can take."""


@dataclass(frozen=True)
class Plugin:
    """One line of one package."""

    group: str
    name: str
    point: EntryPoint
    package: str
    version: str
    rivals: tuple[str, ...] = ()
    """Other packages that bring something of the same name."""

    def __str__(self) -> str:
        """As sentences name it: ``protocol 'Denoise' of mine 1.2``."""
        return f"{GROUPS[self.group]} {self.name!r} of {self.package} {self.version}"


@cache
def found(group: str) -> tuple[Plugin, ...]:
    """All that is installed in a group, the unusable as well, by name."""
    lines = [Plugin(group, point.name, point, *_origin(point)) for point in _points(group)]
    by_name: dict[str, set[str]] = {}
    for line in lines:
        by_name.setdefault(line.name, set()).add(line.package)
    rivals = {name: sorted(packages) for name, packages in by_name.items()}
    return tuple(
        Plugin(p.group, p.name, p.point, p.package, p.version, tuple(r for r in rivals[p.name] if r != p.package))
        for p in sorted(lines, key=lambda p: (p.name, p.package))
    )


@cache
def installed(group: str) -> dict[str, Plugin]:
    """What a name stands for in a group; nothing is imported yet.

    A name of ours stays ours. Where two plug-ins bring the same name nobody can know which one a workflow means: it
    stands for the first of them here, and `load` refuses it.
    """
    chosen: dict[str, Plugin] = {}
    for plugin in found(group):
        if plugin.name not in chosen or plugin.package == OURS:
            chosen[plugin.name] = plugin
    return chosen


def load(plugin: Plugin, fault: Callable[[Any], str] = lambda found: "") -> Any:
    """What a line stands for.

    Parameters
    ----------
    plugin : Plugin
    fault : callable, optional
        Says what is wrong with the object, to go on after "it cannot be used:"; empty where nothing is.

    Raises
    ------
    PluginError
        It cannot be used; the sentence names the package and says why.
    """
    said = rivalry(plugin)
    if said:
        raise PluginError(f"{capital(plugin)} cannot be used: {said}")
    try:
        thing = plugin.point.load()
        said = fault(thing)
    except Exception as error:
        raise PluginError(f"{capital(plugin)} cannot be used: {explain(error, plugin)}") from error
    except SystemExit as error:
        raise PluginError(f"{capital(plugin)} cannot be used: it ends the program when it is imported.") from error
    if said:
        raise PluginError(f"{capital(plugin)} cannot be used: {said}")
    return thing


def rivalry(plugin: Plugin) -> str:
    """Why a name cannot be a plug-in's, since others have it; empty where it can."""
    if plugin.package == OURS or not plugin.rivals:
        return ""
    if OURS in plugin.rivals:
        return f"{plugin.name!r} is a {GROUPS[plugin.group]} of cryowidgets itself. Give it another name."
    others = " and ".join(plugin.rivals)
    return (
        f"{others} brings one of the same name, and nobody can tell which is meant. Uninstall one of them, or write "
        f"{plugin.point.value!r} where you mean this one."
    )


def template_folders() -> tuple[list[tuple[Plugin, Path]], list[str]]:
    """Folders with templates that plug-ins bring, and a sentence for each that cannot be read."""
    folders: list[tuple[Plugin, Path]] = []
    faults = []
    for plugin in found(TEMPLATES):
        try:
            folders.append((plugin, folder(plugin)))
        except PluginError as error:
            faults.append(str(error))
    return folders, faults


def folder(plugin: Plugin) -> Path:
    """The folder of templates that a line names, that of a package.

    Raises
    ------
    PluginError
        There is no such package, or it cannot be imported.
    """
    try:
        places = [Path(place) for place in getattr(import_module(plugin.point.value), "__path__", ())]
    except Exception as error:
        raise PluginError(f"{capital(plugin)} cannot be used: {explain(error, plugin)}") from error
    except SystemExit as error:
        raise PluginError(f"{capital(plugin)} cannot be used: it ends the program when it is imported.") from error
    for place in places:
        if place.is_dir():
            return place
    said = f"{plugin.point.value!r} is a module and no folder. Name a package that holds the files."
    raise PluginError(f"{capital(plugin)} cannot be used: {said}")


def forget() -> None:
    """Look anew: something was installed while this process runs."""
    invalidate_caches()
    found.cache_clear()
    installed.cache_clear()


def explain(error: Exception, plugin: Plugin) -> str:
    """What went wrong while something was imported, and what to do about it, in a sentence."""
    package, value = plugin.package, plugin.point.value
    module = value.partition(":")[0].strip()
    if isinstance(error, ModuleNotFoundError) and error.name:
        if module == error.name or module.startswith(f"{error.name}."):
            return f"its line names {value!r}, but there is no module {error.name!r}. Install {package} anew."
        return (
            f"it needs the module {error.name!r}, which is not installed. Install what brings that, or uninstall "
            f"{package}."
        )
    if isinstance(error, AttributeError) and f"module '{module}'" in str(error):
        return f"its line names {value!r}, but {error}. Correct the line in the pyproject.toml of {package}."
    return f"importing {value!r} raised {type(error).__name__}: {error}."


def origin(package: str) -> str:
    """Where a package was installed from or lies, for people."""
    for dist in distributions(name=package):
        return str(dist.locate_file(""))
    return ""


def _points(group: str) -> Iterator[EntryPoint]:
    """One package whose list of entry points is no such list must not hide those of all others."""
    try:
        yield from entry_points(group=group)
        return
    except Exception:
        pass
    seen = set()
    for dist in distributions():
        try:
            if dist.name not in seen:
                seen.add(dist.name)
                yield from dist.entry_points.select(group=group)
        except Exception:
            continue


def _origin(point: EntryPoint) -> tuple[str, str]:
    dist: Distribution | None = getattr(point, "dist", None)
    if dist is None:
        return "an unknown package", ""
    return dist.name, dist.version


@cache
def our_version() -> str:
    return version(OURS)


def capital(plugin: Plugin) -> str:
    """As a sentence begins with it."""
    text = str(plugin)
    return text[0].upper() + text[1:]
