"""Alerts reach people by a real mail server and a real webhook; a channel that is dead harms nothing."""

from __future__ import annotations

import socket
import time

import pytest
from PIL import Image

from cryowidgets.errors import InputError
from cryowidgets.monitors import channels
from cryowidgets.monitors.notify import PAUSES, Notifier, due
from cryowidgets.monitors.watch import name_channels
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Clear, Raise
from tests.monitors.ledger import Ledger
from tests.monitors.receivers import Mail, Webhook, until

NOON, NIGHT, MORNING = (
    time.mktime((2027, 1, 15, hour, 0, 0, 0, 0, -1)) for hour in (12, 23, 31)
)  # 31 o'clock is 7 the next morning


@pytest.fixture(scope="module")
def mail():
    server = Mail()
    yield server
    server.close()


@pytest.fixture(scope="module")
def webhook():
    server = Webhook()
    yield server
    server.close()


@pytest.fixture
def ledger(tmp_path, mail, webhook):
    mail.messages.clear(), webhook.posts.clear()
    webhook.broken, webhook.asked = False, 0
    made = Ledger(tmp_path / "p")
    yield made
    made.close()


class People:
    """A file of channels, and a notifier that is asked until what it sends has arrived."""

    def __init__(self, ledger, file, text):
        self.ledger = ledger
        file.write_text(text)
        file.chmod(0o600)
        self.notifier = Notifier(file)

    def look(self, now):
        """One look, and what came of what it sent."""
        changes = self.notifier.look(self.ledger.reader, now)
        for state in self.notifier._states.values():
            if state.post is not None:
                assert state.post.wait(20)
        alerts.write(self.ledger.store, changes + self.notifier.look(self.ledger.reader, now), now)
        self.notifier.close(self.ledger.reader)

    def said(self):
        return [event.text for event in self.ledger.reader.events() if event.kind == "warning"]


@pytest.fixture
def people(ledger, tmp_path):
    return lambda text: People(ledger, tmp_path / "alerts.toml", text)


def test_a_mail_has_words_picture_and_link_and_the_end_goes_to_who_had_the_beginning(ledger, people, mail, webhook):
    picture = ledger.store.folder / "steps" / "a.jpg"
    Image.new("L", (60, 40), 128).save(picture)
    (exposure,) = ledger.expose(1, thumbnail="steps/a.jpg", motion_total=80.0)
    crew = people(
        f'[staff]\nurl = "{mail.url}"\nalways = true\nlink = "http://host/page?project={{folder}}"\n'
        f'[chat]\nurl = "{webhook.url}"\nalways = true\nleast = "alarm"\n[other]\nurl = "{webhook.url}"\n'
    )
    alerts.write(ledger.store, [Raise("drift", "drift", "warning", "It moves.", 80.0, 45.0, exposure)], NOON)
    crew.look(NOON + 3)
    (got,) = mail.messages
    assert got["Subject"] == "grid 3: warning, drift" and got["To"] == "staff@example.org"
    body = got.get_body().get_content()
    assert "WARNING (drift), since 12:00: It moves." in body and "Exposure m00001" in body
    assert "http://host/page?project=%2F" in body
    (attached,) = got.iter_attachments()
    assert attached.get_content_type() == "image/jpeg" and attached.get_content() == picture.read_bytes()
    assert webhook.posts == [], "it is no alarm"
    crew.look(NOON + 6)
    assert len(mail.messages) == 1, "nobody is told twice"
    alerts.write(ledger.store, [Clear("drift", "drift", "It rests.")], NOON + 600)
    crew.look(NOON + 603)
    assert mail.messages[1]["Subject"] == "grid 3: 1 over"
    assert "OVER (drift), from 12:00, lasted 10m: It rests." in mail.messages[1].get_body().get_content()
    assert webhook.posts == [] and crew.said() == []
    assert ledger.store.query("SELECT channel FROM notice") == [("staff",)]


def test_a_dead_channel_is_said_once_tried_later_and_gets_all_at_once_then(ledger, people, webhook):
    webhook.broken = True
    crew = people(f'[chat]\nurl = "{webhook.url}"\nalways = true\n')
    alerts.write(ledger.store, [Raise("drift", "drift", "warning", "It moves.")], NOON)
    crew.look(NOON)
    assert webhook.asked == 1
    crew.look(NOON + PAUSES[0] - 1)
    assert webhook.asked == 1, "not before the pause is over"
    crew.look(NOON + PAUSES[0])
    crew.look(NOON + PAUSES[0] + PAUSES[1] - 1)
    assert webhook.asked == 2, "the pauses grow"
    (said,) = crew.said()
    assert said.startswith("Alerts do not reach the channel 'chat'") and "503" in said
    alerts.write(ledger.store, [Clear("drift", "drift", "It rests."), Raise("ice", "ice", "alarm", "Ice.")], NOON + 50)
    webhook.broken = False
    crew.look(NOON + 200)
    (post,) = webhook.posts
    assert post["title"] == "grid 3: 1 alarm, 1 over" and post["type"] == "failure"
    assert post["message"].index("ALARM (ice)") < post["message"].index("OVER (drift)")
    assert [e.text for e in ledger.reader.events() if e.kind == "alert.sent"][0].endswith("'chat' again.")
    crew.look(NOON + 203)
    assert len(webhook.posts) == 1


