"""Commands that only look: how a session stands, what is installed, what a protocol takes."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import click

from cryowidgets.cli.common import PROJECT, exposure_id, spell
from cryowidgets.cli.item import item


@click.command(
    epilog="""
\b
Examples:
  cryowidgets status s1
  cryowidgets status s1 --json | jq .session.latency
  watch -n 5 cryowidgets status s1
"""
)
@PROJECT
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def status(project: Path, as_json: bool) -> None:
    """How a session stands.

    Counts, rate, delay, and what failed in PROJECT.
    """
    from cryowidgets.cli import words
    from cryowidgets.store.queries import Reader

    reader = Reader(project)
    click.echo(json.dumps(words.data(reader), indent=2) if as_json else words.status(reader))


@click.group()
def show() -> None:
    """Explain one thing in full."""


@show.command("protocol")
@click.argument("name")
def protocol(name: str) -> None:
    """What a protocol does and each of its parameters."""
    from cryowidgets.cli.plugins import takes
    from cryowidgets.cli.words import table
    from cryowidgets.protocols import registry

    found = registry.get(name)
    click.echo(f"{registry.name_of(found)}: {takes(found)} → {found.gives.__name__}\n")
    click.echo(inspect.cleandoc(found.__doc__ or "It has no description."))
    rows = []
    for parameter in found.parameters().values():
        name = parameter.name + (" *" if parameter.advanced else "")
        rows.append((name, spell(parameter), parameter.unit, _range(parameter), parameter.help))
    if rows:
        click.echo("\n" + table(("parameter", "default", "unit", "takes", "meaning"), rows, wrap=100))
    if any(p.advanced for p in found.parameters().values()):
        click.echo("\n* for experts")


@show.command("exposure")
@PROJECT
@click.argument("name")
def exposure(project: Path, name: str) -> None:
    """All about one movie of PROJECT, with the traceback of what failed."""
    from cryowidgets.cli import words
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        click.echo(words.exposure(reader.exposure(exposure_id(reader, name))))


def _range(parameter) -> str:
    if parameter.choices:
        return " | ".join(map(str, parameter.choices))
    low = -math.inf if parameter.minimum is None else parameter.minimum
    high = math.inf if parameter.maximum is None else parameter.maximum
    if math.isfinite(low) and math.isfinite(high):
        return f"{low:g} to {high:g}"
    if math.isfinite(low):
        return f"≥ {low:g}"
    return f"≤ {high:g}" if math.isfinite(high) else ""


show.add_command(item)

COMMANDS = (status, show)
