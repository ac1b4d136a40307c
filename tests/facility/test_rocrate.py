"""A session as a crate: what it holds is what was done, and the notebook in it does all of it again."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import papermill
import pytest
import starfile
from papermill.exceptions import PapermillExecutionError
from rocrate.rocrate import ROCrate
from traitlets.config import Config

from cryowidgets import plugins, workflow
from cryowidgets.errors import ProjectError
from cryowidgets.facility import comparison, processing, rocrate
from cryowidgets.io import star
from cryowidgets.project import Project
from cryowidgets.sim import microscope
from tests.filled import FilledSession

OURS = f"cryowidgets {plugins.our_version()}"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Three movies, one of them with other parameters; one taken out by hand, one let pass a gate by hand."""
    folder = tmp_path_factory.mktemp("session")
    scope = microscope.run(folder / "m", movies=3, size=512, frames=8)
    files = sorted(Path(scope.out).rglob("*_fractions.tiff"))
    for late in files[2:]:
        late.rename(late.with_suffix(".later"))
    settings = {"file_timeout": "0s", **scope.optics}
    made = Project.create(folder / "p", "grid 7", movies=scope.pattern, gain=str(scope.gain), **settings)
    made.steps["ctf"].set(box=256)
    made.run(executor="inline", until_idle="0.5s")
    for late in files[2:]:
        late.with_suffix(".later").rename(late)
    made.steps["ctf"].set(box=384)
    made.steps["maxshift"].set(max_frame_shift=0.01)
    made.send("reopen")
    made.run(executor="inline", until_idle="0.5s")
    with made.reader() as ledger:
        table = ledger.exposures()
    ids = dict(
        sorted(zip(table["name"], table["id"].tolist(), strict=True))
    )  # in the order in which they were recorded
    states = dict(zip(table["id"].tolist(), table["state"], strict=True))
    first, second, third = ids.values()
    assert [states[id] for id in (first, second, third)] == ["done", "done", "rejected"]
    made.send("reject", exposure=first, why="ice")
    made.send("readmit", exposure=third)
    made.run(executor="inline")
    return made, scope


@pytest.fixture(scope="module")
def crate(session, tmp_path_factory) -> Path:
    made, _ = session
    out = tmp_path_factory.mktemp("crates") / "crate"
    rocrate.export(made.folder, out, made.document(), thumbnails=True)
    return out


def load(crate: Path, name: str):
    return json.loads((crate / name).read_text())


def again(crate: Path, folder: Path, **parameters) -> str:
    """Run the notebook of the crate as papermill does; what it printed."""
    usual = {"crate": str(crate), "project": str(folder / "work"), "until_idle": 0.3, "executor": "inline"}
    papermill.execute_notebook(
        crate / "reproduce.ipynb",
        folder / "again.ipynb",
        parameters={**usual, **parameters},
        progress_bar=False,
        cwd=folder,
        kernel_name="python3",
        config=Config({"KernelManager": {"transport": "ipc"}}),
    )
    cells = json.loads((folder / "again.ipynb").read_text())["cells"]
    texts = [o.get("text", "") for cell in cells for o in cell.get("outputs", [])]
    return "".join(part if isinstance(part, str) else "".join(part) for part in texts)


@pytest.fixture(scope="module")
def repeated(session, crate, tmp_path_factory) -> tuple[Path, str]:
    """The notebook of the crate, run where the movies have gone elsewhere; its folder and what it printed."""
    _, scope = session
    folder = tmp_path_factory.mktemp("again")
    shutil.copytree(scope.out, folder / "raw")
    pattern = str(folder / "raw") + scope.pattern.removeprefix(str(scope.out))
    return folder, again(crate, folder, movies=pattern, gain=str(folder / "raw" / "gain.mrc"))


def test_the_notebook_makes_the_same_star_files_of_the_same_movies(crate, repeated):
    """Whatever the session changed on its way."""
    folder, printed = repeated
    assert "columns are the same to rounding" in printed
    assert "differs" not in printed
    recorded = starfile.read(crate / "star" / "micrographs_ctf.star")["micrographs"].set_index("rlnMicrographName")
    assert len(recorded) == 2  # one was taken out by hand
    seen = []
    for number, run in enumerate(load(crate, "record.json")["runs"], 1):
        made = starfile.read(folder / "work" / f"star-{number}" / "micrographs_ctf.star")["micrographs"]
        for _, row in made.iterrows():
            name = row.pop("rlnMicrographName")
            if Path(name).stem in run["movies"]:
                seen.append(name)
                for column in ("rlnDefocusU", "rlnDefocusV", "rlnAccumMotionTotal", "rlnCtfMaxResolution"):
                    assert row[column] == pytest.approx(recorded.loc[name, column], rel=1e-4), (name, column)
    assert sorted(seen) == sorted(recorded.index)


