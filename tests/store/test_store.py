"""The ledger: one transaction for each finished task, and what is to do is what exists minus what is done."""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.errors import EngineRunning, ProjectError, WorkflowError
from cryowidgets.model import Ctf, Micrograph, Movie, Optics
from cryowidgets.store import rows
from cryowidgets.store.admission import admit, known_paths, refuse, set_optics
from cryowidgets.store.database import NAME
from cryowidgets.store.lock import WriterLock, holder
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store
from cryowidgets.store.todo import todo

OPTICS = Optics(pixel_size=0.85, dose_per_frame=1.25)


def arrival(n: int, folder: str = "/data"):
    path = f"{folder}/m{n}.tiff"
    return path, 1000.0 + n, Movie(name=f"m{n}", path=path, optics=OPTICS, found=1.0, closed=2.0, size=10 * n)


def micrograph(**values) -> Micrograph:
    return Micrograph(**{"path": "steps/align/a.mrc", "pixel_size": 0.85, "height": 4, "width": 6, **values})


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "p", "a session")
    store.add_step("movies", "ImportMovies", Movie, {}, {})
    store.add_step("align", "AlignMovie", Micrograph, {"x": 1}, {"movie": "movies"})
    store.add_step("ctf", "EstimateCtf", Ctf, {}, {"micrograph": "align"})
    yield store
    store.close()


def open_tasks(store, step="align", kind=Movie, input="movie"):
    return todo(store, step, {input: kind}, {})[0]


def do(store, step="align", todos=None, **result):
    for task in store.claim(step, todos if todos is not None else open_tasks(store)):
        store.finish(task, "done", micrograph(**result))


def test_an_item_comes_back_as_it_was_stored(store):
    admit(store, "movies", [arrival(1)])
    shifts = np.arange(6, dtype=np.float32).reshape(3, 2)
    do(store, shifts=shifts, motion_total=1.5, thumbnail="steps/align/a.jpg")
    back = store.item(Micrograph, 1)
    assert (back.name, back.exposure, back.optics, back.motion_total) == ("m1", 1, OPTICS, 1.5)
    assert math.isnan(back.motion_early)
    np.testing.assert_array_equal(back.shifts, shifts)
    assert back.thumbnail == str(store.folder / "steps/align/a.jpg")
    assert back.filed(store.folder).thumbnail == "steps/align/a.jpg"


def test_every_field_of_a_kind_is_a_typed_column(store):
    for kind in (Movie, Micrograph, Ctf):
        store.ensure_table(kind)
        there = {name: t for _, name, t, *_ in store.query(f"PRAGMA table_info({kind.table()})")}
        assert set(kind.columns()) < set(there)
        assert set(there.values()) <= {"INTEGER", "REAL", "TEXT", "BLOB"}
        assert set(rows.column_types(kind)) == set(kind.columns())


def test_todo_is_what_exists_minus_what_is_done(store):
    admit(store, "movies", [arrival(n) for n in range(5)])
    assert [t.inputs for t in open_tasks(store)] == [(1,), (2,), (3,), (4,), (5,)]
    claimed = store.claim("align", open_tasks(store)[:2])
    assert [t.inputs for t in open_tasks(store)] == [(3,), (4,), (5,)]
    store.finish(claimed[0], "done", micrograph())
    store.finish(claimed[1], "failed", error="no")
    assert [t.inputs for t in open_tasks(store)] == [(3,), (4,), (5,)]
    assert [t.inputs for t in open_tasks(store, "ctf", Micrograph, "micrograph")] == [(1,)]
    assert store.retry() == 1
    assert [t.inputs for t in open_tasks(store)] == [(2,), (3,), (4,), (5,)]


def test_a_cursor_shows_only_what_is_new_and_loses_nothing(store):
    admit(store, "movies", [arrival(1)])
    first, cursors = todo(store, "align", {"movie": Movie}, {})
    again, cursors = todo(store, "align", {"movie": Movie}, cursors)
    admit(store, "movies", [arrival(2)])
    third, _ = todo(store, "align", {"movie": Movie}, cursors)
    assert ([t.exposure for t in first], again, [t.exposure for t in third]) == ([1], [], [2])


def test_what_a_dead_engine_had_claimed_is_open_again(store):
    admit(store, "movies", [arrival(1), arrival(2)])
    done, lost = store.claim("align", open_tasks(store))
    store.finish(done, "done", micrograph())
    assert open_tasks(store) == []
    assert store.abandon() == 1
    assert [t.exposure for t in open_tasks(store)] == [2]
    assert store.claim("align", open_tasks(store))[0].attempt == lost.attempt + 1


