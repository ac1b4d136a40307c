"""The form of any protocol, made from its traits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as W
from traitlets import Bool, Float, Int, TraitType

from cryowidgets.errors import ParameterError
from cryowidgets.protocols.base import Parameter, Protocol
from cryowidgets.protocols.durations import Duration
from cryowidgets.protocols.durations import text as duration_text
from cryowidgets.widgets import texts
from cryowidgets.widgets.pulse import Pulse


class ParameterForm(W.VBox):
    """A form whose fields are the parameters of a protocol, in the order of its class body.

    Linked both ways: what a person enters is set on the protocol, and what is set on the protocol stands in the form.
    A value that the protocol refuses stays in its field, with the reason below it, and the protocol keeps the last
    good one. Advanced parameters are folded away; those that mean nothing with the present values are hidden.

    Parameters
    ----------
    protocol : Protocol
        Its traits are what the form edits.

    Examples
    --------
    >>> from cryowidgets.protocols.import_movies import ImportMovies
    >>> form = ParameterForm(ImportMovies(voltage=200))
    >>> form.fields["voltage"].value
    '200'
    >>> form.fields["voltage"].value = "10"
    >>> form.protocol.voltage, form.errors["voltage"][:43]
    (200.0, "ImportMovies.voltage does not take '10': wr")
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.fields: dict[str, W.DOMWidget] = {}
        """The input of each parameter."""
        self.errors: dict[str, str] = {}
        """Why a field's value was refused, by parameter."""
        self._parameters = protocol.parameters()
        self._rows: dict[str, W.Box] = {}
        self._notes: dict[str, W.HTML] = {}
        self._changed: list[Callable[[], None]] = []
        self._setting: str | None = None
        for parameter in self._parameters.values():
            self._rows[parameter.name] = self._row(parameter)
        self._general = W.HTML()
        super().__init__([Pulse(lambda: None), *self._layout(), self._general])
        self.add_class("cw-root")
        self.add_class("cw-form")
        protocol.observe(self._take_over, names=list(self._parameters))
        self._show_and_hide()

    def on_change(self, call: Callable[[], None]) -> None:
        """Call after each value that was taken, wherever it came from."""
        self._changed.append(call)

    def set_disabled(self, disabled: bool) -> None:
        for field in self.fields.values():
            field.disabled = disabled

    def _row(self, parameter: Parameter) -> W.Box:
        field = _field(parameter)
        _put(field, parameter, getattr(self.protocol, parameter.name))
        field.observe(lambda change: self._entered(parameter, change["new"]), names="value")
        self.fields[parameter.name] = field
        self._notes[parameter.name] = W.HTML(self._note(parameter))
        label = W.HTML(f"<label>{texts.safe(parameter.name.replace('_', ' '))}</label>")
        spelled = "" if isinstance(parameter.trait, Duration) else parameter.unit  # a duration brings its units
        unit = W.HTML(f"<span class='cw-unit'>{texts.safe(spelled)}</span>")
        row = W.Box([label, field, unit, self._notes[parameter.name]])
        row.add_class("cw-field")
        return row

    def _layout(self) -> list[W.Widget]:
        """Plain parameters by group, then the advanced ones, folded."""
        made: list[W.Widget] = []
        for advanced in (False, True):
            groups: dict[str, list[W.Widget]] = {}
            for parameter in self._parameters.values():
                if parameter.advanced == advanced:
                    groups.setdefault(parameter.group, []).append(self._rows[parameter.name])
            parts: list[W.Widget] = []
            for group, rows in groups.items():
                if group:
                    parts.append(W.HTML(f"<h4>{texts.safe(group)}</h4>"))
                parts += rows
            if advanced and parts:
                parts = [W.Accordion([W.VBox(parts)], titles=("Advanced",), selected_index=None)]
            made += parts
        return made

    def _entered(self, parameter: Parameter, value: Any) -> None:
        """A person entered a value: try it on a copy, which also checks it against all others."""
        if self._setting == parameter.name:
            return
        name = parameter.name
        try:
            tried = type(self.protocol)(**{**self.protocol.values(), name: _parsed(parameter, value)})
        except ParameterError as error:
            self._refuse(name, str(error))
            return
        self._accept(name)
        self._setting = name  # the field holds what was typed; do not rewrite it under the person's fingers
        try:
            setattr(self.protocol, name, getattr(tried, name))
        finally:
            self._setting = None
        self._try_refused_again(name)

    def _take_over(self, change: Any) -> None:
        """The protocol has another value now."""
        name = change["name"]
        if self._setting != name:
            self._setting = name
            try:
                _put(self.fields[name], self._parameters[name], change["new"])
            finally:
                self._setting = None
            self._accept(name)
        self._show_and_hide()
        for call in self._changed:
            call()

    def _try_refused_again(self, just_set: str) -> None:
        """A value that was refused because of another may be right now."""
        for name in [n for n in self.errors if n != just_set]:
            parameter = self._parameters[name]
            try:
                tried = type(self.protocol)(
                    **{**self.protocol.values(), name: _parsed(parameter, self.fields[name].value)}
                )
            except ParameterError:
                continue
            self._accept(name)
            setattr(self.protocol, name, getattr(tried, name))

    def _refuse(self, name: str, sentence: str) -> None:
        self.errors[name] = sentence
        self._notes[name].value = self._note(self._parameters[name], sentence)
        self._rows[name].add_class("cw-wrong")

    def _accept(self, name: str) -> None:
        if self.errors.pop(name, None):
            self._notes[name].value = self._note(self._parameters[name])
            self._rows[name].remove_class("cw-wrong")

    def _note(self, parameter: Parameter, error: str = "") -> str:
        """What stands below a field: its reason to be refused, or what it is for."""
        if error:
            return f"<p class='cw-failed' role='alert'>{texts.safe(error)}</p>"
        lasting = "; holds from the first batch on" if parameter.name in self.protocol.lasting else ""
        return f"<p class='cw-help'>{texts.safe(parameter.help)}{texts.safe(_range(parameter))}{lasting}</p>"

    def _show_and_hide(self) -> None:
        for parameter in self._parameters.values():
            if parameter.when is not None:
                display = "" if parameter.when(self.protocol) else "none"
                if (self._rows[parameter.name].layout.display or "") != display:
                    self._rows[parameter.name].layout.display = display


def _field(parameter: Parameter) -> W.DOMWidget:
    trait = parameter.trait
    if isinstance(trait, Bool):
        return W.Checkbox(indent=False)
    if parameter.choices is not None:
        return W.Dropdown(options=[(str(c) if c != "" else "(none)", c) for c in parameter.choices])
    return W.Text(continuous_update=False)  # also for numbers: their fields swallow what is no number without a word


def _put(field: W.DOMWidget, parameter: Parameter, value: Any) -> None:
    if isinstance(field, W.Text):
        field.value = _spelled(parameter.trait, value)
    else:
        field.value = value


def _spelled(trait: TraitType, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(trait, Duration):
        return duration_text(value)
    if isinstance(trait, Float) and not isinstance(value, bool):
        return repr(value).removesuffix(".0")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _parsed(parameter: Parameter, value: Any) -> Any:
    """What a field holds, as the protocol wants it: its own spelling, which it reads itself."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text and parameter.trait.allow_none:
        return None
    if isinstance(parameter.trait, (Float, Int)):
        return text.replace(",", ".") if isinstance(parameter.trait, Float) else text
    return text


def _range(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    if parameter.choices is not None or (low is None and high is None):
        return ""
    if low is not None and high is not None:
        return f" ({low:g} to {high:g})"
    return f" (at least {low:g})" if low is not None else f" (at most {high:g})"
