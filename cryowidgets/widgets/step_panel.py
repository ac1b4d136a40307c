"""A step of the graph for the person who controls it: what it may be told, its results, its parameters, its log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as W

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.nodes import Node
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.log import Log
from cryowidgets.widgets.protocol_widget import StepParameters
from cryowidgets.widgets.step_links import StepLinks
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import box, put, show_if
from cryowidgets.widgets.workflow_view import StepSummary


class StepPanel(StepSummary):
    """Orders to a step, and behind tabs its results, its parameters and its log; what is not open costs nothing."""

    def __init__(self, folder: Path, node: Node, reader: Reader, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.orders = StepOrders(folder, node.name, wake)
        row = reader.steps()[node.name]
        self.parameters = StepParameters(folder, row, wake)
        self.links = StepLinks(folder, row, wake)
        self.events = Log(step=row.name)
        self.tabs = Tabs(["Results", "Parameters", "Log"], lambda _: self._open(), "What is shown of the step")
        super().__init__(node, reader, wake)
        self._open()

    def _parts(self) -> list[W.Widget]:
        self._behind = {"Results": self.results, "Parameters": self.parameters, "Log": self.events}
        parts = [self.links, *self._behind.values()]
        return [self._head, self.orders, self.tabs, box(parts, "cw-step-body")]

    def show(self, node: Node, reader: Reader) -> None:
        self.orders.show(node, reader)
        self.links.show(node, reader)
        super().show(node, reader)

    def _refresh(self, reader: Reader) -> None:
        self._behind[self.tabs.shown].refresh(reader)

    def _open(self) -> None:
        for name, part in self._behind.items():
            show_if(part, name == self.tabs.shown)
        show_if(self.links, self.tabs.shown == "Parameters" and bool(self.links.sources))
        self._wake()


class StepOrders(W.Box):
    """What a step may be told in its present state. What does work again, or away, is asked twice, with its cost."""

    _WORDS = {
        "hold": ("Hold here", "Begin nothing more at this step until it is released"),
        "release": ("Release", "Let the step begin what waits for it"),
        "retry": ("Retry failed", "Try again what failed at this step"),
        "restart": ("Restart from here", "Do this step again for all items, and all that depends on it"),
        "stop_branch": ("Stop branch", "Begin nothing more at this step and those that depend on it"),
        "reset": ("Reset", "Take the results of this step and of those that depend on it away"),
    }
    _ASKED = {
        "restart": "Restart from here: {cost}.",
        "reset": "Reset {step}: its results and all that came of them are taken away, and the step is saved again.",
        "stop_branch": "Stop {step} and all that depends on it; what is under way is finished.",
    }

    def __init__(self, folder: Path, step: str, wake: Callable[[], None]) -> None:
        self._folder, self._step, self._wake = folder, step, wake
        self._asked: str | None = None
        self._cost = ""
        self._said = W.HTML()
        self.buttons = {}
        for command, (text, tooltip) in self._WORDS.items():
            self.buttons[command] = W.Button(description=text, tooltip=tooltip)
            self.buttons[command].on_click(lambda _, command=command: self._press(command))
        self.yes = W.Button(description="Yes, do it", button_style="warning")
        self.no = W.Button(description="No")
        self.yes.on_click(lambda _: self._order(self._asked))
        self.no.on_click(lambda _: self._ask(None))
        super().__init__([*self.buttons.values(), self._said, self.yes, self.no])
        self.add_class("cw-buttons")
        self._ask(None)

    def show(self, node: Node, reader: Reader) -> None:
        """Offer what makes sense for the step as it is."""
        show_if(self.buttons["hold"], not node.hold)
        show_if(self.buttons["release"], node.hold)
        show_if(self.buttons["retry"], node.failed > 0)
        show_if(self.buttons["restart"], bool(node.inputs))
        show_if(self.buttons["reset"], bool(node.inputs))
        show_if(self.buttons["stop_branch"], node.state != "stopped")
        self._cost = str(reader.cost(node.name, "branch")) if node.inputs else ""

    def _press(self, command: str) -> None:
        if command in self._ASKED:
            self._ask(command)
        else:
            self._order(command)

    def _ask(self, command: str | None) -> None:
        self._asked = command
        for button in (self.yes, self.no):
            show_if(button, command is not None)
        words = self._ASKED[command].format(step=self._step, cost=self._cost) if command else ""
        put(self._said, f"<b>{texts.safe(words)}</b>" if words else "")

    def _order(self, command: str | None) -> None:
        if command is None:
            return
        self._ask(None)
        try:
            inbox.send(self._folder, command, step=self._step)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
        else:
            put(self._said, f"<span class='cw-soft'>{self._WORDS[command][0]}: sent to the engine</span>")
        self._wake()
