"""A simulated session from a shell, and the whole of one at once."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.io.movie import open_movie
from cryowidgets.project import Project
from cryowidgets.sim.microscope import FAULTS

SMALL = "--every 0 --size 64 --frames 3 --write-seconds 0"


def cli(line: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, shlex.split(line), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_that_it_prints_makes_a_project(tmp_path):
    out = cli(f"sim {tmp_path}/m --movies 2 {SMALL} --recipe drift=1:2 --recipe pixel_size=0.9 --seed 4")
    (line,) = [line for line in out.splitlines() if line.startswith("cryowidgets new PROJECT")]
    cli(line.replace("cryowidgets ", "").replace("PROJECT", f"{tmp_path}/p"))
    params = Project(tmp_path / "p").steps["movies"].params
    assert (params["pixel_size"], params["dose_per_frame"]) == (0.9, 1.5)
    truth = json.loads((tmp_path / "m/truth.json").read_text())
    assert [movie["frames"] for movie in truth["movies"]] == [3, 3]
    assert (truth["session"]["seed"], truth["session"]["recipe"]["drift"]) == (4, [1.0, 2.0])
    with open_movie(tmp_path / "m" / truth["movies"][0]["path"]) as movie:
        assert movie.shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--size large", "4092x5760"),
        ("--size 10x20x30", "4092x5760"),
        ("--fault truncated", "'3=truncated'"),
        ("--fault 1=melted", "There is no fault 'melted'"),
        ("--recipe drift", "name=value"),
        ("--recipe frames=3", "name=value"),
        ("--recipe drift=far", "drift takes a number or a range low:high"),
        ("--recipe mass=1:2", "mass takes a number."),
    ],
)
def test_what_cannot_be_simulated_is_told(tmp_path, options, says):
    assert says in " ".join(cli(f"sim {tmp_path}/m {options}", code=2).split())


def test_a_folder_is_used_once(tmp_path):
    cli(f"sim {tmp_path}/m --movies 1 {SMALL}")
    assert "holds a simulated session already" in cli(f"sim {tmp_path}/m --movies 1 {SMALL}", code=3)


def test_the_help_names_all_faults():
    text = " ".join(cli("sim --help").split())
    for fault in FAULTS:
        assert fault in text


def test_a_preset_is_taken_and_then_changed(tmp_path):
    cli(f"sim {tmp_path}/m --movies 1 {SMALL} --preset hard --recipe tilt=30 --recipe carbon=0")
    truth = json.loads((tmp_path / "m/truth.json").read_text())
    assert truth["session"]["recipe"]["ripples"] > 0
    assert truth["session"]["recipe"]["carbon"] == 0
    assert truth["movies"][0]["tilt"] == 30


def test_a_signal_ends_the_microscope_after_the_movie_in_hand(tmp_path):
    command = [sys.executable, "-m", "cryowidgets", "sim", "m", "--movies", "500", "--every", "0.2", "--size", "64"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as microscope:
        while not list(tmp_path.glob("m/Images-Disc1/*/Data/*.xml")):
            time.sleep(0.05)
        microscope.send_signal(signal.SIGTERM)
        out, _ = microscope.communicate(timeout=30)
    assert microscope.returncode == 0
    truth = json.loads((tmp_path / "m/truth.json").read_text())
    assert 0 < len(truth["movies"]) < 500
    assert f"{len(truth['movies'])} movies in" in out


def test_demo_shows_a_session_and_compares_it_with_the_truth(tmp_path):
    command = [sys.executable, "-m", "cryowidgets", "demo", "d", "--movies", "3", "--every", "1", "--no-browser"]
    command += ["--fault", "2=truncated"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        address = re.match(r"The page: (http://127\.0\.0\.1:\d+/\S+)", demo.stdout.readline())
        assert address
        with urllib.request.urlopen(address[1], timeout=60) as answer:
            assert answer.status == 200
            assert "cryowidgets" in answer.read().decode()
        out = demo.stdout.read()
    assert demo.returncode == 0, out
    assert "3 movies found, 2 done, 1 failed" in out
    assert "holds" in out or "truncated" in out
    assert "2 movies compared with the truth" in out
    assert "not processable, as intended" in out
    assert not Project(tmp_path / "d/session").running()
    with pytest.raises(OSError, match="refused|reset"):
        urllib.request.urlopen(address[1], timeout=5)


def test_demo_interrupted_leaves_nothing_running(tmp_path):
    command = [sys.executable, "-m", "cryowidgets", "demo", "d", "--movies", "50", "--every", "1", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        while not list(tmp_path.glob("d/microscope/Images-Disc1/*/Data/*.tiff")):
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        out, _ = demo.communicate(timeout=90)
    assert demo.returncode == 130
    assert "Interrupted." in out
    assert not Project(tmp_path / "d/session").running()
    before = len(list(tmp_path.glob("d/microscope/Images-Disc1/*/Data/*.tiff")))
    time.sleep(2.5)
    assert len(list(tmp_path.glob("d/microscope/Images-Disc1/*/Data/*.tiff"))) == before
