"""The command line: what it prints, what it refuses, and with which code it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from cryowidgets import workflow
from cryowidgets.cli import main
from cryowidgets.io import mrc
from cryowidgets.project import Project
from cryowidgets.protocols import registry

IMPORT_ONLY = {
    "version": 1,
    "name": "import",
    "description": "",
    "steps": [{"name": "movies", "protocol": "ImportMovies"}],
}


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Type a command in a folder of its own: ``cli("status p")``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "import.json").write_text(json.dumps(IMPORT_ONLY))

    def type_in(line: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return type_in


@pytest.fixture
def raw(tmp_path):
    """A folder with two whole movies, last written to an hour ago."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("a", "b"):
        mrc.write(folder / f"{name}.mrc", np.ones((2, 8, 8), np.int8), 1.0)
        os.utime(folder / f"{name}.mrc", (time.time() - 3600,) * 2)
    return folder


NEW = "new p --movies raw/*.mrc --pixel-size 1.5 --template import.json"


def test_every_command_explains_itself(cli):
    listed = cli("--help")
    for name, command in main.commands.items():
        assert f"  {name} " in listed
        text = cli(f"{name} --help")
        assert command.help.splitlines()[0] in text
        for option in command.get_params(command.make_context(name, [], resilient_parsing=True)):
            assert getattr(option, "help", None) or option.param_type_name == "argument", (name, option.name)


def test_parameters_in_examples_exist():
    steps = {step.name: registry.get(step.protocol).parameters() for step in workflow.read("live").steps}
    examples = " ".join(command.epilog or "" for name, command in main.commands.items() if name != "monitor")
    named = re.findall(r"\b(\w+)\.(\w+)=", examples)
    assert len(named) >= 4
    for step, parameter in named:
        assert parameter in steps[step]


def test_new_makes_a_project_with_what_was_said(cli, tmp_path):
    out = cli(f"{NEW} --name lysozyme --voltage 200 --timeout 2h --set movies.poll=5s")
    assert "cryowidgets run p" in out
    params = Project(tmp_path / "p").steps["movies"].params
    assert params["pattern"] == str(tmp_path / "raw/*.mrc")
    assert (params["pixel_size"], params["voltage"], params["timeout"], params["poll"]) == (1.5, 200.0, 7200.0, 5.0)
    assert params["cs"] == 2.7
    assert json.loads(cli("status p --json"))["session"]["name"] == "lysozyme"


def test_the_flags_of_new_are_the_parameters_of_the_import(cli):
    from cryowidgets.protocols.import_movies import ImportMovies

    text = cli("new --help")
    for name, parameter in ImportMovies.parameters().items():
        assert f"--{ {'pattern': 'movies'}.get(name, name).replace('_', '-') }" in text
        assert " ".join(parameter.help.split()[:3]) in " ".join(text.split())


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("new p --pixel-size 1", 2, "--movies"),
        ("new p --movies . --pixel-size 1", 2, "is a folder: say which files in it are movies"),
        ("new p --movies raw/*.mrc --pixel-size 60 --template import.json", 2, "write a float from 0 to 50 Å/px"),
        ("new p --movies raw/*.mrc --pixel-size 1 --template nosuch", 3, "Templates: "),
        ("new p --movies raw/*.mrc --pixel-size 1 --gain no.mrc --template import.json", 2, "does not exist"),
        (f"{NEW} --set movies.pixelsize=3", 2, "Did you mean 'pixel_size'?"),
        (f"{NEW} --set pixel_size=3", 2, "step.parameter=value"),
        (f"{NEW} --set align.bin=2", 2, "There is no step 'align'"),
        (f"{NEW} --timeout soon", 2, "12h"),
        ("run nosuch", 2, "nosuch"),
        ("run .", 3, "is not a project"),
        ("status .", 3, "is not a project"),
        ("pause .", 3, "is not a project"),
        ("run . --until-idle soon", 2, "is not a duration"),
        ("show protocol Nosuch", 3, "Installed: "),
        ("batch . --max-failed 3", 2, "is not a share"),
    ],
)
def test_a_refusal_is_one_sentence_without_traceback(cli, line, code, says):
    out = cli(line, code=code)
    assert says in " ".join(out.split())
    assert "Traceback" not in out


