"""A session in words: what is said of it as a whole."""

from __future__ import annotations

import json

import pytest

from cryowidgets.cli import report
from cryowidgets.store.queries import Reader
from tests.filled import FilledSession


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "session")
    yield session
    session.close()


def test_warnings_of_the_session_and_the_word_on_the_gain_are_in_the_status(filled):
    filled.arrive(25, "The frames are corrected already.")
    filled.process(pictures=False)
    with Reader(filled.folder) as reader:
        assert "Warnings" not in report.status(reader)
        filled.store.event("warning", "The gain k3.gain is rotated by 90°, as m1.tiff tells.", "movies")
        filled.add_up(20, "The gain in use is of another camera.")
        for text in (report.status(reader), report.summary(reader)):
            lines = text.partition("Warnings:\n")[2].splitlines()
            assert lines[0] == "  The gain in use is of another camera."
            assert lines[1].startswith("  The gain k3.gain is rotated by 90°")
        told = json.loads(json.dumps(report.data(reader)))
        assert len(told["warnings"]) == 2
        assert "  warning          The frames are corrected already." in report.exposure(reader.exposure(1))
        filled.add_up(40)
        assert reader.alerts() == []
