"""The graph of a workflow: counts that add up, what is outdated, and what a change would cost."""

from __future__ import annotations

import json
import math
import random
import sqlite3
from contextlib import closing

import pytest

from cryowidgets.errors import WorkflowError
from cryowidgets.model import Ctf, Gain, Micrograph, Movie, Optics
from cryowidgets.store.admission import admit
from cryowidgets.store.database import NAME
from cryowidgets.store.nodes import Cost
from cryowidgets.store.queries import Reader
from cryowidgets.store.samples import Samples
from cryowidgets.store.store import Store
from cryowidgets.store.todo import todo, todo_fold

OPTICS = Optics(pixel_size=1.0)
KINDS = {
    "align": {"movie": Movie},
    "other": {"movie": Movie},
    "ctf": {"micrograph": Micrograph},
    "both": {"first": Micrograph, "second": Ctf},
}


@pytest.fixture
def store(tmp_path):
    """A diamond with a fold: movies → align → ctf, movies → other, both = other + ctf, gain over movies."""
    store = Store.create(tmp_path / "p", "a session")
    store.add_step("movies", "ImportMovies", Movie, {}, {})
    store.add_step("align", "AlignMovie", Micrograph, {"x": 1}, {"movie": "movies"}, label="Align")
    store.add_step("other", "AlignMovie", Micrograph, {}, {"movie": "movies"}, after=["align"], hold=True)
    store.add_step("ctf", "EstimateCtf", Ctf, {}, {"micrograph": "align"})
    store.add_step("both", "Join", Ctf, {}, {"first": "other", "second": "ctf"})
    store.add_step("gain", "EstimateGain", Gain, {}, {"movie": "movies"}, fold=True)
    for kind in (Movie, Micrograph, Ctf, Gain):
        store.ensure_table(kind)
    yield store
    store.close()


def drop(store, *numbers):
    arrivals = [(f"/data/{n}.mrc", float(n), Movie(name=f"m{n}", path="", optics=OPTICS, found=1.0)) for n in numbers]
    admit(store, "movies", arrivals)


def work(store, step, state=lambda exposure: "done", seconds=2.0):
    """Do all that is open at a step, each item ending as `state` says."""
    for task in store.claim(step, todo(store, step, KINDS[step], {})[0]):
        end = state(task.exposure)
        gives = store.steps()[step].gives
        made = Ctf(micrograph="") if gives == "Ctf" else Micrograph(path="", pixel_size=1.0, height=1, width=1)
        store.finish(task, end, made if end == "done" else None, error=end, started=0.0, finished=seconds)


def nodes(store):
    with Reader(store.folder) as reader:
        return {node.name: node for node in reader.nodes()}


def counts(node):
    return (node.waiting, node.running, node.done, node.failed, node.rejected, node.missing)


def test_what_waits_runs_is_done_and_failed_adds_up_at_every_step(store):
    drop(store, *range(10))
    assert counts(nodes(store)["align"]) == (10, 0, 0, 0, 0, 0)
    work(store, "align", lambda e: "failed" if e <= 2 else "rejected" if e == 3 else "done")
    store.claim("ctf", todo(store, "ctf", KINDS["ctf"], {})[0][:3])
    found = nodes(store)
    assert counts(found["align"]) == (0, 0, 7, 2, 1, 0)
    assert counts(found["ctf"]) == (4, 3, 0, 0, 0, 2)
    assert counts(found["other"]) == (10, 0, 0, 0, 0, 0)
    assert counts(found["both"])[:1] == (0,)


def test_a_join_waits_for_what_both_sources_have_and_counts_a_movie_once_that_failed_in_both(store):
    drop(store, *range(10))
    work(store, "align", lambda e: "failed" if e in (1, 2) else "done")
    work(store, "ctf", lambda e: "rejected" if e == 3 else "done")
    work(store, "other", lambda e: "failed" if e in (2, 4) else "done")
    exact = len(todo(store, "both", KINDS["both"], {})[0])
    assert exact == 6
    assert counts(nodes(store)["both"]) == (6, 0, 0, 0, 0, 3)


@pytest.mark.parametrize("seed", range(6))
def test_waiting_is_what_the_desk_would_find(store, seed):
    """Whatever happened, in a chain and a fold at any time and in a join once its sources have come to an end."""
    chance = random.Random(seed)
    ends = ("done", "done", "done", "failed", "rejected", "retry")
    for n in range(4):
        drop(store, *range(10 * n, 10 * n + 10))
        for step in ("align", "ctf", "other", "both"):
            work(store, step, lambda e: chance.choice(ends))
        for exposure in chance.sample(range(1, 10 * n + 11), 3):
            store.reject(exposure, chance.choice(["ice", None]))
        if n == 1:
            store.set_params("align", {"x": 2}, redo=True)
        if n == 2:
            batch = todo_fold(store, "gain", Movie, 7, flush=False)
            (task,) = store.claim("gain", [batch])
            store.finish(task, "done", Gain())
        found = nodes(store)
        for step in ("align", "ctf", "other"):
            assert found[step].waiting == len(todo(store, step, KINDS[step], {})[0]), (step, n)
        rest = todo_fold(store, "gain", Movie, 1000, flush=True)
        out = "AND exposure NOT IN (SELECT id FROM exposure WHERE rejected IS NOT NULL)"
        there = store.query(f"SELECT count(*) FROM movie WHERE id BETWEEN ? AND ? {out}", rest.inputs)
        assert found["gain"].waiting == there[0][0]
    for step in ("align", "ctf", "other"):
        for _ in range(99):
            if not todo(store, step, KINDS[step], {})[0]:
                break
            work(store, step)
    assert nodes(store)["both"].waiting == len(todo(store, "both", KINDS["both"], {})[0])


