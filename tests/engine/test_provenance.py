"""Where items come from, told of what a real engine made: maps, gates, joins, folds, retries and second versions."""

from __future__ import annotations

import os
import socket

import pytest

from cryowidgets import plugins
from cryowidgets.errors import ProjectError
from cryowidgets.store.provenance import Batch, Origin

OURS = f"cryowidgets {plugins.our_version()}"


def chain(origin: Origin) -> list[str]:
    """Steps from an item back to its movie, along the first input of each."""
    names = [origin.step]
    while origin.inputs:
        origin = next(iter(origin.inputs.values()))
        names.append(origin.step)
    return names


def rows(project, step: str) -> dict[str, int]:
    with project.reader() as reader:
        table = reader.rows(step)
    return dict(zip(table["name"], table["id"].tolist(), strict=True))


def test_a_chain_leads_back_to_the_movie_file(project, movies, run):
    movies("a", "b", size=10)
    made = project(
        ("measure", "Measure", {"movie": "movies", "factor": 3.0}),
        ("gate", "AtMost", {"number": "measure"}),
        ("double", "Double", {"number": "gate"}),
    )
    run(made)
    with made.reader() as reader:
        origin = reader.provenance("Number", rows(made, "double")["b"])
        assert chain(origin) == ["double", "gate", "measure", "movies"]
        (gate,) = origin.inputs.values()
        (measure,) = gate.inputs.values()
        (movie,) = measure.inputs.values()
    assert (measure.key, measure.name, measure.version) == (f"number:{rows(made, 'measure')['b']}", "b", 1)
    assert measure.params["factor"] == 3.0
    assert measure.files == {"path": "steps/measure/b.txt"}
    assert movie.files["path"] == str(movies.folder / "b.mrc")
    assert (movie.protocol, movie.inputs) == ("ImportMovies", {})
    for o in (origin, gate, measure, movie):
        assert (o.standing, len(o.attempts), o.task.state) == ("valid", 1, "done")
        assert (o.task.host, o.task.pid) == (socket.gethostname(), os.getpid())
        assert o.task.submitted <= o.task.started <= o.task.finished
        assert o.task.software == OURS
    assert origin.task.submitted >= gate.task.finished >= measure.task.finished >= movie.task.finished


def test_a_join_names_each_input_though_both_are_of_one_kind(project, movies, run):
    movies("a", "b", "c")
    made = project(
        ("plain", "Measure", {"movie": "movies"}),
        ("double", "Double", {"number": "plain"}),
        ("sum", "Sum", {"first": "double", "second": "plain"}),
    )
    run(made)
    with made.reader() as reader:
        origin = reader.provenance("number", rows(made, "sum")["c"])
    assert {name: o.key for name, o in origin.inputs.items()} == {
        "first": f"number:{rows(made, 'double')['c']}",
        "second": f"number:{rows(made, 'plain')['c']}",
    }
    assert {o.name for o in origin.inputs.values()} == {"c"}


def test_of_a_step_that_takes_one_of_two_only_the_one_is_named(project, movies, run):
    movies("a", "b")
    made = project(
        ("measure", "Measure", {"movie": "movies", "fail": "b"}),
        ("other", "Measure", {"movie": "movies"}),
    )
    made.workflow.add("JoinSets", name="joined", first="measure", second="other")
    made.workflow.add("SubsetSet", name="both", first="other", second="measure")
    made.workflow.add("DifferenceSet", name="rest", first="other", second="measure")
    run(made, retries=0)
    with made.reader() as reader:
        taken = {
            (step, name): {i: o.step for i, o in reader.provenance("number", id).inputs.items()}
            for step in ("joined", "both", "rest")
            for name, id in rows(made, step).items()
        }
    assert taken == {
        ("joined", "a"): {"first": "measure"},
        ("joined", "b"): {"second": "other"},
        ("both", "a"): {"first": "other", "second": "measure"},
        ("rest", "b"): {"first": "other"},
    }


def test_attempts_that_failed_are_told_with_their_sentence(project, movies, run, tmp_path):
    movies("a", "b")
    made = project(("measure", "Measure", {"movie": "movies", "fail": "a", "heal": str(tmp_path / "healed")}))
    run(made, retries=1)
    (tmp_path / "healed").touch()
    made.send("retry")
    made.send("reopen")
    run(made)
    with made.reader() as reader:
        ill = reader.provenance("number", rows(made, "measure")["a"])
        well = reader.provenance("number", rows(made, "measure")["b"])
    assert [a.attempt for a in ill.attempts] == [1, 2, 3]
    assert [a.state for a in ill.attempts][-1] == "done"
    assert all("is marked to fail" in a.error for a in ill.attempts[:-1])
    assert len(well.attempts) == 1


