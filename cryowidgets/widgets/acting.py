"""What may be done about exposures: reject with a reason, readmit, retry, flag, note; one of them or many at once."""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.lock import holder
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.sift import places
from cryowidgets.widgets.window import box, put, show_if

REASONS = ("ice", "contamination", "drift", "empty")
"""Why exposures are rejected most of the time, one click each."""
MOST = 5000
"""Exposures that one command is about at most."""
MOST_RETRIED = 200
_MANY = "Shift or Ctrl and a click mark several; F flags"
_NONE = "Click an exposure to choose it: it can be rejected, flagged, noted. Shift and Ctrl mark many."


class Actions(W.Box):
    """Buttons for the exposures that are marked, or for the one that was chosen where none is.

    Of the newest that comes into view by itself nothing is offered: it would change under a person's hands.

    Parameters
    ----------
    page : Page
        With control.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._ids: tuple[int, ...] = ()
        self._failed: tuple[int, ...] = ()
        self._flagged = False
        self._ref = ""
        self._about = W.HTML()
        self._said = W.HTML()
        self.reasons = {why: self._button(why, f"Reject: {why}") for why in REASONS}
        for why, button in self.reasons.items():
            button.on_click(lambda _, why=why: self._reject(why))
        self.why = W.Text(placeholder="other reason")
        self.reject = self._button("Reject", "They flow no further and leave the statistics; nothing is deleted")
        self.readmit = self._button("Readmit", "Let them flow again, also past a gate")
        self.retry = self._button("Retry", "Try again what failed")
        self.flag = self._button("Flag", "Mark them, to be found again (key F)")
        self.text = W.Text(placeholder="note")
        self.note = self._button("Save note", "An empty one takes the note away")
        self.reject.on_click(lambda _: self._reject(self.why.value))
        self.readmit.on_click(lambda _: self._order("readmit"))
        self.retry.on_click(lambda _: self._retry())
        self.flag.on_click(lambda _: self.toggle_flag())
        self.note.on_click(lambda _: self._order("note", text=self.text.value.strip()))
        label = W.HTML("<span class='cw-soft'>reject as</span>")
        self._rejecting = box([label, *self.reasons.values(), self.why, self.reject], "cw-buttons")
        self._others = box([self.readmit, self.retry, self.flag, self.text, self.note], "cw-buttons")
        super().__init__([self._about, self._rejecting, self._others, self._said])
        self.add_class("cw-ex-actions")

    def show(self, reader: Reader, overview: Overview) -> None:
        """Be about what is marked or in view now, and say what became of the last command."""
        marked = self._page.marked.tolist()
        chosen = (self._page.shown,) if self._page.held and self._page.shown is not None else ()
        ids = tuple(marked) or chosen
        rows = places(overview, ids)
        states = overview.state[rows]
        if ids != self._ids:
            self._ids = ids
            notes = {overview.notes.get(row, "") for row in rows.tolist()}
            self.text.value = notes.pop() if len(notes) == 1 else ""
            self.why.value = ""
            self._ref = ""
            put(self._said, "")
        self._failed = tuple(overview.id[rows[states == STATES.index("failed")]].tolist())
        self._flagged = bool(len(rows)) and bool(overview.flag[rows].all())
        self.flag.description = "Unflag" if self._flagged else "Flag"
        what = overview.names[rows[0]] if len(rows) == 1 else texts.count(len(rows), "marked exposure")
        what, hint = (texts.safe(what), "" if marked else _MANY) if len(rows) else ("", _NONE)
        put(self._about, f"<div class='cw-title' title='{what}'>{what} <span>{hint}</span></div>")
        show_if(self._others, bool(len(rows)))
        show_if(self._rejecting, bool((states != STATES.index("rejected")).any()))
        show_if(self.readmit, bool((states == STATES.index("rejected")).any()))
        show_if(self.retry, bool(self._failed))
        self._hear(reader)

    def toggle_flag(self) -> None:
        """Flag what this is about; take the flags away where all have one."""
        self._order("flag", on=not self._flagged)

    def _reject(self, why: str) -> None:
        self._order("reject", why=why.strip() or "rejected by hand")

    def _retry(self) -> None:
        if len(self._failed) > MOST_RETRIED:
            self._say(f"{len(self._failed)} failed ones are too many to name: 'Retry failed' above retries them all.")
            return
        for exposure in self._failed:
            self._order("retry", {"exposure": exposure})

    def _order(self, command: str, whom: dict[str, Any] | None = None, **args: Any) -> None:
        if not self._ids:
            return
        if len(self._ids) > MOST:
            self._say(f"At most {MOST} exposures at once: mark fewer.")
            return
        try:
            self._ref = self._page.send(command, **(whom or {"exposures": list(self._ids)}), **args)
        except CryowidgetsError as error:
            self._say(str(error))
            return
        engine = holder(self._page.folder)
        if engine is None or not engine.alive:
            put(self._said, f"<p class='cw-warn'>{command}: waits in the inbox until an engine runs</p>")
        else:
            put(self._said, f"<p class='cw-soft'>{command}: sent to the engine</p>")
        self._page.wake()

    def _hear(self, reader: Reader) -> None:
        answer = reader.answer(self._ref) if self._ref else None
        if answer is not None:
            kind = "cw-failed" if answer.kind == "command.refused" else "cw-soft"
            put(self._said, f"<p class='{kind}'>{texts.clock(answer.time)} {texts.safe(answer.text)}</p>")

    def _say(self, sentence: str) -> None:
        put(self._said, f"<p class='cw-failed'>{texts.safe(sentence)}</p>")

    def _button(self, text: str, tooltip: str) -> W.Button:
        return W.Button(description=text, tooltip=tooltip)
