"""Templates from the command line: the list, the form, unattended starts, and what scripts call by position."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.project import Project
from cryowidgets.workflow import templates


def call(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A folder to stand in, and no templates but ours and those of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv(templates.SITE, str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_has_every_template_and_what_is_wrong_with_a_broken_one(alone):
    (alone / "site").mkdir()
    (alone / "site" / "bad.json").write_text('{"version": 2, "nme": "w", "steps": []}')
    (alone / "site" / "live.json").write_text('{"version": 2, "name": "w", "description": "of the site", "steps": []}')
    text = " ".join(call("template").split())
    assert "demo package try Try it: a simulated microscope" in text
    assert "package/live package live Live preview" in text
    assert "live site of the site" in text
    assert "bad site BROKEN:" in text and "the document has no field 'nme'; did you mean 'name'?" in text


def test_a_dry_run_prints_the_filled_document_and_makes_nothing(alone):
    text = call("template", "live", "movies=raw/*.tiff", "pixel_size=0.83", "dose=1.1", "--dry-run")
    workflow, faults = templates.parse(text)
    assert faults == [] and workflow.questions == ()
    assert workflow.steps[0].params["pattern"] == str(alone / "raw" / "*.tiff")
    assert workflow.steps[0].params["pixel_size"] == 0.83
    assert os.listdir(alone) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentences"),
    [
        (
            ["live"],
            2,
            ["live is not started:", "movies: Movies must be answered: write a text. Which files are movies"],
        ),
        (
            ["live", "movies=/data/*.tif", "volts=300", "dose=much", "gain=no.mrc"],
            2,
            [
                "volts: There is no question 'volts'; did you mean 'volt'?",
                "dose: Dose per frame does not take 'much': write a number in e/Å².",
                "gain: Gain reference 'no.mrc' does not exist",
            ],
        ),
        (["live", "movies"], 2, ["'movies' is not key=value"]),
        (["live", "volt=1", "volt=2"], 2, ["'volt' is answered more than once"]),
        (["volt=300"], 2, ["'volt=300' is no template: write its name first"]),
        (["liv"], 3, ["There is no template or file 'liv'; did you mean 'live'?"]),
    ],
)
def test_what_cannot_be_filled_is_refused_field_by_field(alone, arguments, code, sentences):
    text = call("template", *arguments, code=code)
    for sentence in sentences:
        assert sentence in text
    assert os.listdir(alone) == []


def test_a_broken_template_is_refused_with_every_fault_and_code_3(alone):
    (alone / "w.json").write_text('{"version": 2, "name": "w", "steps": [{"name": "a", "protocol": "Alin"}], "x": 1}')
    text = call("template", "w.json", code=3)
    assert "the document has no field 'x'" in text and "No protocol 'Alin' is installed" in text


def test_a_terminal_is_asked_field_by_field_until_all_is_right(alone):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "cryowidgets", "template", "live", "dose=1.1", "--project", "s1", "--no-start"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True) as process:
        os.close(slave)
        os.write(master, f"\n{alone}\n/data/*.tiff\n?\nabc\n0.83\n\n\n90m\n".encode())
        said = b""
        while True:
            try:
                said += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait(60) == 0, said.decode()
    os.close(master)
    text = said.decode()
    for sentence in (
        "Movies must be answered: write a text",
        f"ImportMovies.pattern '{alone}' is a folder",
        "Pixel size of the movies; 0 takes it from the sidecar",
        "Pixel size does not take 'abc': write a number in Å/px.",
        "Voltage (decimal, kV) [0]",
    ):
        assert sentence in text
    params = Project("s1").steps["movies"].params
    wanted = {"pixel_size": 0.83, "voltage": 0, "dose_per_frame": 1.1, "timeout": 5400}
    assert {name: params[name] for name in wanted} == wanted


def test_from_a_template_to_the_first_ctf_unattended(alone):
    answers = ["volt=300", "movies=1", "every=0", "size=512", "frames=8"]
    command = [sys.executable, "-m", "cryowidgets", "template", "demo", *answers, "--project", "s1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "movies → align → maxshift → ctf → quality" in done.stdout
    project = Project("s1")
    try:
        with project.reader() as reader:
            until = time.monotonic() + 240  # kernels may have to be compiled first, on a machine that others use
            while not len(found := reader.rows("ctf")["id"]):
                assert project.running() and time.monotonic() < until, (alone / "s1/logs/engine.log").read_text()
                time.sleep(0.2)
            assert len(found) == 1
            assert reader.exposure(1).items["movies"].optics.voltage == 300
    finally:
        assert "has ended" in call("project", "stop", "s1")
    assert "No engine works on" in call("project", "stop", "s1")


def test_scripts_make_projects_by_position(alone):
    (alone / "w.json").write_text(
        json.dumps({"version": 2, "name": "w", "steps": [{"name": "movies", "protocol": "ImportMovies"}]})
    )
    (alone / "sessions").mkdir()
    assert "sessions/s1: movies" in call("project", "create", "s1", "w.json", "sessions", "grid 3, second try")
    project = Project("sessions/s1")
    with project.reader() as reader:
        assert reader.settings()["comment"] == "grid 3, second try"
        assert reader.session().name == "s1"
    assert "Comment  grid 3, second try" in call("status", "sessions/s1")
    assert "is a project already" in call("project", "create", "s1", "w.json", "sessions", code=3)
    assert "There is no template or file 'no.json'" in call("project", "create", "s2", "no.json", code=3)
    assert "movies: Movies must be answered" in call("project", "create", "s2", code=2)
    call("project", "create", "s3", "w.json", "-")
    assert not Project("s3").running()
    assert "is not a project" in call(
        "project", "schedule", "site" if (alone / "site").exists() else "sessions", code=3
    )


def test_plug_ins_bring_templates_and_a_broken_one_harms_nothing(alone):
    for name, lines in (("mine", "mine = mine.workflows"), ("lost", "lost = lost.nowhere")):
        info = alone / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cryowidgets.templates]\n{lines}\n")
    folder = alone / "mine" / "workflows"
    folder.mkdir(parents=True)
    steps = [{"name": "movies", "protocol": "ImportMovies"}]
    for name, description in (("ours", "from a plug-in"), ("live", "hides nothing of the package")):
        content = {"version": 2, "name": name, "description": description, "steps": steps}
        (folder / f"{name}.json").write_text(json.dumps(content))
    command = [sys.executable, "-m", "cryowidgets", "template"]
    environment = {**os.environ, "PYTHONPATH": str(alone)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "ours mine from a plug-in" in text
    assert "mine/live mine hides nothing of the package" in text and " live package live Live preview" in text
    assert "Template 'lost' of lost 1.0 cannot be used" in text
