"""A project that an earlier version made is read as it is and brought to the present format by the one who writes."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cryowidgets.errors import ProjectError
from cryowidgets.model import Ctf, Item, Micrograph, Movie, column
from cryowidgets.store import migrations, rows
from cryowidgets.store.database import NAME
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

FORMAT_1 = Path(__file__).with_name("format_1.sql")
"""A session of two movies and a broken file, as a version before gains, local motion and scores left it."""


@pytest.fixture
def old(tmp_path):
    """The project folder of format 1."""
    for name in ("inbox", "steps", "logs"):
        (tmp_path / "p" / name).mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "p" / NAME)) as db:
        db.executescript(FORMAT_1.read_text())
    return tmp_path / "p"


def shape(db):
    """What tells one ledger from another, but for its rows and for the order and the defaults of columns."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    made = "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name"
    return {
        **{t: sorted(row[1:4] for row in db.execute(f'PRAGMA table_info("{t}")')) for t in tables},
        "": db.execute(made).fetchall(),
        "format": db.execute("PRAGMA user_version").fetchone(),
    }


def test_an_old_project_is_shown_as_it_is_without_being_changed(old):
    before = (old / NAME).read_bytes()
    with Reader(old) as reader:
        movie, micrograph, ctf = (reader.exposure(1).items[step] for step in ("movies", "align", "ctf"))
        assert (movie.frames, movie.warning) == (8, "")
        assert math.isnan(movie.target_defocus)
        assert micrograph.motion_total == pytest.approx(7.35, abs=0.01)
        assert (micrograph.local_motion, micrograph.note, micrograph.defects) == ("", "", 0)
        assert math.isnan(micrograph.motion_local)
        assert micrograph.shifts.shape == (8, 2)
        assert ctf.content == ""
        assert ctf.reason.startswith("No rings")
        table = reader.rows("align")
        assert table["note"] == ["", ""]
        assert all(math.isnan(value) for value in table["motion_local"])
        assert table["motion_total"][1] == micrograph.motion_total
        assert reader.session().done == 2
        assert len(reader.optics()) == 3
    assert (old / NAME).read_bytes() == before


def test_an_upgraded_ledger_is_as_a_new_one_and_has_kept_everything(old, tmp_path):
    new = Store.create(tmp_path / "new")
    store = Store(old)
    kinds = (Movie, Micrograph, Ctf)
    try:
        with Reader(old) as reader:
            before = [reader.rows(step) for step in reader.steps()]
            said = store.upgrade()
            after = [reader.rows(step) for step in reader.steps()]  # a window that was open all the while
            assert reader.events()[-1].text == said
            assert reader.exposure(1).items["ctf"].reason.startswith("No rings")
        for was, now in zip(before, after, strict=True):
            assert {k: repr(list(v)) for k, v in was.items()} == {k: repr(list(v)) for k, v in now.items()}
        for kind in kinds:
            store.ensure_table(kind)
            new.ensure_table(kind)
        assert shape(store._db) == shape(new._db)
        assert store.query("PRAGMA foreign_key_check") == []
        assert "from format 1 to format 2" in said
        assert "micrograph.local_motion" in said
        assert "as it was it stays in project.sqlite.v1.bak" in said
        assert store.upgrade() == ""  # once is enough
    finally:
        store.close()
        new.close()
    with closing(sqlite3.connect(old / f"{NAME}.v1.bak")) as copy, closing(sqlite3.connect(":memory:")) as first:
        first.executescript(FORMAT_1.read_text())
        assert list(copy.iterdump()) == list(first.iterdump())
    assert len(list(old.glob("*.bak*"))) == 1


def test_an_upgrade_that_fails_changes_nothing(old, monkeypatch):
    store = Store(old)
    before = list(store._db.iterdump())
    wanted = migrations._missing(store._db)
    monkeypatch.setattr(migrations, "_missing", lambda db: [*wanted, ("", "CREATE TABLE event (x)")])
    with pytest.raises(ProjectError, match=r"has format 1 and could not be brought to format 2: .* as it was"):
        store.upgrade()
    assert list(store._db.iterdump()) == before
    monkeypatch.undo()
    assert "project.sqlite.v1-2.bak" in store.upgrade()  # the first copy is not written over
    store.close()


def test_a_kind_that_has_grown_since_keeps_its_rows_and_gets_the_defaults(tmp_path):
    store = Store.create(tmp_path / "p")
    try:
        first = type("Grain", (Item,), {"__annotations__": {"size": "float"}, "size": column("how large")})
        store.ensure_table(dataclass(frozen=True, kw_only=True)(first))
        store.insert("INSERT INTO step (name, protocol, gives) VALUES ('s', 'P', 'Grain')", ())
        sql = "INSERT INTO task (step, inputs, version, attempt, state, submitted) VALUES (1, '', 1, 1, 'done', 0)"
        store.insert(sql, ())
        store.insert('INSERT INTO "grain" (step, task, version, time, size) VALUES (1, 1, 1, 0, 2.5)', ())

        @dataclass(frozen=True, kw_only=True)
        class Grain(Item):
            size: float = column("how large")
            colour: str = column("its colour, with a ' in it", default="sun's")
            facets: int = column("how many", default=8)
            round: bool = column("whether", default=True)
            bright: float = column("how bright", default=float("inf"))
            weight: float = column("never measured then")
            path: str = column("must be given now")

        with pytest.raises(ProjectError, match="lacks colour, facets, round, bright, weight, path"):
            store.ensure_table(Grain)
        with Reader(store.folder) as reader:
            looked = reader.query(rows.select_items(Grain, reader._lacking(Grain)))
        store.upgrade()
        grain = store.item(Grain, 1)
        assert (grain.size, grain.colour, grain.facets, grain.round) == (2.5, "sun's", 8, True)
        assert (grain.bright, grain.path) == (math.inf, "")
        assert math.isnan(grain.weight)
        assert repr(rows.item(Grain, looked[0])) == repr(grain)
    finally:
        Item.kinds.pop("Grain")
        store.close()


def test_a_table_a_column_and_a_trigger_that_are_gone_come_back(tmp_path):
    store = Store.create(tmp_path / "p")
    whole = shape(store._db)
    for statement in (
        "DROP TRIGGER task_moved",
        "DROP INDEX exposure_acquired",
        "DROP TABLE system",
        "DROP INDEX exposure_marked",
        "ALTER TABLE exposure DROP COLUMN note",
        "ALTER TABLE exposure DROP COLUMN flag",
    ):
        store._db.execute(statement)
    with Reader(store.folder) as reader:
        assert len(reader.exposures()["id"]) == 0
    assert "added" in store.upgrade()
    assert shape(store._db) == whole
    store.close()


def test_a_project_of_a_newer_version_is_refused_with_both_versions(tmp_path):
    store = Store.create(tmp_path / "p")
    store.put("program", "7.1")
    store._db.execute("PRAGMA user_version = 9")
    store.close()
    said = r"format 9, written by cryowidgets 7\.1; this is cryowidgets \d.*up to 2"
    for opening in (Store, Reader):
        with pytest.raises(ProjectError, match=said):
            opening(tmp_path / "p")
