"""The last events of a session, or of one of its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import ipywidgets as W

from cryowidgets.store.queries import Event, Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.window import put

KEEP = 200
"""Lines that are kept."""


class Log(W.Box):
    """Events, the newest first.

    Parameters
    ----------
    step : str, optional
        Only events of this step.
    kinds : collection of str, optional
        Only events of these kinds, or of kinds that begin with them and a dot.
    """

    def __init__(self, step: str | None = None, kinds: Collection[str] | None = None) -> None:
        self._step, self._kinds = step, kinds
        self._events: deque[Event] = deque(maxlen=KEEP)
        self._since = 0
        self._reader: Reader | None = None
        self._html = W.HTML()
        super().__init__([self._html])
        self.add_class("cw-log")

    def refresh(self, reader: Reader) -> None:
        if reader is not self._reader:
            self._reader, self._since = reader, 0
            self._events.clear()
        events = reader.events(self._since, 1000)
        if events:
            self._since = events[-1].id
            self._events.extend(e for e in events if self._wanted(e))
        lines = "".join(map(_line, reversed(self._events)))
        put(self._html, lines or "<div class='cw-nothing'>nothing has happened yet</div>")

    def _wanted(self, event: Event) -> bool:
        if self._step is not None and event.step != self._step:
            return False
        if self._kinds is not None and event.kind.split(".")[0] not in self._kinds:
            return False
        return event.kind != "task.done" and not event.kind.startswith("exposure")  # those are in the table


def _line(event: Event) -> str:
    bad = "cw-failed" if event.kind in ("task.failed", "command.refused", "warning") else ""
    where = f"{event.step}: " if event.step and not event.text.startswith(event.step) else ""
    what = event.text or event.kind
    return (
        f"<div class='cw-line {bad}'><time>{texts.clock(event.time)}</time> "
        f"<span>{texts.safe(where + what)}</span></div>"
    )
