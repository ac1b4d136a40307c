"""What the page of a session has for the person who controls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ipywidgets as W

from cryowidgets.store.queries import Reader, Session
from cryowidgets.widgets import header, views
from cryowidgets.widgets.engine_widget import EngineButtons
from cryowidgets.widgets.log import Log
from cryowidgets.widgets.protocol_widget import StepParameters
from cryowidgets.widgets.views import ResultView
from cryowidgets.widgets.window import box, put, show_if


class Controls(W.Box):
    """Buttons of the engine; behind four more the steps, their results, their parameters, and the log."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        self._folder, self._wake = folder, wake
        self.engine = EngineButtons(folder, wake)
        self.events = Log()
        self.choice, self.result_choice = W.ToggleButtons(), W.ToggleButtons()
        self.forms: dict[str, StepParameters] = {}
        self.results: dict[str, ResultView] = {}
        self._steps = W.HTML()
        self._place, self._result_place = W.Box(), W.Box()
        self._parts: dict[str, W.DOMWidget] = {
            "Steps": self._steps,
            "Results": box([self.result_choice, self._result_place], "cw-parameters"),
            "Parameters": box([self.choice, self._place], "cw-parameters"),
            "Log": self.events,
        }
        self.opened: str | None = None
        """Which of the parts is open."""
        self.openers = {name: W.ToggleButton(description=name) for name in self._parts}
        for name, button in self.openers.items():
            button.observe(lambda change, name=name: self._open(name, change["new"]), names="value")
        for choice in (self.choice, self.result_choice):
            choice.observe(lambda _: wake(), names="value")
        self._drawer = box(list(self._parts.values()), "cw-drawer")
        super().__init__([box([self.engine, *self.openers.values()], "cw-bar"), self._drawer])
        self.add_class("cw-controls")
        self._show()

    def refresh(self, reader: Reader, session: Session) -> None:
        """Of what is not open nothing is refreshed, and the forms are not even made."""
        self.engine.refresh(reader, session)
        if self.opened == "Steps":
            put(self._steps, header.steps(reader.steps(), reader.tally()))
        elif self.opened == "Results":
            self._show_results(reader)
        elif self.opened == "Parameters":
            self._show_form(reader)
        elif self.opened == "Log":
            self.events.refresh(reader)

    def _open(self, name: str, pressed: bool) -> None:
        if pressed:
            self.opened = name
            for other, button in self.openers.items():
                button.value = other == name
        elif self.opened == name:
            self.opened = None
        self._show()
        self._wake()

    def _show(self) -> None:
        show_if(self._drawer, self.opened is not None)
        for name, part in self._parts.items():
            show_if(part, name == self.opened)

    def _show_form(self, reader: Reader) -> None:
        steps = reader.steps()
        name = _chosen(self.choice, steps)
        if name is None:
            return
        if name not in self.forms:
            self.forms[name] = StepParameters(self._folder, steps[name], self._wake)
        form = self.forms[name]
        if self._place.children != (form,):
            self._place.children = [form]
        form.refresh(reader)

    def _show_results(self, reader: Reader) -> None:
        steps = reader.steps()
        name = _chosen(self.result_choice, steps)
        if name is None:
            return
        if name not in self.results:
            self.results[name] = views.view(steps[name], self._wake)
        shown = self.results[name]
        if self._result_place.children != (shown,):
            self._result_place.children = [shown]
        shown.refresh(reader)


def _chosen(choice: W.ToggleButtons, steps: Iterable[str]) -> Any:
    """The step chosen; the buttons are those of the steps that there are."""
    if tuple(choice.options) != tuple(steps):
        choice.options = tuple(steps)
        choice.value = next(iter(steps), None)
    return choice.value
