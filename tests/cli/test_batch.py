"""Several projects in one batch: told to end in the middle, it goes on later, and a table says how all did."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.io import mrc
from cryowidgets.project import Project


@pytest.fixture
def projects(tmp_path):
    """Two projects that only take movies in; of one a movie is cut off."""
    for name in ("p", "q"):
        folder = tmp_path / f"raw_{name}"
        folder.mkdir()
        for movie in ("a", "b"):
            mrc.write(folder / f"{movie}.mrc", np.ones((2, 8, 8), np.int8), 1.0)
            os.utime(folder / f"{movie}.mrc", (time.time() - 3600,) * 2)
    with open(tmp_path / "raw_q/b.mrc", "r+b") as file:
        file.truncate(1100)
    os.utime(tmp_path / "raw_q/b.mrc", (time.time() - 3600,) * 2)
    return [
        Project.create(tmp_path / n, template=None, movies=str(tmp_path / f"raw_{n}/*.mrc"), pixel_size=1.0)
        for n in ("p", "q")
    ]


def test_a_batch_ends_in_good_order_and_goes_on(projects, tmp_path):
    p, q = projects
    command = [sys.executable, "-m", "cryowidgets", "batch", "p", "q", "--executor", "inline"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as batch:
        until = time.monotonic() + 60
        while not p.running():
            assert batch.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        batch.send_signal(signal.SIGTERM)
        said, _ = batch.communicate(timeout=60)
    assert batch.returncode == 4, said
    assert "p: The engine was told to end before everything was done." in said
    assert "q: it was not begun" in said
    assert (p.folder / "batch.ipynb").exists()
    assert not p.running()
    assert not list((p.folder / "inbox").glob("*.json"))

    again = subprocess.run(
        [*command, "--parallel", "2", "--until-idle", "1s"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert again.returncode == 1, again.stdout + again.stderr
    with open(tmp_path / "batch.csv", newline="", encoding="utf-8") as file:
        rows = {row["session"]: row for row in csv.DictReader(file)}
    counts = {n: tuple(int(row[c]) for c in ("movies", "done", "failed", "exit code")) for n, row in rows.items()}
    assert counts == {"p": (2, 2, 0, 0), "q": (2, 1, 1, 1)}
    assert rows["p"]["state"] == "finished"
    assert "1 of 2 movies failed" in rows["q"]["what went wrong"]
    cells = nbformat.read(q.folder / "batch.ipynb", as_version=4).cells
    assert "1 failed" in str(cells), "what went wrong is told in full before the notebook fails"
    page = (tmp_path / "batch.html").read_text()
    assert '<a href="q/batch.ipynb">q</a>' in page
    assert "http" not in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Name a project"),
        (["p", "--from", "q"], "go with --sets"),
        (["p", "q", "--output", "x.ipynb"], "each of several has its own"),
        (["p", "q", "--parallel", "2", "--workers", "9999"], "write a smaller --parallel or --workers"),
        (["--sets", "s.csv"], "Say with --out"),
        (["--sets", "s.csv", "--out", "o"], "Say which movies"),
        (["--sets", "s.csv", "--out", "o", "--from", "p", "--movies", "x"], "leave out --template and --movies"),
        (["p", "--sets", "s.csv", "--out", "o"], "--sets makes its own projects"),
    ],
)
def test_options_that_do_not_go_together_are_refused(projects, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text("name,movies.pixel_size\na,1\n")
    result = CliRunner().invoke(main, ["batch", *words])
    assert result.exit_code == 2, result.output
    assert says in result.output
