"""Alerts and monitors by the command line: what it shows and sends, and what it refuses before that."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.engine import inbox
from cryowidgets.monitors import registry
from cryowidgets.monitors.watch import change
from tests.filled import FilledSession
from tests.monitors.receivers import Mail


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "session")
    yield session
    session.close()


@pytest.fixture
def run(filled):
    return lambda *args: CliRunner().invoke(main, [str(a) for a in args])


def sent(filled):
    """Commands in the inbox, which is emptied."""
    found = [(c.name, c.args) for c in inbox.read(filled.folder)]
    for command in inbox.read(filled.folder):
        inbox.remove(filled.folder, command.ref)
    return found


def test_what_is_wrong_is_listed_and_known_by_a_command(run, filled):
    assert run("alerts", filled.folder).output == "Nothing is wrong.\n"
    filled.alert("It moves.", monitor="drift")
    number = filled.alert("The disk is full.", "alarm", monitor="system")
    lines = run("alerts", filled.folder).output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["2", "alarm", "system"], ["1", "warning", "drift"]]
    assert lines[1].endswith("open   The disk is full.")
    filled.clear(monitor="drift")
    assert "over" in run("alerts", filled.folder, "--all").output and "drift" not in run("alerts", filled.folder).output
    (told,) = json.loads(run("alerts", filled.folder, "--json").output)["alerts"]
    assert (told["id"], told["level"], told["cleared"]) == (number, "alarm", None)
    assert "eva knows of alert 2." in run("alerts", filled.folder, "--acknowledge", number, "--by", "eva").output
    assert sent(filled) == [("acknowledge", {"alert": 2, "by": "eva"})]
    refused = run("alerts", filled.folder, "--acknowledge", 9)
    assert refused.exit_code == 2 and "no alert 9" in refused.output and sent(filled) == []


def test_monitors_are_listed_with_their_values_and_changed_by_a_command(run, filled):
    change(filled.store, "drift", {"drift_max": 30})
    change(filled.store, "ice", None, False)
    shown = run("monitor", "list", filled.folder).output
    assert "30 Å  (changed)" in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("ice")] == ["off"]
    told = json.loads(run("monitor", "list", filled.folder, "--json").output)
    assert told["monitors"]["drift"]["values"]["drift_max"] == 30 and not told["monitors"]["ice"]["on"]
    done = run("monitor", "set", filled.folder, "ctf.defocus_max=30000", "pace.silence_max=1h")
    assert "ctf: defocus_max = 30000. No engine runs now" in done.output
    assert sent(filled) == [
        ("monitor", {"name": "ctf", "values": {"defocus_max": "30000"}}),
        ("monitor", {"name": "pace", "values": {"silence_max": "1h"}}),
    ]
    assert run("monitor", "off", filled.folder, "ice", "gain").exit_code == 0
    assert [args for _, args in sent(filled)] == [{"name": "ice", "on": False}, {"name": "gain", "on": False}]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["set", "drift.drift_mx=3"], 2, "Did you mean 'drift_max'"),
        (["set", "drift.drift_max=far"], 2, "does not take 'far'"),
        (["set", "drif.drift_max=3"], 3, "Did you mean 'drift'"),
        (["off", "weather"], 3, "No monitor 'weather' is installed"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sent(run, filled, words, code, said):
    refused = run("monitor", words[0], filled.folder, *words[1:])
    assert refused.exit_code == code and said in refused.output and sent(filled) == []


def test_parameters_in_examples_exist():
    named = re.findall(r"\b(\w+)\.(\w+)=", main.commands["monitor"].epilog)
    assert named
    for name, parameter in named:
        assert parameter in registry.get(name).parameters()


def test_channels_are_named_and_tried(run, filled, tmp_path, monkeypatch):
    file = tmp_path / "alerts.toml"
    monkeypatch.setenv("CRYOWIDGETS_ALERTS", str(file))
    assert run("alerts", "channels", filled.folder).output == f"Nobody is told. {file} has: none.\n"
    mail = Mail()
    try:
        file.write_text(f'[staff]\nurl = "{mail.url}"\n[dead]\nurl = "json://127.0.0.1:1/?cto=1"\n')
        file.chmod(0o600)
        assert run("alerts", "channels", filled.folder, "staff").exit_code == 0
        assert sent(filled) == [("channels", {"names": ["staff"]})]
        refused = run("alerts", "channels", filled.folder, "crew")
        assert refused.exit_code == 2 and "has no channel 'crew'. It has: staff, dead." in refused.output
        assert run("alerts", "test", "staff").output == "staff took a message.\n"
        (got,) = mail.messages
        assert got["Subject"] == "cryowidgets: test" and "This is a test by" in got.get_body().get_content()
        refused = run("alerts", "test", "dead")
        assert refused.exit_code == 3 and "Channel 'dead' took nothing: " in refused.output
    finally:
        mail.close()