def test_same_base_name_in_two_folders_is_two_exposures(store):
    ids = admit(store, "movies", [arrival(1, "/data/GridSquare_1/Data"), arrival(1, "/data/GridSquare_2/Data")])
    names = [name for (name,) in store.query("SELECT name FROM exposure ORDER BY id")]
    assert len(set(ids)) == 2
    assert names == ["m1", "Data_m1"]
    admit(store, "movies", [arrival(1, "/data/GridSquare_3/Data")])
    assert store.query("SELECT name FROM exposure WHERE id = 3") == [("GridSquare_3_Data_m1",)]


def test_a_refused_file_is_recorded_once_and_may_become_a_movie(store):
    for _ in range(2):
        refuse(store, "movies", "/data/m1.tiff", "m1", OPTICS, 5.0, "/data/m1.tiff is truncated.")
    assert store.query("SELECT count(*) FROM task") == [(1,)]
    assert known_paths(store, "movies") == (set(), {"/data/m1.tiff"})
    admit(store, "movies", [arrival(1)])
    assert known_paths(store, "movies") == ({"/data/m1.tiff"}, set())
    with Reader(store.folder) as reader:
        assert reader.failures() == []
        assert reader.tally()["movies"]["done"] == 1


def test_new_parameters_apply_to_new_items_or_redo_everything(store):
    admit(store, "movies", [arrival(1)])
    do(store)
    store.set_params("align", {"x": 2}, redo=False)
    assert open_tasks(store) == []
    admit(store, "movies", [arrival(2)])
    assert [t.exposure for t in open_tasks(store)] == [2]
    assert store.claim("align", open_tasks(store))[0].version == 2
    store.abandon()
    store.set_params("align", {"x": 3}, redo=True)
    assert [t.exposure for t in open_tasks(store)] == [1, 2]
    # What is to be redone feeds nothing meanwhile, and is replaced, not doubled.
    assert open_tasks(store, "ctf", Micrograph, "micrograph") == []
    do(store)
    assert [t.exposure for t in open_tasks(store, "ctf", Micrograph, "micrograph")] == [1, 2]
    assert store.query("SELECT exposure, version FROM micrograph ORDER BY exposure") == [(1, 3), (2, 3)]
    with Reader(store.folder) as reader:
        assert reader.tally()["align"]["done"] == 2


def test_wrong_optics_are_mended_for_all_movies(store):
    admit(store, "movies", [arrival(1)])
    do(store)
    right = Optics(pixel_size=1.7)
    set_optics(store, "movies", [(1, replace(store.item(Movie, 1), optics=right, gain="/data/gain.mrc"))])
    assert [t.exposure for t in open_tasks(store)] == [1]
    movie = store.item(Movie, 1)
    assert (movie.optics, movie.gain) == (right, "/data/gain.mrc")


def test_the_tally_counts_what_the_tasks_say(store):
    admit(store, "movies", [arrival(n) for n in range(9)])
    for i, task in enumerate(store.claim("align", open_tasks(store))[:6]):
        store.finish(task, ("done", "failed", "rejected")[i % 3], micrograph() if i % 3 == 0 else None, error="why")
    store.retry()
    store.abandon()
    counted = store.query("SELECT step, state, count(*) FROM task GROUP BY 1, 2 ORDER BY 1, 2")
    assert store.query("SELECT * FROM tally WHERE n > 0 ORDER BY 1, 2") == counted


def test_a_transaction_that_fails_leaves_nothing(store):
    before = store.query("SELECT count(*) FROM event")
    with pytest.raises(sqlite3.IntegrityError):
        with store.transaction():
            store.event("engine", "one", ref="a")
            store.event("engine", "two", ref="a")
    assert store.query("SELECT count(*) FROM event") == before


def test_faults_in_steps_are_named(store):
    with pytest.raises(WorkflowError, match="already"):
        store.add_step("ctf", "EstimateCtf", Ctf, {}, {})
    with pytest.raises(WorkflowError, match="'nowhere', which is not a step"):
        store.add_step("new", "EstimateCtf", Ctf, {}, {"micrograph": "nowhere"})
    assert list(store.steps()) == ["movies", "align", "ctf"]


def test_not_a_project_and_a_project_of_another_format(tmp_path, store):
    with pytest.raises(ProjectError, match="is not a project"):
        Store(tmp_path)
    with pytest.raises(ProjectError, match="is a project already"):
        Store.create(store.folder)
    store._db.execute("PRAGMA user_version = 99")
    with pytest.raises(ProjectError, match="format 99"):
        Store(store.folder)


