"""What the thresholds of a page leave, and what may be done with them."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.store import thresholds
from cryowidgets.store.overview import Counts
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.window import box, put, show_if

GATE = "WithinThresholds"
"""Protocol of the steps that let pass what is within the thresholds."""
BACK, NONE = "undo", "remove all"


class ThresholdBar(W.Box):
    """Counts of all thresholds together; with control also what saves them and has the particle branch go by them.

    Parameters
    ----------
    page : Page
    changed : callable
        Called after the thresholds of the page were set from here.
    """

    def __init__(self, page: Page, changed: Callable[[], None]) -> None:
        self._page, self._changed = page, changed
        self._words = W.HTML()
        self._undo = Choice([], self._pressed, "", kind="press")
        self._undo.hints = {BACK: "back to the thresholds of the project", NONE: "all thresholds of this page"}
        self._said = W.HTML()
        self._ref = ""
        parts: list[W.Widget] = [self._words, self._undo]
        if page.control:
            self.save = W.Button(description="Save thresholds", tooltip="Keep them with the project, for all who look")
            self.apply = W.Button(
                description="Apply to the particle branch",
                tooltip="Save them, and let only what is within them flow on to picking and after",
            )
            self.save.on_click(lambda _: self._order(gate=False))
            self.apply.on_click(lambda _: self._order(gate=True))
            parts.append(box([self.save, self.apply], "cw-buttons"))
        super().__init__([*parts, self._said])
        self.add_class("cw-thresholds")

    def count(self, counts: Counts) -> None:
        """Say how many exposures the thresholds leave."""
        put(self._words, _counted(counts, thresholds.say(self._page.cut)))

    def refresh(self, reader: Reader) -> None:
        """Offer what makes sense now."""
        page = self._page
        moved = page.cut != page.saved
        names = ([BACK] if moved else []) + ([NONE] if page.cut else [])
        if names != self._undo.names:
            self._undo.names = names
        words = ""
        if moved and not page.control:
            words = "<span class='cw-soft'>only you see this</span>"
        if page.control:
            gated = any(step.protocol == GATE for step in reader.steps().values())
            show_if(self.save, moved)
            show_if(self.apply, gated)
            words = self._answer(reader)
        put(self._said, words)

    def _answer(self, reader: Reader) -> str:
        if not self._ref:
            return ""
        if self._ref.startswith("!"):
            return f"<span class='cw-failed'>{texts.safe(self._ref[1:])}</span>"
        event = reader.answer(self._ref)
        if event is None:
            return "<span class='cw-soft'>sent; waits for the engine</span>"
        kind = "cw-failed" if event.kind.endswith("refused") else "cw-soft"
        return f"<span class='{kind}'>{texts.safe(event.text)}</span>"

    def _order(self, gate: bool) -> None:
        values = {key: list(bounds) for key, bounds in self._page.cut.items()}
        try:
            self._ref = self._page.send("threshold", values=values, **({"gate": True} if gate else {}))
        except CryowidgetsError as error:
            self._ref = f"!{error}"
        self._page.wake()

    def _pressed(self, name: str) -> None:
        self._page.cut = dict(self._page.saved) if name == BACK else {}
        self._ref = ""
        self._changed()


def _counted(counts: Counts, said: str) -> str:
    parts = {
        "accepted": counts.accepted,
        "outside": counts.outside,
        "unknown": counts.unknown,
        "rejected": counts.rejected,
    }
    hints = {
        "accepted": f"done, and within: {said}",
        "outside": "done, and beyond at least one threshold",
        "unknown": "not done yet, or a number could not be measured",
        "rejected": "by hand or by a step",
    }
    bars = "".join(f"<i class='cw-part-{name}' style='flex-grow: {n}'></i>" for name, n in parts.items() if n)
    words = "".join(
        f"<span class='cw-part' data-name='{name}' title='{texts.safe(hints[name])}'>"
        f"<i class='cw-part-{name}'></i><b>{texts.thousands(n)}</b> {name}</span>"
        for name, n in parts.items()
    )
    return f"<div class='cw-accepted'><div class='cw-parts' aria-hidden='true'>{bars}</div>{words}</div>"
