"""Telling people of alerts: what is to be told is what is in the ledger minus what a channel has taken.

So nothing is told twice or forgotten, whenever an engine ends or a channel fails: what waits is told in one message as
soon as the channel takes it, and the end of an alert goes to who was told of it. Each channel has at most one message
on its way. One that does not answer is said once and tried again after growing pauses; the session does not notice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.errors import CryowidgetsError
from cryowidgets.monitors import channels, settings
from cryowidgets.monitors.channels import Channel
from cryowidgets.monitors.message import Message, compose
from cryowidgets.monitors.post import Post
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Change, Said, Sent
from cryowidgets.store.queries import Reader

PAUSES = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Seconds before a channel that failed is tried again, the last one ever after."""
OLDEST = 86400.0
"""Seconds: alerts that were opened longer ago and not told are history."""
READ_EVERY = 30.0
"""Seconds between looks at the file of channels."""
PATIENCE = 8.0
"""Seconds that an engine that ends waits for messages on their way."""


@dataclass
class _State:
    """How a channel has behaved."""

    post: Post | None = None
    failures: int = 0
    due: float = 0.0


class Notifier:
    """Tells people of a project's alerts; an observer of its engine, to be asked after the monitors.

    Parameters
    ----------
    file : Path, optional
        Of channels; by default that of whoever runs the engine.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._channels: dict[str, channels.Channel] = {}
        self._states: dict[str, _State] = {}
        self._read_due = 0.0
        self._said: set[str] = set()

    def look(self, reader: Reader, now: float | None = None) -> list[Change]:
        """Begin to send what is to be told, and say what became of what was sent."""
        now = time.time() if now is None else now
        found = self._read(now)
        just = {name for name, state in self._states.items() if state.post is not None and state.post.done}
        for name in just:
            found += self._heard(name, self._states[name], now)
        names = settings.channels(reader.settings().get(settings.CHANNELS, ""))
        found += self._unknown(names)
        for channel in channels.chosen(self._channels, names):
            state = self._states.setdefault(channel.name, _State())
            # What was heard just now is in the ledger by the next look; before that it would be told twice.
            if state.post is None and now >= state.due and channel.name not in just:
                message = due(reader, channel, now)
                if message is not None:
                    state.post = Post(channel, message)
        return found

    def close(self, reader: Reader) -> list[Change]:
        """Wait a little for what is on its way; what is not taken by then is told when an engine runs again."""
        until = time.monotonic() + PATIENCE
        found: list[Change] = []
        for name, state in self._states.items():
            if state.post is not None:
                state.post.wait(max(0.0, until - time.monotonic()))
            found += self._heard(name, state, time.time())
        return found

    def _heard(self, name: str, state: _State, now: float) -> list[Change]:
        post = state.post
        if post is None or not post.done:
            return []
        state.post = None
        if post.error:
            state.failures += 1
            state.due = now + PAUSES[min(state.failures, len(PAUSES)) - 1]
            if state.failures > 1:
                return []
            return [Said(f"Alerts do not reach the channel {name!r}: {post.error}. It is tried again.")]
        said = [Said(f"Alerts reach the channel {name!r} again.", "alert.sent")] if state.failures else []
        state.failures, state.due = 0, 0.0
        told = f"{post.message.title} → {name}"
        return [*said, Sent(name, post.message.alerts, post.message.cleared), Said(told, "alert.sent")]

    def _read(self, now: float) -> list[Change]:
        if now < self._read_due:
            return []
        self._read_due = now + READ_EVERY
        try:
            self._channels = channels.load(self._file)
        except CryowidgetsError as error:
            self._channels = {}
            return self._once(f"Nobody is told of alerts: {error}")
        return []

    def _unknown(self, names: list[str]) -> list[Change]:
        found: list[Change] = []
        for name in names:
            if name not in self._channels:
                file = self._file or channels.place()
                found += self._once(f"Alerts are to go to the channel {name!r}, which {file} does not have.")
        return found

    def _once(self, sentence: str) -> list[Change]:
        if sentence in self._said:
            return []
        self._said.add(sentence)
        return [Said(sentence)]


def due(reader: Reader, channel: Channel, now: float) -> Message | None:
    """What a channel is to be told now; None where there is nothing."""
    told = "(SELECT alert FROM notice WHERE channel = ? AND opened IS NOT NULL)"
    opened = [
        alert
        for alert in alerts.select(reader.query, f"WHERE opened > ? AND id NOT IN {told}", (now - OLDEST, channel.name))
        if channel.takes(alert) and not channel.waits(alert, now) and alert.acknowledged is None
    ]
    over = "(SELECT alert FROM notice WHERE channel = ? AND opened IS NOT NULL AND cleared IS NULL)"
    ended = [
        alert
        for alert in alerts.select(reader.query, f"WHERE cleared IS NOT NULL AND id IN {over}", (channel.name,))
        if not channel.waits(alert, now)
    ]
    return compose(reader, channel, opened, ended) if opened or ended else None
