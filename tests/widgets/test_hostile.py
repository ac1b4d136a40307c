"""What a page that means ill may say to the widgets of a session that is only shown: anything, and nothing comes of it.

The words that widgets know are taken from their own files, so that a new widget is tried as well.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path

import pytest

import cryowidgets.widgets as package
from cryowidgets.engine import inbox
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.dashboard import SessionView
from cryowidgets.widgets.part import Part
from tests.widgets.conftest import RecordingComm

HERE = Path(package.__file__).parent
NAMES = sorted(
    {name for file in HERE.glob("*.py") for name in re.findall(r'message(?:\.get\(|\[)"(\w+)"', file.read_text())}
    - {"type"}
)
WORDS = [
    "drift",
    "name",
    "acquired",
    "state",
    "mark",
    "rejected",
    "done",
    "toggle",
    "range",
    "low",
    "high",
    "Exposures",
]
JUNK = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**53, 2**63, 10**400, math.inf, -math.inf, math.nan, 1e308, 0.5, "",
    "x" * 9000, "../../etc/passwd", "\0", "<b>", "ⁿ\ud800", [], [1, 2], [2**70, -1, "x", None], [[]],
    list(range(5000)), {}, {"a": {}},
]  # fmt: skip


def parts(widget):
    """Our own widgets in a widget, itself among them."""
    if isinstance(widget, Part):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


@pytest.fixture
def shown(wire, filled):
    """A page that only shows, all of whose tabs have been looked at."""
    filled.open_engine()
    filled.arrive(30)
    filled.process()
    filled.fail("InputError: movie ends after 31 of 40 frames")
    filled.sample(10)
    page = SessionView(filled.folder)
    with Reader(filled.folder) as reader:
        page.refresh(reader)
        for title in page.tabs.names.names:
            page.tabs.go(title)
            page.refresh(reader)
        yield page, reader


def kinds(part):
    """What a widget's page may say, as its code has it."""
    return sorted(set(re.findall(r'type: "(\w+)"', str(part._esm))))


def test_there_is_enough_to_try(shown):
    assert {"need", "tap", "new", "here", "move", "range"} <= {kind for part in parts(shown[0]) for kind in kinds(part)}
    assert {"id", "view", "first", "count", "name", "key", "low", "high"} <= set(NAMES)


def test_nothing_that_a_page_says_does_harm(shown, filled, monkeypatch):
    page, reader = shown
    everything = list(dict.fromkeys(parts(page)))
    assert len(everything) > 20
    titles = list(page.tabs.names.names)
    events = len(reader.events(limit=10_000))
    monkeypatch.setattr(RecordingComm, "publish_msg", lambda *args, **keys: None)
    for part in everything:
        for junk in JUNK:
            part._hear(None, junk, [])
        for kind, (n, junk) in itertools.product([*kinds(part), None, []], enumerate([*JUNK, *WORDS])):
            part._hear(None, {"type": kind, **dict.fromkeys(NAMES, junk)}, [])
            mixed = {name: [*JUNK, *WORDS][(n + 5 * i) % (len(JUNK) + len(WORDS))] for i, name in enumerate(NAMES)}
            part._hear(None, {"type": kind, **mixed}, [])
        page.refresh(reader)
        assert not re.search("cannot be shown|not up to date", " ".join(w.value for w in page.tabs._words.values()))
    assert page.tabs.names.names == titles
    for title in titles:
        page.tabs.go(title)
        page.refresh(reader)
    assert inbox.read(filled.folder) == []
    assert len(reader.events(limit=10_000)) == events


def test_a_page_sets_no_trait_of_ours(shown, wire):
    page, _ = shown
    for part in parts(page):
        before = part.get_state()
        for junk in ({name: "x" for name in part.keys}, {"_esm": "alert(1)", "children": ["IPY_MODEL_x"], "new": 1}):
            wire.set(part, **junk)
        assert part.get_state() == before


def test_all_that_is_sent_is_json(shown, wire):
    """Infinite and unknown numbers are no JSON: a browser would refuse the whole message."""
    page, reader = shown
    for part in parts(page):
        part._hear(None, {"type": "new"}, [])
        part._hear(None, {"type": "need", "view": "v", "first": 0, "count": 50}, [])
    page.refresh(reader)
    for _, _, data, _ in wire.log():
        json.dumps(data, allow_nan=False, default=lambda value: f"bytes of {len(value)}")