def test_items_made_again_name_their_version_and_what_came_of_the_old_ones_still_has_its_history(project, movies, run):
    movies("a")
    made = project(
        ("measure", "Measure", {"movie": "movies", "factor": 1.0}),
        ("double", "Double", {"number": "measure"}),
    )
    run(made)
    with made.reader() as reader:
        before = reader.provenance("number", rows(made, "double")["a"])
    made.steps["measure"].set(factor=2.0)
    movies("b")
    made.send("reopen")
    run(made)
    with made.reader() as reader:
        old = reader.provenance("number", rows(made, "double")["a"]).inputs["number"]
        new = reader.provenance("number", rows(made, "double")["b"]).inputs["number"]
    assert [(o.version, o.params["factor"]) for o in (old, new)] == [(1, 1.0), (2, 2.0)]

    made.steps["measure"].set(redo=True, factor=5.0)
    made.send("reopen")
    run(made)
    with made.reader() as reader:
        again = reader.provenance("number", rows(made, "double")["a"])
        assert again.inputs["number"].params["factor"] == 5.0
        assert again.standing == again.inputs["number"].standing == "valid"
        with pytest.raises(ProjectError, match=rf"no number {before.id}: it was made again or never there"):
            reader.provenance("number", before.id)


def test_what_was_made_of_a_result_that_is_gone_is_told_by_its_task(project, movies, run):
    """The step above has done its work again; the one below has not begun yet."""
    movies("a")
    made = project(
        ("measure", "Measure", {"movie": "movies", "factor": 1.0}),
        ("double", "Double", {"number": "measure"}),
    )
    run(made)
    from cryowidgets.engine.engine import Engine

    made.steps["measure"].set(redo=True, factor=4.0)
    engine = Engine(made.folder, "inline")
    engine.tick()  # hears the command, hands out the first of the two
    for outcome in engine.executor.collect(1.0):
        engine.desk.book(outcome)
    engine.close()
    with made.reader() as reader:
        origin = reader.provenance("number", rows(made, "double")["a"])
    (source,) = origin.inputs.values()
    assert (origin.standing, source.standing, source.id) == ("to be redone", "replaced", None)
    assert (source.key, source.params["factor"], source.step) == ("number:?", 1.0, "measure")
    assert source.inputs["movie"].standing == "valid"


def test_a_fold_names_its_range_and_the_result_before(project, movies, run):
    movies(*"abcdef")
    made = project(
        ("measure", "Measure", {"movie": "movies"}),
        ("total", "Total", {"number": "measure", "offset": 7}),
    )
    run(made)
    with made.reader() as reader:
        totals = reader.rows("total")["id"].tolist()
        first, second = (reader.provenance("number", id) for id in totals)
    (four,) = first.inputs.values()
    (rest,) = second.inputs.values()
    assert isinstance(four, Batch) and isinstance(rest, Batch)
    assert (four.step, four.kind, four.there, rest.there) == ("measure", "Number", 4, 2)
    assert four.last < rest.first
    assert (first.follows, second.follows) == (None, first.id)
    assert first.params["offset"] == 7
    assert rest.newest.id == rest.last
    assert rest.newest.inputs["movie"].protocol == "ImportMovies"


def test_a_ledger_that_did_not_record_the_software_says_so(project, movies, run):
    import sqlite3

    movies("a")
    made = project(("measure", "Measure", {"movie": "movies"}))
    run(made)
    with sqlite3.connect(made.folder / "project.sqlite") as db:
        db.execute("ALTER TABLE task DROP COLUMN software")
    db.close()
    with made.reader() as reader:
        assert reader.provenance("number", 1).task.software is None
    movies("b")
    made.send("reopen")
    run(made)  # a writer brings the column back
    with made.reader() as reader:
        assert reader.provenance("number", rows(made, "measure")["a"]).task.software is None
        assert reader.provenance("number", rows(made, "measure")["b"]).task.software == OURS


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(project, movies):
    made = project(("measure", "Measure", {"movie": "movies"}))
    with made.reader() as reader:
        with pytest.raises(ProjectError, match="no items of kind 'ctf': write one of movie, number"):
            reader.provenance("ctf", 1)
        with pytest.raises(ProjectError, match="no number 5"):
            reader.provenance("number", 5)
