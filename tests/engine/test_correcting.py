"""Picks by hand: one exposure is done again and no other, corrections outlive the picker's results, nonsense changes
nothing."""

from __future__ import annotations

import json
import math
import shutil
import time

import numpy as np
import pytest
from picktoys import GRID

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.engine.workshop import perform
from cryowidgets.io import coordinates, corrections
from cryowidgets.store.queries import Reader


@pytest.fixture
def session(project, movies):
    """A project with three exposures that are picked, corrected and cut; and its engine, which ends with the test."""
    movies("a", "b", "c")
    p = project(timeout="1h")
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    p.workflow.add("picktoys:Grid", name="pick", micrograph="align")
    p.workflow.add("CorrectPicks", name="correct", micrograph="align", picks="pick")
    p.workflow.add("PickByHand", name="hand", micrograph="align")
    p.workflow.add("FilterPicks", name="cut", picks="correct")
    engine = Engine(p.folder, "inline")
    end = time.monotonic() + 20
    while not all(len(rows((p, engine), step)) == 3 for step in ("cut", "hand")):
        assert time.monotonic() < end, "the exposures were not picked"
        engine.tick(0.01)
    yield p, engine
    engine.close()


def settle(engine):
    for _ in range(10):
        engine.tick(0.01)


def ask(session, command, **values):
    p, engine = session
    ref = send(p.folder, command, **values)
    settle(engine)
    with p.reader() as reader:
        answer = reader.answer(ref)
    return answer.kind == "command", answer.text


def rows(session, step):
    with session[0].reader() as reader:
        found = reader.rows(step)
        values = {key: list(column) if isinstance(column, list) else column.tolist() for key, column in found.items()}
    return {name: {key: values[key][i] for key in values} for i, name in enumerate(values["name"])}


def places(session, step, name):
    found = coordinates.read(session[0].folder / rows(session, step)[name]["path"])
    return {tuple(place) for place in found.places.tolist()}


def test_one_exposure_is_done_again_with_what_hangs_on_it(session):
    ids = {name: row["exposure"] for name, row in rows(session, "correct").items()}
    before = {step: rows(session, step) for step in ("pick", "correct", "cut", "hand")}
    assert [row["count"] for row in before["cut"].values()] == [12] * 3
    assert [row["count"] for row in before["hand"].values()] == [0] * 3
    done, said = ask(session, "pick", step="correct", exposure=ids["b"], add=[[40, 40.5]], remove=[[22, 63], [15, 13]])
    assert done and "correct, b: 1 added, 2 removed by hand; that exposure is done again" in said
    after = {step: rows(session, step) for step in before}
    changed = {(step, name) for step in before for name in "abc" if before[step][name]["id"] != after[step][name]["id"]}
    assert changed == {("correct", "b"), ("cut", "b")}
    wanted = (set(map(tuple, GRID.tolist())) - {(20, 60), (20, 20)}) | {(40, 40.5)}
    assert places(session, "correct", "b") == places(session, "cut", "b") == wanted
    row = after["cut"]["b"]
    assert (row["count"], row["added"], row["removed"]) == (11, 1, 2)
    assert done and session[0].folder.joinpath("corrections", "correct", "b.json").is_file()

    assert ask(session, "unpick", step="correct", exposure=ids["b"])[0]
    assert places(session, "cut", "b") == set(map(tuple, GRID.tolist()))
    assert not session[0].folder.joinpath("corrections", "correct", "b.json").exists()
    assert "nothing was corrected" in ask(session, "unpick", step="correct", exposure=ids["b"])[1]


