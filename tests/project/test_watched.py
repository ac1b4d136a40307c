"""Monitors and channels of a workflow: checked with it, in force in sessions that are made of it, never a secret."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.errors import WorkflowError
from cryowidgets.monitors import channels, registry, settings
from cryowidgets.project import Project
from cryowidgets.workflow import Workflow, read
from cryowidgets.workflow.reading import parse

MOVIES = {"name": "movies", "protocol": "ImportMovies", "params": {"pattern": "/nowhere/*.tif", "pixel_size": 1.0}}
WATCHED = {"monitors": {"ctf": {"defocus_max": 30000.0, "share": 40.0}, "particles": False}, "channels": ["staff"]}


def document(**more):
    return json.dumps({"version": 2, "name": "w", "steps": [MOVIES], **more})


def write(folder, text):
    path = folder / "w.json"
    path.write_text(text)
    return path


def warnings(folder):
    with Project(folder).reader() as reader:
        return [event.text for event in reader.events() if event.kind == "warning"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The channels of whoever runs this."""
    file = tmp_path / "alerts.toml"
    file.write_text('[staff]\nurl = "json://127.0.0.1:1"\n')
    file.chmod(0o600)
    monkeypatch.setenv(channels.VARIABLE, str(file))
    return file


def test_a_session_watches_and_tells_as_its_workflow_says(tmp_path, file):
    workflow, faults = parse(document(**WATCHED))
    assert faults == [] and parse(workflow.to_json()) == (workflow, [])
    project = Project.create(tmp_path / "p", template=workflow)
    with project.reader() as reader:
        kept = reader.settings()
    known = settings.loads(kept[settings.KEY])
    made = settings.made("ctf", registry.get("ctf"), known)
    assert (made.defocus_max, made.share, made.clear) == (30000.0, 40.0, 20.0)
    assert known["ctf"].on and not known["particles"].on
    assert settings.channels(kept[settings.CHANNELS]) == ["staff"] and warnings(tmp_path / "p") == []
    again = project.document()
    assert (again.monitors, again.channels) == (workflow.monitors, workflow.channels), "and hands it on"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"monitors": {"ctff": {}}}, "no monitor 'ctff' is installed; did you mean 'ctf'?"),
        ({"monitors": {"ctf": {"defocus_mx": 1}}}, "has no parameter 'defocus_mx'. Did you mean 'defocus_max'?"),
        ({"monitors": {"ctf": {"share": "much"}}}, "share does not take 'much'"),
        ({"monitors": {"ctf": {"share": 10, "clear": 20}}}, "clear 20 % is not less than share 10 %"),
        ({"monitors": {"ctf": True}}, "monitor 'ctf': write an object with its values, or false to have it off"),
        ({"monitors": ["ctf"]}, "'monitors' is a list; write an object in braces"),
        ({"channels": "staff"}, "'channels' is a text, 'staff'; write a list in brackets"),
        ({"channels": ["mailtos://user:hidden@example.org"]}, "channel 1 is no name of a channel"),
        ({"channels": ["staff", 3]}, "channel 2 is no name of a channel"),
        ({"channels": [" "]}, "channel 1 is no name of a channel"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(tmp_path, more, sentence):
    faults = parse(document(**more))[1]
    assert any(sentence in fault for fault in faults), faults
    assert "hidden" not in "".join(faults), "a secret is not repeated"
    with pytest.raises(WorkflowError):
        Project.create(tmp_path / "p", template=write(tmp_path, document(**more)))
    assert not (tmp_path / "p").exists()


def test_a_workflow_that_was_never_read_is_checked_too(tmp_path):
    plain = read(write(tmp_path, document()))
    for wrong in ({"monitors": {"ctf": {"share": "much"}}}, {"channels": ("slack://token",)}):
        with pytest.raises(WorkflowError, match="share does not take|no name of a channel"):
            Project.create(tmp_path / "p", template=Workflow(plain.name, "", plain.steps, **wrong))
    assert not (tmp_path / "p").exists()


def test_a_channel_that_is_not_there_is_said_in_the_log_and_at_the_command_line(tmp_path, file):
    path = write(tmp_path, document(channels=["staff", "night"], monitors=WATCHED["monitors"]))
    ran = CliRunner().invoke(main, ["template", str(path), "--project", str(tmp_path / "p"), "-y", "--no-start"])
    assert ran.exit_code == 0, ran.output
    said = f"Alerts were to go to night, and {file} has no such channel. It has: staff."
    assert said in ran.output and [text.startswith(said) for text in warnings(tmp_path / "p")] == [True]
    shown = CliRunner().invoke(main, ["library", "show", str(path)]).output
    assert "monitor ctf: defocus_max = 30000.0, share = 40.0" in shown and "monitor particles: off" in shown
    assert "alerts go to staff, night" in shown
    file.chmod(0o644)
    Project.create(tmp_path / "q", template=path)
    assert "everybody can read it" in warnings(tmp_path / "q")[0]
