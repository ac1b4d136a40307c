"""Sets of parameters: what a list says, which projects become of it, and what is not computed again."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.errors import CryowidgetsError, InputError, ParameterError, ProjectError
from cryowidgets.io import mrc
from cryowidgets.project import Project, sets
from cryowidgets.project.batch import share
from cryowidgets.project.variant import variant
from cryowidgets.sim import microscope

CSV = "name,align.binning,ctf.box\nfine,,768\ncoarse,2,512\n"
YAML = "- name: fine\n  ctf.box: 768\n- name: coarse\n  align: {binning: 2}\n  ctf: {box: 512}\n"


def test_a_table_and_a_document_say_the_same(tmp_path):
    (tmp_path / "s.csv").write_text(CSV)
    (tmp_path / "s.yaml").write_text(YAML)
    rows, document = sets.read(tmp_path / "s.csv"), sets.read(tmp_path / "s.yaml")
    assert rows == {"fine": {"ctf": {"box": "768"}}, "coarse": {"align": {"binning": "2"}, "ctf": {"box": "512"}}}
    assert {n: {s: {k: str(v) for k, v in p.items()} for s, p in one.items()} for n, one in document.items()} == rows


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("s.csv", "set,ctf.box\na,1\n", "no column 'name'"),
        ("s.csv", "name,ctf.box\na\n", "line 2: it has not as many values"),
        ("s.csv", "name,ctf.box\n../a,1\n", "line 2: '../a' is no name"),
        ("s.csv", "name,ctf.box\na,1\na,2\n", "line 3: there is a set 'a' already"),
        ("s.csv", "name,box\na,1\n", "line 2: 'box' is not step.parameter"),
        ("s.csv", "name\n", "has no sets"),
        ("s.yaml", "just words", "is not a list of sets"),
        ("s.yaml", "- {name: [", "is not YAML"),
    ],
)
def test_a_list_that_cannot_be_read_says_where(tmp_path, file, text, says):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError) as error:
        sets.read(tmp_path / file)
    assert says in str(error.value)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A session of two movies, processed."""
    folder = tmp_path_factory.mktemp("sets")
    scope = microscope.run(folder / "m", movies=2, size=256, frames=6)
    project = Project.create(folder / "s1", movies=scope.pattern, gain=str(scope.gain), timeout="0.1s", **scope.optics)
    assert Engine(project.folder, "inline").run().finished
    return project


def results(project: Project, step: str) -> dict:
    with project.reader() as reader:
        return reader.rows(step)


def test_a_variant_computes_only_what_its_parameters_touch(source, tmp_path):
    made = variant(source, tmp_path / "v", {"ctf": {"box": "256"}})
    assert made.steps["ctf"].params["box"] == 256
    for step, left in {"align": 2, "maxshift": 2, "ctf": 0, "quality": 0}.items():
        assert len(results(made, step)["id"]) == left, step
    (name,) = results(source, "align")["path"][:1]
    assert os.path.samefile(made.folder / name, source.folder / name)
    assert not os.path.exists(made.folder / results(source, "ctf")["spectrum"][0])
    tasks = {task.step for exposure in (1, 2) for task in source_tasks(made, exposure)}
    assert Engine(made.folder, "inline").run().finished
    again = {step: results(made, step) for step in ("align", "ctf", "quality")}
    np.testing.assert_array_equal(again["align"]["time"], results(source, "align")["time"])
    assert (again["ctf"]["time"] > results(source, "ctf")["time"]).all()
    assert len(again["quality"]["id"]) == 2
    assert "align" in tasks
    shutil.rmtree(made.folder)
    assert (source.folder / name).exists(), "either may be deleted"


def source_tasks(project: Project, exposure: int) -> list:
    with project.reader() as reader:
        return reader.exposure(exposure).tasks


def test_the_same_values_touch_nothing_and_other_optics_everything(source, tmp_path):
    same = variant(source, tmp_path / "same", {"ctf": {"box": source.steps["ctf"].params["box"]}})
    assert len(results(same, "quality")["id"]) == 2
    other = variant(source, tmp_path / "other", {"movies": {"voltage": 200}})
    with other.reader() as reader:
        assert reader.session().found == 0
        assert reader.steps()["movies"].params["pattern"] == source.steps["movies"].params["pattern"]


def test_projects_of_sets_go_on_where_they_were_and_refuse_other_values(source, tmp_path):
    wanted = {"a": {"ctf": {"box": "256"}}, "b": {"ctf": {"resolution_max": 5}}}
    made = sets.make(wanted, tmp_path, source, common={"ctf": {"astigmatism_max": "2000"}})
    assert [p.folder.name for p in made] == ["a", "b"]
    assert [p.steps["ctf"].params["astigmatism_max"] for p in made] == [2000, 2000]
    assert [p.folder for p in sets.make(wanted, tmp_path, source)] == [p.folder for p in made]
    with pytest.raises(ProjectError, match=r"ctf\.box = 256 instead of 512"):
        sets.make({"a": {"ctf": {"box": "512"}}}, tmp_path, source)
    for wrong in ({"c": {"ctf": {"boxx": 1}}}, {"c": {"cft": {"box": 256}}}):
        with pytest.raises(ParameterError):
            sets.make(wrong, tmp_path, source)
    assert not (tmp_path / "c").exists()


def test_sets_of_a_template_are_projects_of_their_own(tmp_path):
    mrc.write(tmp_path / "a.mrc", np.ones((2, 8, 8), np.int8), 1.0)
    wanted = {"p": {"align": {"binning": 2}}, "q": {}}
    common = {"movies": {"pixel_size": 0.8}}
    made = sets.make(wanted, tmp_path / "out", None, "live", str(tmp_path / "*.mrc"), common)
    assert [p.steps["align"].params["binning"] for p in made] == [2, 1]
    assert {p.steps["movies"].params["pixel_size"] for p in made} == {0.8}


def test_engines_never_get_more_cores_than_there_are(monkeypatch):
    monkeypatch.setenv("CRYOWIDGETS_CORES", "8")
    assert share(3) == 2
    assert share(2, workers=4) == 4
    with pytest.raises(CryowidgetsError, match="take 9 cores, and there are 8"):
        share(3, workers=3)
