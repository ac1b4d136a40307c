"""The workflow of a session: the graph agrees with the ledger, and what may be done to a step depends on who looks."""

import ipywidgets as W
import pytest

from cryowidgets.engine import inbox
from cryowidgets.model import Ctf, Micrograph, Reason
from cryowidgets.project import Project
from cryowidgets.store import changes
from cryowidgets.store.todo import todo
from cryowidgets.widgets import WorkflowWidget
from cryowidgets.widgets.dashboard import SessionView
from cryowidgets.widgets.graph import WorkflowGraph, planned
from cryowidgets.widgets.step_panel import StepPanel
from cryowidgets.widgets.workflow_view import StepSummary
from cryowidgets.workflow import Inert, StepSpec, Workflow


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def html(widget):
    return "\n".join(w.value for w in everything(widget) if isinstance(w, W.HTML))


def marks(wire, graph):
    found = {}
    for message, _ in wire.said(graph, "marks"):
        found |= message["marks"]
    return found


@pytest.fixture
def view(wire, filled):
    filled.arrive(12)
    filled.process()
    return WorkflowWidget(filled.folder).view


@pytest.fixture
def page(wire, filled):
    filled.arrive(12)
    filled.process()
    return SessionView(filled.folder)


def test_counts_of_the_graph_are_those_of_the_ledger(wire, view, filled, reader):
    filled.open_engine()
    filled.fail("InputError: too short")
    filled.arrive(3)
    view.refresh(reader)
    assert [s["name"] for s in view.graph.plan["steps"]] == ["movies", "align", "maxshift", "ctf", "quality"]
    shown = marks(wire, view.graph)
    for node in reader.nodes():
        counts = dict(shown[node.name]["counts"])
        assert counts.get("done", 0) == node.done and counts.get("failed", 0) == node.failed
        assert counts.get("waiting", 0) == node.waiting
    assert dict(shown["align"]["counts"]) == {"waiting": 3, "done": 12, "failed": 1}
    wire.clear()
    view.refresh(reader)
    assert len(wire) == 0, "where nothing is new, nothing at all is sent"
    filled.process()
    view.refresh(reader)
    assert "movies" not in marks(wire, view.graph) and dict(marks(wire, view.graph)["align"]["counts"])["done"] == 15


def test_a_gate_says_which_rules_hold_items_back(wire, view, filled, reader):
    store = filled.store
    store.add_step("limit", "MaxShift", Micrograph, {}, {"micrograph": "align"})
    tasks = store.claim("limit", todo(store, "limit", {"micrograph": Micrograph}, {})[0])
    moved = [Reason("movie", 60.0, 45.0), Reason("frame", 12.0, 10.0)]
    store.finish(tasks[0], "rejected", error="It moved.", reasons=moved)
    view.refresh(reader)
    view.choose("limit")
    view.refresh(reader)
    assert "held back by rule: frame 1, movie 1" in html(view.panel)
    store.finish(tasks[1], "rejected", error="It moved.", reasons=moved[:1])
    view.refresh(reader)
    assert "held back by rule: movie 2, frame 1" in html(view.panel)
    view.choose("align")
    view.refresh(reader)
    assert "held back" not in html(view.panel)


def test_a_click_opens_a_step_and_another_closes_it(wire, view, reader):
    view.refresh(reader)
    wire.hear(view.graph, type="tap", name="align")
    view.refresh(reader)
    assert isinstance(view.panel, StepPanel) and view.graph.selected == "align"
    assert "movie from <b>movies</b>" in html(view.panel)
    assert view.panel.results._rows.plots[0].rows == 12
    wire.hear(view.panel.tabs, type="tap", name="Parameters")
    view.refresh(reader)
    assert view.panel.parameters.layout.display != "none" and view.panel.results.layout.display == "none"
    wire.hear(view.panel.tabs, type="tap", name="Nothing of the kind")
    assert view.panel.tabs.shown == "Parameters"
    wire.hear(view.graph, type="tap", name="align")
    view.refresh(reader)
    assert view.graph.selected == "" and view._place.layout.display == "none"


def test_what_undoes_work_is_asked_twice_and_its_cost_said_before(wire, view, filled, reader):
    view.choose("ctf")
    view.refresh(reader)
    orders = view.panel.orders
    orders.buttons["restart"].click()
    assert inbox.read(filled.folder) == []
    assert f"Restart from here: {reader.cost('ctf', 'branch')}" in html(orders) and "tasks are done again" in html(
        orders
    )
    orders.no.click()
    assert "Restart" not in html(orders) and orders.yes.layout.display == "none"
    orders.buttons["reset"].click()
    orders.yes.click()
    orders.buttons["hold"].click()
    assert [(c.name, c.args) for c in inbox.read(filled.folder)] == [
        ("reset", {"step": "ctf"}),
        ("hold", {"step": "ctf"}),
    ]
    assert orders.buttons["release"].layout.display == "none" == orders.buttons["retry"].layout.display


