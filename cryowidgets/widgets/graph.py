"""`WorkflowGraph`: a workflow as it is drawn, each step with its state and its counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from traitlets import Bool, Dict, Unicode

from cryowidgets.widgets.layering import arrange
from cryowidgets.widgets.part import Part, esm

if TYPE_CHECKING:
    from cryowidgets.workflow import Workflow

COUNTS = ("waiting", "running", "done", "rejected", "failed", "outdated")
"""What is counted of a step, in the order of their way through it."""
LONGEST = 200
"""Letters of a reason that are sent to a page; the whole of it stands in the log."""


class Drawn(Protocol):
    """What is drawn of a step: what `Reader.nodes` gives has it, and so has `Planned`."""

    name: str
    protocol: str
    label: str
    state: str
    reason: str
    inputs: Mapping[str, str]
    after: tuple[str, ...]
    hold: bool
    inert: bool


class Planned:
    """A step of a workflow that is not a project yet."""

    def __init__(
        self,
        name: str,
        protocol: str,
        inputs: Mapping[str, str],
        label: str = "",
        after: tuple[str, ...] = (),
        hold: bool = False,
        inert: bool = False,
        reason: str = "",
    ) -> None:
        self.name, self.protocol, self.label, self.inputs = name, protocol, label, inputs
        self.after, self.hold, self.inert = after, hold, inert
        self.state, self.reason = "", reason


def planned(workflow: Workflow, told: Mapping[str, str] | None = None) -> list[Planned]:
    """The steps of a document, to be drawn before anything runs; those that cannot run here among them.

    `told` is what to say of a step, by its name.
    """
    told = told or {}
    steps = [
        Planned(s.name, s.protocol, s.inputs, s.label, tuple(s.after), s.hold, reason=told.get(s.name, ""))
        for s in workflow.steps
    ]
    return steps + [
        Planned(s.name, s.origin, s.inputs, s.label, inert=True, reason=told.get(s.name, "")) for s in workflow.inert
    ]


class WorkflowGraph(Part):
    """Steps and links, drawn; what changes is sent alone.

    Parameters
    ----------
    fill : bool
        Take the room of the surroundings and fit into it; else as high as the drawing is.
    empty : str
        What to say while there are no steps.
    """

    _esm = esm("graph_rows.js", "graph.js")

    plan = Dict(help="Names, places and links: what changes only with the workflow").tag(sync=True)
    fill = Bool(False).tag(sync=True)
    empty = Unicode().tag(sync=True)
    selected = Unicode(help="Name of the step that is marked; empty for none").tag(sync=True)

    def __init__(self, fill: bool = False, empty: str = "no steps yet") -> None:
        self._marks: dict[str, dict[str, Any]] = {}
        self._tap: list[Callable[[str], None]] = []
        super().__init__(fill=fill, empty=empty)

    def show(self, nodes: Iterable[Drawn]) -> None:
        """Draw these steps; of those that look as before nothing is sent."""
        nodes = list(nodes)
        plan = _plan(nodes)
        if plan != self.plan:
            self.plan = plan
        marks = {node.name: _mark(node) for node in nodes}
        changed = {name: mark for name, mark in marks.items() if self._marks.get(name) != mark}
        self._marks = marks
        if changed:
            self.send({"type": "marks", "marks": changed})

    def select(self, name: str | None) -> None:
        """Mark a step; none where None."""
        self.selected = name or ""

    def on_tap(self, call: Callable[[str], None]) -> None:
        """Call with the name of a step that a person clicked, or pressed Enter on."""
        self._tap.append(call)

    def _receive(self, message: dict) -> None:
        kind, name = message.get("type"), message.get("name")
        if kind == "need":
            self.send({"type": "marks", "marks": self._marks})
        elif kind == "tap" and isinstance(name, str) and name in self._marks:
            for call in self._tap:
                call(name)


def _plan(nodes: list[Drawn]) -> dict[str, Any]:
    drawing = arrange({node.name: [*node.inputs.values(), *node.after] for node in nodes})
    steps = [
        {
            "name": node.name,
            "protocol": node.protocol,
            "label": node.label,
            "inert": bool(node.inert),
            "at": list(drawing.places[node.name]),
        }
        for node in nodes
    ]
    by_name = {node.name: node for node in nodes}
    links = []
    for link in drawing.links:
        node = by_name[link.target]
        names = [input for input, source in node.inputs.items() if source == link.source]
        inert = node.inert or by_name[link.source].inert
        kind = "wait" if not names else "inert" if inert else "flow"
        links.append({**asdict(link), "kind": kind, "inputs": names})
    return {"steps": steps, "links": links, "layers": drawing.layers, "breadth": drawing.breadth}


def _mark(node: Drawn) -> dict[str, Any]:
    counts = [[word, int(getattr(node, word, 0))] for word in COUNTS]
    state = "inert" if node.inert else "held" if node.hold and node.state not in ("finished", "failed") else node.state
    reason = node.reason if len(node.reason) <= LONGEST else node.reason[: LONGEST - 1] + "…"
    return {"state": state, "counts": [c for c in counts if c[1]], "reason": reason}