def test_outdated_results_are_counted_down_as_they_are_made_again(store):
    drop(store, *range(5))
    work(store, "align")
    work(store, "ctf")
    store.set_params("align", {"x": 2}, scope="new")
    drop(store, 5)
    work(store, "align")
    found = nodes(store)
    assert (found["align"].done, found["align"].outdated) == (6, 5)
    assert (found["ctf"].done, found["ctf"].outdated, found["ctf"].waiting) == (5, 5, 1)
    assert found["other"].outdated == 0
    store.set_params("align", {"x": 3}, scope="branch")
    found = nodes(store)
    assert (found["align"].done, found["align"].outdated, found["align"].waiting) == (0, 6, 6)
    assert (found["ctf"].done, found["ctf"].outdated, found["ctf"].waiting) == (0, 5, 0)
    work(store, "align")
    work(store, "ctf")
    found = nodes(store)
    assert [(found[s].done, found[s].outdated, found[s].waiting) for s in ("align", "ctf")] == [(6, 0, 0)] * 2


def test_what_failed_and_was_rejected_by_older_parameters_is_history(store):
    drop(store, *range(6))
    work(store, "align", lambda e: "failed" if e < 3 else "rejected" if e == 3 else "done")
    store.set_params("align", {"x": 2}, redo=True)
    assert counts(nodes(store)["align"]) == (6, 0, 0, 0, 0, 0)
    work(store, "align")
    assert counts(nodes(store)["align"]) == (0, 0, 6, 0, 0, 0)
    with Reader(store.folder) as reader:
        assert reader.failures() == []
        assert reader.session().failed == 0


def test_movies_stay_whatever_is_set_at_their_import(store):
    drop(store, 1, 2)
    work(store, "align")
    store.set_params("movies", {"voltage": 200}, redo=True)
    assert len(todo(store, "align", KINDS["align"], {})[0]) == 2
    assert (nodes(store)["movies"].done, nodes(store)["align"].outdated) == (2, 2)


def test_a_step_says_what_it_is_and_what_it_waits_for(store):
    store.put("inert", json.dumps([{"name": "viewer", "origin": "scipion:X", "inputs": {"input": "align"}}]))
    found = nodes(store)
    assert (found["align"].label, found["align"].protocol, found["align"].state) == ("Align", "AlignMovie", "saved")
    assert (found["other"].after, found["other"].hold) == (("align",), True)
    assert list(found)[-1] == "viewer"
    assert (found["viewer"].inert, found["viewer"].protocol) == (True, "scipion:X")
    assert found["viewer"].inputs == {"input": "align"}


def test_the_cost_of_a_change_is_what_it_makes_anew(store):
    drop(store, *range(8))
    work(store, "align", lambda e: "failed" if e == 1 else "done", seconds=4.0)
    work(store, "ctf", seconds=2.0)
    work(store, "other", seconds=10.0)
    Samples(store).add({"time": 1.0, "workers": 2})
    with Reader(store.folder) as reader:
        assert reader.cost("align", "new") == Cost(0, 0.0)
        assert reader.cost("align", "branch") == Cost(8 + 7, (8 * 4.0 + 7 * 2.0) / 2)
        assert reader.cost("ctf", "branch") == Cost(7, 7 * 2.0 / 2)
        assert reader.cost("ctf", "all") == Cost(8 + 7 + 8, (8 * 4.0 + 7 * 2.0 + 8 * 10.0) / 2)
        assert reader.cost("movies", "branch") == reader.cost("ctf", "all")
        assert str(reader.cost("align", "branch")) == "15 tasks are done again, which takes about 23 s"
        assert str(reader.cost("align", "new")) == "nothing is done again"
        with pytest.raises(WorkflowError, match="no scope 'some': write one of new, branch, all"):
            reader.cost("align", "some")
        with pytest.raises(WorkflowError, match="no step 'nothing'. There are: movies, align"):
            reader.cost("nothing", "all")


def test_the_cost_is_what_is_then_open(store):
    drop(store, *range(8))
    work(store, "align", lambda e: ("done", "rejected", "failed")[e % 3])
    work(store, "ctf")
    with Reader(store.folder) as reader:
        cost = reader.cost("align", "branch")
    store.set_params("align", {"x": 2}, scope="branch")
    work(store, "align", lambda e: ("done", "rejected", "failed")[e % 3])
    work(store, "ctf")
    again = store.query("SELECT count(*) FROM task WHERE version = 2 AND state <> 'superseded'")[0][0]
    assert cost.items == again
    assert not math.isnan(cost.seconds)


def test_a_ledger_of_an_earlier_version_is_counted_by_its_tasks(store):
    drop(store, *range(4))
    work(store, "align")
    before = nodes(store)
    with closing(sqlite3.connect(store.folder / NAME)) as db:
        for name in ("made_added", "made_more", "made_less"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DROP TABLE made")
        for column in ("fresh_from", "label", "comment", "after", "hold", "halted"):
            db.execute(f'ALTER TABLE step DROP COLUMN "{column}"')
        db.commit()
    old = nodes(store)
    assert [counts(node) for node in old.values()] == [counts(node) for node in before.values()]
    assert (old["other"].hold, old["other"].after, old["align"].label) == (False, (), "")
    assert "made" in store.upgrade()
    assert store.query("SELECT n FROM made") == [(4,), (4,)]
    assert [counts(node) for node in nodes(store).values()] == [counts(node) for node in before.values()]
