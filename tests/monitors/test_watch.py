"""The monitors of a project at work: restarts, settings, plug-ins that fail, and the engine that asks them."""

from __future__ import annotations

import math

import pytest

from cryowidgets import plugins
from cryowidgets.engine import inbox
from cryowidgets.engine.engine import Engine
from cryowidgets.errors import CryowidgetsError, PluginError
from cryowidgets.monitors import registry, settings
from cryowidgets.monitors.base import Monitor, Reading
from cryowidgets.monitors.watch import Watch, change
from cryowidgets.store.queries import Reader
from tests.monitors.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "p")
    yield made
    made.close()


def said(ledger, kind="warning"):
    return [event.text for event in ledger.reader.events() if event.kind == kind]


def test_an_open_alert_survives_a_restart_and_is_neither_said_again_nor_forgotten(ledger):
    ledger.only("drift", cooldown=1000)
    ledger.expose(25, motion_total=80.0)
    assert ledger.look() == ["warning drift.drift"]
    ledger.watch = Watch()
    assert ledger.look() == [] and len(ledger.reader.alerts()) == 1
    ledger.expose(25, motion_total=10.0)
    assert ledger.look() == ["over drift.drift"]
    ledger.watch = Watch()
    ledger.expose(25, motion_total=80.0)
    assert ledger.look() == [], "its pause is not over, whoever saw it end"
    assert ledger.look(1000) == ["warning drift.drift"]


def test_what_was_usual_is_known_after_a_restart_in_a_long_session(ledger, monkeypatch):
    from cryowidgets.monitors import feeds

    monkeypatch.setattr(feeds, "HISTORY", 60)
    ledger.only("dose", reference=25)
    ledger.expose(30, counts=1.0)
    ledger.expose(70, counts=0.95)
    ledger.look()
    ledger.watch = Watch()
    ledger.expose(25, counts=0.88)
    assert ledger.look() == ["warning dose.counts"], "against the first movies, not against the last sixty"
    assert ledger.found[0].value == pytest.approx(-12.0)


def test_a_look_reads_what_is_new_and_nothing_else(ledger):
    ledger.only("drift")
    ledger.expose(200, motion_total=10.0)
    ledger.look()
    asked = []
    ledger.reader.database.set_trace_callback(asked.append)
    ledger.expose(1, motion_total=11.0)
    ledger.look()
    rows = [sql for sql in asked if "motion_total" in sql]
    assert rows and all("r.id > 200" in sql for sql in rows)


def test_other_values_count_at_once_and_a_monitor_that_is_off_has_no_alerts(ledger):
    ledger.only("drift")
    ledger.expose(25, motion_total=30.0)
    assert ledger.look() == []
    change(ledger.store, "drift", {"drift_max": "20"})
    assert ledger.look() == ["warning drift.drift"]
    change(ledger.store, "drift", None, False)
    assert ledger.look() == ["over drift.drift"] and ledger.found[0].cleared_text == "The monitor was switched off."
    assert ledger.watch.off().count("drift") == 1
    change(ledger.store, "drift", {"drift_max": 40}, True)
    assert ledger.look() == []
    change(ledger.store, "drift", {"drift_max": 0, "early_max": 10})
    ledger.expose(25, motion_early=20.0)
    assert ledger.look() == ["warning drift.early"]
    change(ledger.store, "drift", {"early_max": 0})
    assert ledger.look() == ["over drift.early"] and ledger.found[0].cleared_text == "It is no longer watched."


def test_only_what_was_changed_is_kept_and_what_is_unknown_is_refused(ledger):
    text = settings.changed("", "ctf", {"defocus_max": "30000", "defocus_min": 3000})
    assert settings.loads(text) == {"ctf": settings.Setting(True, {"defocus_max": 30000.0})}
    assert settings.changed(text, "ctf", {"defocus_max": 40000}) == "{}"
    for name, values in (("ctf", {"defocus_mx": 1}), ("ctf", {"defocus_max": 100}), ("ctg", {})):
        with pytest.raises(CryowidgetsError):
            settings.changed(text, name, values)
    ledger.store.put(settings.KEY, '{"drift": {"on": true, "values": {"of_another_version": 3, "drift_max": 20}}}')
    ledger.expose(25, motion_total=30.0)
    assert "warning drift.drift" in ledger.look()


