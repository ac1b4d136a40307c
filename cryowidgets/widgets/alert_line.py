"""`AlertLine`: what is wrong now, at the head of the page. It commands nothing; a click shows more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from traitlets import Int, List, Unicode

from cryowidgets.store.alerts import Alert
from cryowidgets.widgets.part import Part, esm

SHOWN = 2
"""Alerts whose sentences stand at the head of a page; of more, only the number."""


class AlertLine(Part):
    """The worst open alerts with their sentences, and how many there are.

    Parameters
    ----------
    go : callable
        Called when a person wants to see them all.
    """

    _esm = esm("alert_line.js")

    total = Int().tag(sync=True)
    worst = List(help="level and sentence of each").tag(sync=True)
    more = Unicode(help="what a click does, in words; empty where it does nothing").tag(sync=True)

    def __init__(self, go: Callable[[], None]) -> None:
        self._go = go
        super().__init__()

    def show(self, alerts: Iterable[Alert], more: str = "") -> None:
        """Show open alerts: those that nobody has acknowledged first, and of them the worst."""
        found = sorted(alerts, key=lambda alert: (alert.acknowledged is not None, -alert.rank, -alert.opened))
        with self.hold_sync():
            self.total, self.more = len(found), more
            self.worst = [{"level": alert.level, "text": alert.text} for alert in found[:SHOWN]]

    def _receive(self, message: dict) -> None:
        if message.get("type") == "tap" and self.more:
            self._go()
