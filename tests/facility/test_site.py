"""Every session of a site: found at little cost, read at a glance; what is wrong with one touches no other."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from cryowidgets.facility import glance as glances
from cryowidgets.facility import watch as watches
from cryowidgets.facility.glance import BINS, SERIES_EVERY, glance, owner, stamp
from cryowidgets.facility.site import OFTEN, SELDOM, Search
from cryowidgets.facility.watch import RESTING, Watch
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Raise
from cryowidgets.store.database import NAME
from cryowidgets.store.samples import Samples
from cryowidgets.store.store import Store
from tests.filled import FilledSession

OLD = 30 * 86400.0


def project(folder, closed=True):
    store = Store.create(folder)
    store.put("stream", "closed" if closed else "open")
    store.close()
    return folder


def age(*folders, by=OLD):
    for folder in folders:
        os.utime(folder, (time.time() - by,) * 2)


@pytest.fixture
def session(tmp_path):
    """A session in the midst of its work, below a folder of the site."""
    filled = FilledSession(tmp_path / "site" / "user" / "s1", "grid 3")
    filled.open_engine()
    filled.arrive(12)
    filled.process(pictures=False)
    yield filled
    filled.close()


# The search ---------------------------------------------------------------------------------------------------------


def test_projects_are_found_and_nothing_below_them(tmp_path):
    wanted = sorted([project(tmp_path / "a"), project(tmp_path / "u" / "v" / "b")])
    project(tmp_path / "a" / "steps" / "inner")
    project(tmp_path / ".hidden" / "c")
    (tmp_path / "u" / "link").symlink_to(tmp_path)
    assert Search(tmp_path).projects() == wanted
    assert Search(tmp_path, depth=1).projects() == wanted[:1]
    assert Search(tmp_path / "a").projects() == wanted[:1]  # a project may be named itself


def test_new_and_vanished_projects_are_noticed_and_only_what_changed_is_read(tmp_path):
    first = project(tmp_path / "u" / "a")
    for n in range(30):
        (tmp_path / "u" / f"raw{n}").mkdir()
    search = Search(tmp_path)
    now = time.time() + 60  # all that was made is no longer fresh
    assert search.projects(now) == [first]
    read = search.read
    for n in range(1, 5):
        assert search.projects(now + n * (SELDOM + 1)) == [first]
    assert search.read == read
    second = project(tmp_path / "u" / "b")
    assert search.projects(now + 6 * SELDOM) == sorted([first, second])
    assert search.read <= read + 4  # the folder above, and the new one
    shutil.rmtree(first)
    assert search.projects(now + 8 * SELDOM) == [second]


def test_beside_projects_one_looks_often_and_at_what_is_long_quiet_seldom(tmp_path):
    project(tmp_path / "u" / "a")
    (tmp_path / "raw" / "disc").mkdir(parents=True)
    age(tmp_path / "raw" / "disc", tmp_path / "raw", tmp_path / "u")
    search = Search(tmp_path)
    now = time.time() + 60
    search.projects(now)
    new, deep = project(tmp_path / "u" / "b"), project(tmp_path / "raw" / "disc" / "c")
    assert new in search.projects(now + OFTEN + 1)
    assert deep not in search.projects(now + 2 * OFTEN + 2)
    assert deep in search.projects(now + SELDOM + 1)


def test_a_root_that_is_not_there_is_said_and_found_when_it_comes(tmp_path):
    search = Search(tmp_path / "net")
    assert search.projects() == []
    assert "not there" in search.trouble
    made = project(tmp_path / "net" / "s")
    assert search.projects(time.time() + 60) == [made]
    assert search.trouble == ""


def test_there_is_an_end_to_the_search(tmp_path):
    for n in range(20):
        (tmp_path / f"d{n}").mkdir()
    search = Search(tmp_path, most=10)
    search.projects()
    assert "more than 10 folders" in search.trouble


# The glance ---------------------------------------------------------------------------------------------------------


def test_a_glance_is_what_the_ledger_says(session):
    now = time.time()
    session.arrive(1)
    session.process()
    session.fail("no")
    alerts.write(session.store, [Raise("pace", "idle", "alarm", "No new movie for 12 min")])
    seen = glance(session.folder, now)
    assert (seen.name, seen.state, seen.active) == ("grid 3", "running", True)
    with closing(sqlite3.connect(session.folder / NAME)) as db:
        assert seen.found == db.execute("SELECT count(*) FROM exposure").fetchone()[0] == 14
        drifts = [v for (v,) in db.execute("SELECT motion_total FROM micrograph WHERE step = 2 ORDER BY motion_total")]
        found = db.execute("SELECT max(found) FROM exposure").fetchone()[0]
    assert seen.done + seen.rejected + seen.failed + seen.waiting == seen.found
    assert seen.failed == 1
    assert seen.last_movie == found
    assert seen.user == owner(session.folder) != ""
    assert seen.microscope == "300 kV · 0.85 Å/px"
    assert [alert.text for alert in seen.alerts] == ["No new movie for 12 min"]
    drift, defocus, resolution = seen.series
    assert [s.metric.key for s in seen.series] == ["drift", "defocus", "resolution"]
    assert drift.now == pytest.approx(drifts[6])
    known = [v for v in drift.high if not math.isnan(v)]
    assert max(known) == pytest.approx(drifts[-1])
    assert min(v for v in drift.low if not math.isnan(v)) == pytest.approx(drifts[0])
    assert len(drift.mean) == BINS
    assert math.isnan(drift.mean[0])  # nothing was recorded then: a gap
    assert 0.5e4 < defocus.now < 2e4
    assert 2 < resolution.now < 8
    assert seen.image.startswith(str(session.folder))
    assert Path(seen.image).read_bytes()[:2] == b"\xff\xd8"


def test_the_camera_is_told_by_the_file_beside_the_newest_movie(tmp_path, session):
    from cryowidgets.model import Movie
    from cryowidgets.store.admission import admit
    from tests.filled import OPTICS

    path = tmp_path / "FoilHole_1_Data_1_20260101_101010_Fractions.mrc"
    path.with_name("FoilHole_1_Data_1_20260101_101010_Fractions.xml").write_text(
        "<Acquisition><Info><Detector>Falcon 4i</Detector></Info></Acquisition>"
    )
    now = time.time()
    movie = Movie(name="m", path=str(path), optics=OPTICS, found=now, closed=now, frames=1)
    admit(session.store, "movies", [(str(path), now, movie)])
    assert glance(session.folder, now).microscope == "Falcon 4i · 300 kV · 0.85 Å/px"


def test_the_past_is_read_again_only_now_and_then(session):
    now = time.time()
    first = glance(session.folder, now)
    session.arrive(1)
    second = glance(session.folder, now + 5, first)
    assert second.found == first.found + 1
    assert second.series is first.series
    third = glance(session.folder, now + SERIES_EVERY + 6, second)
    assert third.series is not first.series


@pytest.mark.parametrize(
    ("settings", "engine", "last", "word", "active"),
    [
        ({}, "alive", 0, "running", True),
        ({"paused": "1"}, "alive", 0, "paused", True),
        ({"stream": "closed"}, "alive", 0, "finishing", True),
        ({}, "dead", 60, "engine gone", True),
        ({}, "dead", 2 * 86400, "engine gone", False),
        ({}, "none", 60, "no engine", True),
        ({"stream": "closed"}, "none", 60, "no engine", True),  # something was left undone
    ],
)
def test_what_a_session_does_has_a_word(session, settings, engine, last, word, active):
    session.arrive(2)
    for key, value in settings.items():
        session.store.put(key, value)
    if engine != "alive":
        session.close_engine()
    if engine == "dead":
        held = {"host": os.uname().nodename, "pid": 2**22 + 1, "since": time.time()}
        (session.folder / "engine.lock").write_text(json.dumps(held))
    seen = glance(session.folder, time.time() + last)
    assert (seen.state, seen.active) == (word, active)


def test_what_is_finished_rests(tmp_path):
    seen = glance(project(tmp_path / "p"), time.time())
    assert (seen.state, seen.active) == ("finished", False)


def newer(folder):
    with closing(sqlite3.connect(folder / NAME)) as db:
        db.execute("PRAGMA user_version = 99")


def damaged(folder):
    (folder / NAME).write_bytes(b"SQLite format 3\0" + os.urandom(5000))


def empty(folder):
    (folder / NAME).write_bytes(b"")


def half(folder):
    content = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(content[: len(content) // 2])


def folder_instead(folder):
    (folder / NAME).unlink()
    (folder / NAME).mkdir()


def no_tables(folder):
    with closing(sqlite3.connect(folder / NAME)) as db:
        db.execute("DROP TABLE exposure")
        db.commit()


def strange_rows(folder):
    with closing(sqlite3.connect(folder / NAME)) as db:
        db.execute("UPDATE project SET value = 'not a number' WHERE key = 'created'")
        db.commit()


BROKEN = [newer, damaged, empty, half, folder_instead, no_tables, strange_rows]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda f: f.__name__)
def test_whatever_is_wrong_with_a_project_is_said_without_its_path(tmp_path, broken):
    folder = project(tmp_path / "secret" / "p")
    before = glance(folder, time.time())
    broken(folder)
    for seen in (glance(folder, time.time()), glance(folder, time.time(), before)):
        assert seen.state == "unreadable"
        assert not seen.active
        assert seen.reason
        assert "secret" not in seen.reason
        assert seen.name == "p"


def test_a_picture_outside_of_the_project_is_not_shown(session, tmp_path):
    (tmp_path / "private.jpg").write_bytes(b"\xff\xd8")
    assert glance(session.folder, time.time()).image == ""
    with session.store.transaction() as db:
        db.execute("UPDATE micrograph SET thumbnail = '../../../private.jpg'")
    assert glance(session.folder, time.time()).image == ""


# The watch ----------------------------------------------------------------------------------------------------------


def test_a_watch_sees_all_and_recovers_from_everything(session, tmp_path):
    site = tmp_path / "site"
    others = {f.__name__: project(site / f.__name__) for f in BROKEN}
    for broken in BROKEN:
        broken(others[broken.__name__])
    watch = Watch(site)
    now = time.time() + 60
    seen = watch.round(now)
    assert {f for f, s in seen.sessions.items() if s.state == "unreadable"} >= set(others.values()) - {
        others["folder_instead"]
    }
    assert seen.sessions[session.folder].state == "running"

    session.close_engine()
    assert watch.round(now + 5).sessions[session.folder].state == "no engine"
    session.open_engine()
    assert watch.round(now + 10).sessions[session.folder].state == "running"

    mended = others["damaged"]
    shutil.rmtree(mended)
    gone = watch.round(now + 15 + OFTEN).sessions
    assert mended not in gone
    project(mended)
    back = watch.round(now + 20 + 3 * OFTEN).sessions
    assert back[mended].state == "finished"

    moved = tmp_path / "away"
    site.rename(moved)  # the disk is taken away …
    away = watch.round(now + 100)
    assert away.sessions == {}
    assert "not there" in away.trouble
    moved.rename(site)  # … and comes back
    assert watch.round(now + 200).sessions[session.folder].state == "running"


def test_finished_projects_are_not_opened_again(tmp_path, monkeypatch):
    for n in range(5):
        project(tmp_path / f"p{n}")
    watch, opened = Watch(tmp_path), []
    monkeypatch.setattr(
        watches, "glance", lambda folder, *rest: (opened.append(folder), glances.glance(folder, *rest))[1]
    )
    now = time.time() + 60
    assert len(watch.round(now).sessions) == 5
    for n in range(1, 20):
        watch.round(now + n * (RESTING + 1))
    assert len(opened) == 5
    store = Store(tmp_path / "p3")
    store.put("name", "another")
    store.close()
    seen = watch.round(now + 21 * (RESTING + 1)).sessions
    assert len(opened) == 6
    assert seen[tmp_path / "p3"].name == "another"


def test_hundreds_come_in_by_and_by_and_none_is_forgotten(tmp_path, monkeypatch):
    for n in range(6):
        project(tmp_path / f"p{n}")
    monkeypatch.setattr(watches, "SHARE", 0.0)  # as if each took long
    watch, counts = Watch(tmp_path), []
    now = time.time() + 60
    monkeypatch.setattr(watches, "glance", lambda folder, *rest: (time.sleep(0.002), glances.glance(folder, *rest))[1])
    for _ in range(6):
        seen = watch.round(now)
        counts.append((len(seen.sessions), seen.left))
    assert counts == [(n, 6 - n) for n in range(1, 7)]


def test_a_disk_that_sleeps_keeps_nobody_waiting_and_wakes_up(tmp_path, monkeypatch):
    project(tmp_path / "p")
    asleep, real = threading.Event(), stamp

    def sleeps(folder):
        asleep.wait(20)
        return real(folder)

    monkeypatch.setattr(watches, "stamp", sleeps)
    watch = Watch(tmp_path, every=0.01)
    try:
        assert watch.look().time == 0
        assert watch.look().sessions == {}  # and this was answered at once
        asleep.set()
        until = time.monotonic() + 10
        while not watch.look().sessions and time.monotonic() < until:
            time.sleep(0.01)
        assert watch.look().sessions[tmp_path / "p"].state == "finished"
    finally:
        watch.close()


def test_a_watch_that_nobody_looks_through_does_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(watches, "AWAY", 0.05)
    watch = Watch(tmp_path, every=0.01)
    watch.look()
    watch._thread.join(10)
    assert not watch._thread.is_alive()
    watch.look()  # somebody comes
    assert watch._thread.is_alive()
    watch.close()
    watch._thread.join(10)


def test_disks_are_told_for_sessions_that_live(session):
    now = time.time()
    row = {"device": "d", "type": "xfs", "network": 0, "uses": "project", "place": "/d", "total": 100.0}
    rows = [{**row, "time": now - 60 * n, "free": 10 + 0.1 * n} for n in range(60, -1, -1)]
    Samples(session.store).add(mounts=rows)
    (mount,) = glance(session.folder, now).mounts
    assert mount.full == pytest.approx(now + 100 * 60, rel=0.02)