def test_a_second_writer_is_refused_with_host_and_pid_and_a_dead_one_taken_over(tmp_path):
    script = (
        "import sys, time; from cryowidgets.store.lock import WriterLock\n"
        "lock = WriterLock(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline().strip() == "held"
        with pytest.raises(EngineRunning, match=f"process ID {first.pid}") as refused:
            WriterLock(tmp_path)
        assert os.uname().nodename in str(refused.value)
        found = holder(tmp_path)
        assert (found.pid, found.alive) == (first.pid, True)
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    assert holder(tmp_path).alive is False
    lock = WriterLock(tmp_path)
    assert holder(tmp_path).pid == os.getpid()
    lock.release()
    assert holder(tmp_path) is None


def test_a_holder_on_another_host_lives_as_long_as_its_heart_beats(tmp_path):
    file = tmp_path / "engine.lock"
    file.write_text('{"host": "elsewhere", "pid": 7, "since": 1.0}')
    with pytest.raises(EngineRunning, match="elsewhere with process ID 7"):
        WriterLock(tmp_path)
    os.utime(file, (time.time() - 120, time.time() - 120))
    WriterLock(tmp_path).release()


def test_a_reader_sees_changes_of_the_writer_and_only_those(store):
    with Reader(store.folder) as reader:
        assert reader.changed()
        assert not reader.changed()
        admit(store, "movies", [arrival(1)])
        assert reader.changed()
        assert not reader.changed()
        assert [e.kind for e in reader.events()] == ["exposure"]
        last = reader.events()[-1].id
        do(store)
        assert [(e.kind, e.step, e.exposure) for e in reader.events(since=last)] == [("task.done", "align", 1)]


def test_a_reader_of_a_folder_it_may_not_write_to_falls_back(store, tmp_path):
    admit(store, "movies", [arrival(1)])
    store.close()
    folder = store.folder
    assert not os.path.exists(folder / f"{NAME}-wal")
    script = (
        "import os, sys\n"
        "from cryowidgets.store.queries import Reader\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "r = Reader(sys.argv[1])\n"
        "print(r.session().found, r.changed(), r.changed(), r.steps()['align'].label, flush=True)\n"
        "input(); print(r.steps()['align'].label, r.changed(), flush=True)\n"
    )

    def label_all(word):
        with closing(sqlite3.connect(folder / NAME)) as db, db:
            db.execute("UPDATE step SET label = ?", (word,))

    for part in (folder, *folder.parents):
        if part == Path(tempfile.gettempdir()):
            break
        part.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH | stat.S_IWUSR)
    label_all("old")
    os.chmod(folder / NAME, 0o444)
    os.chmod(folder, 0o555)
    call = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reading:
        try:
            before = reading.stdout.readline().split()
            os.chmod(folder / NAME, 0o644)
            os.chmod(folder, 0o755)
            label_all("new")
            os.chmod(folder, 0o555)
            after, _ = reading.communicate("\n", timeout=60)
        finally:
            reading.kill()
            os.chmod(folder, 0o755)
    assert before == ["1", "True", "False", "old"]
    assert after.split() == ["new", "True"], "what was written is seen, though nothing else was asked before"


def test_rows_and_exposures_are_columns(store):
    admit(store, "movies", [arrival(n) for n in range(4)])
    tasks = store.claim("align", open_tasks(store))
    store.finish(tasks[0], "done", micrograph(motion_total=3.0))
    store.finish(tasks[1], "failed", error="unreadable")
    store.reject(3, "ice")
    with Reader(store.folder) as reader:
        rows_ = reader.rows("align")
        assert rows_["motion_total"].tolist() == [3.0]
        assert rows_["name"] == ["m0"]
        assert "shifts" not in rows_
        assert reader.rows("align", since=int(rows_["id"][-1]))["id"].size == 0
        table = reader.exposures()
        assert table["state"] == ["waiting", "failed", "rejected", "running"]
        assert table["reason"] == ["", "unreadable", "ice", ""]
        assert reader.exposures(limit=1)["id"].tolist() == [4]
        detail = reader.exposure(1)
        assert detail.items["align"].motion_total == 3.0
        assert [(t.step, t.state) for t in detail.tasks] == [("movies", "done"), ("align", "done")]
        session = reader.session()
        assert (session.found, session.failed, session.rejected) == (4, 1, 1)
        assert [(f.name, f.step, f.error) for f in reader.failures()] == [("m1", "align", "unreadable")]
