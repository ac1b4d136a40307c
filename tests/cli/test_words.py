"""A session in words: what is said of it as a whole."""

from __future__ import annotations

import json

import pytest

from cryowidgets.cli import words
from cryowidgets.model import Micrograph, Reason
from cryowidgets.store.queries import Reader
from cryowidgets.store.todo import todo
from tests.filled import FilledSession


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "session")
    yield session
    session.close()


def test_what_each_rule_of_a_gate_holds_back_is_counted(filled):
    filled.arrive(4)
    filled.process(pictures=False)
    store = filled.store
    store.add_step("limit", "MaxShift", Micrograph, {}, {"micrograph": "align"})
    broken = [[Reason("frame", 12.0, 10.0), Reason("movie", 60.0, 45.0)], [Reason("movie", 50.0, 45.0)]]
    tasks = store.claim("limit", todo(store, "limit", {"micrograph": Micrograph}, {})[0])
    for task, reasons in zip(tasks, broken, strict=False):
        store.finish(task, "rejected", error="It moved.", reasons=reasons)
    with Reader(filled.folder) as reader:
        assert "Held back by rule:\n  limit: movie 2, frame 1" in words.status(reader)
        assert "Held back by rule:\n  limit: movie 2, frame 1" in words.summary(reader)
        (told,) = (step for step in words.data(reader)["steps"] if step["name"] == "limit")
        assert told["rejected_by_rule"] == {"movie": 2, "frame": 1}


def test_warnings_of_the_session_and_an_alert_are_in_the_status(filled):
    filled.arrive(25, "The frames are corrected already.")
    filled.process(pictures=False)
    with Reader(filled.folder) as reader:
        assert "Warnings" not in words.status(reader)
        filled.store.event("warning", "The gain k3.gain is rotated by 90°, as m1.tiff tells.", "movies")
        filled.alert("The gain in use is of another camera.")
        for text in (words.status(reader), words.summary(reader)):
            lines = text.partition("Warnings:\n")[2].splitlines()
            assert lines[0] == "  warning: The gain in use is of another camera."
            assert lines[1].startswith("  The gain k3.gain is rotated by 90°")
        told = json.loads(json.dumps(words.data(reader)))
        assert len(told["warnings"]) == 1 and [a["text"] for a in told["alerts"]] == [lines[0][11:]]
        assert "  warning          The frames are corrected already." in words.exposure(reader.exposure(1))
        filled.clear()
        assert reader.alerts() == [] and "another camera" not in words.status(reader)
