"""Samples of machine, disks and workers: what stands in the ledger while an engine runs, and how little of it stays."""

from __future__ import annotations

import os
import threading
import time
from itertools import pairwise

import psutil
import pytest

from cryowidgets.engine import mounts, roll
from cryowidgets.engine.engine import Engine
from cryowidgets.engine.mounts import Mounts, mount_of, nfs_counters
from cryowidgets.engine.roll import Hand, Roll
from cryowidgets.io import meter
from cryowidgets.store.queries import Reader
from cryowidgets.store.samples import KEPT, Samples, thin
from cryowidgets.store.store import Store

MOUNTSTATS = """device proc mounted on /proc with fstype proc
device files:/em mounted on /net/em\\040data with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2
\tage:\t11343100
\tbytes:\t2320629391 2297630544 0 0 2298347151 2297630600 718354 717816
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)

device other:/x mounted on /net/x with fstype nfs statvers=1.1
\tbytes:\t1 2 3 4 5 6 7 8
"""


def doing(task):
    return {7: ("ctf", 70), 8: ("align", 80)}.get(task)


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "p")
    yield made
    made.close()


# Workers ------------------------------------------------------------------------------------------------------------


def test_who_works_idles_and_is_silent():
    found = {
        row["name"]: row
        for row in Roll().call(
            [Hand("a", "0", "h", 7, 99.0, 300.0), Hand("b", "1", "h"), Hand("c", "2", "h", 8, silent=roll.QUIET + 1)],
            3,
            doing,
        )
    }
    assert [found[name]["state"] for name in "012"] == ["working", "idle", "silent"]
    assert (found["0"]["step"], found["0"]["exposure"], found["0"]["cpu"], found["0"]["memory"]) == ("ctf", 70, 99, 300)
    assert found["1"]["step"] is None
    assert time.time() - found["2"]["last"] == pytest.approx(roll.QUIET + 1, abs=1)


def test_tasks_are_counted_and_time_begins_with_the_task():
    called = Roll()
    first = called.call([Hand("a", "0", "h", 7)], 1, doing)[0]
    called.did("a")
    called.did("a")
    same, other = (called.call([Hand("a", "0", "h", task)], 1, doing)[0] for task in (7, 8))
    assert (first["done"], same["done"]) == (0, 2)
    assert same["begun"] == first["begun"] < other["begun"]
    assert other["first"] == first["first"]


@pytest.mark.parametrize(
    ("wanted", "then", "task", "state"),
    [
        (2, 2, None, "lost"),  # it died though it was wanted
        (2, 1, None, "left"),  # there were to be fewer
        (2, 1, 7, "lost"),  # but not in the midst of a task
        (None, None, None, "left"),  # a cluster that grows and shrinks as it likes
        (None, None, 7, "lost"),
    ],
)
def test_lost_is_told_from_left(wanted, then, task, state):
    called = Roll()
    both = [Hand("a", "0", "h"), Hand("b", "1", "h", task)]
    called.call(both, wanted, doing)
    rows = called.call(both[:1], then, doing)
    assert [(r["key"], r["state"]) for r in rows] == [("a", "idle"), ("b", state)]
    assert [r["key"] for r in called.call(both[:1], then, doing)] == ["a"]  # it is said once


def test_a_worker_that_is_gone_is_seen_for_an_hour(store):
    now = time.time()
    called = Roll()
    samples = Samples(store)
    samples.add(workers=called.call([Hand("a", "0", "h"), Hand("b", "1", "h", 7)], 2, doing))
    samples.add(workers=called.call([Hand("a", "0", "h")], 2, doing))
    with Reader(store.folder) as reader:
        assert [(w.name, w.state, w.done) for w in reader.workers()] == [("0", "idle", 0), ("1", "lost", 0)]
        assert reader.workers()[1].step == "ctf"  # what it died with
        thin(store, now + 3000)
        assert len(reader.workers()) == 2
        thin(store, now + 3700)
        assert reader.workers() == []


# Disks --------------------------------------------------------------------------------------------------------------


def test_a_path_lies_on_the_deepest_mount_above_it():
    table = [("/", "/dev/a", "ext4"), ("/data", "/dev/b", "xfs"), ("/data/em", "nas:/em", "nfs4")]
    assert mount_of("/data/em/s1", table)[1] == "nas:/em"
    assert mount_of("/data/emulsion", table)[1] == "/dev/b"
    assert mount_of("/data", table)[1] == "/dev/b"
    assert mount_of("/srv/x", table)[1] == "/dev/a"


def test_what_went_to_and_from_an_nfs_server():
    assert nfs_counters(MOUNTSTATS) == {"/net/em data": (2298347151.0, 2297630600.0), "/net/x": (5.0, 6.0)}
    assert nfs_counters("nonsense\nbytes: 1 2 3 4 5 6") == {}


