"""From a template to a session: what is answered, what is refused, what is drawn, and what is made of it."""

import json
import time

import ipywidgets as W
import pytest

from cryowidgets.project import Project
from cryowidgets.widgets import new_session
from cryowidgets.widgets.cards import Card, Cards
from cryowidgets.widgets.wizard import folder_fault, session_link
from cryowidgets.workflow.library import LIBRARY
from cryowidgets.workflow.templates import SITE

DOCUMENT = {
    "version": 2,
    "name": "ours",
    "description": "Motion alone, as <we> like it.",
    "steps": [
        {
            "name": "movies",
            "protocol": "ImportMovies",
            "params": {
                "pattern": {"ask": "movies", "label": "Movies"},
                "voltage": {"ask": "volt", "label": "Voltage", "default": 200},
                "gain": {"ask": "gain", "label": "Gain reference", "default": "", "type": "file"},
            },
        },
        {"name": "align", "protocol": "AlignMovie", "inputs": {"movie": "movies"}},
        {
            "name": "maxshift",
            "protocol": "MaxShift",
            "params": {"mode": {"ask": "mode", "label": "Rejects", "default": "frame"}},
            "inputs": {"micrograph": "align"},
        },
    ],
}


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def html(widget):
    return "\n".join(w.value for w in everything(widget) if isinstance(w, W.HTML))


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    (folder / "facility").mkdir(parents=True)
    (folder / "facility" / "ours.json").write_text(json.dumps(DOCUMENT))
    (folder / "facility" / "broken.json").write_text('{"version": 2, "name": "broken", "steps": [{"name": "x"}]}')
    monkeypatch.setenv(SITE, str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    return folder


@pytest.fixture
def wizard(wire, site, tmp_path):
    made = new_session(tmp_path)
    made.cards.choose("site/facility/ours")
    return made


def test_templates_stand_in_their_categories_and_a_broken_one_says_why(wire, site, tmp_path):
    wizard = new_session(tmp_path)
    cards = {card["id"]: card for card in wizard.cards.cards}
    assert (cards["site/facility/ours"]["group"], cards["site/facility/ours"]["origin"]) == ("facility", "site")
    assert "broken.json cannot be used" in cards["site/facility/broken"]["fault"]
    wire.hear(wizard.cards, type="tap", id="site/facility/broken")
    wire.hear(wizard.cards, type="tap", id="no such thing")
    wire.hear(wizard.cards, type="tap", id=7)
    assert wizard.template is None and wizard.cards.shown == ""
    wire.hear(wizard.cards, type="tap", id="site/facility/ours")
    assert wizard.template.name == "ours" and "as &lt;we&gt; like it" in html(wizard)


def test_each_key_is_judged_and_the_sentence_stands_beside_its_field(wire, wizard):
    form = wizard.form
    assert wizard.start.disabled and "to be filled in" in html(form) and "role='alert'" not in html(form)
    assert "open or wrong: Movies" in html(wizard._ending)
    wire.set(form.fields["volt"], value="30000")
    assert "role='alert'" in form._notes["volt"].value and "to 3000 kV" in form._notes["volt"].value
    assert "cw-wrong" in form._rows["volt"]._dom_classes and "<span class='cw-unit'>kV</span>" in html(form)
    wire.set(form.fields["volt"], value="300")
    assert "role='alert'" not in html(form) and "cw-wrong" not in form._rows["volt"]._dom_classes
    wire.set(form.fields["movies"], value="/data/*.tiff")
    assert not wizard.start.disabled and "open or wrong" not in html(wizard)
    wire.set(form.fields["gain"], value="/no/such/gain.mrc")
    assert wizard.start.disabled and "does not exist" in form._notes["gain"].value
    wire.set(form.fields["gain"], value="")
    assert form.fields["mode"].options[0] == ("or", "or") and form.fields["mode"].value == "frame"
    assert not wizard.start.disabled


def test_the_graph_shows_what_is_answered(wire, wizard):
    wire.set(wizard.form.fields["volt"], value="120")
    assert [step["name"] for step in wizard.graph.plan["steps"]] == ["movies", "align", "maxshift"]
    marks = {}
    for message, _ in wire.said(wizard.graph, "marks"):
        marks |= message["marks"]
    assert marks["movies"]["reason"] == "voltage 120 kV" and marks["maxshift"]["reason"] == "mode frame"


def test_a_folder_that_cannot_become_a_project_is_refused_before_anything_is_made(wire, wizard, tmp_path):
    assert wizard.place.value.startswith(str(tmp_path)) and wizard.place.value.endswith("-ours")
    Project.create(tmp_path / "there", template=None)
    (tmp_path / "file").write_text("")
    for place, words in {
        "": "from the root",
        "session": "not written from the root",
        str(tmp_path / "there"): "is a project already",
        str(tmp_path / "file"): "is a file",
        str(tmp_path / "file" / "x"): "may be written",
        "/x\0y": "from the root",
    }.items():
        assert words in folder_fault(place)
        wire.set(wizard.place, value=place)
        assert words in html(wizard._ending) and wizard.start.disabled
    assert folder_fault(str(tmp_path / "a" / "b")) == "" and not (tmp_path / "a").exists()


def test_start_makes_what_was_asked_for_and_follows_it(wire, wizard, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(Project, "run", lambda self, background: started.append((self.folder, background)))
    monkeypatch.setenv("CRYOWIDGETS_SESSIONS", "1")
    for id, value in {"movies": str(tmp_path / "*.tiff"), "volt": "300", "mode": "movie"}.items():
        wizard.form.fields[id].value = value
    wire.set(wizard.place, value=str(tmp_path / "a & b"))
    wizard.start.click()
    until = time.monotonic() + 30
    while wizard.project is None and time.monotonic() < until:
        time.sleep(0.02)
    assert started == [(tmp_path / "a & b", True)]
    steps = Project(tmp_path / "a & b").steps
    assert steps["movies"].params["voltage"] == 300.0 and steps["maxshift"].params["mode"] == "movie"
    assert f"href='{session_link(tmp_path / 'a & b')}'" in html(wizard) and " " not in session_link(tmp_path / "a & b")
    with Project(tmp_path / "a & b").reader() as reader:
        wizard._live_place.children[0].refresh(reader)
    graph = wizard._live_place.children[0].view.graph
    assert [step["name"] for step in graph.plan["steps"]] == ["movies", "align", "maxshift"]
    wizard.again.click()
    assert wizard.project is None and wizard.graph.plan["steps"] == []


def test_what_goes_wrong_at_the_start_is_said(wire, wizard, tmp_path):
    wire.set(wizard.form.fields["movies"], value="/data/*.tiff")
    place = tmp_path / "late"
    wire.set(wizard.place, value=str(place))
    Project.create(place, template=None)  # somebody else was faster
    wizard.start.click()
    until = time.monotonic() + 30
    while "is a project already" not in html(wizard._ending) and time.monotonic() < until:
        time.sleep(0.02)
    assert wizard.project is None and not wizard.form.fields["movies"].disabled


def test_the_library_shows_what_it_has_takes_and_puts(wire, wizard, site, tmp_path, monkeypatch):
    monkeypatch.setenv(LIBRARY, str(site))
    wire.hear(wizard.tabs, type="tap", name="Library")
    library = wizard.library
    wire.hear(library.cards, type="tap", id="library/facility/ours")
    shown = html(library)
    assert "<th>movies</th><td>voltage</td><td><i>asked: Voltage, else 200</i> kV</td>" in shown
    assert [step["name"] for step in library.graph.plan["steps"]] == ["movies", "align", "maxshift"]
    project = Project.create(
        tmp_path / "p", template="live", movies=str(tmp_path / "*.tiff"), settings={"ctf": {"box": 768}}
    )
    library.put.project.value, library.put.name.value = str(tmp_path / "nothing"), "monday"
    library.put.button.click()
    assert "is not a project" in html(library.put)
    library.put.project.value, library.put.category.value = str(project.folder), "k3"
    library.put.button.click()
    assert (site / "k3" / "monday.json").is_file() and "monday.json" in html(library.put)
    wire.hear(library.cards, type="tap", id="library/k3/monday")
    assert "<th>ctf</th><td>box</td><td>768 px</td>" in html(library)
    library.take.click()
    assert wizard.tabs.shown == "New session" and wizard.template.name == "monday"
    assert wizard.form.questions["movies"].default is None


def test_where_no_library_is_named_the_page_says_how_to_have_one(wire, wizard, monkeypatch):
    monkeypatch.delenv(LIBRARY, raising=False)
    wire.hear(wizard.tabs, type="tap", name="Library")
    assert LIBRARY in html(wizard.library.put) and wizard.library.put.button.description
    assert wizard.library.put.project.layout.display == "none"


def test_cards_are_sent_once(wire):
    cards = Cards(lambda id: None, "Template")
    cards.fill([Card("a", "A"), Card("b", "B", fault="no")])
    wire.clear()
    cards.fill([Card("a", "A"), Card("b", "B", fault="no")])
    assert len(wire) == 0