def test_where_nothing_changes_picks_pass_with_their_files(session):
    """Also after corrections that were forgotten; on another micrograph of the exposure they are written anew."""
    p, engine = session
    files = {
        step: {name: row["path"] for name, row in rows(session, step).items()} for step in ("pick", "correct", "cut")
    }
    assert files["pick"] == files["correct"] == files["cut"]
    id = rows(session, "correct")["b"]["exposure"]
    ask(session, "pick", step="correct", exposure=id, add=[[40, 40.5]])
    own, cut = rows(session, "correct")["b"], rows(session, "cut")["b"]
    assert own["path"].startswith("steps/correct/") and cut["path"] == own["path"]
    ask(session, "unpick", step="correct", exposure=id)
    assert rows(session, "cut")["b"]["path"] == files["pick"]["b"]
    steps = [("again", "picktoys:Stand", {"movie": "movies"})]
    steps += [("moved", "CorrectPicks", {"micrograph": "again", "picks": "pick"})]
    for name, protocol, inputs in steps:
        assert ask(session, "add", step={"name": name, "protocol": protocol, "params": {}, "inputs": inputs})[0]
    assert rows(session, "moved")["b"]["path"].startswith("steps/moved/")
    assert places(session, "moved", "b") == places(session, "pick", "b")


def test_corrections_outlive_what_the_picker_has_made(session):
    p, _ = session
    id = rows(session, "correct")["a"]["exposure"]
    ask(session, "pick", step="correct", exposure=id, add=[[40, 40]], remove=[[20, 20]])
    ask(session, "set", step="pick", values={"shift": 3.0}, scope="branch")
    shifted = set(map(tuple, (GRID + 3).tolist()))
    assert places(session, "cut", "b") == shifted
    assert places(session, "cut", "a") == (shifted - {(23, 23)}) | {(40, 40)}
    assert ask(session, "reset", step="correct")[0] and ask(session, "restart", step="correct")[0]
    assert places(session, "cut", "a") == (shifted - {(23, 23)}) | {(40, 40)}
    copy = p.folder.with_name("copied")
    shutil.copytree(p.folder, copy)
    with Reader(copy) as reader:
        found = reader.corrections("correct", id)
        assert found.added.tolist() == [[40, 40]] and found.removed.tolist() == [[20, 20]]
        assert found.pixel_size == 2.0 and not reader.corrections("hand", id)


def test_picks_by_hand_alone(session):
    id = rows(session, "hand")["c"]["exposure"]
    ask(session, "pick", step="hand", exposure=id, add=[[10, 20], [119, 159]])
    ask(session, "pick", step="hand", exposure=id, add=[[30, 30]], remove=[[10, 20]])
    assert places(session, "hand", "c") == {(30, 30), (119, 159)}
    assert rows(session, "hand")["c"]["added"] == 2 and rows(session, "hand")["a"]["count"] == 0


def test_a_task_under_way_is_done_once_more(session):
    p, engine = session
    id = rows(session, "correct")["a"]["exposure"]
    send(p.folder, "restart", step="correct")
    engine._follow_commands()
    engine.desk.refresh(engine.states.closed)
    jobs = engine.desk.take(20, lambda step: step == "correct")
    job = next(job for job in jobs if job.stem == "a")
    outcomes = [perform(job) for job in jobs]  # they have read what was corrected by then
    send(p.folder, "pick", step="correct", exposure=id, add=[[40, 40]])
    engine._follow_commands()
    for outcome in outcomes:
        engine.desk.book(outcome)
    settle(engine)
    assert job.given["micrograph"].exposure == id
    assert (40, 40) in places(session, "cut", "a") and len(places(session, "cut", "b")) == 12
    with p.reader() as reader:
        assert {state for state, n in reader.tally()["correct"].items() if n} == {"done", "superseded", "retry"}


NAN, HUGE = float("nan"), 10**400