def test_a_record_that_is_not_true_is_found_out(crate, repeated, tmp_path):
    """In the folder of before, where nothing is to be done again."""
    folder, _ = repeated
    shutil.copytree(crate, tmp_path / "forged")
    file = tmp_path / "forged" / "star" / "corrected_micrographs.star"
    blocks = star.read(file)
    blocks["micrographs"]["rlnAccumMotionTotal"][0] *= 1.05
    star.write(file, blocks)
    with pytest.raises(PapermillExecutionError, match="corrected_micrographs.star: rlnAccumMotionTotal"):
        again(tmp_path / "forged", tmp_path, project=str(folder / "work"))


def test_what_the_crate_holds_is_named_in_it_and_there(crate, session):
    made, _ = session
    read = ROCrate(crate)
    assert read.name == "grid 7"
    files = {entity.id for entity in read.data_entities if "File" in entity.type}
    there = {str(f.relative_to(crate)) for f in crate.rglob("*") if f.is_file()} - {"ro-crate-metadata.json"}
    assert files == there
    assert {"workflow.json", "workflow-2.json", "parameters.json", "processing.json", "reproduce.ipynb"} <= there
    assert len([name for name in there if name.startswith("thumbnails/")]) == 2
    for entity in read.data_entities:
        if "File" in entity.type:
            assert int(entity["contentSize"]) == (crate / entity.id).stat().st_size
    assert read.mainEntity.id == "workflow.json"
    actions = [entity for entity in read.contextual_entities if entity.type == "CreateAction"]
    assert [a["name"].split(":")[0] for a in actions] == list(made.steps)
    for action in actions:
        assert action["startTime"] <= action["endTime"]
        assert [f"{program['name']} {program['version']}" for program in action["instrument"]] == [OURS]


def test_its_workflow_is_the_one_that_was_run(crate, session):
    made, _ = session
    later, first = (workflow.read(crate / name) for name in ("workflow-2.json", "workflow.json"))
    for read in (first, later):
        assert [s.name for s in read.steps] == list(made.steps)
        before, after = ({s.name: s.params for s in read.steps} for read in (first, later))
    assert (before["ctf"]["box"], after["ctf"]["box"]) == (256, 384)
    assert before["maxshift"]["max_frame_shift"] > after["maxshift"]["max_frame_shift"] == 0.01
    versions = load(crate, "parameters.json")["ctf"]["versions"]
    assert [v["values"]["box"] for v in versions.values()][:3] == [512, 256, 384]
    record = load(crate, "record.json")
    assert list(record["rejected"].values()) == ["ice"]
    assert len(record["readmitted"]) == 1
    assert sorted(n for run in record["runs"] for n in run["movies"]) == sorted(_names(made))


def test_the_metadata_are_those_of_the_session(crate, session):
    made, scope = session
    found = load(crate, "processing.json")
    jsonschema.Draft202012Validator.check_schema(processing.schema())
    jsonschema.validate(found, load(crate, "processing.schema.json"))
    assert found["instrument"]["acceleration_voltage"] == {"value": 300.0, "unit": "kV"}
    assert found["acquisition"]["pixel_size"] == {"value": pytest.approx(scope.optics["pixel_size"]), "unit": "Å"}
    assert found["acquisition"]["frames_per_movie"] == 8
    assert found["acquisition"]["dose_per_movie"]["value"] == pytest.approx(8 * scope.optics["dose_per_frame"])
    assert found["processing"]["movies"]["gain_image"] == "gain.mrc"
    assert found["acquisition"]["images_generated"] == 3
    with made.reader() as ledger:
        accepted = [e for e, s in zip(*_states(ledger), strict=True) if s != "rejected"]
        ctf = ledger.rows("ctf", exposures=accepted)
    spans = found["processing"]["ctfs"]
    mean = (ctf["defocus_u"] + ctf["defocus_v"]) / 2
    assert spans["defocus"]["output_avg_defocus"]["value"] == pytest.approx(np.nanmean(mean), rel=1e-5)
    assert spans["resolution"]["output_max_resolution"]["value"] == pytest.approx(
        np.nanmax(ctf["fit_resolution"]), rel=1e-5
    )
    assert found["processing"]["micrographs"]["number_micrographs"] == len(accepted) == 2
    assert found["counts"]["movies_found"] == 3
    (ours,) = found["software"]
    assert (ours["name"], ours["version"]) == ("cryowidgets", plugins.our_version())
    assert set(ours["steps"]) == set(made.steps)


