"""An engine takes over a session of an earlier version: it keeps what was done and goes on with what comes."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.errors import EngineRunning
from cryowidgets.io import mrc
from cryowidgets.project import Project
from cryowidgets.sim.movie import Recipe, simulate
from cryowidgets.store.database import NAME
from cryowidgets.store.lock import WriterLock

FORMAT_1 = Path(__file__).parent.parent / "store" / "format_1.sql"


@pytest.fixture
def old(tmp_path):
    """A project of format 1 whose movies come into the folder 'raw' beside it, all done but for what comes now."""
    for name in ("p/inbox", "p/steps", "p/logs", "raw"):
        (tmp_path / name).mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "p" / NAME)) as db:
        db.executescript(FORMAT_1.read_text().replace("/raw", str(tmp_path / "raw")))
    return tmp_path / "p"


def record(folder, step, **values):
    """Write parameters into the ledger, as another version would have."""
    with closing(sqlite3.connect(folder / NAME)) as db:
        sql = "SELECT s.id, p.json FROM params p JOIN step s ON s.id = p.step WHERE s.name = ?"
        id, params = db.execute(sql, (step,)).fetchone()
        db.execute("UPDATE params SET json = ? WHERE step = ?", (json.dumps({**json.loads(params), **values}), id))
        db.commit()


def texts(folder, kind):
    with Project(folder).reader() as reader:
        return [event.text for event in reader.events() if event.kind == kind]


def test_a_session_of_format_1_goes_on_with_a_new_movie(old, tmp_path):
    movie = simulate(Recipe(shape=(256, 256), frames=8, drift=3.0), 5)
    path = tmp_path / "raw" / "m4.mrc"
    mrc.write(path, movie.frames.astype(np.int8), pixel_size=1.2)
    os.utime(path, (time.time() - 3600,) * 2)
    send(old, "reopen")
    ending = Engine(old, "inline", until_idle=1.0).run()
    assert (ending.finished, ending.failed) == (True, 1)  # the file that was broken is so still
    assert len(texts(old, "upgrade")) == 1
    with Project(old).reader() as reader:
        done = reader.rows("ctf")
        assert done["name"] == ["m2", "m1", "m4"]
        assert done["id"].tolist()[:2] == [1, 2]  # what was done is not done again
        new, before = (reader.exposure(int(done["exposure"][i])).items["align"] for i in (2, 1))
        assert new.counts > 0
        assert new.motion_total > 0
        assert np.isfinite(new.measured_dose)
        assert np.isnan(before.measured_dose)


def test_parameters_that_are_no_more_are_left_out_with_a_sentence_and_new_ones_take_their_defaults(old):
    record(old, "align", smoothing=7, binning=2.0)
    record(old, "movies", camera="K2")
    project = Project(old)
    project.steps["align"].set(last_frame=6)  # even before an engine has looked
    Engine(old, "inline").run()
    align = project.steps["align"]
    assert align.state == "finished"
    assert (align.params["binning"], align.params["last_frame"], "smoothing" in align.params) == (2.0, 6, False)
    said = texts(old, "warning")
    assert any("align: AlignMovie of this version has no parameter 'smoothing'; its value 7 is left" in s for s in said)
    assert any("ImportMovies of this version has no parameter 'camera'; its value 'K2'" in s for s in said)
    with project.reader() as reader:
        assert len(reader.rows("align")["id"]) == 2  # nothing is done again for it
    Engine(old, "inline").run()
    assert texts(old, "warning") == said


def test_a_value_that_is_taken_no_more_stops_its_step_with_a_sentence_and_can_be_set_anew(old):
    record(old, "ctf", box=7)
    Engine(old, "inline").run()
    step = Project(old).steps["ctf"]
    with Project(old).reader() as reader:
        assert (step.state, "EstimateCtf.box does not take 7" in reader.steps()["ctf"].reason) == ("failed", True)
    step.set(box=256)
    Engine(old, "inline").run()
    assert step.state == "finished"


def test_a_ledger_under_a_living_engine_is_left_alone(old):
    with closing(sqlite3.connect(old / NAME)) as db:
        before = list(db.iterdump())
    lock = WriterLock(old)
    with pytest.raises(EngineRunning):
        Engine(old, "inline")
    lock.release()
    with closing(sqlite3.connect(old / NAME)) as db:
        assert list(db.iterdump()) == before
    assert not list(old.glob("*.bak"))
