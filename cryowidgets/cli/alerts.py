"""What is wrong with a session, who is told of it, and what is watched."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import click

from cryowidgets.cli.common import PROJECT, tell


class _ListFirst(click.Group):
    """A group that takes what is none of its commands as what is to be listed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_ListFirst,
    epilog="""
\b
Examples:
  cryowidgets alerts s1                         what is wrong now
  cryowidgets alerts s1 --all                   and what was
  cryowidgets alerts s1 --acknowledge 3         somebody knows: nobody is told of it any more
  cryowidgets alerts channels s1 staff chat     tell these; without names, those that are always on
  cryowidgets alerts test staff                 send a message that says it is a test

Channels stand in ~/.config/cryowidgets/alerts.toml, or what $CRYOWIDGETS_ALERTS names; it holds passwords, so others
must not be able to read it. 'python -c "help(\\"cryowidgets.monitors.channels\\")"' shows one.
""",
)
def alerts() -> None:
    """Show what monitors find wrong with PROJECT, and say who is told."""


@alerts.command("list", hidden=True)
@PROJECT
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@click.option("--acknowledge", type=int, metavar="ID", help="Say that somebody knows of this alert.")
@click.option("--by", metavar="NAME", help="Who knows.  [default: who types]")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def list_(project: Path, every: bool, acknowledge: int | None, by: str | None, as_json: bool) -> None:
    """What is wrong with PROJECT now, the worst first."""
    import dataclasses

    from cryowidgets.cli.words import table
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        found = reader.alerts(open=not every)
        known = {alert.id for alert in reader.alerts(open=False)} if acknowledge is not None else set()
    if acknowledge is not None:
        if acknowledge not in known:
            raise click.UsageError(f"{project} has no alert {acknowledge}.")
        who = by or getpass.getuser()
        tell(project, "acknowledge", f"{who} knows of alert {acknowledge}.", alert=acknowledge, by=who)
        return
    if as_json:
        rows = [dataclasses.asdict(alert) for alert in found]
        click.echo(json.dumps({"alerts": [_null(row) for row in rows]}, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("Nothing is wrong." if not every else "Nothing was wrong so far.")
        return
    lines = [(alert.id, alert.level, alert.monitor, _when(alert.opened), _state(alert), alert.text) for alert in found]
    click.echo(table(("id", "level", "monitor", "since", "state", ""), lines))


@alerts.command()
@PROJECT
@click.argument("names", nargs=-1, metavar="[CHANNEL]...")
@click.option("--none", is_flag=True, help="Name none: alerts go to the channels that are always on.")
def channels(project: Path, names: tuple[str, ...], none: bool) -> None:
    """Say where alerts of PROJECT go to; without names, show it."""
    from cryowidgets.monitors import channels as all_channels
    from cryowidgets.monitors import settings
    from cryowidgets.store.queries import Reader

    known = all_channels.load()
    if names or none:
        unknown = [name for name in names if name not in known]
        if unknown:
            raise click.UsageError(f"{all_channels.place()} has no channel {unknown[0]!r}. It has: {_listed(known)}.")
        said = f"Alerts go to {', '.join(names)}." if names else "Alerts go to the channels that are always on."
        tell(project, "channels", said, names=list(names))
        return
    with Reader(project) as reader:
        chosen = all_channels.chosen(known, settings.channels(reader.settings().get(settings.CHANNELS, "")))
    for channel in chosen:
        click.echo(f"{channel.name}: {channel.least} and worse, of {', '.join(channel.monitors) or 'all monitors'}")
    if not chosen:
        click.echo(f"Nobody is told. {all_channels.place()} has: {_listed(known)}.")


@alerts.command()
@click.argument("channel")
def test(channel: str) -> None:
    """Send a message that says it is a test to CHANNEL."""
    from cryowidgets.errors import InputError
    from cryowidgets.monitors import channels as all_channels
    from cryowidgets.monitors.message import Message
    from cryowidgets.monitors.post import send

    known = all_channels.load()
    if channel not in known:
        raise click.UsageError(f"{all_channels.place()} has no channel {channel!r}. It has: {_listed(known)}.")
    body = f"This is a test by {getpass.getuser()}: alerts of cryowidgets reach the channel {channel!r}."
    error = send(known[channel], Message("cryowidgets: test", body, "note"))
    if error:
        raise InputError(f"Channel {channel!r} took nothing: {error}.")
    click.echo(f"{channel} took a message.")


@click.group(
    epilog="""
\b
Examples:
  cryowidgets monitor list s1                             what is watched, and its limits
  cryowidgets monitor set s1 ctf.defocus_max=30000 system.free_min=500
  cryowidgets monitor off s1 particles
"""
)
def monitor() -> None:
    """Say what is watched in a session, and what is right."""


@monitor.command("list")
@PROJECT
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def list_monitors(project: Path, as_json: bool) -> None:
    """The monitors of PROJECT with their parameters."""
    from cryowidgets.cli.words import table
    from cryowidgets.monitors import registry, settings
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        kept = settings.loads(reader.settings().get(settings.KEY, ""))
        open_now = {alert.monitor: alert.level for alert in reversed(reader.alerts())}
    usable, faults = registry.usable()
    made = {name: settings.made(name, kind, kept) for name, kind in usable.items()}
    on = {name: kept[name].on if name in kept else True for name in made}
    if as_json:
        told = {name: {"on": on[name], "values": monitor.values()} for name, monitor in made.items()}
        click.echo(json.dumps({"monitors": told, "broken": faults}, indent=2, ensure_ascii=False))
        return
    lines = []
    for name, one in made.items():
        changed = kept[name].values if name in kept else {}
        state = open_now.get(name, "on") if on[name] else "off"
        for key, parameter in one.parameters().items():
            if parameter.advanced and key not in changed:
                continue
            star = "  (changed)" if key in changed else ""
            value = _spelled(parameter, getattr(one, key))
            lines.append((name, state, key, f"{value} {_unit(parameter)}".strip() + star))
            name = state = ""
    click.echo(table(("monitor", "", "parameter", "value"), lines))
    for sentence in faults:
        click.echo(sentence)


@monitor.command("set")
@PROJECT
@click.argument("settings", nargs=-1, required=True, metavar="MONITOR.PARAMETER=VALUE...")
def set_(project: Path, settings: tuple[str, ...]) -> None:
    """Change what is right in PROJECT."""
    from cryowidgets.cli.common import assignments
    from cryowidgets.monitors import settings as kept
    from cryowidgets.store.queries import Reader

    given = assignments(settings)
    with Reader(project) as reader:
        before = reader.settings().get(kept.KEY, "")
    for name, values in given.items():
        kept.changed(before, name, values)  # refuses what cannot be, before anything is sent
    for name, values in given.items():
        said = ", ".join(f"{key} = {value}" for key, value in values.items())
        tell(project, "monitor", f"{name}: {said}.", name=name, values=values)


@monitor.command()
@PROJECT
@click.argument("names", nargs=-1, required=True, metavar="MONITOR...")
def on(project: Path, names: tuple[str, ...]) -> None:
    """Watch again what was switched off."""
    _switch(project, names, True)


@monitor.command()
@PROJECT
@click.argument("names", nargs=-1, required=True, metavar="MONITOR...")
def off(project: Path, names: tuple[str, ...]) -> None:
    """Watch something no more; its alerts are over then."""
    _switch(project, names, False)


def _switch(project: Path, names: tuple[str, ...], on: bool) -> None:
    from cryowidgets.monitors import registry

    for name in names:
        registry.get(name)
    for name in names:
        tell(project, "monitor", f"{name} is {'on' if on else 'off'}.", name=name, on=on)


def _when(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _state(alert: Any) -> str:
    if alert.cleared is not None:
        return f"over {_when(alert.cleared)}"
    return f"known to {alert.acknowledged_by}" if alert.acknowledged is not None else "open"


def _spelled(parameter: Any, value: Any) -> str:
    from cryowidgets.protocols import durations

    if isinstance(parameter.trait, durations.Duration):
        return durations.text(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unit(parameter: Any) -> str:
    return str(parameter.unit)


def _listed(known: Any) -> str:
    return ", ".join(known) or "none"


def _null(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if value != value else value for key, value in row.items()}


COMMANDS = (alerts, monitor)