NONSENSE = [
    ({"add": [[NAN, 1]]}, "is not on the micrograph of 120 × 160 px"),
    ({"add": [[math.inf, 1]]}, "is not on the micrograph"),
    ({"add": [[HUGE, 1]]}, "is not on the micrograph"),
    ({"add": [[-0.5, 1]]}, "is not on the micrograph"),
    ({"add": [[1, 159.5]]}, "is not on the micrograph"),
    ({"remove": [[True, 1]]}, "is not on the micrograph"),
    ({"remove": [["1", 1]]}, "is not on the micrograph"),
    ({"add": [[1, 2, 3]]}, "is not a place"),
    ({"add": ["ab"]}, "is not a place"),
    ({"add": {"y": 1}}, "add= is a dict"),
    ({"add": "x" * 99}, "add= is a str"),
    ({"add": [[1, 1]] * 20_001}, "at most 20000 can be said at once"),
    ({}, "Nothing is to be added or removed"),
    ({"add": [[1, 1]], "path": "../x"}, "other arguments than it takes"),
    ({"add": [[1, 1]], "step": "pick"}, "takes no corrections by hand"),
    ({"add": [[1, 1]], "step": "../etc"}, "There is no step"),
    ({"add": [[1, 1]], "exposure": 99}, "There is no exposure 99"),
    ({"add": [[1, 1]], "exposure": "a"}, "There is no exposure 'a'"),
]


def test_nonsense_changes_nothing(session):
    p, _ = session
    id = rows(session, "hand")["a"]["exposure"]
    for values, sentence in NONSENSE:
        done, said = ask(session, "pick", **{"step": "hand", "exposure": id, **values})
        assert not done and sentence in said, (str(values)[:80], said[:300])
    assert not list(p.folder.glob("corrections/**/*.json")) and rows(session, "hand")["a"]["count"] == 0


def test_no_more_than_so_many_corrections(session):
    id = rows(session, "hand")["a"]["exposure"]
    file = corrections.path(session[0].folder, "hand", "a")
    full = np.random.default_rng(0).uniform(0, 119, (20_000, 2))
    corrections.write(file, corrections.Corrections(full, np.zeros((0, 2)), 2.0))
    done, said = ask(session, "pick", step="hand", exposure=id, add=[[1, 158]])
    assert not done and "20001 places would be added to a by hand; at most 20000" in said
    assert len(corrections.read(file).added) == 20_000


def test_a_file_that_was_spoilt_is_said_and_can_be_forgotten(session):
    p, _ = session
    id = rows(session, "hand")["a"]["exposure"]
    file = corrections.path(p.folder, "hand", "a")
    file.parent.mkdir(parents=True)
    for text in ("{", json.dumps({"added": [[NAN, 1]], "removed": [], "pixel_size": 2.0})):
        file.write_text(text)
        done, said = ask(session, "pick", step="hand", exposure=id, add=[[1, 1]])
        assert not done and "a.json" in said and "'unpick'" in said
    assert ask(session, "unpick", step="hand", exposure=id)[0]
    assert ask(session, "pick", step="hand", exposure=id, add=[[1, 1]])[0]
    assert places(session, "hand", "a") == {(1, 1)}


def test_a_picker_begins_with_the_size_that_was_approved(session):
    p, _ = session
    link = {"micrograph": "align"}
    ask(session, "add", step={"name": "blobs", "protocol": "PickBlobs", "inputs": link, "hold": True})
    ask(session, "add", step={"name": "size", "protocol": "picktoys:Size", "inputs": link})
    assert not rows(session, "blobs")
    done, said = ask(session, "approve_size", step="size", picker="blobs")
    assert done and said.startswith("blobs: smallest = 24.0, largest = 36.0") and "blobs may begin" in said
    assert [row["diameter"] for row in rows(session, "blobs").values()] == pytest.approx([math.sqrt(24 * 36)] * 3)
    assert p.steps["blobs"].params["largest"] == 36.0

    for step, picker, sentence in [
        ("pick", "blobs", "gives a Picks, not a size of particles"),
        ("size", "cut", "looks for no diameter: name the picker"),
        ("size", "nobody", "There is no step 'nobody'"),
    ]:
        done, said = ask(session, "approve_size", step=step, picker=picker)
        assert not done and sentence in said
    ask(session, "approve_size", step="size", picker="hand")
    assert p.steps["hand"].params["diameter"] == 30.0
    ask(session, "set", step="size", values={"diameter": 0.0}, scope="branch")
    done, said = ask(session, "approve_size", step="size", picker="blobs")
    assert not done and "cannot tell the size: there are no particles. Set blobs by hand" in said
