"""Every notebook runs from top to bottom, and says what it is meant to say."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
from click.testing import CliRunner
from traitlets.config import Config

from cryowidgets.cli import main
from cryowidgets.project import Project
from cryowidgets.sim import microscope

IPC = Config({"KernelManager": {"transport": "ipc"}})


def text(notebook, cell_with: str = "") -> str:
    """What cells printed and showed as text: all of them, or those whose source has a word."""
    return "\n".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        if cell.cell_type == "code" and cell_with in cell.source
        for output in cell.outputs
    )


@pytest.fixture
def execute(checkout, tmp_path, monkeypatch):
    """Execute a notebook with parameters; the executed one. What it keeps in temporary folders goes with the test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def go(name: str, **parameters):
        papermill.execute_notebook(
            checkout / "notebooks" / name,
            tmp_path / name,
            parameters=parameters,
            progress_bar=False,
            cwd=tmp_path,
            kernel_name="python3",
            config=IPC,
        )
        return nbformat.read(tmp_path / name, as_version=4)

    return go


def test_first_movie(execute):
    notebook = execute("00_first_movie.ipynb", seed=11)
    printed = text(notebook)
    shift = float(re.search(r"rms distance from the true shifts: ([\d.]+) px", printed)[1])
    defocus = [
        float(value) for value in re.findall(r"defocus [UV]: measured \d+ Å, true \d+ Å, off by ([-+]\d+) Å", printed)
    ]
    assert shift < 0.3
    assert len(defocus) == 2
    assert max(map(abs, defocus)) < 200
    figures = [
        o
        for c in notebook.cells
        for o in c.get("outputs", [])
        if "application/vnd.bokehjs_exec.v0+json" in o.get("data", {})
    ]
    assert len(figures) >= 5


def test_motion(execute):
    printed = text(execute("03_motion.ipynb", seed=11))
    measured, expected = re.search(r"along an axis: ([\d.]+) px .*, expected ([\d.]+) px", printed).groups()
    assert 0.4 < float(measured) / float(expected) < 2
    found = re.findall(r"([\w, ]+): mean correlation (-?[\d.]+)", printed)
    kept = {name.strip(): float(value) for name, value in found}
    assert kept["put back"] > 3 * kept["as recorded"]
    assert kept["parts, too"] > 1.05 * kept["put back"]
    moved = float(re.search(r"parts moved by ([\d.]+) px", printed)[1])
    assert moved == pytest.approx(2, rel=0.2)
    assert float(re.search(r"ways were found to ([\d.]+) px", printed)[1]) < 0.4 * moved


def test_ctf(execute):
    notebook = execute("04_ctf.ipynb", seed=11)
    printed = text(notebook)
    off = {name: float(value) for name, value in re.findall(r"(defocus [UV]): .* off by ([-+][\d.]+) Å", printed)}
    assert max(map(abs, off.values())) < 100
    assert len(off) == 2
    lines = re.findall(r"e/Å²: score ([\d.]+), fits to ([\d.]+) Å", printed)
    scores, resolutions = np.array(lines, float).T
    assert len(lines) >= 4
    assert scores[-1] > scores[0]
    assert resolutions[-1] < resolutions[0]
    widgets = [o for c in notebook.cells for o in c.get("outputs", []) if "widget-view" in str(list(o.get("data", {})))]
    assert len(widgets) == 1


def test_live_session(execute, tmp_path):
    notebook = execute("01_live_session.ipynb", folder=str(tmp_path / "s"), movies=3, every=0.5, wait=True)
    assert "3 movies compared with the truth" in text(notebook)
    widgets = [
        c
        for c in notebook.cells
        for o in c.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" in o.get("data", {})
    ]
    assert len(widgets) == 2
    project = Project(tmp_path / "s" / "session")
    assert not project.running()
    with project.reader() as ledger:
        assert ledger.session().done == 3
        assert ledger.steps()["maxshift"].params["max_frame_shift"] == 8.0


def test_compare(execute):
    notebook = execute("07_compare.ipynb", movies=2, executor="inline", thresholds={"resolution": [None, 12.0]})
    printed = text(notebook)
    assert "2 exposures in both; 0 only in the first, 0 only in the second" in printed
    assert "ctf.source: 'auto' → 'micrograph'" in printed
    same = re.search(r"the same to the last bit: (.*)", printed)[1]
    assert "drift" in same
    assert "fit resolution" not in same
    assert "fit resolution ≤ 12.0 Å" in printed
    assert re.search(r"align +.* \+0%", printed), "what is not touched is not computed again"
    figures = [
        o for c in notebook.cells for o in c.get("outputs", []) if "bokehjs_exec" in str(list(o.get("data", {})))
    ]
    assert len(figures) >= 3


def test_a_step_of_your_own(execute):
    notebook = execute("06_own_step.ipynb", movies=2)
    printed = text(notebook)
    assert "MeasureContrast.binning does not take 100: write an int from 1 to 64 px (default 4)." in printed
    measured = [float(value) for value in re.findall(r"contrast ([\d.]+), skewness", printed)]
    assert len(measured) == 2
    assert min(measured) > 0
    origins = re.findall(r"^(\w+):\d+ +of (\w+) ", printed, re.M)
    assert origins == [("contrast", "contrast"), ("micrograph", "align"), ("movie", "movies")]
    shown = [o for c in notebook.cells for o in c.get("outputs", []) if "widget-view" in str(list(o.get("data", {})))]
    assert len(shown) == 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> microscope.Microscope:
    """Four movies, one of them cut off."""
    return microscope.run(tmp_path_factory.mktemp("recorded"), movies=4, size=512, frames=10, faults={2: "truncated"})


def batch(scope, folder: Path, *options: str):
    settings = {"movies": scope.pattern, "gain": str(scope.gain), "file_timeout": "1s", **scope.optics}
    Project.create(folder, **settings)
    result = CliRunner().invoke(main, ["batch", str(folder), "--until-idle", "2s", *options])
    return result, nbformat.read(folder / "batch.ipynb", as_version=4)


def test_batch_is_a_record_with_figures(recorded, tmp_path):
    result, notebook = batch(recorded, tmp_path / "p", "--max-failed", "25%")
    assert result.exit_code == 0, result.output
    assert "4 movies: 3 done, 0 rejected, 1 failed" in text(notebook)
    assert re.search(r"FoilHole_\w+ failed in movies: .*truncated|holds", text(notebook))
    figures = [o for c in notebook.cells for o in c.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
    assert len(figures) == 4


def test_batch_without_a_project_simulates_one(execute):
    assert "2 movies: 2 done" in text(execute("02_batch.ipynb", movies=2, until_idle=2.0, executor="threads"))


def test_particles(execute):
    printed = text(execute("08_particles.ipynb"))
    precision, recall = map(float, re.search(r"precision ([\d.]+), recall ([\d.]+)", printed).groups())
    assert precision > 0.9 and recall > 0.9
    assert int(re.search(r"(\d+)% of the particles are in a class most of which shows their view", printed)[1]) > 85
    kept = re.search(r"kept: (\d+)% of what is kept are particles, (\d+)% of the particles are kept", printed)
    assert int(kept[1]) > 90 and int(kept[2]) > 90
