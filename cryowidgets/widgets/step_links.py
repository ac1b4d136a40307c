"""Where a step takes its inputs from, for the person who controls it: other steps that fit may be chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as W

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError
from cryowidgets.protocols import registry
from cryowidgets.store.database import Step
from cryowidgets.store.nodes import Node
from cryowidgets.store.queries import Reader
from cryowidgets.store.reach import downstream
from cryowidgets.widgets import texts
from cryowidgets.widgets.add_step import gives, label
from cryowidgets.widgets.window import box, put, show_if


class StepLinks(W.Box):
    """A choice for each input. Another source is asked for twice, since it does work again, with its cost."""

    def __init__(self, folder: Path, step: Step, wake: Callable[[], None]) -> None:
        self._folder, self._step, self._wake = folder, step.name, wake
        self._inputs = dict(step.inputs)
        try:
            protocol = registry.get(step.protocol)
            self._wanted, needed = protocol.inputs(), protocol.needed()
        except CryowidgetsError:
            self._wanted, needed = {}, []
        self._cost, self._refreshing = "", False
        self._said = W.HTML()
        offered = [input for input in self._wanted if input in self._inputs or input not in needed]
        self.sources = {input: W.Dropdown() for input in offered}
        for field in self.sources.values():
            field.observe(lambda _: self._ask(), names="value")
        self.yes = W.Button(description="Yes, connect", button_style="warning")
        self.no = W.Button(description="No")
        self.yes.on_click(lambda _: self._order())
        self.no.on_click(lambda _: self._back())
        rows = [
            box([label(f"{input} from"), field, W.HTML(), W.HTML()], "cw-field")
            for input, field in self.sources.items()
        ]
        super().__init__([*rows, box([self._said, self.yes, self.no], "cw-buttons")])
        self.add_class("cw-form")
        self._ask()

    def show(self, node: Node, reader: Reader) -> None:
        """Offer the steps that there are now and that fit."""
        steps = reader.steps()
        self._cost = str(reader.cost(node.name, "branch")) if node.inputs else ""
        below = {node.name, *downstream(steps, [node.name])}
        self._refreshing = True
        for input, field in self.sources.items():
            fitting = [s.name for s in steps.values() if s.name not in below and gives(s, self._wanted[input])]
            source = node.inputs.get(input)
            moved = source != self._inputs.get(input)
            if list(field.options) != fitting or moved:
                chosen = source if moved or field.value not in fitting else field.value
                field.options = fitting
                field.value = chosen if chosen in fitting else None
        self._inputs = dict(node.inputs)
        self._refreshing = False
        self._ask(quiet=True)

    def _chosen(self) -> dict[str, str]:
        """The links that are to change."""
        return {
            input: field.value
            for input, field in self.sources.items()
            if field.value is not None and field.value != self._inputs.get(input)
        }

    def _ask(self, quiet: bool = False) -> None:
        if self._refreshing:
            return
        chosen = self._chosen()
        for button in (self.yes, self.no):
            show_if(button, bool(chosen))
        if chosen:
            what = ", ".join(f"{input} from {source}" for input, source in chosen.items())
            put(self._said, f"<b>{texts.safe(f'Take {what}: {self._cost}.')}</b>")
        elif not quiet:
            put(self._said, "")

    def _order(self) -> None:
        try:
            for input, source in self._chosen().items():
                inbox.send(self._folder, "link", step=self._step, input=input, source=source)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
        else:
            self._back()
            put(self._said, "<span class='cw-soft'>sent to the engine</span>")
        self._wake()

    def _back(self) -> None:
        for input, field in self.sources.items():
            field.value = self._inputs.get(input)
