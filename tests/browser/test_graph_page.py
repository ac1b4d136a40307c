"""A drawn workflow in a browser: cards where the links end, states in words and shapes, and a way without a mouse."""

from dataclasses import dataclass, field, replace
from importlib.resources import files

import pytest

from cryowidgets.widgets.graph import WorkflowGraph
from cryowidgets.workflow.reading import parse

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Node:
    """What the ledger says of a step."""

    name: str
    protocol: str
    state: str = "running"
    inputs: dict = field(default_factory=dict)
    reason: str = ""
    label: str = ""
    after: tuple = ()
    hold: bool = False
    inert: bool = False
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    rejected: int = 0
    outdated: int = 0


NODES = [
    Node("movies", "ImportMovies", done=1212),
    Node("align", "AlignMovie", inputs={"movie": "movies"}, done=1208, running=2, failed=1, waiting=1),
    Node("maxshift", "MaxShift", inputs={"micrograph": "align"}, done=1190, rejected=18),
    Node("ctf", "EstimateCtf", inputs={"micrograph": "maxshift"}, done=700, outdated=489, running=2),
    Node("quality", "ScoreExposure", "scheduled", {"micrograph": "maxshift", "ctf": "ctf"}, "waits for <ctf>"),
    Node("picks", "scipion:XmippAuto", "saved", {"micrograph": "maxshift"}, inert=True),
    Node("classes", "RelionClass2D", "saved", {"picks": "picks"}, after=("quality",), hold=True),
]
WHOLE = """document.querySelectorAll('#view .cw-link').length === 8
  && [...document.querySelectorAll('#view .cw-node-state')].every((state) => state.textContent)"""
ENDS = """() => [...document.querySelectorAll('#view .cw-link')].map((path) => {
  const line = path.getBBox(), box = (name) => {
    const e = document.querySelector(`#view .cw-node[data-name="${name}"]`);
    return [e.offsetLeft, e.offsetTop, e.offsetLeft + e.offsetWidth, e.offsetTop + e.offsetHeight] };
  const length = path.getTotalLength(), a = path.getPointAtLength(0), b = path.getPointAtLength(length);
  return [[a.x, a.y, ...box(path.dataset.from)], [b.x, b.y, ...box(path.dataset.to)]] }).flat()"""


@pytest.fixture
def graph(comms):
    graph = WorkflowGraph()
    graph.show(NODES)
    return graph


def test_links_end_at_their_cards_in_any_room_and_cards_do_not_overlap(stage, graph):
    s = stage()
    for view, width, way in (("wide", 1500, "across"), ("narrow", 560, "down")):
        s.page.evaluate("() => document.getElementById('view')?.remove()")
        s.draw(graph, "view", f"width:{width}px")
        s.settle(WHOLE)
        assert s.page.get_attribute("#view", "data-way") == way, view
        for x, y, left, top, right, bottom in s.page.evaluate(ENDS):
            assert left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1
            assert min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) < 1, "at the edge of a card"
        boxes = s.page.evaluate(
            "() => [...document.querySelectorAll('#view .cw-node')].map((e) => [e.offsetLeft, e.offsetTop])"
        )
        near = [(a, b) for a in boxes for b in boxes if a < b and abs(a[0] - b[0]) < 186 and abs(a[1] - b[1]) < 92]
        assert len(boxes) == 7 and near == []
        cut = s.page.evaluate(
            """() => [...document.querySelectorAll('#view .cw-node-head b, #view .cw-node-counts')]
            .filter((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight + 2)
            .map((e) => e.textContent)"""
        )
        assert cut == []
    assert s.errors == []


THROUGH = """() => [...document.querySelectorAll('#view .cw-link')].flatMap((path) => {
  const length = path.getTotalLength(), all = [...document.querySelectorAll('#view .cw-node')];
  const at = Array.from({ length: 61 }, (_, i) => path.getPointAtLength((length * i) / 60));
  return all.filter((e) => at.some((p) => p.x > e.offsetLeft + 2 && p.x < e.offsetLeft + e.offsetWidth - 2 &&
    p.y > e.offsetTop + 2 && p.y < e.offsetTop + e.offsetHeight - 2))
    .map((e) => [path.dataset.from, path.dataset.to, e.dataset.name])
})"""
ROOM = """() => { const e = document.querySelector('#view .cw-graph-scroll');
  return [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight] }"""


@pytest.mark.parametrize(("width", "height"), [(1240, 560), (390, 560)])
def test_a_long_workflow_is_broken_into_rows_and_is_seen_whole(stage, comms, width, height):
    text = files("cryowidgets.templates").joinpath("live_to_map.json").read_text()
    workflow, _ = parse(text)
    graph = WorkflowGraph(fill=height > 0)
    graph.show([Node(step.name, step.protocol, inputs=dict(step.inputs), done=7) for step in workflow.steps])
    s = stage()
    s.draw(graph, "view", f"width:{width}px;height:{f'{height}px' if height else 'auto'}")
    s.settle("document.querySelectorAll('#view .cw-count-done').length === 18")
    assert s.page.get_attribute("#view", "data-way") == ("rows" if width > 500 else "down")
    assert float(s.page.get_attribute("#view", "data-scale")) >= 0.72
    beyond = s.page.evaluate(ROOM)
    assert beyond[0] <= 0 and (width < 500 or beyond[1] <= 0), "nothing rolls, and a phone downwards alone"
    assert s.page.evaluate(THROUGH) == [], "no link runs through a card"
    for x, y, left, top, right, bottom in s.page.evaluate(ENDS):
        assert min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) < 1
    assert s.errors == []


