"""The tab Classes: what it reads of a sorting, what a choice of classes means, and what a page may say to it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cryowidgets.engine import inbox
from cryowidgets.engine.engine import Engine
from cryowidgets.errors import InputError
from cryowidgets.io import mrc, star
from cryowidgets.model import Classes
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.select_classes import SelectClasses
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import class_sheet
from cryowidgets.widgets.class_choice import Selection
from cryowidgets.widgets.class_closely import particles
from cryowidgets.widgets.class_sheet import ORDERS, Table
from cryowidgets.widgets.classes_view import ClassesView
from cryowidgets.widgets.page import Page
from tests.sorted_session import GOOD, SortedSession


@pytest.fixture
def session(tmp_path):
    made = SortedSession(tmp_path / "s")
    yield made
    made.close()


def shown(session, control=False):
    """A tab that somebody looks at, refreshed once."""
    tab = ClassesView(Page(session.folder, control))
    tab.gallery._receive({"type": "need"})
    refresh(session, tab)
    return tab


def refresh(session, tab):
    with Reader(session.folder) as reader:
        tab.page.refresh(reader)
        tab.refresh(reader)


def accepted(wire, tab):
    return wire.said(tab.gallery, "state")[-1][0]["accepted"]


def test_averages_become_one_picture_each_where_its_place_says(session, wire):
    session.choose()
    session.sort()
    tab = shown(session)
    (message, (picture,)) = wire.said(tab.gallery, "classes")[-1]
    with Image.open(io.BytesIO(picture)) as image:
        whole = np.asarray(image, float)
    stack = mrc.read(session.folder / "steps/classes/classes_000001.mrcs")
    side, across = message["side"], message["across"]
    assert [c["id"] for c in message["classes"]] == list(range(1, 13)), "the largest first"
    for one in message["classes"]:
        y, x = one["place"] // across * side, one["place"] % across * side
        tile = whole[y : y + side, x : x + side]
        alike = [np.corrcoef(tile.ravel(), average.ravel())[0, 1] for average in stack]
        assert np.argmax(alike) == one["id"] - 1 and max(alike) > 0.95
        assert one["mark"] == ("good" if one["id"] <= GOOD else "junk")
    assert "looks good" in message["classes"][0]["label"] and "particles" in message["classes"][0]["label"]
    sent = len(wire.said(tab.gallery, "classes"))
    refresh(session, tab)
    assert len(wire.said(tab.gallery, "classes")) == sent, "nothing new is nothing sent"


def test_every_order_has_all_and_puts_the_unknown_last(session):
    session.sort()
    sheet = class_sheet.read(session.store.last_result(Classes, "classes").located(session.folder))
    table = sheet.table
    table.score[3] = np.nan
    for by in ORDERS:
        assert sorted(table.order(by)) == list(range(len(table)))
    assert table.order("score")[-1] == 3
    assert np.all(np.diff(table.resolution[table.order("resolution")]) >= 0)


def test_relions_classes_are_shown_without_what_relion_does_not_say(tmp_path, wire):
    session = SortedSession(tmp_path / "s", program="relion")
    session.sort(count=5000)
    tab = shown(session)
    message = wire.said(tab.gallery, "classes")[-1][0]
    assert {c["mark"] for c in message["classes"]} == {""}
    assert tab.gallery.scored is False
    assert len(accepted(wire, tab)) == 12, "without scores all are let pass"
    assert "5\u202f000 of 5\u202f000 particles accepted (100 %), in 12 of 12 classes" in tab._head.value
    assert tab.by.names == ["share", "resolution"]
    tab.gallery._receive({"type": "look", "id": 2})
    refresh(session, tab)
    assert "Class 2" in tab.closely._head.value and "score" not in tab.closely._facts.value
    session.close()


def test_a_click_takes_or_leaves_a_class_and_the_count_follows(session, wire):
    session.choose()
    session.sort()
    tab = shown(session, control=True)
    assert accepted(wire, tab) == list(range(1, GOOD + 1))
    assert tab.use.disabled, "nothing was changed"
    tab.gallery._receive({"type": "tap", "id": 2})
    tab.gallery._receive({"type": "tap", "id": 11})
    assert accepted(wire, tab) == [1, *range(3, GOOD + 1), 11]
    table = class_sheet.read(session.store.last_result(Classes, "classes").located(session.folder)).table
    wanted = table.particles[np.isin(table.identity, accepted(wire, tab))].sum()
    assert f"<b>{wanted}" in tab._head.value.replace("\u202f", "")
    tab.use.click()
    (order,) = inbox.read(session.folder)
    assert order.name == "set" and order.args["step"] == "select" and order.args["scope"] == "branch"
    assert order.args["values"] == {"keep": "11", "drop": "2", "score": 0.0}


def test_what_is_used_is_what_goes_on(session):
    session.choose()
    session.sort()
    session.sort()
    engine = Engine(session.folder, "inline")
    try:
        tab = shown(session, control=True)
        ticks(engine, lambda reader: reader.result("select"))
        with Reader(session.folder) as reader:
            assert reader.result("select").count == 2 * 4 * GOOD
        tab.gallery._receive({"type": "tap", "id": 2})
        tab.gallery._receive({"type": "tap", "id": 3})
        tab.gallery._receive({"type": "tap", "id": 11})
        tab.use.click()
        ticks(engine, lambda reader: reader.result("select").count == 2 * 4 * (GOOD - 1))
    finally:
        engine.close()
    refresh(session, tab)
    assert "drop = '2,3'" in tab._said.value.replace("&#x27;", "'")
    assert tab._saved == tab._selection and tab.use.disabled


def ticks(engine, done, most=200):
    """Until something is so."""
    for _ in range(most):
        engine.tick()
        with Reader(engine.store.folder) as reader:
            if done(reader):
                return
    raise AssertionError("it did not come about")


def test_all_is_sorted_again_where_a_person_asks(session):
    session.sort()
    tab = shown(session, control=True)
    assert tab.again.layout.display == "none", "there is no such step"
    inputs = {"particles": "extract"}
    session.store.add_step("again", "ReclassifyParticles", Classes, {}, inputs, fold=True, hold=True)
    refresh(session, tab)
    assert tab.again.layout.display is None and not tab.again.disabled
    assert tab.which.names == ["classes", "again"]
    tab.again.click()
    (order,) = inbox.read(session.folder)
    assert (order.name, order.args) == ("release", {"step": "again"})
    session.store.query("UPDATE step SET hold = 0 WHERE name = 'again'")
    session.store.forget_steps()
    refresh(session, tab)
    assert tab.again.disabled, "it is under way"


def test_the_score_decides_for_all_that_no_hand_has_touched(session, wire):
    session.choose(keep="12")
    session.sort()
    tab = shown(session)
    tab.gallery._receive({"type": "least", "value": 0.84})
    assert accepted(wire, tab) == [1, 2, 3, 12]
    assert "only you see this" in tab._head.value
    tab.undo.choose("undo")
    assert accepted(wire, tab) == [*range(1, GOOD + 1), 12]
    tab.undo.choose("none")
    assert accepted(wire, tab) == [] and "<b>0 of" in tab._head.value
    tab.undo.choose("all")
    assert accepted(wire, tab) == list(range(1, 13)) and "(100 %)" in tab._head.value
    tab.undo.choose("undo")
    assert inbox.read(session.folder) == []


def test_what_the_project_chose_is_taken_over_unless_a_person_is_choosing(session, wire):
    session.choose()
    session.sort()
    tab = shown(session)
    session.store.set_params("select", {"keep": "", "drop": "1", "score": 0.0})
    refresh(session, tab)
    assert 1 not in accepted(wire, tab)
    tab.gallery._receive({"type": "tap", "id": 2})
    session.store.set_params("select", {"keep": "", "drop": "", "score": 0.0})
    refresh(session, tab)
    assert 2 not in accepted(wire, tab) and 1 not in accepted(wire, tab)


def test_history_is_played_and_a_class_keeps_its_number(session, wire):
    for n in range(5):
        session.sort(reborn=6 if n == 3 else None)
    tab = shown(session)
    names = wire.said(tab.gallery, "moments")[-1][0]
    assert names["at"] == 4 and len(names["names"]) == 5
    tab.gallery._receive({"type": "frame", "at": 0})
    refresh(session, tab)
    then = wire.said(tab.gallery, "classes")[-1][0]
    assert 7 in [c["id"] for c in then["classes"]] and 13 not in [c["id"] for c in then["classes"]]
    assert wire.said(tab.gallery, "moments")[-1][0]["at"] == 0
    session.sort()
    refresh(session, tab)
    assert wire.said(tab.gallery, "classes")[-1][0]["classes"] == then["classes"], "a person looks at the first still"
    tab.gallery._receive({"type": "frame", "at": 5})
    refresh(session, tab)
    assert 13 in [c["id"] for c in wire.said(tab.gallery, "classes")[-1][0]["classes"]]
    tab.gallery._receive({"type": "look", "id": 13})
    refresh(session, tab)
    assert "out of class 1" in tab.closely._facts.value
    assert tab._history.course(13).batches.tolist() == [4, 5, 6]
    old = tab._history.course(1)
    assert np.all(np.diff(old.resolution) < 0) and "<svg" in old.drawn()


def test_what_is_gone_or_broken_is_said_without_a_path(session, wire):
    session.sort()
    tab = shown(session)
    session.sort()
    (session.folder / "steps/classes/classes_000002_model.star").write_text("nothing")
    refresh(session, tab)
    assert "cannot be read" in tab._word.value and str(session.folder) not in tab._word.value
    assert wire.said(tab.gallery, "classes")[-1][0]["key"].startswith("1:"), "the last ones stay"


def test_a_model_without_classes_is_refused(tmp_path):
    star.write(tmp_path / "m.star", {"model_general": {"rlnPixelSize": 1.0}})
    with pytest.raises(InputError, match="rlnClassDistribution"):
        class_sheet.table_of(
            Classes(path="", count=0, particles=0, box=8, pixel_size=1, model=str(tmp_path / "m.star"))
        )


def test_particles_outside_of_the_project_are_not_shown(tmp_path):
    mrc.write(tmp_path / "secret.mrcs", np.zeros((2, 8, 8), np.float32))
    (tmp_path / "project").mkdir()
    table = {"rlnImageName": ["1@../secret.mrcs"], "rlnClassNumber": [1]}
    with pytest.raises(InputError, match="no picture of this project"):
        particles(table, 0, 1, tmp_path / "project")


def test_the_surest_particles_of_a_class_are_shown(session):
    session.sort()
    table = star.read(session.folder / "steps/classes/classes_000001.star")["particles"]
    found = particles(table, 2, 3, session.folder, most=2)
    sure = sorted((-p, n) for p, n, k in zip(*(table[c] for c in SURE), strict=True) if k == 3)
    stack = mrc.read(session.folder / "steps/extract/batch_001.mrcs")
    wanted = [stack[int(name.split("@")[0]) - 1] for _, name in sure[:2]]
    np.testing.assert_array_equal(found, wanted)


SURE = ("rlnMaxValueProbDistribution", "rlnImageName", "rlnClassNumber")


def test_growth_begins_again_where_the_sorting_did(session, wire):
    for _ in range(3):
        session.sort(2000)
    tab = shown(session)
    assert "<polyline" in tab._grown.value and "5" in tab._grown.value
    session.batches = 0
    session.sort(500)
    refresh(session, tab)
    assert "<polyline" not in tab._grown.value.split("</svg>")[0], "one point is no line"


def test_nothing_that_a_page_says_does_harm(session, wire):
    session.choose()
    session.sort()
    tab = shown(session)
    before = accepted(wire, tab)
    junk = [None, True, -1, 2**70, 10**400, float("nan"), float("inf"), "x", [], {}, 1e308, "1"]
    for kind in ("tap", "look", "least", "frame", "need", "other", None):
        for value in junk:
            tab.gallery._receive({"type": kind, "id": value, "value": value, "at": value})
        refresh(session, tab)
    assert accepted(wire, tab) == before and tab._moment is None


def _table(count, judged=True):
    random = np.random.default_rng(count)
    columns = {name: random.uniform(0, 1, count) for name in ("share", "resolution", "size", "score", "age")}
    columns["good"] = (columns["score"] > 0.5).astype(float)
    if not judged:
        columns["score"], columns["good"] = np.full(count, np.nan), np.zeros(count)
    whole = {"identity": np.arange(1, count + 1), "slot": np.arange(count), "parent": np.zeros(count, int)}
    return Table(**columns, **whole, particles=random.integers(1, 100, count))


identities = st.frozensets(st.integers(1, 20), max_size=8)


@settings(max_examples=40)
@given(identities, identities, st.floats(0, 1), st.integers(1, 20), st.booleans())
def test_turning_a_class_turns_that_class_alone(keep, drop, least, identity, judged):
    table = _table(20, judged)
    selection = Selection(keep - drop, drop - keep, least)
    before, after = selection.accepted(table), selection.turned(table, identity).accepted(table)
    assert (before != after).nonzero()[0].tolist() == [identity - 1]
    again = selection.turned(table, identity).turned(table, identity)
    assert np.array_equal(again.accepted(table), before)


@settings(max_examples=40)
@given(identities, identities, st.floats(0, 1), st.booleans())
def test_a_selection_means_what_the_step_does(keep, drop, least, judged):
    table = _table(20, judged)
    selection = Selection(keep - drop, drop - keep, least)
    model = ClassModel(**{name: getattr(table, name) for name in table.__dataclass_fields__ if name != "slot"})
    step = SelectClasses(**selection.values())
    assert step.chosen(model) == set(table.identity[selection.accepted(table)].tolist())


@settings(max_examples=40)
@given(identities, identities, st.booleans())
def test_all_and_none(keep, drop, judged):
    table = _table(20, judged)
    selection = Selection(keep - drop, drop - keep)
    assert selection.everything(table).accepted(table).all() and not selection.nothing(table).accepted(table).any()


@settings(max_examples=40)
@given(identities, identities, st.floats(0, 1))
def test_a_selection_survives_as_parameters(keep, drop, least):
    selection = Selection(keep, drop, least)
    assert Selection.of(selection.values()) == selection


@settings(max_examples=40)
@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_higher_score_takes_no_more(a, b):
    table = _table(20)
    low, high = sorted((a, b))
    assert not np.any(Selection(least=high).accepted(table) & ~Selection(least=low).accepted(table))
