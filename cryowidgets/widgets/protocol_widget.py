"""A step of a workflow as a widget: its parameters, how it gets on, what it said, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError, ParameterError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.store import changes
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import header, texts, views
from cryowidgets.widgets.form import ParameterForm
from cryowidgets.widgets.log import Log
from cryowidgets.widgets.window import Window, box, put


class ProtocolWidget(Window):
    """Form, live state and counts, log and results of a step; works alone in a cell.

    Parameters
    ----------
    step : Step
        ``project.steps["align"]``; any object with `name` and `project.folder` does.
    """

    def __init__(self, step: Any) -> None:
        self.name = step.name
        with Reader(step.project.folder) as reader:
            row = reader.steps()[step.name]
        self.results = views.view(row, self.wake)
        self.parameters = StepParameters(step.project.folder, row, self.wake)
        self.events = Log(step=row.name)
        self._state = W.HTML()
        tabs = W.Tab([self.results, self.parameters, self.events], titles=("Results", "Parameters", "Log"))
        super().__init__(step.project.folder, [self._state, tabs], "cw-protocol")

    def refresh(self, reader: Reader) -> None:
        rows = reader.steps()
        put(self._state, header.steps({self.name: rows[self.name]}, reader.tally()))
        self.results.refresh(reader)
        self.parameters.refresh(reader)
        self.events.refresh(reader)


SCOPES = {
    "new": ("For new movies only", "What is done stays as it is"),
    "branch": ("Redo this branch", "Also what this step has done, and all that came of it"),
    "all": ("Redo everything", "All steps, from the import on"),
}
"""How far a change reaches: what a button says, and what it means."""


class StepParameters(W.VBox):
    """The parameters of a step, and the ways to change them: for what comes, for the branch, or for everything.

    What each of them costs is said before; `wake` has `refresh` called. Other people's changes appear as long as
    nothing was entered here.
    """

    def __init__(self, folder: Any, step: Step, wake: Callable[[], None]) -> None:
        self._folder, self._name = folder, step.name
        self.form: ParameterForm | None = None
        """None where the protocol cannot be used: then the sentence that says why stands in its place."""
        try:
            made, self._stored = _restored(registry.get(step.protocol), step.params)
        except CryowidgetsError as error:
            super().__init__([W.HTML(_unusable(error, step.params))])
            return
        self.form = ParameterForm(made)
        self.buttons: dict[str, W.Button] = {}
        """By scope."""
        for scope, (text, tooltip) in SCOPES.items():
            self.buttons[scope] = W.Button(description=text, tooltip=tooltip)
            self.buttons[scope].on_click(lambda _, scope=scope: self._order(scope))
        self.buttons["new"].button_style = "primary"
        self._undo = W.Button(description="Discard changes")
        self._said, self._costs = W.HTML(), W.HTML()
        self._unheard: list[str] = []
        self._undo.on_click(lambda _: self._put(_restored(type(self.form.protocol), self._stored)[0].values()))
        self.form.on_change(self._say_costs)
        self.form.on_change(wake)
        buttons = box([*self.buttons.values(), self._undo], "cw-buttons")
        super().__init__([self.form, buttons, self._costs, self._said])
        self._say_costs()

    def changes(self) -> dict[str, Any]:
        """What was entered and is not yet sent."""
        return {k: v for k, v in self.form.protocol.values().items() if v != self._stored[k]}

    def refresh(self, reader: Reader) -> None:
        if self.form is None:
            return
        made, stored = _restored(type(self.form.protocol), reader.steps()[self._name].params)
        if stored != self._stored:
            entered = self.changes()
            self._stored = stored
            self._put({k: v for k, v in made.values().items() if k not in entered})
            put(self._said, "" if entered else "<span class='cw-soft'>the engine works with these now</span>")
        step = reader.steps()[self._name]
        self._unheard = changes.unheard(reader.query, step, self.form.protocol.lasting, self.changes())
        self._say_costs()
        if self.changes():
            costs = {scope: reader.cost(self._name, scope) for scope in SCOPES if not self.buttons[scope].disabled}
            lines = [f"{texts.safe(SCOPES[scope][0])}: {texts.safe(cost)}" for scope, cost in costs.items()]
            only = f"<p>{texts.safe(changes.why_unheard(self._name, self._unheard))}</p>" if self._unheard else ""
            put(self._costs, f"{only}<p class='cw-help'>{' · '.join(lines)}</p>")
        else:
            put(self._costs, "")

    def _put(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self.form.protocol, name, value)
        self._say_costs()

    def _say_costs(self) -> None:
        changes = self.changes()
        for button in (*self.buttons.values(), self._undo):
            unheard = button is self.buttons["new"] and not {*changes}.isdisjoint(self._unheard)
            button.disabled = not changes or unheard
        if changes:
            words = ", ".join(f"{texts.safe(k)} = {texts.safe(v)}" for k, v in changes.items())
            put(self._said, f"<span class='cw-soft'>changed: {words}</span>")

    def _order(self, scope: str) -> None:
        try:
            inbox.send(self._folder, "set", step=self._name, values=self.changes(), scope=scope)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
            return
        put(self._said, "<span class='cw-soft'>sent to the engine</span>")
        for button in self.buttons.values():
            button.disabled = True


def _unusable(error: CryowidgetsError, values: Mapping[str, Any]) -> str:
    recorded = ", ".join(f"{k} = {v!r}" for k, v in values.items())
    said = f"<p class='cw-failed'>{texts.safe(error)}</p>"
    return said + (f"<p class='cw-soft'>recorded: {texts.safe(recorded)}</p>" if recorded else "")


def _restored(protocol: type[Protocol], values: Mapping[str, Any]) -> tuple[Protocol, dict[str, Any]]:
    """A protocol with recorded values, and the values: those that this version refuses have their defaults in it."""
    known = protocol.known(values)
    good, refused = {}, {}
    try:
        made = protocol(**known)
    except ParameterError:
        for name, value in known.items():
            try:
                protocol(**{**good, name: value})
                good[name] = value
            except ParameterError:
                refused[name] = value
        made = protocol(**good)
    return made, {**made.values(), **refused}
