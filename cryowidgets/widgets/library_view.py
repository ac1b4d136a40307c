"""The library of workflows: what there is, what it looks like, and what it is set to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.project import Project
from cryowidgets.protocols import registry
from cryowidgets.widgets import texts
from cryowidgets.widgets.cards import Card, Cards
from cryowidgets.widgets.graph import WorkflowGraph, planned
from cryowidgets.widgets.window import box, put, show_if
from cryowidgets.workflow import Template, library
from cryowidgets.workflow.questions import SIMULATE

NO_CATEGORY = "other"


class LibraryView(W.Box):
    """Workflows by category; one of them with its graph and its parameters.

    Parameters
    ----------
    take : callable
        Called with the template that a person takes into the wizard.
    """

    def __init__(self, take: Callable[[Template], None]) -> None:
        self._take = take
        self._found: dict[str, Template] = {}
        self.shown: Template | None = None
        self.cards = Cards(self.choose, "Workflow", "the library is empty")
        self.graph = WorkflowGraph(empty="choose a workflow on the left")
        self.take = W.Button(description="Take into the wizard", button_style="primary")
        self.take.on_click(lambda _: self._take(self.shown) if self.shown else None)
        self._head, self._values = W.HTML(), W.HTML()
        self.put = _Put(self.look)
        parts = [self._head, box([self.take], "cw-buttons"), self.graph, self._values]
        self._chosen = box(parts, "cw-wizard-chosen")
        super().__init__([box([self.cards, self.put], "cw-library-list"), self._chosen])
        self.add_class("cw-library")
        show_if(self.take, False)
        self._say(None)

    def look(self) -> None:
        """Look anew what there is."""
        self.put.show()
        try:
            found = sorted(library.find(), key=lambda t: (not t.category, t.category, t.name))
        except CryowidgetsError as error:
            found, self.cards.empty = [], str(error)
        self._found = {f"{t.source}/{t.category}/{t.name}": t for t in found}
        self.cards.fill(
            Card(
                id, t.name, t.category or NO_CATEGORY, t.description, "" if t.source == "package" else t.source, t.fault
            )
            for id, t in self._found.items()
        )

    def choose(self, id: str) -> None:
        """Show one workflow."""
        self._say(self._found[id])

    def _say(self, template: Template | None) -> None:
        self.shown = template
        show_if(self.take, template is not None)
        show_if(self.graph, template is not None)
        if template is None:
            put(self._head, "<h2>Library of workflows</h2><p class='cw-soft'>Choose one to see what it does.</p>")
            self.graph.show([])
            put(self._values, "")
            return
        safe = texts.safe
        put(self._head, f"<h2>{safe(template.name)}</h2><p class='cw-soft'>{safe(template.description)}</p>")
        self.graph.show(planned(template.workflow) if template.workflow else [])
        put(self._values, parameters(template))


class _Put(W.Box):
    """Puts the workflow of a project into the library."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self.project = W.Text(placeholder="/path/of/a/project")
        self.name, self.category = W.Text(placeholder="name"), W.Text(placeholder="category")
        self.button = W.Button(description="Put into the library")
        self.button.on_click(lambda _: self._put())
        self._said = W.HTML()
        self._title = W.HTML()
        self._fields = [self.project, self.name, self.category, box([self.button], "cw-buttons")]
        super().__init__([self._title, *self._fields, self._said])
        self.add_class("cw-put")
        self.show()

    def show(self) -> None:
        """The form, where there is a library that may be written to; else how to have one."""
        own = library.location() != library.PACKAGE
        for field in self._fields:
            show_if(field, own)
        words = (
            f"<h4>Put the workflow of a project here</h4><p class='cw-help'>into {texts.safe(library.location())}</p>"
            if own
            else f"<p class='cw-help'>These come with the package. For a library of your own, name its folder in the "
            f"environment variable {library.LIBRARY}.</p>"
        )
        put(self._title, words)

    def _put(self) -> None:
        name, category = self.name.value.strip(), self.category.value.strip()
        try:
            made = library.put(Project(Path(self.project.value.strip()).expanduser()).document(), name, category)
        except (CryowidgetsError, OSError) as error:
            put(self._said, f"<p class='cw-failed' role='alert'>{texts.safe(error)}</p>")
            return
        put(self._said, f"<p class='cw-help'>it is in {texts.safe(made)} now</p>")
        self._done()


def parameters(template: Template) -> str:
    """A table of what a workflow sets or asks for, by step, as HTML; what is left at its default is not in it."""
    if template.workflow is None:
        return ""
    asked = {target: question for question in template.questions for target in question.targets}
    safe, lines = texts.safe, []
    for step in template.workflow.steps:
        units = {name: parameter.unit for name, parameter in registry.get(step.protocol).parameters().items()}
        rows = {name: safe(_spelled(value)) for name, value in library.changed(step).items()}
        for (name_of_step, name), question in asked.items():
            if name_of_step == step.name:
                default = f", else {safe(question.default)}" if question.default else ""
                rows[name] = f"<i>asked: {safe(question.label)}{default}</i>"
        for name, value in rows.items():
            where = f"<th>{safe(step.name)}</th><td>{safe(name.replace('_', ' '))}</td>"
            lines.append(f"<tr>{where}<td>{value} {safe(units.get(name, ''))}</td></tr>")
    for (step, name), question in asked.items():
        if step == SIMULATE:
            value = f"<i>asked: {safe(question.label)}, else {safe(question.default)}</i> {safe(question.unit)}"
            lines.append(
                f"<tr><th>simulated microscope</th><td>{safe(name.replace('_', ' '))}</td><td>{value}</td></tr>"
            )
    lines += [
        f"<tr><th>{safe(part.name)}</th><td>{safe(name)}</td><td>{safe(_spelled(value))}</td></tr>"
        for part in template.workflow.inert
        for name, value in part.params.items()
    ]
    if not lines:
        return "<p class='cw-help'>Every parameter is left at its default.</p>"
    head = "<tr><th>step</th><th>parameter</th><th>value</th></tr>"
    return f"<table class='cw-values'>{head}{''.join(lines)}</table>"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