class Failing(Monitor):
    """Divides by the number of movies less thirty."""

    takes = ("drift",)

    def readings(self, news):
        yield Reading("drift", "drift", news["drift"], high=1 / (len(news["drift"]) - 30))


def with_failing(monkeypatch):
    usable, _ = registry.usable()
    fault = "Monitor 'broken' of mine 1 cannot be used: it is old."
    monkeypatch.setattr(registry, "usable", lambda: ({"failing": Failing, "drift": usable["drift"]}, [fault]))


def test_a_monitor_that_raises_is_said_once_and_harms_no_other(ledger, monkeypatch):
    with_failing(monkeypatch)
    ledger.expose(30, motion_total=80.0)
    assert ledger.look() == ["warning drift.drift"]
    ledger.expose(1, motion_total=80.0)
    ledger.look(), ledger.look()
    assert said(ledger) == [
        "Monitor 'broken' of mine 1 cannot be used: it is old.",
        "The monitor 'failing' failed and watches no more: ZeroDivisionError: division by zero.",
    ]


def test_what_is_no_monitor_is_refused_with_a_sentence():
    class Nothing(Monitor):
        pass

    class Words(Failing):
        takes = "drift"

    class Dear(Failing):
        def __init__(self):
            raise OSError("no licence")

    for thing, part in ((dict, "not derived"), (Nothing, "no method readings"), (Words, "takes is"), (Dear, "licence")):
        assert part in registry.fault(thing)
    for name, plugin in registry.installed().items():
        if plugin.package == plugins.OURS:
            assert registry.fault(registry.get(name)) == ""
    assert list(registry.installed())[:2] == ["ctf", "drift"]
    with pytest.raises(CryowidgetsError, match="Did you mean 'drift'"):
        registry.get("drit")
    assert issubclass(PluginError, CryowidgetsError)


class Broken:
    """An observer that cannot look."""

    def look(self, reader):
        raise RuntimeError("no eyes")


def test_an_engine_asks_its_observers_follows_their_commands_and_outlives_them(tmp_path):
    made = Ledger(tmp_path / "p")
    made.expose(25, motion_total=80.0)
    made.store.put("stream", "closed")
    folder = made.store.folder
    made.close()
    inbox.send(folder, "monitor", name="drift", values={"drift_max": 60, "level": "alarm"})
    inbox.send(folder, "monitor", name="drift", values={"drift_max": "far"})
    inbox.send(folder, "monitor", name=["drift"])
    inbox.send(folder, "monitor", name="drift", wrong=1)
    inbox.send(folder, "channels", names=["staff"])
    inbox.send(folder, "channels", names="staff")
    engine = Engine(folder, "inline", observers=[Broken(), Watch()])
    engine.tick()
    engine.tick()
    engine.close()
    with Reader(folder) as reader:
        found = {alert.monitor: alert for alert in reader.alerts()}
        assert found["drift"].level == "alarm" and found["drift"].allowed == 60
        assert settings.channels(reader.settings()[settings.CHANNELS]) == ["staff"]
        kinds = [event.kind for event in reader.events() if event.kind.startswith("command")]
        assert kinds == ["command", *["command.refused"] * 3, "command", "command.refused"]
        warnings = [event.text for event in reader.events() if event.kind == "warning"]
        assert warnings.count("Broken failed and looks on no more: RuntimeError: no eyes.") == 1
    inbox.send(folder, "acknowledge", alert=found["drift"].id, by="eva")
    inbox.send(folder, "acknowledge", alert=math.nan, by="eva")
    inbox.send(folder, "monitor", name="drift", on=False)
    engine = Engine(folder, "inline")
    engine.tick()
    engine.close()
    with Reader(folder) as reader:
        assert [a.acknowledged_by for a in reader.alerts() if a.monitor == "drift"] == ["eva"]
        refused = [event.text for event in reader.events() if event.kind == "command.refused"][-1]
        assert "this engine runs without" in refused
