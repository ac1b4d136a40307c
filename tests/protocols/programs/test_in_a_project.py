"""Programs of others as steps of a project: through the engine and its workers to rows, logs and sentences."""

import os
import time

import numpy as np
import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.io import mrc
from cryowidgets.project import Project
from cryowidgets.widgets.panels import troubles

MOTIONCOR = """-InMrc -OutMrc -PixSize -kV -Patch -Iter -Tol -Bft -Group -Throw -Trunc -FtBin -InitDose -SumRange
-FmDose -Cs -Gpu"""
SHIFTS = "Full-frame alignment shift\n" + "".join(f"...... Frame ( {i}) shift: {i}.0 0.5\n" for i in (1, 2, 3)) + "\n"
CTFFIND = "# Output from CTFFind version 4.1.14, run on 2025-02-13\n1.0 15200.5 14800.25 -35.5 0.0 0.25 4.2\n"


@pytest.fixture
def motioncor(fake):
    image = np.random.default_rng(5).normal(10, 2, (32, 48)).astype(np.float32)
    made = fake("MotionCor3", MOTIONCOR, "MotionCor3 version 1.2.1").gives("sum.mrc", image).gives("sum_DW.mrc", image)
    return made.play(says=SHIFTS)


@pytest.fixture
def ctffind(fake):
    curve = "".join(" ".join(f"{x:.4f}" for x in np.linspace(0, 0.3, 9)) + "\n" for _ in range(6))
    made = fake("ctffind", "-j", "Version : 4.1.14", question=()).gives("spectrum.txt", CTFFIND)
    made.gives("spectrum_avrot.txt", curve).gives("spectrum.mrc", np.eye(32, dtype=np.float32))
    return made.play(reads=["micrograph.mrc"])


@pytest.fixture
def session(tmp_path):
    """Two movies of three frames, whole since an hour."""
    for name in ("a", "b"):
        path = tmp_path / "movies" / f"{name}.mrc"
        path.parent.mkdir(exist_ok=True)
        mrc.write(path, np.ones((3, 32, 48), np.int8), 1.5)
        os.utime(path, (time.time() - 3600,) * 2)
    create = {"pixel_size": 1.5, "dose_per_frame": 1.0, "poll": "0.02s", "timeout": "0.3s"}
    return Project.create(tmp_path / "p", template=None, movies=str(tmp_path / "movies" / "*.mrc"), **create)


def test_movies_go_through_programs(session, motioncor, ctffind):
    align = session.workflow.add("MotionCor", name="align", movie="movies", executable=str(motioncor.path), gpu="0,1")
    session.workflow.add("Ctffind", name="ctf", micrograph=align, executable=str(ctffind.path))
    ending = session.run(executor="threads", workers=2)
    assert (ending.finished, ending.failed) == (True, 0)
    with session.reader() as reader:
        rows = reader.rows("ctf")
        made = {name: [str(v) for v in rows[name]] for name in ("name", "program", "program_version")}
        assert sorted(made["name"]) == ["a", "b"]
        assert set(made["program"]) == {"CTFFIND"} and set(made["program_version"]) == {"4.1.14"}
        assert set(rows["defocus_u"].tolist()) == {15200.5}
        assert {str(v) for v in reader.rows("align")["program"]} == {"MotionCor3"}
    assert {run["environment"]["CUDA_VISIBLE_DEVICES"] for run in motioncor.runs} <= {"0", "1"}
    logs = sorted(file.name for file in (session.folder / "steps").glob("*/*.log"))
    assert logs == ["a.log", "a.log", "b.log", "b.log"]
    assert not list((session.folder / "steps").glob("*/.tmp-*"))


def test_a_missing_program_and_a_failing_one_are_read_on_the_page(session, motioncor, monkeypatch):
    monkeypatch.delenv("CRYOWIDGETS_GCTF", raising=False)
    motioncor.play(mode="fails", says="Load gain reference")
    session.workflow.add("MotionCor", name="align", movie="movies", executable=str(motioncor.path))
    session.workflow.add("AlignMovie", name="ours", movie="movies", local="none", repair_defects=False)
    session.workflow.add("Gctf", name="ctf", micrograph="ours")
    engine = Engine(session.folder, "inline")
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            engine.tick(0.01)
            with session.reader() as reader:
                table = reader.exposures()
                shown = "".join(troubles(reader.exposure(int(id)), True) for id in table["id"])
            if "ctf failed" in shown and "align failed" in shown:
                break
    finally:
        engine.close()
    assert "Gctf is not on this machine: set Gctf.executable or the environment variable CRYOWIDGETS_GCTF" in shown
    assert "MotionCor3 ended with error 3. It said last: Load gain reference / CUDA error: out of memory" in shown
    assert "CUDA error: out of memory" in shown.split("The end of")[1]  # the log, with the traceback