def test_the_schema_refuses_what_is_not_of_the_field(session, monkeypatch):
    made, _ = session
    monkeypatch.setattr(processing, "_quantity", lambda value, unit: {"value": value, "unit": "nm"})
    with (
        made.reader() as ledger,
        pytest.raises(ProjectError, match="do not fit their schema at acquisition/pixel_size"),
    ):
        processing.describe(ledger)


def test_a_large_session_of_many_kinds_is_described(tmp_path):
    filled = FilledSession(tmp_path / "p")
    filled.arrive(60)
    filled.process(pictures=False)
    filled.close()
    with Project(tmp_path / "p").reader() as ledger:
        found = processing.describe(ledger)
        gate = found["processing"]["movies"]["descriptors"][1]
        assert gate["description"]["discarded_movies"] == ledger.tally()["maxshift"]["rejected"] > 0
        total = ledger.rows("maxshift")["motion_total"]
    shift = found["processing"]["movies"]["descriptors"][0]["description"]
    assert shift["output_max_shift"] == {"value": pytest.approx(max(total), rel=1e-5), "unit": "Å"}


def test_a_zip_is_one_file_and_nothing_is_written_over(crate, session, tmp_path):
    made, _ = session
    done = rocrate.export(made.folder, tmp_path / "crate.zip", made.document())
    assert (done.movies, done.ctfs) == (2, 2)
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        assert {"ro-crate-metadata.json", "workflow.json", "star/movies.star"} <= set(archive.namelist())
    for taken in (crate, tmp_path / "crate.zip"):
        with pytest.raises(ProjectError, match="is not empty: choose another place"):
            rocrate.export(made.folder, taken, made.document())


def test_a_session_without_movies_has_no_crate(tmp_path):
    made = Project.create(tmp_path / "p", movies=str(tmp_path / "*.mrc"), pixel_size=1.0)
    with pytest.raises(ProjectError, match="no movies"):
        rocrate.export(made.folder, tmp_path / "crate", made.document())
    assert not (tmp_path / "crate").exists()


# Comparison -----------------------------------------------------------------------------------------------------


def tables(folder: Path, angle: float = 179.99, motion: float = 10.0, names: str = "ab") -> Path:
    folder.mkdir()
    star.write(folder / "movies.star", {"movies": {"rlnMicrographMovieName": [f"Movies/{n}.tiff" for n in names]}})
    table = {
        "rlnMicrographName": [f"MotionCorr/{n}.mrc" for n in names],
        "rlnDefocusAngle": [angle] * len(names),
        "rlnAccumMotionTotal": [motion] * len(names),
    }
    star.write(folder / "micrographs_ctf.star", {"micrographs": table})
    return folder


@pytest.mark.parametrize(
    ("changed", "names", "different"),
    [
        ({}, None, []),
        ({"motion": 10.004}, None, []),
        ({"motion": 10.1}, None, ["rlnAccumMotionTotal"]),
        ({"angle": 0.01}, None, []),
        ({"angle": 90.0}, None, ["rlnDefocusAngle"]),
        ({"names": "a"}, None, ["rows", "rows"]),
        ({"names": "a"}, {"a"}, []),
        ({"names": "abc"}, {"a", "b"}, []),
    ],
)
def test_files_differ_where_they_differ_and_nowhere_else(tmp_path, changed, names, different):
    found = comparison.compare(tables(tmp_path / "one"), tables(tmp_path / "two", **changed), names)
    assert [c.column for c in found if not c.alike] == different
    assert all(c.worst <= 1e-3 for c in found if c.alike)
    assert any(c.alike for c in found)


def test_there_must_be_something_to_compare_with(tmp_path):
    with pytest.raises(ProjectError, match="is not the record of a session"):
        comparison.compare(tmp_path, tmp_path)


def test_movies_are_grouped_by_what_left_a_trace(session):
    made, _ = session
    document = made.document()
    with made.reader() as ledger:
        record = ledger.record()
    groups = rocrate.runs(document, record)
    assert sorted(len(group.movies) for group in groups) == [1, 2]
    patient = replace(
        document,
        steps=tuple(
            replace(s, params={**s.params, "timeout": 5.0}) if s.name == "movies" else s for s in document.steps
        ),
    )
    assert [group.movies for group in rocrate.runs(patient, record)] == [group.movies for group in groups]
    assert math.isclose(sum(len(group.movies) for group in groups), len(record.names))


def _names(made) -> list[str]:
    with made.reader() as ledger:
        return ledger.exposures()["name"]


def _states(ledger):
    table = ledger.exposures()
    return table["id"].tolist(), table["state"]
