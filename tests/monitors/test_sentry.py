"""An engine that dies, or stands still, is told of by who stands beside it; one that ends in good order is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from cryowidgets.monitors import sentry
from cryowidgets.monitors.sentry import ALIVE, FAREWELL, Sentry, watch
from cryowidgets.project import Project
from tests.monitors.ledger import Ledger
from tests.monitors.receivers import Mail, Webhook, until

ENGINE = "import sys; from cryowidgets import Project; Project(sys.argv[1]).run(executor='inline')"


@pytest.fixture
def people(tmp_path):
    """Somebody to be told, by a real mail server and a real webhook."""
    mail, webhook = Mail(), Webhook()
    file = tmp_path / "alerts.toml"
    staff = f'[staff]\nurl = "{mail.url}"\nalways = true\nlink = "http://host/page?session={{session}}"\n'
    file.write_text(staff + f'[chat]\nurl = "{webhook.url}"\nalways = true\n')
    file.chmod(0o600)
    yield mail, webhook, file
    mail.close(), webhook.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_people_hear_of_an_engine_that_was_killed_and_of_none_that_was_ended(tmp_path, people, how):
    mail, webhook, file = people
    project = Project.create(tmp_path / "p", name="grid 3", movies=str(tmp_path / "*.mrc"), pixel_size=1.0)
    environment = {**os.environ, "CRYOWIDGETS_ALERTS": str(file)}
    with subprocess.Popen([sys.executable, "-c", ENGINE, str(project.folder)], env=environment) as engine:
        beside = until(lambda: [c for c in psutil.Process(engine.pid).children() if sentry.__name__ in c.cmdline()])
        engine.send_signal(how)
        engine.wait(60)
    psutil.wait_procs(beside, 60)
    assert not any(process.is_running() for process in beside), "it does not outlive what it has to say"
    if how == signal.SIGTERM:
        assert mail.messages == [] and webhook.posts == []
        return
    (got,) = mail.messages
    body = got.get_body().get_content()
    assert got["Subject"] == "grid 3: alarm, engine" and "http://host/page?session=grid%203" in body
    assert f"process {engine.pid} on" in body and f"'cryowidgets run {project.folder}'" in body.replace("\n", " ")
    assert len(webhook.posts) == 1


def test_an_engine_that_stands_still_is_told_of_once_and_again_when_it_goes_on(tmp_path, people, monkeypatch):
    mail, webhook, file = people
    ledger = Ledger(tmp_path / "p")
    signs, engine = os.pipe()
    reading = threading.Thread(target=watch, args=(ledger.store.folder, 7, file, signs, 0.2))
    reading.start()
    os.write(engine, ALIVE)
    until(lambda: len(mail.messages) == 1)
    assert "has done nothing for" in mail.messages[0].get_body().get_content()
    os.write(engine, ALIVE)
    until(lambda: len(mail.messages) >= 2)
    assert mail.messages[1]["Subject"] == "grid 3: 1 over"
    os.write(engine, FAREWELL)
    reading.join(30)
    assert not reading.is_alive()
    os.close(engine), os.close(signs)
    ledger.close()


def test_where_nobody_is_to_be_told_there_is_no_process(tmp_path):
    ledger = Ledger(tmp_path / "p")
    one = Sentry(tmp_path / "none.toml")
    assert one.look(ledger.reader) == [] and one._process is None and one.close(ledger.reader) == []
    ledger.close()


def test_an_engine_that_ends_by_an_error_says_no_farewell(tmp_path, people):
    mail, _, file = people
    ledger = Ledger(tmp_path / "p")
    one = Sentry(file)
    one.look(ledger.reader)
    process = one._process
    try:
        raise OSError("the disk is gone")
    except OSError:
        (said,) = one.close(ledger.reader)
    assert "the disk is gone" in said.text
    process.wait(60)
    assert "has died" in mail.messages[0].get_body().get_content()
    ledger.close()