def test_a_step_is_linked_to_another_that_fits_and_its_cost_said_before(wire, view, filled, reader):
    filled.store.add_step("limit", "MaxShift", Micrograph, {}, {"micrograph": "align"})
    filled.store.add_step("after", "MaxShift", Micrograph, {}, {"micrograph": "limit"})
    view.choose("limit")
    view.refresh(reader)
    assert list(view.panel.links.sources["micrograph"].options) == ["align", "maxshift"], (
        "neither itself nor what depends on it"
    )
    view.choose("ctf")
    view.refresh(reader)
    links = view.panel.links
    assert links.layout.display == "none"
    wire.hear(view.panel.tabs, type="tap", name="Parameters")
    assert links.layout.display != "none" and links.sources["micrograph"].value == "maxshift"
    links.sources["micrograph"].value = "limit"
    view.refresh(reader)
    assert links.sources["micrograph"].value == "limit", "a choice outlives a refresh"
    assert f"Take micrograph from limit: {reader.cost('ctf', 'branch')}" in html(links)
    assert inbox.read(filled.folder) == []
    links.yes.click()
    (sent,) = inbox.read(filled.folder)
    assert (sent.name, sent.args) == ("link", {"step": "ctf", "input": "micrograph", "source": "limit"})
    assert links.sources["micrograph"].value == "maxshift" and links.yes.layout.display == "none"
    changes.link(filled.store, "ctf", "micrograph", "limit", Ctf)
    view.refresh(reader)
    assert links.sources["micrograph"].value == "limit" and links.yes.layout.display == "none"


def test_a_change_says_what_each_of_its_scopes_costs(wire, view, filled, reader):
    view.choose("ctf")
    view.refresh(reader)
    wire.hear(view.panel.tabs, type="tap", name="Parameters")
    view.panel.parameters.form.fields["box"].value = "768"
    view.refresh(reader)
    said = html(view.panel.parameters)
    assert "For new movies only: nothing is done again" in said
    assert f"Redo this branch: {reader.cost('ctf', 'branch')}" in said
    assert f"Redo everything: {reader.cost('ctf', 'all')}" in said
    assert reader.cost("ctf", "all").items > reader.cost("ctf", "branch").items > 0


def test_a_step_is_added_with_the_sources_that_fit(wire, view, filled, reader):
    adding = view._adding
    adding.opener.value = True
    view.refresh(reader)
    offered = adding.protocol.options
    assert "EstimateCtf" in offered and "ImportMovies" not in offered
    adding.protocol.value = "EstimateCtf"
    assert adding.sources["micrograph"].options == ("align", "maxshift")
    adding.sources["micrograph"].value = "align"
    adding.form.fields["box"].value = "odd"
    adding.add.click()
    assert "cannot be used" in html(adding)
    adding.form.fields["box"].value = "768"
    adding.name.value = "ctf"
    adding.add.click()
    assert "ctf" in html(adding._said) and "cw-failed" in adding._said.value
    adding.name.value = "second"
    adding.add.click()
    steps = Project(filled.folder).steps
    assert steps["second"].params["box"] == 768
    view.refresh(reader)
    assert ("align", "second") in {(a["source"], a["target"]) for a in view.graph.plan["links"]}
    assert not adding.opener.value


def test_a_page_that_only_shows_has_nothing_to_press_in_its_workflow(wire, page, reader):
    page.refresh(reader)
    assert "Workflow" not in page.tabs.made, "what nobody looks at is not made"
    wire.hear(page.tabs.names, type="tap", name="Workflow")
    page.refresh(reader)
    workflow = page.tabs.made["Workflow"].view
    wire.hear(workflow.graph, type="tap", name="ctf")
    page.refresh(reader)
    assert type(workflow.panel) is StepSummary
    pressable = (W.Button, W.ToggleButton, W.Text, W.Dropdown, W.Checkbox, W.Accordion, W.ToggleButtons)
    assert not [w for w in everything(page) if isinstance(w, pressable)]
    assert page.tabs._places["Overview"].layout.display == "none"


def test_steps_that_cannot_run_here_are_drawn_from_a_document(wire):
    steps = (StepSpec("movies", "ImportMovies"), StepSpec("align", "AlignMovie", {}, {"movie": "movies"}, "MC"))
    old = Inert("gain", "scipion:XmippProtMovieGain", {}, {"movie": "movies"})
    graph = WorkflowGraph()
    graph.show(planned(Workflow("live", "", steps, inert=(old,))))
    assert [(s["name"], s["inert"]) for s in graph.plan["steps"]] == [
        ("movies", False),
        ("align", False),
        ("gain", True),
    ]
    assert {(a["target"], a["kind"]) for a in graph.plan["links"]} == {("align", "flow"), ("gain", "inert")}


def test_the_workflow_of_a_project_is_displayed_as_its_graph(wire, filled):
    shown = Project(filled.folder).workflow._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert isinstance(Project(filled.folder).workflow.widget(), WorkflowWidget)
