"""Templates are found where they should be, ask typed questions, and what is broken harms nothing else."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets import workflow
from cryowidgets.errors import WorkflowError
from cryowidgets.project import Project
from cryowidgets.protocols import registry
from cryowidgets.workflow import Inert, Question, StepSpec, Workflow, templates

ASKING = Workflow(
    "mine",
    "asks for all kinds of things",
    (
        StepSpec("movies", "ImportMovies", {"cs": 1.4}),
        StepSpec("align", "AlignMovie", {}, {"movie": "movies"}),
        StepSpec("ctf", "EstimateCtf", {}, {"micrograph": "align"}),
    ),
    (Inert("model", "scipion:Something", {}, {"movies": "movies"}),),
    (
        Question("movies", "Movies", None, targets=(("movies", "pattern"),)),
        Question("volt", "Voltage", "300", targets=(("movies", "voltage"),)),
        Question("gain", "Gain", "", targets=(("movies", "gain"),)),
        Question("rotate", "Rotation of the gain", "auto", targets=(("movies", "gain_rotation"),)),
        Question("flip", "Flip of the gain", "none", targets=(("movies", "gain_flip"),)),
        Question("end", "End", "12h", targets=(("movies", "timeout"),)),
        Question("halves", "Halves", "false", targets=(("align", "halves"),)),
        Question("res", "Best resolution", "4", targets=(("align", "resolution"), ("ctf", "resolution_max"))),
        Question("count", "Count", "3", "integer", (("model", "count"),)),
        Question("mask", "Mask", "", "file", (("model", "mask"),)),
    ),
)


@pytest.fixture
def asking(tmp_path) -> templates.Template:
    file = tmp_path / "mine.json"
    file.write_text(ASKING.to_json())
    return templates.get(file)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders of nobody: a home and a site of this test alone."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv(templates.SITE, os.pathsep.join([str(tmp_path / "site"), str(tmp_path / "none"), ""]))
    monkeypatch.chdir(tmp_path)

    def write(where: str, name: str, description: str, text: str | None = None) -> None:
        folder = {"user": "config/cryowidgets/templates", "project": "p/templates"}.get(where, where)
        file = tmp_path / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        document = Workflow(name, description, (StepSpec("movies", "ImportMovies"),))
        file.write_text(document.to_json() if text is None else text)

    return write


def test_every_shipped_document_reads_and_comes_back_as_it_was_written():
    found = templates.find([("package", templates.PACKAGE)])
    assert {"live", "demo"} <= {template.name for template in found}
    for template in found:
        assert template.fault == ""
        assert template.workflow.name == template.name
        assert template.category, "say where it belongs"
        again, faults = templates.parse(template.workflow.to_json())
        assert (again, faults) == (template.workflow, [])
        assert all(question.label != question.id for question in template.questions)
        needs = template.description.partition("Needs ")[2]
        assert needs, "say which other programs it needs"
        for step in template.workflow.steps:
            program = getattr(registry.get(step.protocol), "program", "")
            assert program in needs, f"{template.name} needs {program} for {step.name}"


def test_a_project_is_made_of_every_shipped_document_with_nothing_but_movies(tmp_path):
    for template in templates.find([("package", templates.PACKAGE)]):
        p = Project.create(tmp_path / template.name, template=template.workflow, movies="/data/*.tiff")
        assert {(s.name, s.protocol, tuple(s.inputs.items())) for s in p.document().steps} == {
            (s.name, s.protocol, tuple(sorted(s.inputs.items()))) for s in template.workflow.steps
        }


def test_type_unit_and_help_come_from_the_parameter(asking):
    asked = {question.id: question for question in asking.questions}
    assert {id: question.type for id, question in asked.items()} == {
        "movies": "string",
        "volt": "decimal",
        "gain": "file",
        "rotate": "string",
        "flip": "string",
        "end": "string",
        "halves": "boolean",
        "res": "decimal",
        "count": "integer",
        "mask": "file",
    }
    assert (asked["volt"].unit, asked["res"].unit) == ("kV", "Å")
    assert asked["volt"].help.startswith("Acceleration voltage")
    assert asked["flip"].choices[0] == "none"


def test_answers_go_to_every_parameter_they_are_for(asking, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gain.mrc").touch()
    answers = {
        "movies": "raw/*.tiff",
        "gain": "gain.mrc",
        "rotate": "90",
        "flip": "up-down",
        "res": "3.5",
        "halves": "TRUE",
    }
    filled = asking.fill({**answers, "end": "1h 30m", "count": "-7"})
    steps = {step.name: step.params for step in filled.steps}
    assert steps["movies"] == {
        "cs": 1.4,
        "pattern": str(tmp_path / "raw/*.tiff"),
        "voltage": 300.0,
        "gain": str(tmp_path / "gain.mrc"),
        "gain_rotation": 90,
        "gain_flip": "up-down",
        "timeout": 5400.0,
    }
    assert (steps["align"], steps["ctf"]) == ({"halves": True, "resolution": 3.5}, {"resolution_max": 3.5})
    assert filled.inert[0].params == {"count": -7, "mask": ""}
    assert filled.questions == ()
    assert templates.parse(filled.to_json()) == (filled, [])


@pytest.mark.parametrize(
    ("answers", "fields"),
    [
        ({}, {"movies": "Movies must be answered: write a text."}),
        ({"movies": "/tmp"}, {"movies": "ImportMovies.pattern '/tmp' is a folder: say which files in it"}),
        ({"volt": "three"}, {"volt": "Voltage does not take 'three': write a number in kV."}),
        ({"volt": "nan"}, {"volt": "Voltage does not take 'nan': write a number in kV."}),
        ({"volt": "-1"}, {"volt": "ImportMovies.voltage does not take -1.0: write a float from 0 to 3000 kV"}),
        ({"volt": " "}, {"volt": "Voltage is empty: write a number in kV."}),
        ({"gain": "no.mrc"}, {"gain": "Gain 'no.mrc' does not exist: write the path of a file that does."}),
        ({"flip": "z"}, {"flip": "Flip of the gain does not take 'z': write one of 'none'"}),
        ({"flip": "up-down"}, {"flip": "ImportMovies.gain_flip 'up-down' goes with a gain_rotation that is told"}),
        ({"end": "soon"}, {"end": "ImportMovies.timeout does not take 'soon'"}),
        ({"halves": "yes"}, {"halves": "Halves does not take 'yes': write true or false."}),
        ({"count": "1.5"}, {"count": "Count does not take '1.5': write a whole number."}),
        ({"volts": "1"}, {"volts": "There is no question 'volts'; did you mean 'volt'? It asks for movies, volt,"}),
        (
            {"volt": "x", "res": "y", "count": "z"},
            {"volt": "Voltage does", "res": "Best resolution does", "count": "Count does"},
        ),
    ],
)
def test_each_wrong_answer_has_its_sentence(asking, answers, fields):
    if fields.keys() != {"movies"}:
        answers = {"movies": "/data/*.tiff", **answers}
    told = asking.check(answers)
    assert told.keys() == fields.keys()
    for id, sentence in fields.items():
        assert told[id].startswith(sentence), told[id]
    with pytest.raises(WorkflowError) as refused:
        asking.fill(answers)
    assert all(f"- {id}: {sentence}" in str(refused.value) for id, sentence in fields.items())


def test_defaults_are_checked_like_answers(tmp_path):
    file = tmp_path / "w.json"
    steps = [
        {"name": "movies", "protocol": "ImportMovies", "params": {"gain": {"ask": "g", "default": "/no/gain.mrc"}}}
    ]
    file.write_text(json.dumps({"version": 2, "name": "w", "steps": steps}))
    assert templates.get(file).check({}) == {
        "g": "g '/no/gain.mrc' does not exist: write the path of a file that does."
    }


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([q.id for q in ASKING.questions]), st.text(max_size=12), max_size=6))
def test_any_answers_fill_it_or_are_refused_by_field(answers):
    read, faults = templates.parse(ASKING.to_json())
    assert not faults
    template = templates.Template.of(read)
    told = template.check(answers)
    assert told.keys() <= {question.id for question in template.questions}
    if told:
        with pytest.raises(WorkflowError):
            template.fill(answers)
    else:
        assert workflow.check(template.fill(answers).steps, read.inert) == []


def test_templates_are_found_in_all_places_and_the_nearest_wins(place, tmp_path):
    place("site", "monday.json", "of the site")
    place("site", "spa/tuesday.json", "in a category")
    place("user", "monday.json", "of the user")
    place("project", "monday.json", "of the project")
    place("user", "live.json", "another one")
    found = {(t.source, t.category, t.name) for t in templates.find(templates.folders(tmp_path / "p"))}
    assert found >= {
        ("package", "live", "live"),
        ("site", "", "monday"),
        ("site", "spa", "tuesday"),
        ("user", "", "monday"),
        ("project", "", "monday"),
        ("user", "", "live"),
    }
    assert templates.get("monday").description == "of the user"
    assert templates.get("site/monday").description == "of the site"
    assert templates.get("spa/tuesday").description == "in a category"
    assert templates.get("live").description == "another one"
    assert templates.get("package/live").description.startswith("Live preview")
    assert templates.get("monday", templates.folders(tmp_path / "p")).description == "of the project"
    with pytest.raises(
        WorkflowError, match="no template or file 'tusday'; did you mean 'tuesday'\\? Templates: .*monday"
    ):
        templates.get("tusday")


def test_a_broken_file_is_listed_with_its_sentence_and_harms_nothing(place, tmp_path):
    place("site", "good.json", "of the site")
    place("site", "broken.json", "", '{"version": 2,\n "name": }')
    place("site", "list.json", "", "[1, 2]")
    (tmp_path / "site" / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "site" / "notes.txt").write_text("no template")
    found = {template.name: template for template in templates.find() if template.source == "site"}
    assert found.keys() == {"good", "broken", "list", "gone"}
    assert found["good"].fault == ""
    assert "broken.json cannot be used: line 2, column 10: it is not JSON" in found["broken"].fault
    assert "this is a list" in found["list"].fault
    assert "gone.json cannot be read: No such file" in found["gone"].fault
    with pytest.raises(WorkflowError, match="broken.json cannot be used: line 2"):
        templates.get("broken")
    assert found["broken"].check({}) == {"": found["broken"].fault}


def test_a_project_takes_answers_or_values_and_gives_its_workflow_back(asking, tmp_path):
    kept = {"description": "asks for all kinds of things", "inert": (Inert("model", "scipion:Something"),)}
    mine = Workflow("mine", kept["description"], asking.workflow.steps, kept["inert"], asking.questions[:9], "spa")
    with pytest.raises(WorkflowError, match="mine cannot be filled:\n- movies: Movies must be answered"):
        Project.create(tmp_path / "p", template=mine)
    assert not (tmp_path / "p").exists()
    p = Project.create(tmp_path / "p", template=mine, movies="/data/*.tiff", voltage=200, answers={"res": "5"})
    document = p.document()
    params = {step.name: step.params for step in document.steps}
    assert params["movies"]["pattern"] == "/data/*.tiff"
    assert (params["movies"]["voltage"], params["movies"]["cs"], params["ctf"]["resolution_max"]) == (200, 1.4, 5)
    assert (document.name, document.category, document.description) == ("mine", "spa", kept["description"])
    assert document.inert == (Inert("model", "scipion:Something", {"count": 3}),)
    assert templates.parse(document.to_json()) == (document, [])
    again = Project.create(tmp_path / "q", template=document)
    assert again.document() == document


def test_a_document_that_simulates_gives_the_project_a_microscope_of_its_own(tmp_path):
    p = Project.create(tmp_path / "p", template="demo", answers={"volt": "200", "movies": "1", "size": "64"})
    movies = p.steps["movies"].params
    assert movies["voltage"] == 200
    assert movies["pattern"].startswith(str(tmp_path / "p" / "microscope"))
    recording = p.simulate()
    assert recording.wait(60) == 0
    assert len(list((tmp_path / "p" / "microscope").rglob("*_fractions.tiff"))) == 1
    truth = json.loads((tmp_path / "p" / "microscope" / "truth.json").read_text())
    assert truth["session"]["optics"]["voltage"] == 200
    assert truth["session"]["recipe"]["shape"] == [64, 64]
    real = Project.create(tmp_path / "q", template="demo", movies="/data/*.tiff")
    assert real.simulate() is None
