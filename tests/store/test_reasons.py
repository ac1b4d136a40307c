"""Which rules hold items back can be counted without reading sentences."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from cryowidgets.model import NAN, NOT_CHOSEN, Movie, Optics, Reason
from cryowidgets.store.admission import admit
from cryowidgets.store.database import NAME
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store
from cryowidgets.store.todo import todo


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "p", "a session")
    store.add_step("movies", "ImportMovies", Movie, {}, {})
    store.add_step("gate", "Gate", Movie, {}, {"movie": "movies"})
    movies = [Movie(name=f"m{n}", path="", optics=Optics(pixel_size=0.85), found=1.0) for n in range(4)]
    admit(store, "movies", [(f"/data/{movie.name}.mrc", 1.0, movie) for movie in movies])
    yield store
    store.close()


def test_each_rule_is_counted_and_values_are_kept(store):
    tasks = store.claim("gate", todo(store, "gate", {"movie": Movie}, {})[0])
    store.finish(tasks[0], "rejected", error="no", reasons=[Reason("ice", 2.0, 1.0), Reason("defocus", NAN, 4e4)])
    store.finish(tasks[1], "rejected", error="no", reasons=[Reason("ice", 3.0, 1.0)])
    store.finish(tasks[2], "rejected", error="for no rule of its own")
    store.finish(tasks[3], "done", store.item(Movie, 4))
    assert store.query("SELECT value, allowed FROM reason WHERE rule = 'ice'") == [(2.0, 1.0), (3.0, 1.0)]
    assert store.query("SELECT value, allowed FROM reason WHERE rule = 'defocus'") == [(None, 4e4)]
    with Reader(store.folder) as reader:
        assert reader.reasons("gate") == {"ice": 2, "defocus": 1}
        assert reader.reasons("movies") == {}
        store.finish(tasks[0], "done", store.item(Movie, 1), error="readmitted by hand")
        assert reader.reasons("gate") == {"ice": 1}
        store.set_params("gate", {"x": 1}, redo=True)
        assert reader.reasons("gate") == {}, "those of older parameters are history"


def test_a_ledger_without_reasons_has_none(store):
    with closing(sqlite3.connect(store.folder / NAME)) as db:
        db.execute("DROP TABLE reason")
        db.commit()
    with Reader(store.folder) as reader:
        assert reader.reasons("gate") == {}
    assert "reason" in store.upgrade()
    with Reader(store.folder) as reader:
        assert reader.reasons("gate") == {}


def test_what_was_not_chosen_is_not_rejected(store):
    tasks = store.claim("gate", todo(store, "gate", {"movie": Movie}, {})[0])
    for task in tasks[:3]:
        store.finish(task, "rejected", error="Not in the sample.", reasons=[Reason(NOT_CHOSEN)])
    store.finish(tasks[3], "done", store.item(Movie, 4))
    store.add_step("limit", "Limit", Movie, {}, {"movie": "movies"})
    bad, *_ = store.claim("limit", todo(store, "limit", {"movie": Movie}, {})[0])
    store.finish(bad, "rejected", error="too thick", reasons=[Reason("ice", 2.0, 1.0)])
    with Reader(store.folder) as reader:
        assert reader.reasons("gate") == {NOT_CHOSEN: 3}
        assert reader.tally()["gate"]["rejected"] == 3
        assert reader.session().rejected == 1
        states = reader.exposures()
        assert [state == "rejected" for state in states["state"]] == [True, False, False, False]
        assert states["reason"][0] == "too thick"
