"""What people are told of alerts: one message, however many there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryowidgets.errors import ProjectError
from cryowidgets.model import Ctf, Micrograph
from cryowidgets.monitors.base import duration
from cryowidgets.monitors.channels import Channel
from cryowidgets.store.alerts import LEVELS, Alert
from cryowidgets.store.queries import Reader

LISTED = 20
"""Alerts that one message spells out; of more it only counts."""


@dataclass(frozen=True)
class Message:
    """Something to be sent."""

    title: str
    body: str
    level: str
    """That of the worst alert; empty where all that it tells is over."""
    image: str = ""
    """Path of a JPEG; or empty."""
    alerts: tuple[int, ...] = ()
    """Ids of the alerts whose opening it tells."""
    cleared: tuple[int, ...] = ()
    """Ids of the alerts whose end it tells."""


def compose(reader: Reader, channel: Channel, opened: Sequence[Alert], ended: Sequence[Alert]) -> Message:
    """A message about alerts that were opened, which may be over meanwhile, and about the end of earlier ones."""
    settings = reader.settings()
    name = settings.get("name") or reader.folder.name
    worst = sorted(opened, key=lambda alert: (-alert.rank, alert.open is False, -alert.id))
    parts = [_told(reader, alert) for alert in [*worst, *ended][:LISTED]]
    more = len(worst) + len(ended) - LISTED
    parts += [f"… and {more} more."] if more > 0 else []
    if channel.link:
        link = channel.link.replace("{session}", quote(name, safe=""))
        parts.append(link.replace("{folder}", quote(str(reader.folder), safe="")))
    return Message(
        title=f"{name}: {_counted(opened, ended)}",
        body="\n\n".join(parts),
        level=next((alert.level for alert in worst if alert.open), ""),
        image=_image(reader, worst) if channel.image else "",
        alerts=tuple(alert.id for alert in opened),
        cleared=tuple(alert.id for alert in [*opened, *ended] if not alert.open),
    )


def _told(reader: Reader, alert: Alert) -> str:
    since = time.strftime("%H:%M", time.localtime(alert.opened))
    lines = []
    if alert.open:
        lines.append(f"{alert.level.upper()} ({alert.monitor}), since {since}: {alert.text}")
    else:
        lasted = duration(max(0.0, (alert.cleared or alert.opened) - alert.opened))
        lines.append(f"OVER ({alert.monitor}), from {since}, lasted {lasted}: {alert.cleared_text or 'right again.'}")
        lines.append(f"It was: {alert.text}")
    name = reader.query("SELECT name FROM exposure WHERE id = ?", (alert.exposure,)) if alert.exposure else []
    lines += [f"Exposure {name[0][0]}"] if name else []
    return "\n".join(lines)


def _counted(opened: Sequence[Alert], ended: Sequence[Alert]) -> str:
    now = [alert for alert in opened if alert.open]
    over = len(ended) + len(opened) - len(now)
    counts = [(level, sum(alert.level == level for alert in now)) for level in reversed(LEVELS)]
    parts = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts if n]
    if len(now) == 1 and not over:
        return f"{now[0].level}, {now[0].monitor}"
    return ", ".join([*parts, *([f"{over} over"] if over else [])])


def _image(reader: Reader, alerts: Sequence[Alert]) -> str:
    """The picture of the newest exposure that the worst alert names: of its rings where they matter, else of it."""
    for alert in alerts:
        if not alert.exposure:
            continue
        try:
            items = reversed(reader.exposure(alert.exposure).items.values())
        except ProjectError:
            continue
        pictures = [
            (isinstance(item, Ctf) == (alert.monitor in ("ctf", "ice")), picture)
            for item in items
            for picture in [getattr(item, "picture" if isinstance(item, Ctf) else "thumbnail", "")]
            if isinstance(item, Ctf | Micrograph) and picture and Path(picture).is_file()
        ]
        if pictures:
            return max(pictures, key=lambda found: found[0])[1]
    return ""
