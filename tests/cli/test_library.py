"""The library from the command line."""

from __future__ import annotations

from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.cli.library import describe, graph
from cryowidgets.project import Project
from cryowidgets.workflow import Inert, StepSpec, Template, Workflow, library


def call(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def test_a_workflow_is_taken_changed_put_and_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(library.LIBRARY, raising=False)
    (tmp_path / "shelf").mkdir()
    assert call("library", "take", "live").strip() == str(tmp_path / "live.json")
    assert "is there already" in call("library", "take", "live", code=3)
    put = ["library", "put", "live.json", "--name", "ours", "--category", "spa", "--library", "shelf"]
    assert call(*put).strip() == str(tmp_path / "shelf" / "spa" / "ours.json")
    assert "is there already" in call(*put, code=3)
    call(*put, "--replace")
    monkeypatch.setenv(library.LIBRARY, "shelf")
    assert "spa ours library Live preview:" in " ".join(call("library", "list").split())
    text = call("library", "show", "ours")
    assert "└─ align (AlignMovie)" in text
    assert "movies Movies string must be answered" in " ".join(text.split())
    assert "There is no template or file 'our'" in call("library", "show", "our", code=3)


def test_the_workflow_of_a_project_is_put(tmp_path):
    (tmp_path / "shelf").mkdir()
    Project.create(tmp_path / "s1", movies="/data/*.tiff", settings={"ctf": {"box": 768}})
    call("library", "put", str(tmp_path / "s1"), "--name", "monday", "--library", str(tmp_path / "shelf"))
    text = " ".join(call("library", "show", "monday", "--library", str(tmp_path / "shelf")).split())
    assert "ctf box 768" in text and "/data" not in text


def test_steps_are_drawn_as_a_tree():
    workflow = Workflow(
        "w",
        "what for",
        (
            StepSpec("movies", "ImportMovies"),
            StepSpec("align", "AlignMovie", {"binning": 2.0}, {"movie": "movies"}),
            StepSpec("ctf", "EstimateCtf", {}, {"micrograph": "align"}, hold=True),
            StepSpec("gain", "EstimateGain", {}, {"movie": "movies"}, after=("align",)),
            StepSpec("quality", "ScoreExposure", {}, {"micrograph": "align", "ctf": "ctf"}),
        ),
        (Inert("model", "scipion:Ransac"),),
        simulate={},
    )
    assert graph(workflow) == [
        "a simulated microscope",
        "movies (ImportMovies)",
        "└─ align (AlignMovie)",
        "   └─ ctf (EstimateCtf): held until released",
        "      └─ quality (ScoreExposure): with align",
        "   └─ gain (EstimateGain): with movies, after align",
        "model: kept, cannot be run here (scipion:Ransac)",
    ]
    assert "align  binning    2.0" in describe(Template.of(workflow))
