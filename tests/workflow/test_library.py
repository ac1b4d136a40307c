"""The library: what is put in comes out as it was, whole or not at all, and nothing is replaced unasked."""

from __future__ import annotations

import pytest

from cryowidgets.errors import InputError, ParameterError, WorkflowError
from cryowidgets.project import Project
from cryowidgets.workflow import StepSpec, Workflow, library, templates

GATE = Workflow(
    "gate",
    "motion and a gate",
    (
        StepSpec("movies", "ImportMovies", {"timeout": 3600.0}),
        StepSpec("align", "AlignMovie", {"binning": 2.0}, {"movie": "movies"}),
        StepSpec("gate", "MaxShift", {"mode": "and"}, {"micrograph": "align"}, label="Gate", after=("movies",)),
    ),
    category="motion",
)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.delenv(library.LIBRARY, raising=False)
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def test_what_is_put_in_is_found_and_taken_as_it_was(shelf, tmp_path, monkeypatch):
    path = library.put(GATE, folder=shelf)
    assert path == shelf / "motion" / "gate.json"
    found = library.get("gate", shelf)
    assert (found.source, found.category, found.workflow.steps) == ("library", "motion", GATE.steps)
    assert library.get("motion/gate", shelf) == found
    copied = library.take("gate", tmp_path, shelf)
    assert copied == tmp_path / "gate.json" and copied.read_bytes() == path.read_bytes()
    assert library.take("gate", tmp_path / "mine.json", shelf).read_bytes() == path.read_bytes()
    monkeypatch.setenv(library.LIBRARY, str(shelf))
    assert library.get("gate") == found
    assert {template.source for template in library.find()} == {"package", "library"}
    again = library.put(copied, "again", "a/b")
    assert again == shelf / "a" / "b" / "again.json"
    assert library.get("a/b/again").workflow.steps == GATE.steps
    assert sorted(p.name for p in shelf.rglob("*") if p.is_file()) == ["again.json", "gate.json"]


def test_nothing_is_replaced_unless_told(shelf, tmp_path):
    path = library.put(GATE, folder=shelf)
    before = path.read_bytes()
    other = Workflow("gate", "another one", GATE.steps, category="motion")
    with pytest.raises(WorkflowError, match="gate.json is there already: choose another name, or say"):
        library.put(other, folder=shelf)
    assert path.read_bytes() == before
    library.put(other, folder=shelf, overwrite=True)
    assert library.get("gate", shelf).description == "another one"
    library.take("gate", tmp_path, shelf)
    with pytest.raises(WorkflowError, match="is there already"):
        library.take("gate", tmp_path, shelf)
    library.take("gate", tmp_path, shelf, overwrite=True)


def test_what_has_faults_is_not_put_in(shelf, tmp_path):
    bad = Workflow("bad", "", (StepSpec("align", "AlignMovie", {"binnin": 1}, {"movie": "movies"}),))
    with pytest.raises(WorkflowError, match="bad cannot be put into the library:\n- .*'binnin'(.|\n)*'movies'"):
        library.put(bad, folder=shelf)
    (tmp_path / "bad.json").write_text('{"version": 2,}')
    with pytest.raises(WorkflowError, match="bad.json cannot be used: line 1"):
        library.put(tmp_path / "bad.json", folder=shelf)
    for name, category in (("../x", ""), ("", "../x"), ("a b", ""), ("x", "a//b"), (".x", "")):
        with pytest.raises(ParameterError, match="for a workflow: write letters"):
            library.put(GATE, name, category, folder=shelf)
    assert list(shelf.iterdir()) == []


def test_a_library_that_is_not_there_or_ours_is_said_so(shelf, tmp_path):
    with pytest.raises(InputError, match="nowhere is not there: make the folder"):
        library.find(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="CRYOWIDGETS_LIBRARY or --library"):
        library.put(GATE)
    with pytest.raises(WorkflowError, match="no template or file 'gat'"):
        library.get("gat", shelf)


def test_the_workflow_of_a_session_asks_for_what_belongs_to_the_session(shelf, tmp_path):
    (tmp_path / "gain.mrc").touch()
    session = Project.create(
        tmp_path / "s1",
        movies=str(tmp_path / "*.tiff"),
        gain=str(tmp_path / "gain.mrc"),
        pixel_size=0.83,
        settings={"ctf": {"box": 768}, "movies": {"timeout": "1h"}},
    )
    library.put(session.document(), "monday", folder=shelf)
    found = library.get("monday", shelf)
    assert {q.id: q.default for q in found.questions} == {
        "movies": None,
        "pixel_size": "0.83",
        "volt": "0.0",
        "dose": "0.0",
        "gain": "",
    }
    steps = {step.name: step.params for step in found.workflow.steps}
    assert steps == {"movies": {"timeout": 3600.0}, "align": {}, "maxshift": {}, "ctf": {"box": 768}, "quality": {}}
    again = Project.create(tmp_path / "s2", template=found.workflow, movies="/data/*.tiff")
    assert again.steps["ctf"].params == session.steps["ctf"].params
    assert again.steps["movies"].params["pixel_size"] == 0.83
    assert again.steps["movies"].params["gain"] == ""


def test_the_workflow_of_a_simulated_session_keeps_its_microscope_alone(shelf, tmp_path):
    session = Project.create(tmp_path / "s1", template="demo", answers={"volt": "200", "size": "64"})
    library.put(session.document(), "mine", folder=shelf)
    workflow = library.get("mine", shelf).workflow
    assert workflow.simulate["voltage"] == 200
    assert workflow.steps[0].params == {"file_timeout": 10.0, "timeout": 120.0}
    assert templates.parse(workflow.to_json()) == (workflow, [])
