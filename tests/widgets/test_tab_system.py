"""The tab System: sentences for engine, backlog and disks; a row for each worker; nothing of a name is markup."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.store.lock import Holder
from cryowidgets.store.queries import Reader, Session
from cryowidgets.store.samples import Mount, Samples, Worker
from cryowidgets.widgets import feed, machine
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_system import SystemTab

NOW = 1_700_000_000.0
HOUR = 3600.0
NAN = math.nan
DISK = Mount(
    "/data", "/dev/sdb1", "xfs", False, ("project",), NOW, 8000.0, 1200.0, 220.0, 90.0, NAN, 0.0, NOW + 7 * HOUR
)
WORKER = Worker("tcp://1", "0", "gpu3", "working", "align", 5, NOW - 12, 31, NOW - 900, NOW, 97.0, 2100.0)
SESSION = Session("s", Path("/p"), 0.0, "open", False, None, 10, 4, 0, 0, 6, 600.0, 30.0)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (7 * HOUR, "full in 7 h (Wed 05:13 UTC)"),
        (95 * 60, "full in 1 h 35 min (Tue 23:48 UTC)"),
        (76 * HOUR, "full in 3 d (Sat 02:13 UTC)"),
        (20 * 24 * HOUR, "full in 20 d (04 Dec)"),
        (0, "full"),
        (NAN, ""),
    ],
)
def test_when_a_disk_is_full_is_said_in_words(ahead, said):
    assert machine.full(NOW + ahead, NOW) == said


@pytest.mark.parametrize(
    ("disk", "kind"),
    [
        (replace(DISK, full=NAN), "good"),
        (DISK, "warn"),
        (replace(DISK, full=NOW + 2 * HOUR), "bad"),
        (replace(DISK, full=NAN, free=300.0), "warn"),
        (replace(DISK, full=NAN, free=10.0), "bad"),
        (replace(DISK, full=NAN, free=NAN, total=NAN, silent=300.0), "bad"),
    ],
)
def test_what_gives_cause_for_concern(disk, kind):
    assert machine.concern(disk, NOW) == kind
    assert f"cw-{kind}" in machine.mounts([disk], NOW)


def test_what_is_not_known_of_a_disk_is_said_so():
    told = machine.mounts([replace(DISK, read=NAN, write=NAN)], NOW)
    assert told.count("not told") == 2
    assert "not known" in told
    assert "1.2 TB free" in told
    assert "aria-valuenow='85'" in told
    asleep = machine.mounts([replace(DISK, free=NAN, total=NAN, silent=300.0)], NOW)
    assert "has not answered for 5 min" in asleep


@pytest.mark.parametrize(
    ("waiting", "done", "come", "said"),
    [
        (0, 600, 600, "nothing waits"),
        (400, 600, 200, "400 exposures wait; clear in 1 h (600 done and 200 new per hour)"),
        (400, 600, 600, "400 exposures wait, and it does not become less"),
        (20, 600, 600, "20 exposures wait, as many as come"),
        (1, NAN, 600, "1 exposure waits; none was finished"),
    ],
)
def test_how_long_the_backlog_lasts(waiting, done, come, said):
    assert said in machine.backlog(waiting, done, come)


def test_arrivals_of_the_last_half_hour_count():
    assert machine.arrivals([NOW - 60.0 * n for n in range(100)], NOW) == 60.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": Holder("gpu3", 812, NOW - 2 * HOUR, True)}, "runs on gpu3 (process 812) since 20:13:20, for 2 h"),
        ({"engine": Holder("gpu3", 812, NOW, True), "paused": True}, "paused"),
        ({"engine": Holder("gpu3", 812, NOW, False)}, "process 812) died"),
        ({}, "nothing is processed"),
        ({"stream": "closed", "waiting": 0}, "the session is complete"),
    ],
)
def test_what_the_engine_does(changes, said):
    assert said in machine.engine(replace(SESSION, **changes), NOW)


def test_states_of_workers_have_a_word_and_a_shape():
    states = ["working", "idle", "silent", "lost", "left"]
    table = machine.workers([replace(WORKER, key=s, state=s) for s in states], {5: "FoilHole_5"}, True, NOW)
    for shape, state in zip("●○◐▲–", states, strict=True):
        assert f"{shape} {state}" in table
    assert table.count("FoilHole_5") == 4  # of what left nobody asks any more
    assert machine.roll([replace(WORKER, state=s) for s in states], True).startswith("1 working · 1 idle · 1 silent")


def test_workers_of_a_dead_engine_are_gone_with_it():
    table = machine.workers([WORKER], {}, False, NOW)
    assert "– left" in table
    assert "working" not in table


def test_names_are_no_markup():
    bad = "<img src=x onerror=alert(1)>"
    told = machine.mounts([replace(DISK, place=bad, device=bad, type=bad, uses=(bad,))], NOW)
    told += machine.workers([replace(WORKER, name=bad, host=bad, step=bad)], {5: bad}, True, NOW)
    told += machine.engine(replace(SESSION, engine=Holder(bad, 1, NOW, True)), NOW)
    assert "<img" not in told
    assert "&lt;img" in told


def test_the_tab_shows_what_the_ledger_holds(filled):
    filled.open_engine()
    filled.arrive(3)
    filled.sample(5, gpu=True)
    tab = SystemTab(Page(filled.folder))
    with Reader(filled.folder) as reader:
        tab.refresh(reader)
        assert "no engine has looked at the disks yet" in tab.disks.value
        assert "3 exposures wait; none was finished" in tab.words.value
        now = time.time()
        disk = {k: v for k, v in vars(DISK).items() if k not in ("full", "network", "uses")}
        row = {"key": "a", "name": "7", "host": "gpu3", "state": "working", "step": "align", "exposure": 2}
        row |= {"begun": now, "done": 4, "first": now, "last": now}
        Samples(filled.store).add(mounts=[{**disk, "time": now, "network": 0, "uses": "project"}], workers=[row])
        tab.refresh(reader)
        assert "1.2 TB free" in tab.disks.value
        assert "1 working" in tab.workers.value
        assert reader.exposure(2).name in tab.workers.value
        assert "data-name='GPU'><b>70 %</b>" in tab.numbers.value
        assert tab.machine.column("cpu").size == 5
    tab.close()


def test_lines_end_where_nobody_measured(tmp_path):
    times = np.concatenate([np.arange(0, 600, 60.0), np.arange(600, 640, 2.0), [4000.0, 4002.0, 4004.0]])
    rows = {"id": np.arange(len(times)), "time": times, "cpu": np.ones(len(times)), "running": np.ones(len(times), int)}
    drawn = feed.parted(rows)
    (gap,) = np.flatnonzero(np.isnan(drawn["cpu"]))
    assert drawn["time"][gap] == drawn["time"][gap + 1] == 4000.0 and np.isnan(drawn["running"][gap])
    assert len(drawn["time"]) == len(times) + 1, "samples that were thinned out are no gap"
    piece = {name: values[-3:] for name, values in rows.items()}
    assert np.isnan(feed.parted(piece, times[-5:-3].tolist())["cpu"][0]), "nor is one forgotten between two refreshes"
    assert feed.parted({name: values[:1] for name, values in rows.items()})["cpu"].tolist() == [1.0]
    assert len(feed.parted({name: values[:0] for name, values in rows.items()})["cpu"]) == 0
