"""The form that adds a step to the workflow of a project, also while its engine works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.model import Item
from cryowidgets.project import Project
from cryowidgets.protocols import registry
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.form import ParameterForm
from cryowidgets.widgets.window import box, put, show_if

CHOOSE = "choose a protocol…"
NOTHING = "(none)"
"""The choice for an input that need not be linked."""


class AddStep(W.Box):
    """A button, and behind it: a protocol whose inputs there are, where they come from, a name, its parameters."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        self._folder, self._wake = folder, wake
        self._steps: Mapping[str, Step] = {}
        self._offered: tuple[str, ...] = ()
        self.form: ParameterForm | None = None
        self.sources: dict[str, W.Dropdown] = {}
        self.opener = W.ToggleButton(description="Add a step", tooltip="It takes what is there, then what comes")
        self.protocol = W.Dropdown(options=[CHOOSE], description="")
        self.name = W.Text(placeholder="name of the step")
        self.add = W.Button(description="Add", button_style="primary")
        self._help, self._said = W.HTML(), W.HTML()
        self._links, self._place = W.VBox(), W.VBox()
        self.opener.observe(lambda _: self._open(), names="value")
        self.protocol.observe(lambda change: self._choose(change["new"]), names="value")
        self.add.on_click(lambda _: self._add())
        top = box([label("protocol"), self.protocol, W.HTML(), self._help], "cw-field")
        named = box([label("name"), self.name, W.HTML(), W.HTML()], "cw-field")
        parts = [top, self._links, named, self._place, box([self.add], "cw-buttons")]
        self._named, self._drawer = named, box(parts, "cw-drawer", "cw-form")
        super().__init__([box([self.opener, self._said], "cw-buttons"), self._drawer])
        self.add_class("cw-add-step")
        self._show()

    def refresh(self, reader: Reader) -> None:
        """Offer what fits the steps that there are now."""
        if not self.opener.value:
            return
        steps = reader.steps()
        if steps != self._steps:
            self._steps = steps
            offered = tuple(_fitting(steps))
            if offered != self._offered:
                chosen, self._offered = self.protocol.value, offered
                self.protocol.options = [CHOOSE, *offered]
                self.protocol.value = chosen if chosen in offered else CHOOSE
            self._fill_sources()

    def _open(self) -> None:
        self._show()
        self._wake()

    def _show(self) -> None:
        show_if(self._drawer, bool(self.opener.value))
        self._choose(self.protocol.value)

    def _choose(self, name: str) -> None:
        parts = (self._links, self._named, self._place, self.add)
        if name not in self._offered:
            self.form = None
            put(self._help, "")
            for part in parts:
                show_if(part, False)
            return
        protocol = registry.get(name)
        if self.form is None or type(self.form.protocol) is not protocol:
            self.form = ParameterForm(protocol())
            self._place.children = [self.form]
            self.name.value = _free(protocol.__name__.lower(), self._steps)
            put(self._help, f"<p class='cw-help'>{texts.safe((protocol.__doc__ or '').strip().splitlines()[0])}</p>")
            self.sources = {input: W.Dropdown() for input in protocol.inputs()}
            self._links.children = [
                box(
                    [label(input), field, W.HTML(), _help(f"which {protocol.inputs()[input].__name__} it takes")],
                    "cw-field",
                )
                for input, field in self.sources.items()
            ]
            self._fill_sources()
        for part in parts:
            show_if(part, True)

    def _fill_sources(self) -> None:
        if self.form is None:
            return
        wanted, needed = type(self.form.protocol).inputs(), type(self.form.protocol).needed()
        for input, field in self.sources.items():
            fitting = [step.name for step in self._steps.values() if gives(step, wanted[input])]
            if input not in needed:
                fitting.insert(0, NOTHING)
            if list(field.options) != fitting:
                before = field.value
                field.options = fitting
                # The nearest is what people mean most often: a gate behind the step that it guards, for instance.
                nearest = fitting[-1 if input in needed else 0] if fitting else None
                field.value = before if before in fitting else nearest

    def _add(self) -> None:
        if self.form is None:
            return
        if self.form.errors:
            put(
                self._said,
                "<span class='cw-failed'>Some values cannot be used: the sentences beside them say why.</span>",
            )
            return
        name = self.name.value.strip()
        links = {input: field.value for input, field in self.sources.items() if field.value != NOTHING}
        protocol = self.form.protocol
        changed = {k: v for k, v in protocol.values().items() if v != type(protocol).parameters()[k].default}
        try:
            Project(self._folder).workflow.add(type(protocol), name or None, **links, **changed)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
            return
        put(
            self._said,
            f"<span class='cw-soft'>{texts.safe(name)} is added: it takes what is there, then what comes</span>",
        )
        self.form = None
        self.protocol.value = CHOOSE
        self.opener.value = False


def _fitting(steps: Mapping[str, Step]) -> list[str]:
    """Names of the protocols all of whose inputs some step gives; what cannot be loaded is left out."""
    found = []
    for name, protocol in registry.usable().items():
        wanted = protocol.inputs()
        if wanted and all(any(gives(step, wanted[name]) for step in steps.values()) for name in protocol.needed()):
            found.append(name)
    return found


def gives(step: Step, kind: type[Item]) -> bool:
    """Whether an input of this kind may take what a step gives."""
    made = Item.kinds.get(step.gives)
    return made is not None and issubclass(made, kind)


def _free(stem: str, taken: Mapping[str, Step]) -> str:
    return next(n for n in (stem, *(f"{stem}{i}" for i in range(2, 1000))) if n not in taken)


def label(text: str) -> W.HTML:
    """What stands before a field."""
    return W.HTML(f"<label>{texts.safe(text.replace('_', ' '))}</label>")


def _help(text: str) -> W.HTML:
    return W.HTML(f"<p class='cw-help'>{texts.safe(text)}</p>")
