"""The workflow of a project, live: its graph, and the step that was chosen in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as W

from cryowidgets.store.nodes import Node
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts, views
from cryowidgets.widgets.graph import WorkflowGraph
from cryowidgets.widgets.views import ResultView
from cryowidgets.widgets.window import Window, box, put, show_if


class WorkflowWidget(Window):
    """The workflow of a project; works alone in a cell.

    Parameters
    ----------
    project : Project or path
    control : bool
        With forms to change and to add steps, else only to be looked at.
    """

    def __init__(self, project: Any, control: bool = True) -> None:
        folder = Path(getattr(project, "folder", project))
        self.view = WorkflowView(folder, self.wake, control)
        super().__init__(folder, [self.view], "cw-alone")

    def refresh(self, reader: Reader) -> None:
        self.view.refresh(reader)


class WorkflowView(W.Box):
    """Graph above, the chosen step below; a click on the same step lets go of it.

    Parameters
    ----------
    folder : Path
        The project.
    wake : callable
        To be called when something was clicked, so that `refresh` is called soon.
    control : bool
        Whether steps can be changed here.
    fill : bool
        Take the room of the surroundings instead of as much as there is to show.
    """

    def __init__(self, folder: Path, wake: Callable[[], None], control: bool, fill: bool = False) -> None:
        self._folder, self._wake, self._control = folder, wake, control
        self.graph = WorkflowGraph(fill, "this project has no steps yet")
        self.graph.on_tap(self.choose)
        self.chosen: str | None = None
        self.panel: StepSummary | None = None
        """What is shown of the chosen step."""
        self._place = box([], "cw-step-place")
        self._adding = None
        parts: list[W.Widget] = [self.graph, self._place]
        if control:
            from cryowidgets.widgets.add_step import AddStep  # forms import protocols: not for a page that only shows

            self._adding = AddStep(folder, wake)
            parts.insert(1, self._adding)
        super().__init__(parts)
        self.add_class("cw-workflow")
        if fill:
            self.add_class("cw-fill")
        show_if(self._place, False)

    def choose(self, name: str) -> None:
        """Show a step below the graph, or let go of it."""
        self.chosen = None if name == self.chosen else name
        self.graph.select(self.chosen)
        show_if(self._place, self.chosen is not None)
        self._wake()

    def refresh(self, reader: Reader) -> None:
        nodes = reader.nodes()
        self.graph.show(nodes)
        if self._adding is not None:
            self._adding.refresh(reader)
        node = next((n for n in nodes if n.name == self.chosen), None)
        if node is None:
            if self.chosen is not None:
                self.choose(self.chosen)  # the step is gone
            return
        if self.panel is None or self.panel.name != node.name:
            self.panel = self._make(node, reader)
            self._place.children = [self.panel]
        self.panel.show(node, reader)

    def _make(self, node: Node, reader: Reader) -> StepSummary:
        if self._control and not node.inert:
            from cryowidgets.widgets.step_panel import StepPanel

            return StepPanel(self._folder, node, reader, self._wake)
        return StepSummary(node, reader, self._wake)


class StepSummary(W.Box):
    """What a step is and how it gets on, in words, and its results; nothing to press."""

    def __init__(self, node: Node, reader: Reader, wake: Callable[[], None]) -> None:
        self.name = node.name
        self._head = W.HTML()
        self._rules: tuple[int, dict[str, int]] = (0, {})
        self.results: ResultView | None = None
        if not node.inert:
            self.results = views.view(reader.steps()[node.name], wake)
        super().__init__(self._parts())
        self.add_class("cw-step-panel")

    def _parts(self) -> list[W.Widget]:
        return [self._head, *([self.results] if self.results else [])]

    def show(self, node: Node, reader: Reader) -> None:
        """Show the step as it is now."""
        if self._rules[0] != node.rejected:
            self._rules = (node.rejected, reader.reasons(node.name))
        put(self._head, _head(node, self._rules[1]))
        self._refresh(reader)

    def _refresh(self, reader: Reader) -> None:
        if self.results is not None:
            self.results.refresh(reader)


def _head(node: Node, rules: Mapping[str, int]) -> str:
    safe = texts.safe
    links = [f"{safe(input)} from <b>{safe(source)}</b>" for input, source in node.inputs.items()]
    links += [f"waits for the end of <b>{safe(name)}</b>" for name in node.after]
    state = "cannot run here" if node.inert else node.state
    words = [f"<span class='cw-soft'>{safe(node.protocol)}</span>"]
    words += [f"<span class='cw-soft'>{safe(node.label)}</span>"] if node.label else []
    words += ["<span>held: nothing is begun until it is released</span>"] if node.hold else []
    words += [
        f"<span class='cw-state-{safe(state)}'>{safe(state)}{': ' + safe(node.reason) if node.reason else ''}</span>"
    ]
    words += [f"<span class='cw-soft'>{', '.join(links)}</span>"] if links else []
    counted = ", ".join(f"{safe(rule)} {n}" for rule, n in rules.items())
    words += [f"<span class='cw-rejected'>held back by rule: {counted}</span>"] if counted else []
    return f"<div class='cw-step-head'><h3>{safe(node.name)}</h3>{''.join(words)}</div>"