def test_run_to_the_end_and_look(cli, raw):
    cli(NEW)
    out = cli("run p --executor inline --until-idle 0.3")
    assert "2 movies found, 2 done" in out
    assert "Failed" not in out
    status = cli("status p")
    assert "Engine   none runs" in status
    assert "Stream   closed: 2 movies found" in status
    told = json.loads(cli("status p --json"))
    assert told["steps"][0]["tasks"] == {"done": 2}
    assert told["failures"] == []
    assert told["session"]["engine"] is None
    exposure = cli("show exposure p a")
    assert str(raw / "a.mrc") in exposure
    assert "frames           2" in exposure
    assert "Did you mean 'a'?" in cli("show exposure p aa", code=2)


def test_what_failed_is_named_and_the_code_is_1(cli, raw, tmp_path):
    (raw / "broken.mrc").write_bytes((raw / "a.mrc").read_bytes()[:-7])
    os.utime(raw / "broken.mrc", (0, time.time() - 3600))
    cli(NEW)
    out = cli("run p --executor inline --until-idle 0.3", code=1)
    assert "broken in movies: " in out
    assert "truncated" in out or "holds 1 of 2 frames" in out
    (raw / "broken.mrc").write_bytes((raw / "a.mrc").read_bytes())
    assert "first" in cli("retry p")
    assert "broken" in cli("status p")
    cli("reopen p")
    assert "3 done" in cli("run p --executor inline --until-idle 0.3")


def test_commands_reach_the_engine(cli, raw, tmp_path):
    cli(NEW)
    told = {"pause p": "resume", "resume p": "goes on", "stop p": "is closing", "stop p --now": "end now"}
    for line, says in told.items():
        out = cli(line)
        assert says in out
        assert "No engine runs now" in out
    kinds = [json.loads(f.read_text())["command"] for f in sorted((tmp_path / "p/inbox").iterdir())]
    assert kinds == ["pause", "resume", "stop", "quit"]


def test_set_refuses_before_it_sends(cli, tmp_path):
    cli(NEW)
    assert "poll = 2s" in cli("set p movies.poll=2s")
    (sent,) = (tmp_path / "p/inbox").iterdir()
    assert json.loads(sent.read_text())["args"] == {"step": "movies", "values": {"poll": "2s"}, "scope": "new"}
    assert "Did you mean 'poll'?" in cli("set p movies.pol=2s", code=2)
    assert "it has movies" in cli("set p door.poll=2s", code=2)
    assert len(list((tmp_path / "p/inbox").iterdir())) == 1


def test_kernels_are_compiled_beforehand(cli):
    assert "kernels are ready" in cli("compile")


def test_a_movie_is_taken_out_and_back(cli, raw):
    cli(NEW)
    cli("run p --executor inline --until-idle 0.3")
    cli("reject p a --why ice")
    cli("reopen p")
    cli("run p --executor inline --until-idle 0.3")
    assert "rejected: ice" in cli("show exposure p a")
    cli("readmit p a")
    cli("reopen p")
    cli("run p --executor inline --until-idle 0.3")
    assert "rejected" not in cli("show exposure p a")


def test_protocols_are_listed_and_explained(cli):
    listed = cli("plugins")
    assert re.search(r"ImportMovies +files → Movie ", listed)
    text = cli("show protocol ImportMovies")
    assert "ImportMovies: files → Movie" in text
    assert re.search(r"0 to 50 +Pixel size of the movies", text)
    assert "12h" in text


def test_sigterm_ends_the_engine_cleanly(tmp_path, raw, cli):
    cli(NEW)
    command = [sys.executable, "-m", "cryowidgets", "run", "p", "--executor", "inline"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as engine:
        project = Project(tmp_path / "p")
        until = time.monotonic() + 30
        while time.monotonic() < until and not (project.running() and "2 done" in cli("status p")):
            time.sleep(0.1)
        assert f"process ID {engine.pid}" in cli("run p", code=3)
        engine.send_signal(signal.SIGTERM)
        out, _ = engine.communicate(timeout=30)
    assert engine.returncode == 0
    assert "'cryowidgets run p' goes on" in out
    assert "none runs" in cli("status p")


def test_status_starts_light(tmp_path, raw, cli):
    """What makes it answer at once: nothing heavy is imported."""
    cli(NEW)
    code = (
        "import sys; from cryowidgets.cli import main; main(['status', 'p'], standalone_mode=False); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    heavy = {"dask", "distributed", "scipy", "pandas", "bokeh", "ipywidgets", "IPython", "voila", "papermill"}
    assert heavy.isdisjoint(done.stdout.splitlines()[-1].split())
