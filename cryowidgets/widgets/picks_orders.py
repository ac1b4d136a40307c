"""What the person who controls a session may do about its picks: apply a cut, save picks by hand, approve a size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.io.corrections import Corrections
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.picks_data import FILTER, Picked
from cryowidgets.widgets.picks_hand import Draft, PicksByHand
from cryowidgets.widgets.picks_view import PicksCut
from cryowidgets.widgets.window import box, put, show_if

SCOPES = {
    "new": ("For new ones only", "Micrographs that are done keep the picks that they have"),
    "branch": ("For all", "Also for what is done already, and all that came of it"),
}


class Answer(W.HTML):
    """What became of the last command, in the engine's own words."""

    def __init__(self, page: Page) -> None:
        self._page, self._ref = page, ""
        super().__init__()
        self.add_class("cw-picks-answer")

    def send(self, command: str, **args: Any) -> str:
        """Send a command; its reference, empty where it could not be sent."""
        try:
            self._ref = self._page.send(command, **args)
        except CryowidgetsError as error:
            self._ref = ""
            put(self, f"<span class='cw-failed'>{texts.safe(error)}</span>")
        else:
            put(self, "<span class='cw-soft'>sent to the engine</span>")
        self._page.wake()
        return self._ref

    def hear(self, reader: Reader) -> None:
        event = reader.answer(self._ref) if self._ref else None
        if event is not None:
            kind = "cw-failed" if event.kind.endswith("refused") else "cw-soft"
            put(self, f"<span class='{kind}'>{texts.safe(event.text)}</span>")


class CutOrders(W.Box):
    """Buttons that hand the limits of the sliders to the step that cuts picks."""

    def __init__(self, page: Page) -> None:
        self._step = ""
        self._moved: PicksCut | None = None
        self._words, self._answer = W.HTML(), Answer(page)
        self.buttons = {scope: W.Button(description=text, tooltip=hint) for scope, (text, hint) in SCOPES.items()}
        self.buttons["new"].button_style = "primary"
        for scope, button in self.buttons.items():
            button.on_click(lambda _, scope=scope: self._order(scope))
        self._buttons = box(list(self.buttons.values()), "cw-buttons")
        super().__init__([self._words, self._buttons, self._answer])
        self.add_class("cw-picks-card")

    def moved(self, cut: PicksCut) -> None:
        """A person has let a slider go."""
        self._moved = cut

    def show(self, reader: Reader, step: Step | None, applied: PicksCut) -> None:
        """Offer what the sliders say to a step, where that is something else than what it does."""
        name = step.name if step is not None else ""
        if name != self._step:
            self._step, self._moved = name, None
        if step is None:
            put(self._words, f"<p class='cw-soft'>To keep what the sliders leave, add a step {FILTER} (Workflow).</p>")
        elif self._moved is None or self._moved == applied:
            put(self._words, f"<p><b>{texts.safe(name)}</b> keeps: {texts.safe(applied.say())}</p>")
        else:
            cost = reader.cost(name, "branch")
            said = texts.safe(self._moved.say())
            put(
                self._words,
                f"<p>Use these in <b>{texts.safe(name)}</b>: {said}</p><p class='cw-soft'>{SCOPES['branch'][0]}: "
                f"{texts.safe(cost)}</p>",
            )
        show_if(self._buttons, step is not None and self._moved is not None and self._moved != applied)
        self._answer.hear(reader)

    def _order(self, scope: str) -> None:
        cut = self._moved
        if cut is not None and self._step:
            values = {"score_min": cut.score_min, "power_min": cut.power_min or 0.0, "power_max": cut.power_max or 0.0}
            self._answer.send("set", step=self._step, values=values, scope=scope)


class HandOrders(W.Box):
    """What becomes of picks by hand: which are not saved, what is on its way, and the way back.

    Parameters
    ----------
    page : Page
    go : callable
        Shows the exposure of an id.
    """

    def __init__(self, page: Page, go: Callable[[int], None]) -> None:
        self._page = page
        self._view: PicksByHand | None = None
        self._sent: dict[int, str] = {}  # by exposure: reference of the command
        self._step, self._exposure = "", 0
        self._names: dict[str, int] = {}
        self._words, self._answer = W.HTML(), Answer(page)
        self.unsaved = Choice([], lambda name: go(self._names[name]), "Not saved:", kind="press")
        self.forget = W.Button(description="Forget corrections", tooltip="Back to what the picker has found")
        self.forget.on_click(lambda _: self._answer.send("unpick", step=self._step, exposure=self._exposure))
        super().__init__([self._words, self.unsaved, self.forget, self._answer])
        self.add_class("cw-picks-card")

    def save(self, exposure: int, draft: Draft) -> None:
        """Send what a person has changed of an exposure."""
        assert self._view is not None
        if not self._step:
            self._view.refused(exposure)
            return
        ref = self._answer.send("pick", step=self._step, exposure=exposure, add=draft.add, remove=draft.remove)
        if ref:
            self._sent[exposure] = ref
            self._view.sent(exposure)
        else:
            self._view.refused(exposure)

    def show(
        self, reader: Reader, view: PicksByHand, step: str, exposure: int, found: Corrections, picked: Picked
    ) -> None:
        """Follow what became of it.

        Parameters
        ----------
        step : str
            The one that takes picks by hand, where it is the one in view; else empty.
        found : Corrections
            What is saved of the exposure in view.
        picked : Picked
            The picks in view.
        """
        self._view, self._step, self._exposure = view, step, exposure
        for id, ref in list(self._sent.items()):
            event, row = reader.answer(ref), picked.row(id)
            if event is not None and event.kind.endswith("refused"):
                view.refused(id)
                del self._sent[id]
            elif event is not None and row is not None and row.time >= event.time:
                view.arrived(id)
                del self._sent[id]
        self._name(reader, {id: draft.open for id, draft in view.drafts.items() if draft.open})
        show_if(self.forget, bool(found))
        show_if(self, bool(step))
        said = f"{len(found.added)} added, {len(found.removed)} removed" if found else "nothing was corrected"
        put(self._words, f"<p><b>By hand</b>, {texts.safe(step)}: {said} on this micrograph</p>")
        self._answer.hear(reader)

    def _name(self, reader: Reader, drafts: dict[int, int]) -> None:
        found = reader.exposures(ids=list(drafts)) if drafts else {"id": [], "name": []}
        known = dict(zip(map(int, found["id"]), found["name"], strict=True))
        short = texts.distinct([known[id] for id in known])
        self._names = {f"{name} ({drafts[id]})": id for id, name in zip(known, short, strict=True)}
        if list(self._names) != self.unsaved.names:
            self.unsaved.names = list(self._names)
