"""Steps that hold items back, put them together and choose among them, in a running engine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from traitlets import Int

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.errors import WorkflowError
from cryowidgets.model import Item, column
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Many, Protocol, Recent

toys = pytest.importorskip("toys")
MAP = ("measure", "Measure", {"movies": "movies"})


@dataclass(frozen=True, kw_only=True)
class Stack(Item):
    count: int = column("particles in it")


class Pick(Protocol):
    takes = toys.Number
    gives = Stack

    def process(self, number, out):
        return Stack(count=int(number.value))


class Among(Protocol):
    """How many items this one is shown among, and where."""

    takes = Recent(toys.Number, count="window", least=2)
    gives = toys.Number

    window = Int(3, min=2)

    def opens(self, sizes, last, seconds):
        return len(sizes) if len(sizes) >= 2 or last else 0

    def process(self, number, recent, out):
        assert number in recent
        return toys.Number(value=100 * len(recent) + [r.id for r in recent].index(number.id))


class Batch(Protocol):
    takes = Many(toys.Number, every="size")
    gives = toys.Number

    size = Int(2, min=1)

    def process(self, items, last, out):
        return toys.Number(value=len(items))


@pytest.fixture(autouse=True)
def local(monkeypatch):
    for cls in (Pick, Among, Batch):
        monkeypatch.setitem(registry._local, cls.__name__, cls)


def values(project, step, column="value"):
    with project.reader() as reader:
        rows = reader.rows(step)
    return dict(zip(rows["name"], rows[column].tolist(), strict=True))


def folded(project, step):
    with project.reader() as reader:
        return reader.rows(step)["value"].tolist()


def until(engine, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        engine.tick(0.01)


def names(*numbers):
    return [f"m{n}" for n in numbers]


def test_batches_are_exact_and_what_is_left_passes_at_the_end(project, movies, run):
    movies(*names(*range(10)), size=1)
    p = project(MAP)
    p.workflow.add("Trigger", name="hold", item="measure", mode="batches", count=4)
    p.workflow.add("Batch", name="batch", number="hold", size=4)
    run(p)
    assert len(values(p, "hold")) == 10
    assert folded(p, "batch") == [4, 4, 2]


def test_what_waits_says_so_and_what_is_full_ends(project, movies):
    movies(*names(1, 2), size=1)
    p = project(MAP, timeout="1h")
    p.workflow.add("Trigger", name="hold", item="measure", mode="static", count=3)
    p.workflow.add("Batch", name="batch", number="hold", size=100)
    engine = Engine(p.folder, "inline")
    try:
        until(engine, lambda: len(values(p, "measure")) == 2)
        engine.tick()
        with p.reader() as reader:
            assert (reader.steps()["hold"].state, reader.steps()["hold"].reason) == (
                "scheduled",
                "2 items came; waits for more",
            )
        movies(*names(3, 4, 5), size=1)
        until(engine, lambda: len(values(p, "measure")) == 5 and folded(p, "batch"))
        engine.tick()
        assert len(values(p, "hold")) == 3
        assert folded(p, "batch") == [3], "what comes after is flushed, though the stream is open"
        with p.reader() as reader:
            assert {node.name: node.waiting for node in reader.nodes()}["hold"] == 0, "the others are not waited for"
            assert {name: reader.steps()[name].state for name in ("movies", "hold", "batch")} == {
                "movies": "running",
                "hold": "finished",
                "batch": "finished",
            }
    finally:
        engine.close()


@pytest.mark.parametrize("count, passed", [(4, 4), (100, 6)])
def test_an_engine_that_begins_again_knows_what_has_passed(project, movies, count, passed):
    movies(*names(1, 2, 3), size=1)
    p = project(MAP, timeout="1h")
    p.workflow.add("Trigger", name="hold", item="measure", mode="static", count=count)
    first = Engine(p.folder, "inline")
    until(first, lambda: len(values(p, "measure")) == 3)
    first.tick()
    first.close()
    movies(*names(4, 5, 6), size=1)
    for _ in range(2):
        engine = Engine(p.folder, "inline")
        until(engine, lambda: len(values(p, "measure")) == 6)
        until(engine, lambda: len(values(p, "hold")) >= min(count, 6) or count > 6)
        engine.tick()
        engine.close()
    assert len(values(p, "hold")) == (passed if count <= 6 else 0)
    send(p.folder, "stop")
    assert Engine(p.folder, "inline").run().finished
    assert len(values(p, "hold")) == passed


def test_stacks_count_with_their_particles(project, movies, run):
    for n in range(6):
        movies(f"m{n}", size=10)
    p = project(MAP, timeout="1h")
    p.workflow.add("Pick", name="pick", number="measure")
    p.workflow.add("Trigger", name="hold", item="pick", mode="batches", count=25)
    engine = Engine(p.folder, "inline")
    until(engine, lambda: len(values(p, "pick", "count")) == 6 and len(values(p, "hold", "count")) == 6)
    movies("more", size=10)
    until(engine, lambda: len(values(p, "pick", "count")) == 7)
    engine.tick()
    engine.close()
    assert len(values(p, "hold", "count")) == 6, "two batches of three stacks, and one stack that waits"


def test_a_trigger_closes_another_branch(project, movies):
    movies(*names(1, 2), size=1)
    p = project(MAP, timeout="1h")
    p.workflow.add("Trigger", name="enough", item="measure", mode="growing", count=3)
    p.workflow.add("Trigger", name="early", item="measure", count=1, closed_by="enough")
    p.workflow.add("Batch", name="batch", number="early", size=100)
    engine = Engine(p.folder, "inline")
    until(engine, lambda: len(values(p, "early")) == 2)
    movies(*names(3, 4), size=1)
    until(engine, lambda: len(values(p, "enough")) == 4)
    movies(*names(5), size=1)
    until(engine, lambda: len(values(p, "enough")) == 5)
    until(engine, lambda: folded(p, "batch"))
    engine.close()
    assert sorted(values(p, "early")) == ["m1", "m2"]
    assert folded(p, "batch") == [2]


def test_a_signal_must_come_from_a_step_that_can_give_one(project, movies, run):
    movies("a")
    p = project(MAP)
    with pytest.raises(WorkflowError, match="step 'hold' is closed by 'measure', which is not another trigger"):
        p.workflow.add("Trigger", name="hold", item="measure", count=1, closed_by="measure")
    p.workflow.add("Trigger", name="hold", item="measure", count=1)
    p.steps["hold"].set(closed_by="measure")
    run(p)
    with p.reader() as reader:
        step = reader.steps()["hold"]
    assert (step.state, step.reason) == ("failed", "hold.closed_by 'measure' is not a step that lets items wait.")


@pytest.mark.parametrize("slow", ["first", "second"])
def test_joined_sets_have_each_exposure_once_and_that_of_the_first(project, movies, run, slow):
    movies("small", size=5)
    movies("large", size=500)
    p = project(
        ("one", "Measure", {"movies": "movies", "seconds": 0.3 * (slow == "first")}),
        ("two", "Measure", {"movies": "movies", "seconds": 0.3 * (slow == "second"), "factor": 10}),
        ("gate", "AtMost", {"number": "one", "limit": 100}),
    )
    p.workflow.add("JoinSets", name="joined", first="gate", second="two")
    p.workflow.add("toys:Double", name="double", number="joined")
    run(p, "threads", workers=4)
    assert values(p, "joined") == {"small": 5.0, "large": 5000.0}
    assert values(p, "double") == {"small": 10.0, "large": 10000.0}


def test_what_another_item_takes_the_place_of_is_not_begun(project, movies):
    movies("a", size=5)
    p = project(
        ("one", "Measure", {"movies": "movies"}),
        ("two", "Measure", {"movies": "movies", "factor": 10}),
        timeout="1h",
    )
    p.workflow.add("JoinSets", name="joined", first="one", second="two")
    p.workflow.add("toys:Double", name="double", number="joined")
    for step in ("one", "double"):
        p.steps[step].hold()
    engine = Engine(p.folder, "inline")
    until(engine, lambda: values(p, "joined") == {"a": 50.0})
    engine.tick()  # now the second waits to be doubled
    p.steps["one"].release()
    until(engine, lambda: values(p, "joined") == {"a": 5.0})
    p.steps["double"].release()
    until(engine, lambda: values(p, "double") == {"a": 10.0})
    engine.close()


def test_sets_divide_what_a_gate_divides(project, movies):
    movies(*names(1, 2), size=5)
    movies(*names(3, 4, 5), size=500)
    p = project(MAP, ("gate", "AtMost", {"number": "measure", "limit": 100}), timeout="1h")
    p.workflow.add("SubsetSet", name="kept", first="measure", second="gate")
    p.workflow.add("DifferenceSet", name="rest", first="measure", second="gate")
    p.workflow.add("JoinSets", name="whole", first="kept", second="rest")
    engine = Engine(p.folder, "inline")
    until(engine, lambda: len(values(p, "measure")) == 5 and len(values(p, "kept")) == 2)
    engine.tick()
    assert values(p, "rest") == {}, "something may come of them as long as the gate works"
    engine.close()
    send(p.folder, "stop")
    assert Engine(p.folder, "inline").run().finished
    assert sorted(values(p, "kept")) == names(1, 2)
    assert sorted(values(p, "rest")) == names(3, 4, 5)
    assert sorted(values(p, "whole")) == names(1, 2, 3, 4, 5)


def test_an_item_is_seen_among_the_newest(project, movies, run):
    movies(*names(*range(5)), size=1)
    p = project(MAP)
    p.workflow.add("Among", name="among", number="measure")
    run(p)
    found = sorted(values(p, "among").values())
    assert found == [200, 201, 302, 302, 302], "the first among two with the one that follows, the others last of three"


def test_a_gate_of_any_kind_can_be_overruled_and_one_without_links_is_refused(project, movies):
    movies("a", size=3)
    p = project(MAP, timeout="1h")
    p.workflow.add("Sampler", name="sample", item="measure", share=0)
    p.workflow.add("toys:Double", name="double", number="sample")
    with pytest.raises(WorkflowError, match="takes a Movie"):
        p.workflow.add("toys:Measure", name="wrong", movies="sample")
    engine = Engine(p.folder, "inline")
    with p.reader() as reader:
        until(engine, lambda: reader.reasons("sample") == {"not chosen": 1})
        send(p.folder, "readmit", exposure=int(reader.exposures()["id"][0]))
        until(engine, lambda: values(p, "double") == {"a": 6.0})
        assert reader.reasons("sample") == {}
    engine.close()
