"""Channels by which people are told of alerts: mail, Slack, Teams, Telegram, a webhook, and some 170 more.

A channel holds a password, so it belongs to a person or a site and never to a project, which only names it. They stand
in a file of one's own, ``~/.config/cryowidgets/alerts.toml`` or what ``$CRYOWIDGETS_ALERTS`` names, a table for each:

    [staff]
    url = "mailtos://user:password@example.org?to=cryo@example.org"   # see github.com/caronc/apprise
    always = true               # for every session; else only for those that name it
    least = "warning"           # note, warning or alarm
    monitors = ["system"]       # all, where none are named
    quiet = "22:00-07:00"       # what is less than an alarm waits until their end
    alarms_pass = true
    link = "https://facility.example.org/session?project={folder}"
    image = true
"""

from __future__ import annotations

import os
import stat
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError
from cryowidgets.store.alerts import LEVELS, Alert

VARIABLE = "CRYOWIDGETS_ALERTS"


@dataclass(frozen=True)
class Channel:
    """A way to people, and what goes that way."""

    name: str
    urls: tuple[str, ...]
    always: bool = False
    least: str = "warning"
    monitors: tuple[str, ...] = ()
    quiet: tuple[int, int] | None = None
    """minutes after midnight, local time, from and to"""
    alarms_pass: bool = True
    link: str = ""
    image: bool = True

    def takes(self, alert: Alert) -> bool:
        """Whether alerts like this go this way at all."""
        return alert.rank >= LEVELS.index(self.least) and (not self.monitors or alert.monitor in self.monitors)

    def waits(self, alert: Alert, now: float) -> bool:
        """Whether it is to wait for the end of the quiet hours."""
        return self.is_quiet(now) and not (self.alarms_pass and alert.level == LEVELS[-1])

    def is_quiet(self, now: float) -> bool:
        """Whether a time, UTC s, lies in the quiet hours."""
        if self.quiet is None:
            return False
        local = time.localtime(now)
        minute, (begin, end) = 60 * local.tm_hour + local.tm_min, self.quiet
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


def place() -> Path:
    """The file of channels of whoever runs this."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".config" / "cryowidgets" / "alerts.toml")


def load(file: Path | None = None) -> dict[str, Channel]:
    """All channels of a file by name; none where there is no file.

    Raises
    ------
    InputError
        Others can read it, or it is not as it should be; the sentence says where and what to write.
    """
    file = file or place()
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise InputError(f"{file} holds passwords and everybody can read it: 'chmod o-rwx {file}' and try again.")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is no TOML: {error}.") from None
    return {name: _channel(file, name, table) for name, table in found.items()}


def chosen(all: dict[str, Channel], names: Iterable[str]) -> list[Channel]:
    """The channels that a project names; those that are always on, where it names none."""
    names = list(names)
    return [channel for channel in all.values() if (channel.name in names if names else channel.always)]


def _channel(file: Path, name: str, table: Any) -> Channel:
    where = f"{file}, channel {name!r}"
    if not isinstance(table, dict):
        raise InputError(f"{where}: write a table, '[{name}]' and below it 'url = \"…\"'.")
    kinds = {
        "url": (str, list), "always": bool, "least": str, "monitors": list, "quiet": str, "alarms_pass": bool,
        "link": str, "image": bool,
    }  # fmt: skip
    for key, value in table.items():
        if key not in kinds:
            raise InputError(f"{where}: there is no {key!r}; write one of {', '.join(kinds)}.")
        if not isinstance(value, kinds[key]):
            raise InputError(f"{where}: {key} = {value!r} is of the wrong type.")
    urls = table.get("url", [])
    urls = [urls] if isinstance(urls, str) else urls
    if not urls or not all(isinstance(url, str) and "://" in url for url in urls):
        raise InputError(f'{where}: write url = "service://…", as mailtos:// or slack://; apprise names them all.')
    least = table.get("least", Channel.least)
    if least not in LEVELS:
        raise InputError(f"{where}: least = {least!r} is none of {', '.join(LEVELS)}.")
    rest = {key: table[key] for key in ("always", "alarms_pass", "link", "image") if key in table}
    quiet = _hours(table["quiet"], where) if table.get("quiet") else None
    return Channel(name, tuple(urls), least=least, monitors=tuple(table.get("monitors", ())), quiet=quiet, **rest)


def _hours(text: str, where: str) -> tuple[int, int]:
    try:
        begin, end = (time.strptime(part.strip(), "%H:%M") for part in text.split("-"))
    except ValueError:
        raise InputError(f"{where}: quiet = {text!r} is no time: write '22:00-07:00'.") from None
    return 60 * begin.tm_hour + begin.tm_min, 60 * end.tm_hour + end.tm_min
