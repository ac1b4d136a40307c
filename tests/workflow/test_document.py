"""Workflows as data: every fault is named, and named before anything runs."""

from __future__ import annotations

import json

import pytest

from cryowidgets import workflow
from cryowidgets.errors import ParameterError, ProjectError, WorkflowError
from cryowidgets.project import Project
from cryowidgets.workflow import Inert, Question, StepSpec, Workflow


def test_all_that_a_document_can_hold_comes_back_as_it_was_written(tmp_path):
    whole = Workflow(
        "w",
        "what it is for",
        (
            StepSpec("movies", "ImportMovies", {"cs": 1.4}, label="Movies", comment="as of EPU"),
            StepSpec("align", "AlignMovie", {}, {"movie": "movies"}, hold=True),
            StepSpec("ctf", "EstimateCtf", {}, {"micrograph": "align"}, after=("align", "movies")),
        ),
        (Inert("gain", "scipion:XmippProtMovieGain", {"frameStep": 5}, {"movie": "movies"}, "Gain"),),
        (
            Question("volt", "Voltage", "300", "decimal", (("movies", "voltage"),), "of the gun", "kV"),
            Question("box", "Box", None, "integer", (("ctf", "box"), ("gain", "box")), "side", "px"),
        ),
        "live",
        {"movies": 3},
    )
    file = tmp_path / "w.json"
    file.write_text(whole.to_json())
    assert workflow.read(file) == whole
    assert workflow.ordered(whole.steps[::-1]) == list(whole.steps)


def test_documents_of_the_first_version_are_read(tmp_path):
    file = tmp_path / "w.json"
    file.write_text(
        '{"version": 1, "name": "w", "steps": [{"name": "movies", "protocol": "ImportMovies", "params": {"cs": 2}}]}'
    )
    assert workflow.read(file) == Workflow("w", "", (StepSpec("movies", "ImportMovies", {"cs": 2}),))


def test_all_faults_are_named_at_once(tmp_path):
    steps = [
        {"name": "movies", "protocol": "ImportMovies"},
        {"name": "align", "protocol": "AlignMovie", "inputs": {"movie": "moovies"}},
        {"name": "ctf", "protocol": "EstimateCtf", "inputs": {"micrograph": "movies"}, "params": {"bocks": 3}},
        {"name": "gate", "protocol": "MaxShift", "inputs": {"mic": "align"}},
        {"name": "loop", "protocol": "MaxShift", "inputs": {"micrograph": "loop"}},
        {"name": "odd name", "protocol": "Nothing"},
        {"name": "movies", "protocol": "ImportMovies"},
    ]
    file = tmp_path / "w.json"
    file.write_text(json.dumps({"version": 1, "name": "w", "steps": steps}))
    with pytest.raises(WorkflowError) as refused:
        workflow.read(file)
    for sentence in (
        "step 'align' takes 'movie' from 'moovies', which is not a step",
        "EstimateCtf has no parameter 'bocks'",
        "step 'gate' has no input 'mic'; it has micrograph",
        "step 'gate' lacks its input 'micrograph', a Micrograph; steps that fit: align, loop",
        "step 'loop' depends on itself",
        "step 'odd name': a name is made of letters",
        "No protocol 'Nothing' is installed",
        "step 'movies' is there more than once",
    ):
        assert sentence in str(refused.value)


def test_kinds_must_fit():
    steps = [
        StepSpec("movies", "ImportMovies"),
        StepSpec("ctf", "EstimateCtf", inputs={"micrograph": "movies"}),
    ]
    assert workflow.check(steps) == ["step 'ctf' takes a Micrograph as 'micrograph', but 'movies' gives a Movie"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 9, "name": "x", "steps": []}', '{"version": 1, "steps": [{}]}']
)
def test_what_is_not_a_workflow_is_refused_by_name(tmp_path, text):
    file = tmp_path / "w.json"
    file.write_text(text)
    with pytest.raises(WorkflowError, match="w.json"):
        workflow.read(file)
    with pytest.raises(WorkflowError, match="Templates: .*live"):
        workflow.read("no_such")


def test_a_project_is_made_of_a_template_with_values_for_any_step(tmp_path):
    p = Project.create(
        tmp_path / "p",
        name="grid 3",
        movies=str(tmp_path / "*.tiff"),
        pixel_size=0.85,
        settings={"maxshift": {"max_movie_shift": 30}},
    )
    assert list(p.steps) == ["movies", "align", "maxshift", "ctf", "quality"]
    assert p.steps["movies"].params["pixel_size"] == 0.85
    assert p.steps["maxshift"].params["max_movie_shift"] == 30
    assert p.steps["ctf"].state == "saved"
    with p.reader() as reader:
        assert reader.steps()["ctf"].inputs == {"micrograph": "maxshift"}
        assert reader.session().name == "grid 3"


def test_nothing_is_written_for_a_project_that_is_refused(tmp_path):
    for error, sentence, values in [
        (ParameterError, "no parameter 'pixelsize'. Did you mean 'pixel_size'", {"pixelsize": 1}),
        (ParameterError, "no step 'alin'", {"settings": {"alin": {}}}),
        (ParameterError, "gain.*does not exist", {"gain": str(tmp_path / "no.mrc")}),
        (WorkflowError, "no template or file 'nope'", {"template": "nope"}),
    ]:
        with pytest.raises(error, match=sentence):
            Project.create(tmp_path / "p", movies=str(tmp_path / "*.mrc"), **values)
        assert not (tmp_path / "p").exists()
    with pytest.raises(ProjectError, match="is not a project"):
        Project(tmp_path)


def test_steps_are_added_with_links_by_name_plural_or_step(tmp_path):
    p = Project.create(tmp_path / "p", template=None, movies=str(tmp_path / "*.mrc"))
    w = p.workflow
    align = w.add("AlignMovie", movies=w.movies)
    w.add("EstimateCtf", name="ctf", micrograph=align)
    assert list(p.steps) == ["movies", "alignmovie", "ctf"]
    with pytest.raises(WorkflowError, match="lacks its input 'micrograph'.*steps that fit: alignmovie"):
        w.add("MaxShift")
    with pytest.raises(WorkflowError, match="more than once"):
        w.add("EstimateCtf", name="ctf", micrograph="alignmovie")
