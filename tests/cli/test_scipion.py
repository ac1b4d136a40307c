"""Workflows from Scipion and for Scipion at the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cryowidgets import workflow
from cryowidgets.cli import main
from cryowidgets.project import Project


def run(*args: object) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["scipion", *map(str, args)])
    return found.exit_code, found.output


@pytest.fixture
def exported(tmp_path):
    """A list as Scipion exports it, with one protocol that we do not have."""
    importing = {"filesPath": str(tmp_path), "filesPattern": "*.mrc", "samplingRate": 1.1, "voltage": 200.0}
    content = [
        {"object.className": "ProtImportMovies", "object.id": "2", "object.label": "movies", **importing},
        {
            "object.className": "XmippProtFlexAlign",
            "object.id": "3",
            "object.label": "flex",
            "inputMovies": "2.outputMovies",
        },
        {"object.className": "EmanProtBoxing", "object.id": "4", "object.label": "boxer", "inputMicrographs": "3.x"},
    ]
    file = tmp_path / "exported.json"
    file.write_text(json.dumps(content))
    return file


def test_import_says_what_became_of_each_and_writes_a_document(exported, tmp_path):
    code, output = run("import", exported, "-o", tmp_path / "ours.json")
    assert code == 0
    assert "exported: 2 steps, 1 kept but not run" in output
    assert "flex  AlignMovie  movie ← movies" in output
    assert "boxer  (scipion:EmanProtBoxing)  inputMicrographs ← flex" in output
    assert "EmanProtBoxing is kept but not run: EmanProtBoxing has no counterpart here." in output
    document = workflow.read(tmp_path / "ours.json")
    assert [step.name for step in document.steps] == ["movies", "flex"]
    assert [part.name for part in document.inert] == ["boxer"]
    code, output = run("import", exported, "-o", tmp_path / "ours.json")
    assert code == 2 and "is there already" in output
    assert run("import", exported, "-o", tmp_path / "ours.json", "--replace")[0] == 0


def test_a_session_is_made_of_a_list_and_handed_back(exported, tmp_path):
    project = Project.create(tmp_path / "s1", template=exported)
    assert list(project.steps) == ["movies", "flex"]
    assert [part.name for part in project.document().inert] == ["boxer"]
    code, _ = run("export", tmp_path / "s1", "-o", tmp_path / "back.json")
    assert code == 0
    content = json.loads((tmp_path / "back.json").read_text())
    assert [part["object.className"] for part in content] == ["ProtImportMovies", "ProtMotionCorr", "EmanProtBoxing"]
    assert content[0]["voltage"] == 200
    again = workflow.read(tmp_path / "back.json")
    assert [(s.name, s.protocol, s.inputs) for s in again.steps] == [
        ("movies", "ImportMovies", {}),
        ("flex", "AlignMovie", {"movie": "movies"}),
    ]


def test_export_names_what_scipion_lacks():
    code, output = run("export", "live")
    assert code == 0
    assert "quality is left out: Scipion has nothing like ScoreExposure." in output
    assert '"object.className": "ProtImportMovies"' in output


@pytest.mark.parametrize(
    ("args", "sentence"), [(("import", "no.json"), "cannot be read"), (("export", "nothing"), "nothing")]
)
def test_what_is_not_there_is_said(args, sentence):
    code, output = run(*args)
    assert code == 3 and sentence in output


def test_the_table_names_classes_and_parameters():
    code, output = run("table")
    assert code == 0
    assert "| XmippProtMovieMaxShift | MaxShift | rejType → mode; maxFrameShift → max_frame_shift" in output
    assert "| ProtMonitorSummary | – |" in output
