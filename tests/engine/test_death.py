"""kill -9 of the engine, of a worker and of the Dask scheduler at random moments: every movie once, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

ENGINE = "import sys; from cryowidgets.engine.engine import Engine; Engine(sys.argv[1], sys.argv[2], workers=2).run()"
# CI runs a few rounds; CRYOWIDGETS_KILLS=20 runs as many as the longest session here has stood.
ROUNDS = int(os.environ.get("CRYOWIDGETS_KILLS", "5"))


@pytest.fixture
def start():
    """Start an engine as a process; whatever is left of it is killed in the end."""
    running: list[subprocess.Popen] = []

    def go(project, executor="dask"):
        running.append(subprocess.Popen([sys.executable, "-c", ENGINE, str(project.folder), executor]))
        return running[-1]

    yield go
    for process in running:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def progress(project) -> int:
    with project.reader() as reader:
        return reader.tally()["measure"].get("done", 0)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def cluster_of(engine) -> psutil.Process:
    for child in psutil.Process(engine.pid).children():
        if "cryowidgets.engine.cluster" in child.cmdline():
            return child
    raise AssertionError("the engine has no cluster")


def worker_of(engine) -> psutil.Process:
    for child in cluster_of(engine).children(recursive=True):
        if any("spawn_main" in part for part in child.cmdline()):
            return child
    raise AssertionError("the cluster has no worker")


def test_every_movie_is_done_exactly_once_whatever_is_killed(project, movies, start):
    chance = random.Random(7)
    count = 12 * ROUNDS
    movies(*(f"m{i:03d}" for i in range(count)))
    p = project(
        ("measure", "Measure", {"movies": "movies", "seconds": 0.15}),
        ("double", "Double", {"number": "measure"}),
        timeout="1s",
    )
    victims = ["worker", "scheduler", "engine"]
    engine = start(p)
    for i in range(ROUNDS):
        target = progress(p) + chance.randint(1, 8)
        wait_for(lambda target=target: progress(p) >= target or progress(p) >= count - 2)
        time.sleep(chance.uniform(0, 0.3))
        victim = victims[i % 3]
        if engine.poll() is not None:
            break
        if victim == "engine":
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            engine = start(p)
        else:
            (worker_of if victim == "worker" else cluster_of)(engine).kill()
    engine.wait(120)
    assert engine.returncode == 0
    with p.reader() as reader:
        assert reader.session().stream == "closed"
        assert reader.failures() == []
        for step in ("measure", "double"):
            names = reader.rows(step)["name"]
            assert sorted(names) == [f"m{i:03d}" for i in range(count)], step
            # An item that was finished once is never finished again.
            assert reader.tally()[step]["done"] == count
            assert reader.tally()[step].get("superseded", 0) == 0
        assert reader.tally()["measure"].get("lost", 0) > 0, "nothing was under way when something was killed"
    files = sorted(f.name for f in (p.folder / "steps" / "measure").iterdir())
    assert files == [f"m{i:03d}.txt" for i in range(count)], "a half-written file is visible"


def test_an_item_that_kills_its_worker_is_set_aside_and_the_rest_is_done(project, movies, start):
    movies("a", "poison", "b", "c")
    p = project(("measure", "Measure", {"movies": "movies", "die": "poison"}), timeout="1s")
    engine = start(p)
    assert engine.wait(120) == 0
    with p.reader() as reader:
        assert sorted(reader.rows("measure")["name"]) == ["a", "b", "c"]
        (failure,) = reader.failures()
        assert failure.name == "poison"
        assert "worker process died" in failure.error


def test_workers_end_with_a_killed_engine(project, movies, start):
    movies("a")
    p = project(("measure", "Measure", {"movies": "movies"}), timeout="1h")
    engine = start(p)
    wait_for(lambda: progress(p) == 1)
    family = psutil.Process(engine.pid).children(recursive=True)
    assert len(family) >= 3  # the cluster and two workers
    engine.kill()
    engine.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [a for a in alive if a.status() != psutil.STATUS_ZOMBIE] == []


def test_sigterm_ends_in_good_order_and_the_next_engine_goes_on(project, movies, start):
    movies("a", "b", "c", "d")
    p = project(("measure", "Measure", {"movies": "movies", "seconds": 0.3}), timeout="0.5s")
    engine = start(p, "threads")
    wait_for(lambda: progress(p) >= 1)
    engine.terminate()
    assert engine.wait(20) == 0
    with p.reader() as reader:
        tally = reader.tally()["measure"]
        assert tally.get("running", 0) == 0
        assert reader.events()[-1].text == "the engine ended"
        assert reader.session().engine is None
    assert start(p, "threads").wait(30) == 0
    assert progress(p) == 4


def test_a_change_in_mid_session_has_the_branch_made_anew_once_though_the_engine_is_killed(project, movies, start):
    count = 200
    movies(*(f"m{i:03d}" for i in range(count)))
    branch = ("measure", "double", "both")
    p = project(
        ("aside", "Measure", {"movies": "movies"}),
        ("measure", "Measure", {"movies": "movies"}),
        ("double", "Double", {"number": "measure"}),
        ("both", "Sum", {"first": "aside", "second": "double"}),
        timeout="2s",
    )

    def nodes():
        with p.reader() as reader:
            return {node.name: node for node in reader.nodes()}

    engine = start(p, "threads")
    wait_for(lambda: progress(p) >= count // 2)
    p.steps["measure"].set(scope="branch", factor=3.0)
    wait_for(lambda: p.steps["measure"].params["factor"] == 3.0)
    assert nodes()["measure"].outdated > 0
    assert nodes()["aside"].outdated == 0
    before = nodes()["double"].done
    wait_for(lambda: nodes()["double"].done >= before + 20)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert start(p, "threads").wait(120) == 0
    with p.reader() as reader:
        assert reader.failures() == []
        assert set(reader.rows("both")["value"].tolist()) == {10.0 + 2 * 30.0}
        tally = reader.tally()
        tasks = reader.query(
            "SELECT s.name, t.exposure, t.state, t.version >= s.valid_from FROM task t, step s "
            "WHERE s.id = t.step AND t.state IN ('done', 'superseded')"
        )
    assert tally["aside"].get("superseded", 0) == 0, "what is not of the branch was done again"
    for step in ("aside", *branch):
        made = [(exposure, state) for name, exposure, state, present in tasks if name == step and present]
        assert sorted(made) == [(exposure, "done") for exposure in range(1, count + 1)], step
    for node in nodes().values():
        assert (node.state, node.done, node.outdated, node.waiting) == ("finished", count, 0, 0), node
