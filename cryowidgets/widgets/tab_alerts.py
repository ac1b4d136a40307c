"""The tab Alerts: what is wrong now, what was, and what each monitor watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.alerts import Alert
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.watching import Watching
from cryowidgets.widgets.window import box, put, show_if

SHOWN = 30
"""Open alerts that are spelled out; there are hardly ever more."""
HISTORY = 200
"""Newest alerts that the history lists."""
LONGEST_NAME = 60
"""Characters of the name of one who knows."""
SIGNS = {"alarm": "■", "warning": "▲", "note": "●"}
"""Levels by shape, as colours alone say nothing to some."""


class AlertsTab(Tab):
    """Open alerts, the worst first, with who knows of them; the history; and the monitors with their limits."""

    title = "Alerts"
    place = 60

    def __init__(self, page: Page) -> None:
        self.cards: dict[int, Card] = {}
        """Open alerts in view, by id."""
        self._head, self._history = W.HTML(), W.HTML()
        self._history.add_class("cw-al-history")
        self._list = box([], "cw-al-list")
        self.watching = Watching()
        left = [self._head, self._list, W.HTML("<h3>History</h3>"), self._history]
        right: list[W.Widget] = [self.watching]
        self.name = self.form = None
        """Who says that they know, and what changes monitors: only on a page that may change the project."""
        if page.control:
            self.name = W.Text(placeholder="your name", continuous_update=False)
            self.name.add_class("cw-al-name")
            self._said = W.HTML()
            left.insert(1, box([W.HTML("<label>Who says so:</label>"), self.name, self._said], "cw-al-who"))
            from cryowidgets.widgets.monitor_form import MonitorForm  # forms are not for a page that only shows

            self.form = MonitorForm(page)
            right.append(self.form)
        super().__init__(page, [box(left, "cw-al-left"), box(right, "cw-al-right")])
        self.add_class("cw-tab-fill")
        self.add_class("cw-al")

    def refresh(self, reader: Reader) -> None:
        now = time.time()
        session, found = reader.session(), reader.alerts()
        alive = bool(session.engine and session.engine.alive)
        put(self._head, _head(found, alive))
        self._show(reader, found, now)
        put(self._history, history(reader.alerts(open=False, limit=HISTORY)))
        self.watching.refresh(reader, now)
        if self.form is not None:
            self.form.refresh(reader)

    def _show(self, reader: Reader, found: list[Alert], now: float) -> None:
        names = _names(reader, [alert.exposure for alert in found[:SHOWN] if alert.exposure])
        for alert in found[:SHOWN]:
            if alert.id not in self.cards:
                know = self._acknowledge if self.name is not None else None
                self.cards[alert.id] = Card(alert, know, self._look_at)
            self.cards[alert.id].show(alert, names.get(alert.exposure or 0, ""), now)
        wanted = [alert.id for alert in found[:SHOWN]]
        for gone in set(self.cards) - set(wanted):
            self.cards.pop(gone).close()
        cards = tuple(self.cards[id] for id in wanted)
        if self._list.children != cards:
            self._list.children = cards

    def _look_at(self, exposure: int) -> None:
        if not (self.page.held and self.page.shown == exposure):
            self.page.choose(exposure)
        self.page.go("Exposures")

    def _acknowledge(self, alert: int) -> None:
        assert self.name is not None
        who = " ".join(self.name.value.split())[:LONGEST_NAME]
        if not who:
            put(
                self._said, "<span class='cw-failed' role='alert'>Write your name, so that others know who does.</span>"
            )
            return
        try:
            self.page.send("acknowledge", alert=alert, by=who)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed' role='alert'>{texts.safe(error)}</span>")
            return
        put(self._said, "<span class='cw-soft'>sent to the engine</span>")
        self.page.wake()


class Card(W.Box):
    """One open alert."""

    def __init__(self, alert: Alert, know: Callable[[int], None] | None, look: Callable[[int], None]) -> None:
        self._text = W.HTML()
        self._exposure = alert.exposure
        self.show_it = W.Button(description="Show exposure", tooltip="Look at the newest exposure that shows it")
        self.show_it.on_click(lambda _: self._exposure is not None and look(self._exposure))
        self.know = None
        if know is not None:
            self.know = W.Button(description="I know", tooltip="Say that you know: nobody is told of it any more")
            self.know.on_click(lambda _: know(alert.id))
        buttons = [button for button in (self.know, self.show_it) if button is not None]
        super().__init__([self._text, box(buttons, "cw-al-buttons")])
        self.add_class("cw-al-card")
        self._level = ""

    def show(self, alert: Alert, exposure: str, now: float) -> None:
        if alert.level != self._level:
            self.remove_class(f"cw-al-{self._level}")
            self._level = alert.level
            self.add_class(f"cw-al-{alert.level}")
        self._exposure = alert.exposure
        show_if(self.show_it, bool(exposure))
        if self.know is not None:
            show_if(self.know, alert.acknowledged is None)
        known = f" · <b>{texts.safe(alert.acknowledged_by or 'somebody')} knows</b>" if alert.acknowledged else ""
        where = f" · {texts.safe(exposure)}" if exposure else ""
        minutes = 60 * int((now - alert.opened) / 60)  # seconds would be sent every second
        since = f"for {texts.duration(minutes)}" if minutes else "just now"
        put(
            self._text,
            f"<p class='cw-al-level'>{_sign(alert.level)} <span class='cw-soft'>{texts.safe(alert.monitor)}, "
            f"since {texts.clock(alert.opened)}, {since}{where}{known}</span></p><p>{texts.safe(alert.text)}</p>",
        )


def history(found: list[Alert]) -> str:
    """Alerts as a table, HTML."""
    if not found:
        return "<p class='cw-nothing'>No monitor has found anything wrong yet.</p>"
    rows = "".join(
        f"<tr><td>{_sign(a.level)}</td><td>{texts.safe(a.monitor)}</td><td>{texts.clock(a.opened, True)[5:16]}</td>"
        f"<td>{_lasted(a)}</td><td>{texts.safe(a.text)}"
        f"{_ended(a)}</td>"
        f"<td>{texts.safe(a.acknowledged_by)}</td></tr>"
        for a in found
    )
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("", "monitor", "from", "lasted", "what", "known to"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _ended(alert: Alert) -> str:
    return f"<br><span class='cw-soft'>{texts.safe(alert.cleared_text)}</span>" if alert.cleared_text else ""


def _lasted(alert: Alert) -> str:
    return "<b>open</b>" if alert.cleared is None else texts.duration(alert.cleared - alert.opened)


def _sign(level: str) -> str:
    kind = {"alarm": "cw-bad", "warning": "cw-warn"}.get(level, "cw-al-blue")
    return f"<span class='{kind}'><span aria-hidden='true'>{SIGNS.get(level, '●')}</span> {texts.safe(level)}</span>"


def _head(found: list[Alert], alive: bool) -> str:
    asleep = (
        ""
        if alive
        else "<p class='cw-warn'>No engine runs: nothing is watched now, and alerts are as they were when it ended.</p>"
    )
    if not found:
        return f"<h3>Nothing is wrong</h3>{asleep}"
    unknown = sum(alert.acknowledged is None for alert in found)
    told = "somebody knows of each" if not unknown else f"nobody knows of {unknown}" if unknown < len(found) else ""
    more = f", {SHOWN} are shown" if len(found) > SHOWN else ""
    soft = f" <span class='cw-soft'>{told}{more}</span>" if told or more else ""
    return f"<h3>{texts.count(len(found), 'open alert')}{soft}</h3>{asleep}"


def _names(reader: Reader, exposures: list[int]) -> dict[int, str]:
    marks = ", ".join("?" * len(exposures))
    found: Any = reader.query(f"SELECT id, name FROM exposure WHERE id IN ({marks})", exposures)
    return dict(found)
