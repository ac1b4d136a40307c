"""Commands on steps: what they cost is said, what they send is done, by an engine that runs or the next one."""

from __future__ import annotations

import os
import re
import time

import numpy as np
import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.io import mrc
from cryowidgets.project import Project


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """A function that runs a command line in an empty folder; its output, whatever the code is told to be."""
    monkeypatch.chdir(tmp_path)

    def go(line: str, code: int | None = 0) -> str:
        done = CliRunner().invoke(main, line.split())
        assert code is None or done.exit_code == code, done.output
        return done.output

    return go


@pytest.fixture
def session(cli, tmp_path):
    """A session of two movies that MaxShift, of no micrographs, has nothing to do with; its stream is closed."""
    (tmp_path / "raw").mkdir()
    for name in "ab":
        mrc.write(tmp_path / "raw" / f"{name}.mrc", np.ones((3, 64, 64), np.int8), pixel_size=1.0)
        old = time.time() - 3600
        os.utime(tmp_path / "raw" / f"{name}.mrc", (old, old))
    project = Project.create(tmp_path / "p", template=None, movies=str(tmp_path / "raw" / "*.mrc"), pixel_size=1.0)
    project.workflow.add("AlignMovie", "align", movie="movies")
    cli("run p --executor inline --until-idle 0.3 --quiet")
    return project


def done(project, step="align"):
    with project.reader() as reader:
        return reader.tally()[step].get("done", 0), reader.tally()[step].get("superseded", 0)


def test_what_a_change_costs_is_said_before_and_with_dry_run_nothing_is_done(cli, session):
    assert "nothing is done again. Nothing was changed." in cli("set p align.binning=2 --dry-run")
    out = cli("set p align.binning=2 --scope branch --dry-run")
    assert re.search(r"align: binning = 2; 2 tasks are done again, which takes about \d+ s\. Nothing", out)
    assert "does not take" in cli("set p align.binning=none --scope branch --dry-run", code=2)
    assert not list((session.folder / "inbox").iterdir())
    assert "2 tasks are done again" in cli("set p align.binning=2 --redo")
    cli("run p --executor inline --quiet")
    assert session.steps["align"].params["binning"] == 2
    assert done(session) == (2, 2)
    assert "2 tasks are done again" in cli("restart p movies --dry-run")
    assert "No engine runs now" in cli("restart p align")
    cli("run p --executor inline --quiet")
    assert done(session) == (2, 4)


def test_a_step_is_added_held_released_stopped_and_reset(cli, session):
    assert "Step shift was added" in cli("add p MaxShift micrograph=align max_frame_shift=50 --name shift --hold")
    row = session.reader().steps()["shift"]
    assert (row.params["max_frame_shift"], row.hold) == (50, True)
    assert "'align' gives a Micrograph" in cli("add p EstimateGain movie=align", code=3)
    assert "'box' is not input=step" in cli("add p EstimateCtf box", code=2)
    assert "until 'release'" in cli("hold p align")
    cli("release p shift")
    cli("release p align")
    cli("run p --executor inline --quiet")
    assert done(session, "shift") == (2, 0)
    cli("stop p --step shift")
    assert "write one of them" in cli("stop p --step shift --now", code=2)
    cli("reset p align")
    cli("run p --executor inline --quiet")
    states = {name: step.state for name, step in session.reader().steps().items()}
    assert states == {"movies": "finished", "align": "saved", "shift": "stopped"}
    assert (done(session), done(session, "shift")) == ((0, 2), (0, 2))
    assert "it has movies, align, shift" in cli("hold p nothing", code=2)


def test_a_step_is_linked_to_another(cli, session):
    session.workflow.add("MaxShift", "shift", micrograph="align")
    session.workflow.add("EstimateCtf", "ctf", micrograph="align")
    cli("run p --executor inline --quiet", code=None)
    assert "2 tasks are done again" in cli("link p ctf micrograph=shift --dry-run")
    assert session.steps["ctf"]._row.inputs == {"micrograph": "align"}
    assert "ctf takes its micrograph from shift: 2 tasks are done again" in cli("link p ctf micrograph=shift")
    assert "'shift' is not input=step" in cli("link p ctf shift", code=2)
    assert "has no step 'gone'" in cli("link p ctf micrograph=gone", code=2)
    cli("run p --executor inline --quiet", code=None)
    assert session.steps["ctf"]._row.inputs == {"micrograph": "shift"}
