"""Changing what monitors watch: a form of each, from its traits."""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.monitors import registry, settings
from cryowidgets.monitors.settings import Setting
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.form import ParameterForm
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.window import box, put


class MonitorForm(W.Box):
    """The limits of one monitor at a time, with a switch; other people's changes appear where nothing was entered."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._kinds, faults = registry.usable()
        self._kept: dict[str, Setting] = {}
        self._stored: dict[str, Any] = {}
        self.form: ParameterForm | None = None
        self.choice = W.Dropdown(options=list(self._kinds))
        self.choice.observe(lambda _: self._open(), names="value")
        self.apply = W.Button(description="Apply", button_style="primary", tooltip="Have the engine watch by these")
        self.switch = W.Button(description="Switch off")
        self.default = W.Button(description="Defaults", tooltip="Put the values in the form that it comes with")
        self.apply.on_click(lambda _: self._order(values=self.changes()))
        self.switch.on_click(lambda _: self._order(on=not self._is_on()))
        self.default.on_click(lambda _: self._put(self._kinds[self.choice.value]().values()))
        self._place, self._said = box([], "cw-al-form"), W.HTML()
        head = box([W.HTML("<h3>Change</h3>"), self.choice], "cw-al-choice")
        broken = W.HTML("".join(f"<p class='cw-failed'>{texts.safe(fault)}</p>" for fault in faults))
        buttons = box([self.apply, self.switch, self.default], "cw-buttons")
        super().__init__([head, self._place, buttons, self._said, broken])
        self.add_class("cw-al-change")
        self._open()

    def changes(self) -> dict[str, Any]:
        """What was entered and is not yet sent."""
        if self.form is None:
            return {}
        return {key: value for key, value in self.form.protocol.values().items() if value != self._stored[key]}

    def refresh(self, reader: Reader) -> None:
        kept = settings.loads(reader.settings().get(settings.KEY, ""))
        if kept == self._kept:
            return
        entered = self.changes()
        self._kept = kept
        self._restore(entered)
        self._say("the engine watches by these now" if not entered else "")

    def _open(self) -> None:
        """Show the form of the monitor that was chosen."""
        if self.form is not None:
            self.form.close()
        if self.choice.value not in self._kinds:
            return
        self.form = ParameterForm(self._kinds[self.choice.value]())
        self._place.children = [self.form]
        self._restore({})
        self.form.on_change(self._enable)
        self._say("")

    def _restore(self, entered: dict[str, Any]) -> None:
        made = settings.made(self.choice.value, self._kinds[self.choice.value], self._kept)
        self._stored = made.values()
        self._put({**self._stored, **entered})
        self.switch.description = "Switch off" if self._is_on() else "Switch on"
        self._enable()

    def _put(self, values: dict[str, Any]) -> None:
        assert self.form is not None
        for key, value in values.items():
            setattr(self.form.protocol, key, value)

    def _is_on(self) -> bool:
        return self._kept.get(self.choice.value, Setting()).on

    def _enable(self) -> None:
        self.apply.disabled = not self.changes()

    def _order(self, **what: Any) -> None:
        try:
            self._page.send("monitor", name=self.choice.value, **what)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed' role='alert'>{texts.safe(error)}</span>")
            return
        self._say("sent to the engine")
        self._page.wake()

    def _say(self, what: str) -> None:
        put(self._said, f"<span class='cw-soft'>{what}</span>" if what else "")