def test_state_is_a_word_and_a_shape_and_texts_are_texts(stage, graph):
    s = stage()
    s.draw(graph, "view", "width:1500px")
    s.settle("document.querySelector('#view [data-name=quality] .cw-node-reason')?.textContent")
    words = s.page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#view .cw-node')].map((e) => "
        "[e.dataset.name, e.querySelector('.cw-node-state').textContent]))"
    )
    assert (words["ctf"], words["quality"], words["picks"]) == ("running", "scheduled", "cannot run here")
    assert words["classes"] == "held"
    shapes = s.page.evaluate(
        "() => [...document.querySelectorAll('#view .cw-node-state path')].map((e) => e.getAttribute('d'))"
    )
    assert len(shapes) == 7 and all(shapes) and len(set(shapes)) == 4
    assert s.page.inner_text("#view [data-name=quality] .cw-node-reason") == "waits for <ctf>"
    assert s.page.text_content("#view [data-name=ctf] .cw-count-outdated") == "489 outdated"
    assert s.page.text_content("#view [data-name=movies] .cw-count-done") == "1\u202f212 done"
    assert "quality, ScoreExposure, scheduled, waits for <ctf>" in s.page.get_attribute(
        "#view [data-name=quality]", "aria-label"
    )
    kinds = s.page.evaluate("() => [...document.querySelectorAll('#view .cw-link')].map((e) => e.className.baseVal)")
    assert sorted(k.rsplit("-", 1)[1] for k in kinds) == ["flow"] * 5 + ["inert"] * 2 + ["wait"]
    dashed = s.page.evaluate("getComputedStyle(document.querySelector('#view .cw-inert')).borderStyle")
    assert dashed == "dashed"


def test_only_what_changed_is_sent_and_a_new_step_finds_its_place(stage, graph, comms):
    s = stage()
    s.draw(graph, "view", "width:1500px")
    s.settle("document.querySelector('#view [data-name=align] .cw-count-done')")
    more = [replace(n, done=1209) if n.name == "align" else n for n in NODES]
    comms.clear()
    graph.show(more)
    ((_, _, data, _),) = comms
    assert list(data["content"]["marks"]) == ["align"]
    s.settle("document.querySelector('#view [data-name=align] .cw-count-done').dataset.count === '1209'")
    graph.show(more)
    assert not comms
    graph.show([*more, Node("picks2", "Topaz", "saved", {"micrograph": "maxshift"})])
    s.settle("document.querySelector('#view [data-name=picks2] .cw-node-state').textContent === 'saved'")
    assert s.page.get_attribute("#view [data-name=align] .cw-count-done", "data-count") == "1209"
    assert s.errors == []


def test_a_step_is_chosen_by_click_and_by_keys(stage, graph):
    chosen = []
    graph.on_tap(chosen.append)
    graph.on_tap(graph.select)
    s = stage()
    s.draw(graph, "view", "width:1500px")
    s.settle("document.querySelector('#view [data-name=ctf]')")
    s.page.click("#view [data-name=ctf]")
    s.settle("document.querySelector('#view .cw-chosen')?.dataset.name === 'ctf'")
    s.page.focus("#view [data-name=movies]")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        s.page.keyboard.press(key)
    s.settle("document.querySelector('#view .cw-chosen')?.dataset.name === 'maxshift'")
    assert chosen == ["ctf", "maxshift"]
    s.page.evaluate("models[Object.keys(models)[0]].send({type: 'tap', name: 'no such step'})")
    s.settle()
    assert chosen == ["ctf", "maxshift"] and s.errors == []


def test_what_does_not_fit_is_made_smaller_and_then_scrolled(stage, comms):
    graph = WorkflowGraph(fill=True)
    chain = [Node(f"s{i}", "AlignMovie", inputs={"movie": f"s{i - 1}"} if i else {}) for i in range(30)]
    graph.show(chain)
    s = stage()
    s.draw(graph, "view", "width:900px;height:200px")
    s.settle(WHOLE.replace("8", "29"))
    assert float(s.page.get_attribute("#view", "data-scale")) == 0.72
    sizes = s.page.evaluate(
        "() => { const e = document.querySelector('#view .cw-graph-scroll'); return [e.scrollWidth, e.scrollHeight] }"
    )
    assert sizes[0] <= 900 and sizes[1] > 200, "downwards alone"
    graph.show([])
    s.settle("document.querySelector('#view .cw-nothing').textContent === 'no steps yet'")
