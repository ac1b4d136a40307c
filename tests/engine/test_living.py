"""A workflow that lives: steps are added, held, stopped, done again and reset while movies come, and all say why."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.errors import WorkflowError
from cryowidgets.store.nodes import Cost

MAP = ("measure", "Measure", {"movies": "movies"})
DOUBLE = ("double", "Double", {"number": "measure"})
TOTAL = ("total", "Total", {"number": "double"})


@pytest.fixture
def engine():
    """A function that begins an engine on a project; it is closed in the end."""
    engines = []

    def go(project, executor="inline", **options):
        engines.append(Engine(project.folder, executor, **options))
        return engines[-1]

    yield go
    for one in engines:
        one.close()


def values(project, step):
    with project.reader() as reader:
        rows = reader.rows(step)
    return dict(zip(rows["name"], rows["value"].tolist(), strict=True))


def until(engine, condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        engine.tick(0.01)


def settle(engine, ticks=6):
    for _ in range(ticks):
        engine.tick(0.01)


def node(project, step):
    with project.reader() as reader:
        return next(node for node in reader.nodes() if node.name == step)


def says(project, step):
    found = node(project, step)
    return found.state, found.reason


def log(project, kind):
    with project.reader() as reader:
        return [event.text for event in reader.events() if event.kind == kind]


# Steps that are added ---------------------------------------------------------------------------------------------


def test_a_step_that_is_added_mid_session_does_what_is_there_and_follows(project, movies):
    movies("a", "b")
    p = project(MAP, timeout="1h")
    e = Engine(p.folder, "threads", workers=1)
    thread = threading.Thread(target=e.run)
    thread.start()
    try:
        wait = time.monotonic() + 20
        while len(values(p, "measure")) < 2 and time.monotonic() < wait:
            time.sleep(0.02)
        assert p.running()
        step = p.workflow.add("toys:Double", name="double", number=p.steps["measure"])
        assert step.name in p.steps
        with pytest.raises(WorkflowError, match="step 'double' is there more than once"):
            p.workflow.add("toys:Double", name="double", number="measure")
        movies("c")
        while len(values(p, "double")) < 3 and time.monotonic() < wait:
            time.sleep(0.02)
        assert values(p, "double") == {"a": 20.0, "b": 20.0, "c": 20.0}
    finally:
        e.end()
        thread.join(15)
    assert not p.running()


def test_an_engine_refuses_a_step_with_its_sentence(project, movies, engine):
    p = project(MAP, timeout="1h")
    e = engine(p)
    send(p.folder, "add", step={"name": "double", "protocol": "toys:Double", "inputs": {"number": "mesure"}})
    send(p.folder, "add", step={"name": "x", "protocol": "nowhere:Gone"})
    send(p.folder, "add", step={"name": "x", "protocols": "toys:Double"})
    send(
        p.folder,
        "add",
        step={"name": "late", "protocol": "toys:Double", "inputs": {"number": "measure"}, "after": "?"},
    )
    e.tick()
    link, gone, word, after = log(p, "command.refused")
    assert "step 'double' takes 'number' from 'mesure', which is not a step" in link
    assert "nowhere" in gone
    assert "is not a step: write its name, protocol, params and inputs; it may have after, comment, hold, label" in word
    assert "'?'" in after
    assert list(p.steps) == ["movies", "measure"]


def test_a_step_that_is_linked_anew_is_done_again_with_all_that_depends_on_it(project, movies, engine):
    movies("a", "b")
    p = project(MAP, DOUBLE, TOTAL, timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "double")) == 2)
    send(p.folder, "add", step={"name": "twice", "protocol": "toys:Double", "inputs": {"number": "measure"}})
    e.tick()
    until(e, lambda: len(values(p, "twice")) == 2)
    p.steps["double"].link(number="twice")
    until(e, lambda: values(p, "double") == {"a": 40.0, "b": 40.0})
    movies("c")
    until(e, lambda: values(p, "double") == {"a": 40.0, "b": 40.0, "c": 40.0})
    assert list(p.steps) == ["movies", "measure", "twice", "double", "total"]
    assert values(p, "measure") == {"a": 10.0, "b": 10.0, "c": 10.0} and node(p, "measure").outdated == 0
    for links in (
        {"number": "double"},
        {"number": "total"},
        {"number": "gone"},
        {"x": "measure"},
        {"number": "movies"},
    ):
        p.steps["double"].link(**links)
    e.tick()
    itself, circle, gone, word, kind = log(p, "command.refused")
    assert "depends on itself" in itself and "depends on itself" in circle and "'gone', which is not a step" in gone
    assert "has no input 'x'" in word and "'movies' gives a Movie" in kind
    settle(e)
    assert values(p, "double") == {"a": 40.0, "b": 40.0, "c": 40.0}


def test_a_step_begins_when_those_that_it_waits_for_have_ended(project, movies, engine):
    movies("a", "b")
    p = project(MAP, DOUBLE, ("late", "Double", {"number": "measure", "after": ["double"]}), timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "double")) == 2)
    settle(e)
    assert values(p, "late") == {}
    assert says(p, "late") == ("scheduled", "waits until double has ended")
    assert node(p, "late").waiting == 2
    send(p.folder, "stop_branch", step="double")
    until(e, lambda: len(values(p, "late")) == 2)
    assert says(p, "double")[0] == "stopped"


def test_nothing_is_begun_at_a_held_step_until_it_is_released(project, movies, run, engine):
    movies("a", "b")
    p = project(MAP, ("double", "Double", {"number": "measure", "hold": True}), TOTAL, timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "measure")) == 2)
    settle(e)
    assert says(p, "double") == ("scheduled", "held until a person releases it; 2 items wait")
    assert says(p, "total") == ("scheduled", "because step double is held until a person releases it")
    send(p.folder, "stop")
    until(e, lambda: p.reader().session().stream == "closed")
    settle(e)
    assert not e.finished(), "what is held is not done"
    p.steps["double"].release()
    until(e, e.finished)
    assert values(p, "double") == {"a": 20.0, "b": 20.0}
    p.steps["double"].hold()
    e.tick()
    assert node(p, "double").hold


def test_a_held_import_lets_nothing_in(project, movies, engine):
    movies("a")
    p = project(MAP, timeout="1h")
    p.steps["movies"].hold()
    e = engine(p)
    settle(e)
    assert says(p, "movies") == ("scheduled", "held until a person releases it")
    assert values(p, "measure") == {}
    p.steps["movies"].release()
    until(e, lambda: values(p, "measure") == {"a": 10.0})
    p.steps["movies"].hold()
    movies("b")
    send(p.folder, "stop")
    until(e, e.finished)
    assert values(p, "measure") == {"a": 10.0}


# Changes ----------------------------------------------------------------------------------------------------------


def test_a_change_reaches_new_items_the_branch_or_everything_and_says_before_what_it_costs(project, movies, engine):
    movies("a", "b")
    p = project(MAP, DOUBLE, ("other", "Double", {"number": "measure"}), timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "double")) == len(values(p, "other")) == 2)
    step = p.steps["measure"]
    step.set(scope="new", factor=2.0)
    until(e, lambda: step.params["factor"] == 2.0)
    movies("c")
    until(e, lambda: len(values(p, "double")) == len(values(p, "other")) == 3)
    assert [node(p, s).outdated for s in ("measure", "double", "other")] == [2, 2, 2]
    assert values(p, "double") == {"a": 20.0, "b": 20.0, "c": 40.0}
    assert step.cost("new") == Cost(0, 0.0)
    assert (step.cost("branch").items, p.steps["double"].cost("branch").items) == (9, 3)
    assert p.steps["double"].cost("all").items == 9
    p.steps["double"].restart()
    until(e, lambda: log(p, "command")[-1].startswith("double begin again: 3 tasks are done again"))
    until(e, lambda: len([v for v in values(p, "double").values() if v]) == 3 and not node(p, "double").outdated)
    assert (node(p, "measure").outdated, node(p, "other").outdated) == (2, 2)
    step.set(scope="branch", factor=3.0)
    until(e, lambda: set(values(p, "other").values()) == {60.0} and set(values(p, "double").values()) == {60.0})
    assert [node(p, s).outdated for s in ("measure", "double", "other")] == [0, 0, 0]
    assert "9 tasks are done again" in log(p, "command")[-1]
    with pytest.raises(WorkflowError, match="no scope 'some'"):
        step.set(scope="some", factor=3.0)
    p.steps["double"].set(scope="all")
    e.tick()
    assert [node(p, s).outdated for s in ("measure", "double", "other")] == [3, 3, 3]
    until(e, lambda: node(p, "measure").done == 3 and node(p, "double").done == 3 and node(p, "other").done == 3)
    with p.reader() as reader:
        # measure: 2 by the first value, 3 by the second and third; each done again once for each change
        assert {s: reader.tally()[s]["superseded"] for s in ("measure", "double", "other")} == {
            "measure": 6,
            "double": 9,
            "other": 6,
        }


def test_where_to_look_for_movies_outdates_nothing(project, movies, engine):
    movies("a")
    p = project(MAP, timeout="1h")
    e = engine(p)
    until(e, lambda: values(p, "measure") == {"a": 10.0})
    p.steps["movies"].set(poll="0.03s")
    until(e, lambda: p.steps["movies"].params["poll"] == 0.03)
    assert node(p, "measure").outdated == 0
    p.steps["movies"].set(voltage=200.0)
    until(e, lambda: p.steps["movies"].params["voltage"] == 200.0)
    assert node(p, "measure").outdated == 1
    p.steps["movies"].set(scope="branch", voltage=120.0)
    until(e, lambda: node(p, "measure").outdated == 0)
    assert values(p, "measure") == {"a": 10.0}
    with p.reader() as reader:
        assert reader.optics()[1].voltage == 120.0
        assert reader.tally()["measure"]["superseded"] == 1


def test_an_item_under_way_ends_before_it_is_done_again(project, movies, engine):
    """Both write the same file: the older must not be the last."""
    movies("a")
    p = project(("measure", "Measure", {"movies": "movies", "seconds": 0.3}), timeout="1h")
    e = engine(p, "threads", workers=2)
    until(e, lambda: e.desk.flying("measure") == 1)
    p.steps["measure"].set(scope="branch", factor=2.0, seconds=0.0)
    e.tick()
    e.tick()
    assert (e.desk.flying("measure"), e.desk.waiting("measure")) == (1, 1)
    until(e, lambda: values(p, "measure") == {"a": 20.0})
    with p.reader() as reader:
        states = [task.state for task in reader.exposure(1).tasks if task.step == "measure"]
    assert states == ["superseded", "done"]


def test_a_fold_begins_anew_and_its_older_results_go(project, movies, engine):
    movies(*(f"m{i}" for i in range(8)), size=1)
    p = project(MAP, DOUBLE, TOTAL, timeout="1h")
    e = engine(p)

    def totals():
        with p.reader() as reader:
            return reader.rows("total")["value"].tolist()

    until(e, lambda: totals() == [8.0, 16.0])
    p.steps["measure"].set(scope="branch", factor=10.0)
    e.tick()
    assert node(p, "total").outdated == 2
    until(e, lambda: totals() == [80.0, 160.0])
    assert (node(p, "total").done, node(p, "total").outdated) == (2, 0)


# Stop, restart, reset ---------------------------------------------------------------------------------------------


def test_a_stopped_branch_goes_on_when_it_is_released(project, movies, engine):
    movies("a")
    p = project(MAP, DOUBLE, ("third", "Double", {"number": "double"}), timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "third")) == 1)
    p.steps["double"].stop()
    e.tick()
    movies("b")
    until(e, lambda: len(values(p, "measure")) == 2)
    settle(e)
    assert len(values(p, "double")) == 1
    stopped = ("stopped", "stopped by a person; 'release' lets it go on, 'restart' does it again")
    assert says(p, "double") == says(p, "third") == stopped
    send(p.folder, "stop")
    until(e, e.finished)
    p.steps["double"].release()
    until(e, lambda: len(values(p, "third")) == 2)
    send(p.folder, "stop_branch", step="movies")
    e.tick()
    assert "'stop' closes its stream, 'pause' holds all steps" in log(p, "command.refused")[-1]


def test_a_reset_step_has_no_results_no_files_and_nothing_valid_after_it(project, movies, engine):
    movies("a", "b")
    p = project(MAP, ("again", "Measure", {"movies": "movies", "factor": 3.0}), DOUBLE, TOTAL, timeout="1h")
    e = engine(p)
    until(e, lambda: len(values(p, "double")) == len(values(p, "again")) == 2)
    p.steps["measure"].reset()
    until(e, lambda: node(p, "measure").state == "saved")
    settle(e)
    assert values(p, "measure") == values(p, "double") == {}
    until(e, lambda: not (p.folder / "steps" / "measure").exists())
    assert len(list((p.folder / "steps" / "again").iterdir())) == 2
    assert says(p, "measure") == ("saved", "reset by a person; 'release' or 'restart' starts it")
    assert says(p, "double") == ("scheduled", "because step measure was reset and not started again")
    assert (node(p, "measure").waiting, node(p, "double").waiting, node(p, "double").done) == (2, 0, 0)
    assert node(p, "again").done == 2
    p.steps["measure"].restart()
    until(e, lambda: values(p, "double") == {"a": 20.0, "b": 20.0})
    assert sorted(f.name for f in (p.folder / "steps" / "measure").iterdir()) == ["a.txt", "b.txt"]
    send(p.folder, "reset", step="movies")
    e.tick()
    assert "imports the movies, which are not ours to forget" in log(p, "command.refused")[-1]


def test_files_of_a_reset_step_go_though_the_engine_died_before(project, movies, run, engine, monkeypatch):
    movies("a")
    p = project(MAP)
    run(p)
    p.steps["measure"].reset()
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_clear", lambda self: None)  # as if it had died just then
        run(p)
    assert (p.folder / "steps" / "measure" / "a.txt").exists()
    p.steps["measure"].restart()
    assert run(p).finished
    assert values(p, "measure") == {"a": 10.0}
    assert (p.folder / "steps" / "measure" / "a.txt").read_text() == "10"


def test_a_session_goes_on_a_day_later_and_new_movies_flow_through_every_step(project, movies, run, monkeypatch):
    movies("a", "b", "c", size=1)
    steps = (MAP, DOUBLE, ("both", "Sum", {"first": "measure", "second": "double"}), TOTAL)
    p = project(*steps, ("late", "Double", {"number": "measure", "after": ["total"]}))
    assert run(p).finished
    now, day = time.time, 86400.0
    monkeypatch.setattr(time, "time", lambda: now() + day)
    movies("d", "e", size=2)
    send(p.folder, "reopen")
    assert run(p).finished
    assert values(p, "both") == {"a": 3.0, "b": 3.0, "c": 3.0, "d": 6.0, "e": 6.0}
    assert values(p, "late") == {"a": 2.0, "b": 2.0, "c": 2.0, "d": 4.0, "e": 4.0}
    with p.reader() as reader:
        assert reader.rows("total")["value"].tolist() == [6.0, 14.0]
        assert {n.name: (n.state, n.waiting, n.outdated) for n in reader.nodes()} == {
            n.name: ("finished", 0, 0) for n in reader.nodes()
        }
        assert reader.tally()["measure"].get("superseded", 0) == 0


# Failures reach those that depend on them -------------------------------------------------------------------------


def test_a_step_that_cannot_run_is_the_reason_of_all_that_depend_on_it(project, movies, run):
    movies("a")
    p = project(MAP, DOUBLE, ("both", "Sum", {"first": "measure", "second": "double"}), TOTAL)
    with closing(sqlite3.connect(p.folder / "project.sqlite")) as db:
        db.execute("UPDATE step SET protocol = 'nowhere:Gone' WHERE name = 'double'")
        db.commit()
    assert run(p).finished
    assert values(p, "measure") == {"a": 10.0}
    why = p.reader().steps()["double"].reason
    assert "'nowhere:Gone'" in why
    for step in ("both", "total"):
        assert says(p, step) == ("failed", f"because step double cannot run: {why}")


def test_a_value_that_is_refused_is_the_reason_and_a_right_one_mends_it(project, movies, engine):
    movies("a")
    p = project(MAP, DOUBLE, timeout="1h")
    with closing(sqlite3.connect(p.folder / "project.sqlite")) as db:
        db.execute('UPDATE params SET json = \'{"factor": "much"}\' WHERE step = 2')
        db.commit()
    e = engine(p)
    settle(e)
    assert says(p, "measure")[0] == "failed"
    assert says(p, "double")[0] == "failed"
    assert says(p, "double")[1].startswith("because step measure cannot run: Measure.factor does not take 'much'")
    send(p.folder, "set", step="measure", values={"factor": 2.0})
    until(e, lambda: values(p, "double") == {"a": 40.0})
    assert says(p, "double") == ("running", "")


def test_where_everything_fails_those_that_depend_on_it_say_so_while_the_stream_is_open_and_after(
    project, movies, engine
):
    movies("a", "b")
    p = project(("measure", "Measure", {"movies": "movies", "fail": "."}), DOUBLE, TOTAL, timeout="1h")
    e = engine(p, retries=0)
    until(e, lambda: node(p, "measure").failed == 2)
    settle(e)
    last = f"the last: {movies.folder}/a.mrc is marked to fail."
    assert says(p, "double") == ("scheduled", f"because all 2 items failed in step measure; {last}")
    assert (node(p, "double").missing, node(p, "total").missing) == (2, 2)
    send(p.folder, "stop")
    until(e, e.finished)
    e.tick()
    assert says(p, "measure") == ("failed", f"all 2 items failed; {last}")
    for step in ("double", "total"):
        assert says(p, step) == ("failed", f"because all 2 items failed in step measure; {last}")


def test_items_that_failed_before_are_counted_by_those_they_never_came_to(project, movies, run):
    movies("a", "b", "bad")
    p = project(("measure", "Measure", {"movies": "movies", "fail": "bad"}), DOUBLE, TOTAL)
    assert run(p).finished
    assert says(p, "measure") == ("finished", "")
    for step in ("double", "total"):
        assert says(p, step) == ("finished", "1 item never came, since it failed: 1 in measure")
        assert node(p, step).missing == 1
    with p.reader() as reader:
        for n in reader.nodes()[1:3]:  # what came at the door is done, failed, rejected, waiting or missing at each
            assert n.done + n.failed + n.rejected + n.waiting + n.running + n.missing == 3


def test_a_gate_that_lets_nothing_pass_is_no_silent_end(project, movies, run):
    movies("a", "b", size=500)
    p = project(MAP, ("gate", "AtMost", {"number": "measure", "limit": 100}), ("double", "Double", {"number": "gate"}))
    assert run(p).finished
    assert says(p, "double") == ("finished", "nothing came: step gate rejected all 2 items")