def test_the_disk_of_a_folder_as_the_system_has_it(tmp_path):
    link = tmp_path / "movies"
    link.symlink_to("/proc/self")
    found = Mounts().sample(
        {"project": str(tmp_path), "movies": str(link), "gain": str(tmp_path / "g.mrc")}, {str(tmp_path): (5e8, 2.0)}
    )
    by = {row["place"]: row for row in found}
    assert by["/proc"]["uses"] == "movies"  # a link leads to another disk
    (own,) = [row for row in found if "project" in row["uses"]]
    assert own["uses"] == "project,gain"
    space = psutil.disk_usage(str(tmp_path))
    assert own["total"] == pytest.approx(space.total / 1e9)
    assert own["free"] == pytest.approx(space.free / 1e9, rel=0.05)
    assert own["seen"] == pytest.approx(250.0)  # 500 MB in two seconds
    assert by["/proc"]["seen"] is None
    assert own["network"] == 0


def test_a_disk_that_sleeps_keeps_nobody_waiting(tmp_path, monkeypatch):
    wake, real = threading.Event(), psutil.disk_usage

    def sleeps(place):
        wake.wait(20)
        return real(place)

    monkeypatch.setattr(psutil, "disk_usage", sleeps)
    monkeypatch.setattr(mounts, "SLEEPS", 0.02)
    disks = Mounts()
    try:
        begun = time.monotonic()
        first, again = (disks.sample({"project": str(tmp_path)})[0] for _ in range(2))
        assert time.monotonic() - begun < 10
        assert first["free"] is None
        assert 0 < first["silent"] <= again["silent"]
        asked = [t.name for t in threading.enumerate() if t.name.startswith("space on")]
        assert len(asked) == 1  # no second question while the first waits
    finally:
        wake.set()
    for thread in threading.enumerate():
        if thread.name.startswith("space on"):
            thread.join(5)
    answered = disks.sample({"project": str(tmp_path)})[0]
    assert answered["silent"] == 0
    assert answered["free"] > 0


def test_reading_is_counted_once_for_threads_that_read_together(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"\0" * 3_000_000)
    meter.take()
    with open(path, "rb") as file:
        barrier = threading.Barrier(3)

        def read(part):
            barrier.wait()
            assert meter.preadv(file.fileno(), [bytearray(1_000_000)], part * 1_000_000) == 1_000_000

        begun = time.perf_counter()
        threads = [threading.Thread(target=read, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        amount, seconds = meter.take()
        assert amount == 3_000_000
        assert 0 < seconds <= time.perf_counter() - begun
        assert meter.take() == (0, 0.0)


# In the ledger ------------------------------------------------------------------------------------------------------


def test_four_days_leave_few_rows_and_none_is_missing_where_it_counts(store):
    samples, every = Samples(store), 20.0
    start = 1.7e9
    row = {"place": "/d", "device": "x", "type": "xfs", "network": 0, "uses": "project", "total": 9e3, "free": 1.0}
    times = [start + every * n for n in range(int(4 * 86400 / every))]
    with store.transaction():
        for t in times:
            samples.add({"time": t, "cpu": 1.0}, [{**row, "time": t, "free": 8000 - 0.02 * (t - start)}])
        thin(store, times[-1])
    for table in ("system", "mount"):
        left = [t for (t,) in store.query(f"SELECT time FROM {table} ORDER BY time")]
        assert len(left) < 360 + 1440 + 3 * 144 + 20
        assert left[-1] == times[-1]
        gaps = [b - a for a, b in pairwise(left)]
        ages = [times[-1] - t for t in left[1:]]
        for gap, age in zip(gaps, ages, strict=True):
            assert gap <= (every if age < KEPT[0] - 60 else 60.0 if age < KEPT[1] - 600 else 600.0) + 1e-3
    with Reader(store.folder) as reader:
        (mount,) = reader.mounts()
        assert mount.full == pytest.approx(times[-1] + mount.free / 0.02, abs=60)
        assert mount.uses == ("project",)


def test_a_project_of_an_earlier_version_has_no_samples_and_says_so(store):
    with store.transaction() as db:
        db.execute("DROP TABLE mount")
        db.execute("DROP TABLE worker")
    with Reader(store.folder) as reader:
        assert (reader.mounts(), reader.workers()) == ([], [])


@pytest.mark.parametrize("executor", ["threads", "inline"])
def test_an_engine_writes_down_disks_and_workers(project, movies, executor):
    movies("a", "b", "c")
    made = project(("measure", "Measure", {"movie": "movies"}), ("double", "Double", {"number": "measure"}))
    engine = Engine(made.folder, executor, workers=2)
    while not engine.finished():
        engine.tick(0.1)
    system = engine._system
    system._due = system._workers_due = system._mounts_due = 0.0
    engine.tick()
    with Reader(made.folder) as reader:
        disks = reader.mounts()
        assert "project" in disks[0].uses
        assert "movies" in {use for mount in disks for use in mount.uses}
        assert disks[0].free == pytest.approx(psutil.disk_usage(str(made.folder)).free / 1e9, rel=0.05)
        there = reader.workers()
        assert len(there) == (2 if executor == "threads" else 1)
        assert sum(worker.done for worker in there) == 3 * 2
        assert {worker.host for worker in there} == {os.uname().nodename}
        engine.close()
        assert {worker.state for worker in reader.workers()} == {"left"}
