"""Files that were cleaned come back with the same pixels, whoever needs them, and nothing else is done again for it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.engine.engine import Engine
from cryowidgets.facility import archive
from cryowidgets.io import mrc
from cryowidgets.project import Project
from cryowidgets.sim import microscope
from cryowidgets.store import cleaning
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

ALL = list(cleaning.RECOMPUTABLE)


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """A session of three movies, done: only to be copied."""
    folder = tmp_path_factory.mktemp("cleaning")
    scope = microscope.run(folder / "m", movies=3, size=256, frames=6)
    settings = {"movies": scope.pattern, "gain": str(scope.gain), **scope.optics}
    steps = {"align": {"halves": True, "spectrum_dose": 4}, "maxshift": {"max_frame_shift": 90, "max_movie_shift": 900}}
    made = Project.create(folder / "p", timeout="0.1s", settings=steps, **settings)
    run(made.folder)
    return made.folder


@pytest.fixture
def project(processed, tmp_path):
    return Project(shutil.copytree(processed, tmp_path / "p"))


def run(folder: Path, *commands: tuple[str, dict]):
    """Send commands and run an engine until nothing is left to do."""
    for name, args in commands:
        inbox.send(folder, name, **args)
    return Engine(folder, "inline").run()


def images(folder: Path, step: str = "align") -> dict[str, np.ndarray]:
    return {str(f.relative_to(folder)): np.array(mrc.read(f)) for f in sorted((folder / "steps" / step).glob("*.mrc"))}


def ids(folder: Path) -> dict[str, list[int]]:
    with Reader(folder) as reader:
        return {step: reader.rows(step)["id"].tolist() for step in ("align", "maxshift", "ctf", "quality")}


def said(folder: Path, kind: str) -> list[str]:
    with Reader(folder) as reader:
        return [event.text for event in reader.events() if event.kind == kind]


def tally(folder: Path) -> dict[str, int]:
    with Reader(folder) as reader:
        return {step: states["done"] for step, states in reader.tally().items()}


def test_what_was_cleaned_is_restored_pixel_by_pixel_and_nothing_else_is_done(project):
    before, rows, done = images(project.folder), ids(project.folder), tally(project.folder)
    rings = images(project.folder, "ctf")
    assert len(before) == 15  # plain, weighted, even, odd, spectrum
    assert run(project.folder, ("clean", {"what": ALL, "why": "room"})).finished
    assert not images(project.folder)
    assert not images(project.folder, "ctf")
    assert "18 files of" in said(project.folder, "command")[-1]
    with project.reader() as reader:
        exposure = reader.exposure(1)
        assert exposure.items["align"].path in exposure.cleaned
        assert exposure.items["align"].thumbnail not in exposure.cleaned
        assert Path(exposure.items["align"].thumbnail).exists()
    assert (ids(project.folder), tally(project.folder)) == (rows, done), "cleaned is not undone"

    assert run(project.folder, ("restore", {})).finished
    for step, expected in (("align", before), ("ctf", rings)):
        found = images(project.folder, step)
        assert list(found) == list(expected)
        for name, image in expected.items():
            np.testing.assert_array_equal(found[name], image, err_msg=name)
    assert (ids(project.folder), tally(project.folder)) == (rows, done)
    with project.reader() as reader:
        assert not reader.exposure(1).cleaned
        tasks = [task for task in reader.exposure(1).tasks if task.step == "align"]
    assert [task.state for task in tasks] == ["superseded", "done"]


def test_only_what_is_asked_for_goes_and_comes_back(project):
    run(project.folder, ("clean", {"what": ["halves", "spectra"], "exposures": [1, 2]}))
    left = [name for name in images(project.folder) if name.endswith(("_EVN.mrc", "_ODD.mrc", "_PS.mrc"))]
    assert len(left) == 3
    rest = len(images(project.folder, "ctf"))
    run(project.folder, ("restore", {"exposures": [2], "step": "align"}))
    assert len([n for n in images(project.folder) if n.endswith("_EVN.mrc")]) == 2
    assert len(images(project.folder, "ctf")) == rest == 1


def test_a_step_that_is_done_again_has_its_inputs_first(project):
    before = images(project.folder)
    run(project.folder, ("clean", {"what": ["micrographs", "spectra"]}))
    run(project.folder, ("set", {"step": "ctf", "values": {"box": 256}, "scope": "branch"}))
    found = images(project.folder)
    for name, image in before.items():
        np.testing.assert_array_equal(found[name], image, err_msg=name)
    with project.reader() as reader:
        assert reader.session().done == 3
        assert not reader.failures()
        assert reader.tally()["align"]["superseded"] == 3


def test_who_was_rejected_and_cleaned_comes_back_with_its_files(project):
    before = images(project.folder)
    run(project.folder, ("reject", {"exposure": 2}), ("clean", {"what": ALL, "exposures": [2], "why": "rejected"}))
    assert len(images(project.folder)) == 10
    run(project.folder, ("readmit", {"exposure": 2}))
    assert "cleaned files of 2 results are made again" in said(project.folder, "command")[-1]
    found = images(project.folder)
    for name, image in before.items():
        np.testing.assert_array_equal(found[name], image, err_msg=name)


def test_a_movie_that_is_gone_is_said_and_harms_nothing_else(project):
    run(project.folder, ("clean", {"what": ["micrographs"]}))
    with project.reader() as reader:
        movie = Path(reader.exposure(1).path)
    kept = movie.rename(movie.with_suffix(".away"))
    try:
        assert run(project.folder, ("restore", {})).finished
    finally:
        kept.rename(movie)
    (warning,) = said(project.folder, "warning")
    assert warning.startswith("Cleaned files of align could not be made again")
    with project.reader() as reader:
        assert reader.session().done == 3
        assert set(reader.exposures()["state"]) == {"done"}
        assert reader.exposure(1).cleaned and not reader.exposure(2).cleaned
    assert run(project.folder, ("restore", {})).finished
    with project.reader() as reader:
        assert not reader.exposure(1).cleaned


def test_what_is_still_to_be_read_stays(project):
    store = Store(project.folder)
    store.begin_again(store.steps()["ctf"])
    chosen, kept = cleaning.plan(store.query, store.steps(), ["micrographs", "spectra"])
    store.close()
    assert not chosen
    assert kept == [f"files of {step} for 3 exposures stay: something is still to do" for step in ("align", "ctf")]


def test_what_is_wanted_back_while_it_goes_comes_back(project):
    before = images(project.folder)
    assert run(project.folder, ("clean", {"what": ["halves"]}), ("restore", {})).finished
    found = images(project.folder)
    assert list(found) == list(before)
    with project.reader() as reader:
        assert not any(reader.exposure(id).cleaned for id in (1, 2, 3))


def test_a_killed_engine_leaves_the_rest_to_the_next(project):
    store = Store(project.folder)
    chosen, _ = cleaning.plan(store.query, store.steps(), ["halves"])
    assert cleaning.mark(store, chosen, "room")[0] == 6
    store.close()
    assert len(images(project.folder)) == 15
    run(project.folder)
    assert len(images(project.folder)) == 9


def test_raw_movies_go_only_of_the_rejected_and_by_name(project, tmp_path):
    with project.reader() as reader:
        name, path = reader.session().name, Path(reader.exposure(2).path)
    own = tmp_path / path.name
    shutil.copy(path, own)
    store = Store(project.folder)
    with store.transaction() as db:
        db.execute("UPDATE movie SET path = ? WHERE exposure = 2", (str(own),))
    store.close()
    run(project.folder, ("clean", {"raw_of_rejected": name}))
    assert own.exists(), "nobody was rejected"
    run(project.folder, ("reject", {"exposure": 2}), ("clean", {"raw_of_rejected": "yes"}))
    assert "takes the name of the session" in said(project.folder, "command.refused")[-1]
    assert own.exists()
    run(project.folder, ("clean", {"raw_of_rejected": name}))
    assert not own.exists()
    assert path.exists()
    assert run(project.folder, ("restore", {})).finished
    assert "movies come from elsewhere" in said(project.folder, "warning")[-1]


def test_an_archive_opens_again_and_what_was_left_out_is_made_again(project, tmp_path):
    before, rows = images(project.folder), ids(project.folder)
    made = archive.archive(project.folder, tmp_path / "s.tar.gz")
    assert (made.left_out, made.missing) == (18, 0)
    (tmp_path / "elsewhere").mkdir()
    with tarfile.open(tmp_path / "s.tar.gz") as tar:
        tar.extractall(tmp_path / "elsewhere", filter="data")
    folder = tmp_path / "elsewhere" / "p"
    with Reader(folder) as reader, project.reader() as original:
        assert reader.settings() == original.settings()
        assert reader.session().done == 3
        assert Path(reader.exposure(1).items["align"].thumbnail).is_file()
        assert reader.exposure(1).items["align"].path in reader.exposure(1).cleaned
    assert not images(folder)
    assert run(folder, ("restore", {})).finished
    found = images(folder)
    assert list(found) == list(before)
    for name, image in before.items():
        np.testing.assert_array_equal(found[name], image, err_msg=name)
    assert ids(folder) == rows


@pytest.mark.parametrize(
    "args",
    [{"what": "halves"}, {"what": ["raw"]}, {"what": [7]}, {"what": ["halves"], "exposures": "all"}, {"why": 3}],
)
def test_a_command_that_makes_no_sense_is_refused(project, args):
    run(project.folder, ("clean", args))
    assert said(project.folder, "command.refused")
    assert len(images(project.folder)) == 15
