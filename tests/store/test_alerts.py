"""Alerts are state in the ledger: one open alert of one thing, told when it opens, worsens and clears."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from cryowidgets.errors import CommandError
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Clear, Raise, Sent
from cryowidgets.store.database import NAME
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "p", "a session")
    yield store
    store.close()


@pytest.fixture
def reader(store):
    with Reader(store.folder) as reader:
        yield reader


def kinds(reader):
    return [event.kind for event in reader.events()]


def test_what_is_said_twice_is_one_alert_and_one_event(store, reader):
    found = Raise("drift", "total", "warning", "It moves.", 31.0, 20.0, exposure=4)
    (opened,) = alerts.write(store, [found], now=100.0)
    assert alerts.write(store, [found], now=200.0) == []
    assert reader.alerts() == [opened]
    assert (opened.value, opened.allowed, opened.exposure, opened.opened, opened.open) == (31.0, 20.0, 4, 100.0, True)
    assert kinds(reader) == ["alert"] and reader.events()[0].exposure == 4


def test_a_cleared_alert_is_history_and_the_next_is_another(store, reader):
    alerts.write(store, [Raise("drift", "total", "warning", "It moves.")])
    (over,) = alerts.write(store, [Clear("drift", "total", "It rests.")], now=300.0)
    assert (over.cleared, over.cleared_text, reader.alerts()) == (300.0, "It rests.", [])
    assert alerts.write(store, [Clear("drift", "total", "It rests.")]) == [], "nothing is open any more"
    alerts.write(store, [Raise("drift", "total", "warning", "It moves again.")])
    assert [a.text for a in reader.alerts(open=False)] == ["It moves again.", "It moves."]
    assert [a.text for a in reader.alerts(open=False, limit=1)] == ["It moves again."]
    assert kinds(reader) == ["alert", "alert.cleared", "alert"]


def test_the_worst_comes_first_and_of_these_the_newest(store, reader):
    for n, level in enumerate(["note", "alarm", "warning", "alarm"]):
        alerts.write(store, [Raise("m", str(n), level, f"{n}")])
    assert [a.text for a in reader.alerts()] == ["3", "1", "2", "0"]


def test_who_knows_is_written_down_and_only_what_is_worse_is_told_anew(store, reader):
    (alert,) = alerts.write(store, [Raise("system", "disk", "warning", "20 GB are left.", 20.0)])
    alerts.write(store, [Sent("mail", [alert.id])])
    known = alerts.acknowledge(store, alert.id, "eva")
    assert known.acknowledged_by == "eva" and known.acknowledged is not None
    assert alerts.acknowledge(store, alert.id, "paul").acknowledged_by == "eva", "the first is who knew"
    alerts.write(store, [Raise("system", "disk", "warning", "19 GB are left.", 19.0)])
    assert reader.alerts() == [known]
    (worse,) = alerts.write(store, [Raise("system", "disk", "alarm", "2 GB are left.", 2.0)])
    assert (worse.id, worse.level, worse.value, worse.acknowledged) == (alert.id, "alarm", 2.0, None)
    assert store.query("SELECT * FROM notice") == [], "so it is to be told"
    alerts.write(store, [Raise("system", "disk", "warning", "20 GB are left.", 20.0)])
    assert reader.alerts() == [worse], "it is not called less bad before it is over"
    with pytest.raises(CommandError, match="no alert 77"):
        alerts.acknowledge(store, 77, "eva")


def test_a_ledger_of_an_earlier_version_has_none_until_it_is_upgraded(store, reader):
    with closing(sqlite3.connect(store.folder / NAME)) as db:
        db.executescript("DROP TABLE notice; DROP TABLE alert;")
    assert reader.alerts() == []
    assert "alert" in store.upgrade()
    alerts.write(store, [Raise("drift", "total", "note", "It moves.")])
    assert len(reader.alerts()) == 1
