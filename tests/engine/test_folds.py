"""What comes of folds: results that belong to no exposure, and of which the newest stands for all before it."""

from __future__ import annotations

import time

import pytest
import toys

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.engine.workshop import Outcome, perform
from cryowidgets.errors import ParameterError, WorkflowError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Many
from cryowidgets.store.nodes import cost
from cryowidgets.store.provenance import Batch, Origin

MAP = ("measure", "Measure", {"movies": "movies"})
TOTAL = ("total", "Total", {"number": "measure"})
DOUBLE = ("double", "Double", {"number": "total"})
BOTH = ("both", "Sum", {"first": "total", "second": "double"})
NEWEST = ("newest", "Newest", {"number": "both"})


def rows(project, step, column="value"):
    with project.reader() as reader:
        return reader.rows(step)[column].tolist()


def node(project, step):
    with project.reader() as reader:
        return next(node for node in reader.nodes() if node.name == step)


def until(engine, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        engine.tick(0.01)


def settle(engine, ticks=5):
    for _ in range(ticks):
        engine.tick()


@pytest.fixture
def engine():
    made = []

    def go(project, executor="inline", **options):
        made.append(Engine(project.folder, executor, **options))
        return made[-1]

    yield go
    for one in made:
        one.close()


def test_maps_and_joins_of_folds_stand_with_the_newest_at_the_end(project, movies, run):
    movies(*(f"m{i}" for i in range(10)), size=1)
    p = project(MAP, TOTAL, DOUBLE, BOTH, NEWEST)
    assert run(p).finished
    assert rows(p, "total") == [4.0, 8.0, 10.0]
    assert rows(p, "double")[-1] == 20.0
    assert rows(p, "both")[-1] == 30.0
    assert rows(p, "newest")[-1] % 1000 == 30.0
    with p.reader() as reader:
        assert {s.state for s in reader.steps().values()} == {"finished"}
        assert [s.newest for s in reader.steps().values()] == [False, False, False, True, True, True]
        assert [s.fold for s in reader.steps().values()] == [False, False, True, True, True, True]
        assert reader.tally()["both"].get("failed", 0) == 0
    for step in ("total", "double", "both", "newest"):
        assert (node(p, step).waiting, node(p, step).outdated) == (0, 0), step


def test_of_what_came_while_a_step_was_held_only_the_newest_is_taken(project, movies, engine):
    p = project(MAP, TOTAL, DOUBLE, timeout="1h")
    p.steps["double"].hold()
    e = engine(p)
    for batch in range(3):
        movies(*(f"m{batch}{i}" for i in range(4)), size=1)
        until(e, lambda batch=batch: len(rows(p, "total")) == batch + 1)
    settle(e)
    assert rows(p, "double") == []
    assert (node(p, "double").waiting, e.desk.waiting("double")) == (1, 1)
    p.steps["double"].release()
    until(e, lambda: rows(p, "double"))
    settle(e)
    assert rows(p, "double") == [24.0], "12 doubled; 4 and 8 were overtaken"
    assert node(p, "double").waiting == 0


def test_a_fold_of_a_fold_takes_every_so_many_results_and_the_last_at_the_end(project, movies, engine):
    spaced = ("newest", "Newest", {"number": "total", "spaced": 2})
    p = project(MAP, TOTAL, spaced, timeout="1h")
    e = engine(p)
    for batch in range(5):
        movies(*(f"m{batch}{i}" for i in range(4)), size=1)
        until(e, lambda batch=batch: len(rows(p, "total")) == batch + 1)
        settle(e)
    assert rows(p, "newest") == [1008.0, 2016.0]
    send(p.folder, "stop")
    until(e, e.finished)
    assert rows(p, "newest") == [1008.0, 2016.0, 3020.0]


def test_what_came_of_a_fold_is_made_anew_with_it_and_the_older_goes(project, movies, engine):
    movies(*(f"m{i}" for i in range(8)), size=1)
    p = project(MAP, TOTAL, DOUBLE, BOTH, NEWEST, timeout="1h")
    e = engine(p)
    until(e, lambda: rows(p, "newest")[-1:] and rows(p, "newest")[-1] % 1000 == 24.0)
    settle(e)
    with p.reader() as reader:
        assert cost(reader.query, reader.steps(), "both", "branch").items == 1 + node(p, "newest").done
    p.steps["total"].set(scope="new", offset=5)
    e.tick()
    assert node(p, "double").outdated == node(p, "double").done > 0
    p.steps["total"].set(scope="branch", offset=100)
    e.tick()
    assert node(p, "both").outdated > 0
    until(e, lambda: rows(p, "newest")[-1] % 1000 == 324.0)
    settle(e)
    assert rows(p, "total") == [104.0, 108.0]
    for step in ("double", "both", "newest"):
        assert (node(p, step).waiting, node(p, step).outdated) == (0, 0), step
        assert node(p, step).done == len(rows(p, step)), step


def test_where_an_item_of_a_fold_of_folds_comes_from(project, movies, run):
    movies(*(f"m{i}" for i in range(10)), size=1)
    p = project(MAP, TOTAL, DOUBLE, BOTH, NEWEST)
    run(p)
    with p.reader() as reader:
        origin = reader.provenance("number", reader.rows("newest")["id"].tolist()[-1])
        tops = {step: reader.rows(step)["id"].tolist()[-1] for step in ("total", "double", "both")}
    both = origin.inputs["number"]
    assert isinstance(both, Origin)
    assert (both.step, both.id, both.standing) == ("both", tops["both"], "valid")
    assert {name: (i.step, i.id) for name, i in both.inputs.items()} == {
        "first": ("total", tops["total"]),
        "second": ("double", tops["double"]),
    }
    assert isinstance(both.inputs["first"].inputs["number"], Batch)


def test_a_batch_is_counted_by_what_is_in_its_items(project, movies, engine):
    p = project(MAP, ("portion", "Portion", {"number": "measure"}), timeout="1h")
    e = engine(p)
    movies("a", "b", "c", size=15)
    until(e, lambda: node(p, "measure").done == 3)
    settle(e)
    assert rows(p, "portion") == []
    assert node(p, "portion").reason == "45 of 50 number came"
    assert node(p, "portion").waiting == 3
    movies("d", size=15)
    until(e, lambda: rows(p, "portion") == [60.0])
    for name, size, then in (("e", 12, [60.0]), ("f", 30, [60.0, 42.0]), ("g", 20, [60.0, 42.0, 20.0])):
        before = node(p, "measure").done
        movies(name, size=size)
        until(e, lambda before=before: node(p, "measure").done > before)
        settle(e)
        assert rows(p, "portion") == then, name
    movies("h", size=3)
    send(p.folder, "stop")
    until(e, e.finished)
    assert rows(p, "portion") == [60.0, 42.0, 20.0, 3.0]
    with p.reader() as reader:
        took = [(p.folder / path).read_text().split() for path in reader.rows("portion")["path"]]
    assert sorted(name for batch in took for name in batch) == list("abcdefgh")


@pytest.mark.parametrize("source", ["measure", "total"])
def test_what_is_done_on_demand_is_done_once_for_each_click(project, movies, engine, source):
    """Of exposures it is given what is new, of a fold the newest, as any fold is."""
    movies(*(f"m{i}" for i in range(8)), size=1)
    p = project(MAP, TOTAL, ("asked", "WhenAsked", {"number": source}), timeout="1h")
    e = engine(p)
    until(e, lambda: rows(p, "total") == [4.0, 8.0])
    settle(e)
    assert (rows(p, "asked"), node(p, "asked").hold) == ([], True)
    assert node(p, "asked").reason == "'release' has it done once, with all there is by then"
    assert node(p, "asked").waiting == (8 if source == "measure" else 1)
    p.steps["asked"].release()
    until(e, lambda: rows(p, "asked"))
    settle(e)
    assert (rows(p, "asked"), node(p, "asked").hold) == ([1008.0], True)
    movies(*(f"n{i}" for i in range(4)), size=1)
    until(e, lambda: rows(p, "total")[-1] == 12.0)
    settle(e)
    assert rows(p, "asked") == [1008.0], "it was not asked again"
    send(p.folder, "stop")
    until(e, e.finished)
    assert (node(p, "asked").state, node(p, "asked").hold) == ("finished", True), "the session ends without it"
    p.steps["asked"].release()
    until(e, lambda: len(rows(p, "asked")) == 2)
    assert rows(p, "asked")[-1] == 1008 + 1000 + (4 if source == "measure" else 12)
    until(e, e.finished)


def test_what_fails_on_demand_is_held_again_and_released_for_another_try(project, movies, engine):
    movies(*(f"m{i}" for i in range(4)), size=1)
    p = project(MAP, TOTAL, ("asked", "WhenAsked", {"number": "total", "fail": "yes"}), timeout="1h")
    e = engine(p, retries=0)
    p.steps["asked"].release()
    until(e, lambda: node(p, "asked").failed == 1)
    assert node(p, "asked").hold
    p.steps["asked"].release()
    until(e, lambda: node(p, "asked").failed == 1 and log_of(p, "asked").count("task.failed") == 2)
    assert node(p, "asked").hold
    p.steps["asked"].set(fail="")
    p.steps["asked"].release()
    until(e, lambda: rows(p, "asked") == [1004.0])


def log_of(project, step):
    with project.reader() as reader:
        return [event.kind for event in reader.events() if event.step == step]


def test_a_failed_result_of_a_fold_does_not_stop_what_newer_ones_bring(project, movies, engine):
    movies(*(f"m{i}" for i in range(4)), size=1)
    bad = ("gate", "AtMost", {"number": "total", "limit": 5})
    p = project(MAP, TOTAL, bad, ("double", "Double", {"number": "gate"}), timeout="1h")
    e = engine(p)
    until(e, lambda: rows(p, "double") == [8.0])
    movies(*(f"n{i}" for i in range(4)), size=1)
    until(e, lambda: node(p, "gate").rejected == 1)
    settle(e)
    assert rows(p, "double") == [8.0]
    send(p.folder, "stop")
    until(e, e.finished)
    assert {s: node(p, s).waiting for s in ("gate", "double")} == {"gate": 0, "double": 0}


def test_what_goes_by_exposures_cannot_be_joined_with_what_belongs_to_none(project, movies):
    p = project(MAP, TOTAL, DOUBLE)
    with pytest.raises(WorkflowError, match="'measure' gives something of each, but what 'double' gives belongs to no"):
        p.workflow.add("toys:Sum", name="sum", first="measure", second="double")
    with pytest.raises(WorkflowError, match="step 'either' goes by exposures, and what 'total' gives belongs to none"):
        p.workflow.add("JoinSets", name="either", first="measure", second="total")


def test_another_link_makes_a_step_one_of_folds_and_back(project, movies, engine):
    movies(*(f"m{i}" for i in range(4)), size=1)
    p = project(MAP, TOTAL, ("double", "Double", {"number": "measure"}), ("again", "Double", {"number": "double"}))
    e = engine(p)
    until(e, lambda: len(rows(p, "again")) == 4)
    send(p.folder, "link", step="double", input="number", source="total")
    until(e, lambda: rows(p, "again") == [16.0])
    assert rows(p, "double") == [8.0]
    send(p.folder, "link", step="double", input="number", source="measure")
    until(e, lambda: rows(p, "again") == [4.0] * 4)
    assert rows(p, "double") == [2.0] * 4


def test_a_batch_whose_worker_died_is_handed_out_again_as_it_was(project, movies, engine):
    movies(*(f"m{i}" for i in range(8)), size=1)
    p = project(MAP, TOTAL, DOUBLE, timeout="1h")
    p.steps["total"].hold()
    e = engine(p)
    until(e, lambda: node(p, "measure").done == 8)
    p.steps["total"].release()
    e.tick()
    until(e, lambda: rows(p, "total") == [4.0, 8.0])
    movies(*(f"n{i}" for i in range(4)), size=1)
    p.steps["total"].hold()
    until(e, lambda: node(p, "measure").done == 12)
    settle(e)
    e.desk.refresh(e.states.closed)
    (job,) = e.desk.take(1, lambda step: step == "total")
    assert e.desk.take(1, lambda step: step == "total") == [], "one batch at a time"
    e.desk.book(Outcome(job.task, "lost", error="its worker process died"))
    e.desk.refresh(e.states.closed)
    (again,) = e.desk.take(1, lambda step: step == "total")
    assert (again.given, again.stem) == (job.given, job.stem)
    assert again.key != job.key, "an executor would give the old answer for the old key"
    e.desk.book(perform(again))
    e.desk.book(perform(job))
    assert rows(p, "total") == [4.0, 8.0, 12.0], "what a worker gave that was thought dead is not booked"


def test_a_fold_may_take_what_stands_beside_its_batches_and_waits_for_it(project, movies, engine):
    movies(*(f"m{i}" for i in range(4)), size=1)
    p = project(MAP, TOTAL, ("scaled", "Scaled", {"number": "measure", "scale": "total"}), timeout="1h")
    p.workflow.add("toys:Scaled", name="plain", number="measure")
    p.steps["total"].hold()
    e = engine(p)
    until(e, lambda: rows(p, "plain") == [4.0])
    settle(e)
    assert (rows(p, "scaled"), node(p, "scaled").reason) == (
        [],
        "because step total is held until a person releases it",
    )
    p.steps["total"].release()
    until(e, lambda: rows(p, "scaled") == [16.0])
    movies(*(f"n{i}" for i in range(4)), size=1)
    until(e, lambda: rows(p, "total") == [4.0, 8.0] and len(rows(p, "scaled")) == 2)
    assert rows(p, "scaled") == [16.0, 32.0], "what stood beside the first batch stands beside all"
    with p.reader() as reader:
        tops = {step: reader.rows(step)["id"].tolist() for step in ("total", "scaled")}
        origin = reader.provenance("number", tops["scaled"][-1])
    assert isinstance(origin.inputs["number"], Batch) and origin.inputs["number"].step == "measure"
    assert (origin.inputs["scale"].step, origin.inputs["scale"].id) == ("total", tops["total"][0])
    movies("o", size=1)
    send(p.folder, "stop")
    until(e, e.finished)
    assert rows(p, "scaled")[-1] == 36.0
    p.steps["total"].set(scope="branch", offset=10)
    until(e, lambda: rows(p, "scaled")[-1:] == [9 * 14.0])
    assert [node(p, step).waiting for step in ("scaled", "plain")] == [0, 0]


def test_what_stands_beside_batches_is_the_same_for_all(project, movies):
    p = project(MAP, TOTAL)
    with pytest.raises(WorkflowError, match="takes 'scale' beside its batches, the same with all: of what 'measure'"):
        p.workflow.add("toys:Scaled", name="scaled", number="measure", scale="measure")
    assert toys.Scaled.needed() == ["number"] and set(toys.Scaled.inputs()) == {"number", "scale"}
    assert registry.fault(toys.Scaled) == ""
    wrong = type("Wrong", (toys.Scaled,), {"takes": Many(toys.Number, beside={"number": toys.Number})})
    assert "only what it takes many of is called by its kind" in registry.fault(wrong)
    wrong = type("Wrong", (toys.Scaled,), {"takes": Many(toys.Number, beside=toys.Number)})
    assert "write kinds of items by input name" in registry.fault(wrong)


def test_what_holds_from_the_first_batch_on_is_changed_by_a_redo_alone(project, movies, engine):
    movies(*(f"m{i}" for i in range(4)), size=1)
    p = project(MAP, ("begun", "Begun", {"number": "measure", "offset": 100}), timeout="1h")
    e = engine(p)
    step = p.steps["begun"]
    step.set(scope="new", offset=200)
    until(e, lambda: rows(p, "begun") == [204.0])
    with pytest.raises(ParameterError, match="begun: offset holds from the first batch on, .*: redo the branch"):
        step.set(scope="new", offset=300, amount=2)
    send(p.folder, "set", step="begun", values={"offset": 300}, scope="new")
    settle(e)
    with p.reader() as reader:
        assert [event.kind for event in reader.events()][-1] == "command.refused"
    assert step.params["offset"] == 200
    step.set(scope="new", offset=200, amount=2)  # the same value is no change
    settle(e)
    movies("n", "o", size=1)
    until(e, lambda: rows(p, "begun") == [204.0, 206.0])
    step.set(scope="branch", offset=300)
    until(e, lambda: rows(p, "begun")[-1:] == [306.0])


def test_sortings_say_what_holds_from_their_first_batch_on():
    for name, free in (("ClassifyParticles", {"batch"}), ("AssignClasses", {"batch"})):
        protocol = registry.get(name)
        assert set(protocol.parameters()) - free == set(protocol.lasting)
    assert registry.get("ReclassifyParticles").lasting == (), "it begins anew whenever it is asked"