def test_a_channel_where_nobody_listens_blocks_nothing(ledger, people):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        url = f"json://127.0.0.1:{deaf.getsockname()[1]}/?cto=1&rto=1"
        crew = people(f'[deaf]\nurl = "{url}"\nalways = true\n')
        alerts.write(ledger.store, [Raise("drift", "drift", "warning", "It moves.")], NOON)
        for n in range(50):
            assert crew.notifier.look(ledger.reader, NOON + n) == [], "it is asked, and does not wait for an answer"
        until(lambda: crew.notifier._states["deaf"].post.done)
        crew.look(NOON + 60)
    assert len(crew.said()) == 1


def test_what_happens_at_night_is_told_in_the_morning_but_for_alarms(ledger, people, webhook):
    crew = people(f'[chat]\nurl = "{webhook.url}"\nalways = true\nquiet = "22:00-07:00"\n')
    for n, level in enumerate(["warning", "warning", "alarm"]):
        alerts.write(ledger.store, [Raise("m", str(n), level, f"Number {n}.")], NIGHT + n)
    alerts.write(ledger.store, [Clear("m", "0", "Gone.")], NIGHT + 100)
    crew.look(NIGHT + 200)
    assert [post["message"].partition(": ")[2] for post in webhook.posts] == ["Number 2."]
    alerts.write(ledger.store, [Clear("m", "2", "Gone.")], NIGHT + 300)
    crew.look(MORNING - 60)
    assert len(webhook.posts) == 2 and webhook.posts[1]["title"] == "grid 3: 1 over", "an alarm's end is told as well"
    crew.look(MORNING + 60)
    assert webhook.posts[2]["title"] == "grid 3: 1 warning, 1 over"
    assert len(webhook.posts) == 3


def test_an_acknowledged_alert_is_quiet_until_it_is_worse(ledger, people, webhook):
    crew = people(f'[chat]\nurl = "{webhook.url}"\nalways = true\nmonitors = ["system"]\n')
    system, drift = alerts.write(
        ledger.store,
        [Raise("system", "disk", "warning", "90 GB."), Raise("drift", "drift", "alarm", "It moves.")],
        NOON,
    )
    alerts.acknowledge(ledger.store, system.id, "eva")
    crew.look(NOON)
    assert webhook.posts == [], "one is known, of the other this channel does not want to know"
    alerts.write(ledger.store, [Raise("system", "disk", "alarm", "9 GB.")], NOON + 10)
    crew.look(NOON + 10)
    assert [post["title"] for post in webhook.posts] == ["grid 3: alarm, system"]


def test_a_project_names_its_channels_and_one_that_is_not_there_is_said(ledger, people, webhook):
    crew = people(f'[chat]\nurl = "{webhook.url}"\n[all]\nurl = "{webhook.url}"\nalways = true\n')
    name_channels(ledger.store, ["chat", "nobody"])
    alerts.write(ledger.store, [Raise("drift", "drift", "warning", "It moves.")], NOON)
    crew.look(NOON)
    crew.look(NOON + 10)
    assert len(webhook.posts) == 1 and ledger.store.query("SELECT channel FROM notice") == [("chat",)]
    (said,) = crew.said()
    assert "channel 'nobody'" in said


def test_history_and_more_than_a_message_holds(ledger):
    channel = channels.Channel("c", ("json://x",), least="note")
    for n in range(25):
        alerts.write(ledger.store, [Raise("m", str(n), "note", f"Number {n}.")], NOON - 90_000 * (n < 2))
    message = due(ledger.reader, channel, NOON)
    assert message.title == "grid 3: 23 notes" and message.body.endswith("… and 3 more.")
    assert len(message.alerts) == 23 and message.level == "note"


@pytest.mark.parametrize(
    "text, said",
    [
        ("url = ", "is no TOML"),
        ('[a]\nurl = "x"', 'write url = "service://…"'),
        ('[a]\nurl = "json://x"\nleats = "note"', "there is no 'leats'"),
        ('[a]\nurl = "json://x"\nleast = "bad"', "none of note, warning, alarm"),
        ('[a]\nurl = "json://x"\nquiet = "night"', "write '22:00-07:00'"),
        ("a = 3", "write a table, '[a]'"),
    ],
)
def test_a_file_of_channels_that_is_wrong_says_where(tmp_path, text, said):
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InputError) as refused:
        channels.load(file)
    assert said in str(refused.value) and str(file) in str(refused.value)


def test_a_file_that_everybody_can_read_is_refused_and_one_that_is_missing_has_none(tmp_path, monkeypatch):
    file = tmp_path / "alerts.toml"
    monkeypatch.setenv(channels.VARIABLE, str(file))
    assert channels.load() == {}
    file.write_text('[a]\nurl = "json://user:secret@x"\n')
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod o-rwx") as refused:
        channels.load()
    assert "secret" not in str(refused.value)
    file.chmod(0o640)
    assert channels.load()["a"].urls == ("json://user:secret@x",)


def test_a_service_that_apprise_does_not_know_is_said(ledger, people):
    crew = people('[a]\nurl = "pigeon://roof"\nalways = true\n')
    alerts.write(ledger.store, [Raise("drift", "drift", "warning", "It moves.")], NOON)
    crew.look(NOON)
    assert crew.said() == [
        "Alerts do not reach the channel 'a': pigeon:// is no service that apprise knows, or its address is "
        "incomplete. It is tried again."
    ]
