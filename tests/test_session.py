"""A session end to end: a microscope with every fault it can have, the real door, the real kernels."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import starfile

from cryowidgets.engine.engine import Engine
from cryowidgets.project import Project
from cryowidgets.sim.microscope import Microscope
from cryowidgets.sim.score import compare

FAULTS = {
    2: "truncated",
    3: "zero-byte",
    4: "unreadable",
    5: "corrupt",
    6: "fewer frames",
    7: "vanishes",
    8: "rsync",
    10: "same name",
}
MOVIES, FRAMES = 12, 16
# What the ledger says of each, and where: most are refused at the door, one only shows when it is read.
SENTENCES = {
    "truncated": ("movies", "frames"),
    "zero-byte": ("movies", "empty"),
    "unreadable": ("movies", "not"),
    "corrupt": ("align", "frame"),
    "fewer frames": ("movies", f"of {FRAMES} frames"),
    "vanishes": ("movies", "vanished before it was whole"),
}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A project after its session, and the microscope that made it."""
    folder = tmp_path_factory.mktemp("session")
    microscope = Microscope(
        folder / "scope", movies=MOVIES, every=0.5, frames=FRAMES, seed=20, write_seconds=1.5, faults=FAULTS
    )
    project = Project.create(
        folder / "p",
        movies=microscope.pattern,
        gain=str(microscope.gain),
        frames=FRAMES,
        poll="0.2s",
        file_timeout="4s",
        **microscope.optics,
    )
    scope = threading.Thread(target=microscope.run)
    engine = Engine(project.folder, "threads", workers=2, until_idle=6.0)
    scope.start()
    try:
        ending = engine.run()
    finally:
        scope.join()
    return project, microscope, ending


def test_every_fault_is_recorded_with_its_sentence_and_all_others_are_done(session):
    project, microscope, ending = session
    score = compare(microscope.truth, results(project))
    with project.reader() as reader:
        failures = {f.name: (f.step, f.error) for f in reader.failures()}
        by_path = {f.exposure: f for f in reader.failures()}
        assert len(by_path) == len(SENTENCES)
        faults = {}
        for exposure, failure in by_path.items():
            path = reader.exposure(exposure).path
            faults[path] = failure
        for entry in microscope_truth(microscope):
            if entry["fault"] in SENTENCES:
                failure = next(f for path, f in faults.items() if path.endswith(entry["path"].split("/")[-1]))
                step, words = SENTENCES[entry["fault"]]
                assert (failure.step, words in failure.error) == (step, True), (entry["fault"], failure)
                assert entry["path"].split("/")[-1] in failure.error
        tally = reader.tally()
        assert ending.finished
        assert ending.failed == len(SENTENCES) == len(failures)
        # What is good is all done: none missing, none twice, the two of one name kept apart.
        done = tally["ctf"].get("done", 0) + tally["maxshift"].get("rejected", 0)
        assert done == MOVIES - len(SENTENCES)
        assert score.unknown == ()
        assert all(step.state == "finished" for step in reader.steps().values())


def test_the_measures_are_right(session):
    project, microscope, _ = session
    score = compare(microscope.truth, results(project))
    assert score.percentile("shift_error", 50) < 0.15
    assert score.percentile("defocus_error", 50) < 60
    assert score.percentile("defocus_error", 95) < 200
    assert score.percentile("angle_error", 90) < 5 or np.isnan(score.percentile("angle_error", 90))


def test_what_the_movies_became_is_on_disk_and_nothing_else(session):
    project, _, _ = session
    with project.reader() as reader:
        aligned = reader.rows("align")
        fitted = reader.rows("ctf")
    for rows, columns in (
        (aligned, ["path", "dose_weighted", "thumbnail", "metadata"]),
        (fitted, ["spectrum", "picture", "curve"]),
    ):
        for column in columns:
            for path in rows[column]:
                assert (project.folder / path).stat().st_size > 0
    assert not list(project.folder.glob("steps/*/.tmp-*"))
    for path in aligned["metadata"]:
        star = starfile.read(project.folder / path, always_dict=True)
        assert len(star["global_shift"]) == FRAMES
    for path in fitted["curve"]:
        assert np.load(project.folder / path).shape[0] == 4


def results(project):
    """What was measured, by the movie's path."""
    with project.reader() as reader:
        for id in reader.exposures()["id"].tolist():
            row = reader.exposure(id)
            ctf, micrograph = row.items.get("ctf"), row.items.get("align")
            if ctf is not None:
                yield {
                    "path": row.path,
                    "shifts": micrograph.shifts,
                    **{n: getattr(ctf, n) for n in ("defocus_u", "defocus_v", "angle", "phase_shift")},
                }


def microscope_truth(microscope):
    import json

    return json.loads(microscope.truth.read_text())["movies"]
