"""What is installed: packages, what each brings, and what is wrong with it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import click


@click.command(
    epilog="""
\b
A package becomes a plug-in by entry points in the groups cryowidgets.protocols, cryowidgets.templates,
cryowidgets.views and cryowidgets.tabs; 'python -c "help(\\"cryowidgets.plugins\\")"' says what each takes.
"""
)
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def plugins(as_json: bool) -> None:
    """List the installed protocols and the packages that bring them.

    What is broken is named with its reason; everything else works without it.
    """
    found = survey()
    click.echo(json.dumps({"packages": found}, indent=2, ensure_ascii=False) if as_json else _text(found))


def survey() -> list[dict[str, Any]]:
    """Packages, ours first, each with name, version, origin, state, and the lines that it brings."""
    from cryowidgets import plugins as installed

    packages: dict[str, dict[str, Any]] = {}
    for group, what in installed.GROUPS.items():
        for plugin in installed.found(group):
            package = packages.setdefault(
                plugin.package,
                {
                    "package": plugin.package,
                    "version": plugin.version,
                    "origin": installed.origin(plugin.package),
                    "state": "works",
                    "brings": [],
                },
            )
            line = {"what": what, "name": plugin.name, "value": plugin.point.value, **_tried(plugin)}
            package["brings"].append(line)
            if line["error"]:
                package["state"] = "broken"
    return sorted(packages.values(), key=lambda p: (p["package"] != installed.OURS, p["package"]))


def _tried(plugin: Any) -> dict[str, Any]:
    """What comes of loading one line."""
    from cryowidgets import plugins as installed
    from cryowidgets.errors import PluginError
    from cryowidgets.protocols import registry

    try:
        if plugin.group == installed.TEMPLATES:
            names = sorted(f.name for f in installed.folder(plugin).iterdir() if ".json" in f.name)
            return {"about": ", ".join(names) or "no template in it", "error": ""}
        if plugin.group == installed.PROTOCOLS:
            found = installed.load(plugin, registry.fault)
            return {"about": f"{takes(found)} → {found.gives.__name__}", "error": ""}
        if plugin.group == installed.TABS:
            from cryowidgets.widgets import tab_row

            found = installed.load(plugin, tab_row.fault)
            return {"about": f"{found.title} (place {found.place})", "error": ""}
        if plugin.group == installed.MONITORS:
            from cryowidgets.monitors import registry as monitors

            found = installed.load(plugin, monitors.fault)
            return {"about": textwrap.shorten(", ".join(found.takes), 60, placeholder=" …"), "error": ""}
        from cryowidgets.widgets import views

        return {"about": installed.load(plugin, views.fault).__name__, "error": ""}
    except PluginError as error:
        return {"about": "", "error": str(error)}


def takes(protocol: Any) -> str:
    """What a protocol is made for, in words: ``Movie``, ``20 × Movie``, ``Micrograph + Ctf``, ``files``.

    Also ``Particles by 2000`` where it is not they that are counted but what is in them, ``newest Classes`` of results
    of folds, ``Item or Item`` where it takes those of either of two steps, ``Item without Item`` where the second takes
    away, and ``Ctf of 100`` where it sees each among so many; Item is any kind.
    """
    from cryowidgets.protocols.base import Either, Many, Recent, Without

    if protocol.takes is None:
        return "files"
    if isinstance(protocol.takes, Many):
        many = protocol.takes
        if many.newest:
            return f"newest {many.kind.__name__}"
        number = _number(protocol, many.every)
        batch = f"{many.kind.__name__} by {number}" if many.by else f"{number} × {many.kind.__name__}"
        beside = [(name, protocol.inputs()[name].__name__) for name in many.beside]
        return " + ".join([batch, *(kind if name in protocol.needed() else f"[{kind}]" for name, kind in beside)])
    if isinstance(protocol.takes, Recent):
        return f"{protocol.takes.kind.__name__} of {_number(protocol, protocol.takes.count)}"
    between = {Either: " or ", Without: " without "}.get(type(protocol.takes), " + ")
    needed = protocol.needed()
    return between.join(
        kind.__name__ if name in needed else f"[{kind.__name__}]" for name, kind in protocol.inputs().items()
    )


def _number(protocol: Any, number: int | str) -> int:
    """A number, or the default of the parameter that holds it."""
    return number if isinstance(number, int) else protocol.parameters()[number].default


def _text(found: list[dict[str, Any]]) -> str:
    from cryowidgets.cli.words import table

    packages = [(p["package"], p["version"], p["state"], _counted(p["brings"]), p["origin"]) for p in found]
    lines = [
        (line["name"], line["about"] or "broken", line["what"], p["package"], line["error"])
        for p in found
        for line in p["brings"]
    ]
    parts = [table(("package", "version", "state", "brings", "from"), packages)]
    parts.append(table(("name", "from → to", "is a", "package"), [line[:4] for line in lines]))
    broken = [line[4] for line in lines if line[4]]
    if broken:
        parts.append("Broken:\n" + "\n".join(f"  {sentence}" for sentence in broken))
    return "\n\n".join(parts)


def _counted(lines: list[dict[str, Any]]) -> str:
    kinds = [line["what"] for line in lines]
    return ", ".join(f"{kinds.count(k)} {k}{'s' if kinds.count(k) > 1 else ''}" for k in dict.fromkeys(kinds))


COMMANDS = (plugins,)
