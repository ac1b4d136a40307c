"""Sending one message: the only place that speaks to the outside, in a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

from cryowidgets.monitors.channels import Channel
from cryowidgets.monitors.message import Message

PATIENCE = 10
"""Seconds to connect, and again to be answered."""


class Post:
    """A message on its way; it takes as long as it takes, and nobody waits for it.

    Attributes
    ----------
    error : str
        Why it was not taken; empty where it was. Of meaning once `done`.
    """

    def __init__(self, channel: Channel, message: Message) -> None:
        self.channel, self.message, self.error = channel, message, ""
        self._thread = threading.Thread(target=self._run, name=f"alerts to {channel.name}", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait for it to end; whether it has."""
        self._thread.join(seconds)
        return self.done

    def _run(self) -> None:
        try:
            self.error = send(self.channel, self.message)
        except Exception as error:  # of a service's plug-in; the session is none of its business
            self.error = f"{type(error).__name__}: {error}"


def send(channel: Channel, message: Message) -> str:
    """Send a message and wait; returns why it was not taken, or an empty text."""
    import apprise  # slow to import, and only who sends needs it

    target = apprise.Apprise()
    for url in channel.urls:
        if not target.add(_patient(url)):
            return f"{url.partition('://')[0]}:// is no service that apprise knows, or its address is incomplete"
    kinds = {"alarm": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING, "": apprise.NotifyType.SUCCESS}
    result = target.notify(
        title=message.title,
        body=message.body,
        notify_type=kinds.get(message.level, apprise.NotifyType.INFO),
        body_format=apprise.NotifyFormat.TEXT,
        attach=message.image or None,
    )
    try:
        return "" if result else _complaint(result)
    finally:
        result.close()


def _complaint(result: Any) -> str:
    """The first thing that a service which did not take a message said of it."""
    for entry in result.logs():
        if entry.level in ("WARNING", "ERROR", "CRITICAL"):
            return str(entry.message).strip().rstrip(".")
    return "the service did not take it"


def _patient(url: str) -> str:
    """With times to wait, unless it names some itself."""
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}cto={PATIENCE}&rto={PATIENCE}"
