"""The engine end to end with toy protocols: every shape, every command, every way to begin again."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.errors import CommandError, EngineRunning, ParameterError

MAP = ("measure", "Measure", {"movies": "movies"})


def values(project, step):
    with project.reader() as reader:
        rows = reader.rows(step)
    return dict(zip(rows["name"], rows["value"].tolist(), strict=True))


def until(engine, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        engine.tick(0.01)


@pytest.mark.parametrize("executor", ["inline", "threads", "dask"])
def test_a_chain_runs_to_the_end_of_the_stream(project, movies, run, executor):
    movies("a", "b", "c", size=7)
    p = project(MAP, ("double", "Double", {"number": "measure"}))
    ending = run(p, executor, workers=2)
    assert (ending.finished, ending.failed) == (True, 0)
    assert values(p, "double") == {"a": 14.0, "b": 14.0, "c": 14.0}
    assert sorted(f.name for f in (p.folder / "steps" / "measure").iterdir()) == ["a.txt", "b.txt", "c.txt"]
    with p.reader() as reader:
        assert {s.state for s in reader.steps().values()} == {"finished"}
        assert reader.session().stream == "closed"
        assert reader.session().engine is None


def test_a_gate_stops_what_it_rejects_and_readmission_lets_it_pass(project, movies):
    movies("small", size=5)
    movies("large", size=500)
    p = project(
        MAP,
        ("gate", "AtMost", {"number": "measure", "limit": 100}),
        ("double", "Double", {"number": "gate"}),
        timeout="1h",
    )
    engine = Engine(p.folder, "inline")
    try:
        until(engine, lambda: values(p, "double") == {"small": 10.0})
        with p.reader() as reader:
            table = reader.exposures()
            rejected = dict(zip(table["name"], table["state"], strict=True))
            assert rejected == {"small": "done", "large": "rejected"}
            why = dict(zip(table["name"], table["reason"], strict=True))["large"]
            assert why == "500 is more than 100"
            id = int(table["id"][table["name"].index("large")])
        send(p.folder, "readmit", exposure=id)
        until(engine, lambda: values(p, "double") == {"small": 10.0, "large": 1000.0})
        # The file that the item points to is still found, in the project.
        with p.reader() as reader:
            assert Path(reader.exposure(id).items["gate"].path).read_text() == "500"
    finally:
        engine.close()


def test_a_join_waits_for_both_and_joins_the_same_movie(project, movies, run):
    movies("a", size=1)
    movies("b", size=2)
    p = project(
        MAP, ("double", "Double", {"number": "measure"}), ("sum", "Sum", {"first": "measure", "second": "double"})
    )
    run(p)
    assert values(p, "sum") == {"a": 3.0, "b": 6.0}


def test_a_fold_gets_batches_with_its_last_result_and_the_rest_at_the_end(project, movies, run):
    movies(*(f"m{i}" for i in range(10)), size=1)
    p = project(MAP, ("total", "Total", {"number": "measure"}))
    run(p)
    with p.reader() as reader:
        assert reader.rows("total")["value"].tolist() == [4.0, 8.0, 10.0]


def test_a_reopened_stream_goes_on_where_it_ended(project, movies, run):
    movies("a", "b", "c", "d", "e", size=1)
    p = project(MAP, ("total", "Total", {"number": "measure"}))
    run(p)
    movies("f", size=1)
    assert run(p).finished
    assert len(values(p, "measure")) == 5, "a closed stream takes nothing in"
    send(p.folder, "reopen")
    run(p)
    with p.reader() as reader:
        assert reader.rows("total")["value"].tolist() == [4.0, 5.0, 6.0]
        assert reader.tally()["measure"]["done"] == 6


def test_failures_are_tried_again_then_set_aside_and_the_stream_goes_on(project, movies, run, tmp_path):
    movies("good", "bad", "fine")
    heal = tmp_path / "heal"
    p = project(("measure", "Measure", {"movies": "movies", "fail": "bad", "heal": str(heal)}))
    ending = run(p, retries=2)
    assert (ending.finished, ending.failed) == (True, 1)
    assert sorted(values(p, "measure")) == ["fine", "good"]
    with p.reader() as reader:
        assert reader.tally()["measure"] == {"done": 2, "failed": 1, "retry": 2, "running": 0}
        (failure,) = reader.failures()
        assert (failure.name, failure.step) == ("bad", "measure")
        assert failure.error.endswith("bad.mrc is marked to fail.")
        task = reader.exposure(failure.exposure).tasks[-1]
        assert task.attempt == 3
        assert "InputError" in task.traceback
    assert not (p.folder / "steps" / "measure" / "bad.txt").exists()
    heal.touch()
    send(p.folder, "retry", step="measure")
    assert run(p).failed == 0
    assert sorted(values(p, "measure")) == ["bad", "fine", "good"]


def test_parameters_change_for_new_items_or_for_all_and_what_came_of_them(project, movies):
    movies("a")
    p = project(
        MAP, ("double", "Double", {"number": "measure"}), ("total", "Total", {"number": "double"}), timeout="1h"
    )
    engine = Engine(p.folder, "inline")
    try:
        until(engine, lambda: values(p, "double") == {"a": 20.0})
        p.steps["measure"].set(factor=2.0)
        until(engine, lambda: p.steps["measure"].params["factor"] == 2.0)
        movies("b")
        until(engine, lambda: values(p, "double") == {"a": 20.0, "b": 40.0})
        p.steps["measure"].set(redo=True, factor=3.0)
        until(engine, lambda: values(p, "double") == {"a": 60.0, "b": 60.0})
        send(p.folder, "stop")
        until(engine, engine.finished)
        with p.reader() as reader:
            assert reader.rows("total")["value"].tolist() == [120.0]
            assert reader.tally()["measure"]["done"] == 2
    finally:
        engine.close()


def test_a_wrong_value_is_refused_at_once_and_by_the_engine(project, movies):
    p = project(MAP, timeout="1h")
    with pytest.raises(ParameterError, match="has no parameter 'facter'. Did you mean 'factor'"):
        p.steps["measure"].set(facter=2)
    with pytest.raises(CommandError, match="There are: pause"):
        p.send("pauze")
    engine = Engine(p.folder, "inline")
    try:
        send(p.folder, "set", step="measure", values={"factor": "much"})
        send(p.folder, "set", step="nothing", values={})
        send(p.folder, "reject", exposure=99)
        send(p.folder, "scale", workers=0)
        send(p.folder, "pause", wrong=1)
        (p.folder / "inbox" / "0-broken.json").write_text("{")
        engine.tick()
        with p.reader() as reader:
            refused = [e.text for e in reader.events() if e.kind == "command.refused"]
        assert len(refused) == 6
        for sentence, text in zip(
            [
                "is not a command",
                "does not take 'much'",
                "no step 'nothing'",
                "no exposure 99",
                "at least 1",
                "other arg",
            ],
            refused,
            strict=True,
        ):
            assert sentence in text
        assert not list((p.folder / "inbox").iterdir())
    finally:
        engine.close()


def test_pause_hands_out_nothing_and_resume_goes_on(project, movies):
    p = project(MAP, timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        send(p.folder, "pause")
        engine.tick()
        movies("a")
        until(engine, lambda: engine.desk.waiting("measure") == 1)
        for _ in range(5):
            engine.tick()
        assert values(p, "measure") == {}
        send(p.folder, "resume")
        until(engine, lambda: values(p, "measure") == {"a": 10.0})
    finally:
        engine.close()


def test_a_rejected_exposure_flows_no_further_until_readmitted(project, movies):
    movies("a")
    p = project(MAP, timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        send(p.folder, "pause")
        until(engine, lambda: engine.desk.waiting("measure") == 1)
        send(p.folder, "reject", exposure=1, why="ice")
        send(p.folder, "resume")
        for _ in range(5):
            engine.tick()
        assert values(p, "measure") == {}
        send(p.folder, "readmit", exposure=1)
        until(engine, lambda: values(p, "measure") == {"a": 10.0})
    finally:
        engine.close()


def test_a_command_is_carried_out_once_though_the_engine_dies_before_its_file_is_gone(project, movies):
    p = project(MAP, timeout="1h")
    send(p.folder, "pause")
    (file,) = (p.folder / "inbox").iterdir()
    content = file.read_text()
    engine = Engine(p.folder, "inline")
    try:
        engine.tick()
        file.write_text(content)  # as if the engine had died between carrying it out and removing it
        engine.tick()
        with p.reader() as reader:
            assert [e.kind for e in reader.events()].count("command") == 1
        assert not file.exists()
    finally:
        engine.close()


def test_stop_takes_in_what_is_there_and_closes(project, movies, run):
    p = project(MAP, timeout="1h")
    movies("a", "b")
    send(p.folder, "stop")
    assert run(p).finished
    assert sorted(values(p, "measure")) == ["a", "b"]


def test_an_engine_told_to_end_leaves_the_stream_open_and_the_next_goes_on(project, movies, run):
    movies("a", "b")
    p = project(MAP, timeout="1h")
    send(p.folder, "quit")
    assert not run(p).finished
    with p.reader() as reader:
        assert reader.session().stream == "open"
        assert reader.steps()["measure"].state == "stopped"
    assert run(p, until_idle=0.2).finished
    assert sorted(values(p, "measure")) == ["a", "b"]


def test_the_newest_goes_first_and_every_third_time_the_oldest(project, movies):
    import os

    for i in range(9):
        movies(f"m{i}")
        path = movies.folder / f"m{i}.mrc"
        os.utime(path, (path.stat().st_mtime + i, path.stat().st_mtime + i))
    p = project(MAP, timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        send(p.folder, "pause")
        until(engine, lambda: engine.desk.waiting("measure") == 9)
        order = []
        while engine.desk.waiting("measure"):
            order += [job.stem for job in engine.desk.take(1)]
        assert order == ["m8", "m7", "m0", "m6", "m5", "m1", "m4", "m3", "m2"]
    finally:
        engine.close()


def test_what_has_begun_is_finished_before_anything_new_begins(project, movies):
    movies("a", "b", "c")
    p = project(MAP, ("double", "Double", {"number": "measure"}), timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        until(engine, lambda: "a" in values(p, "measure") or engine.desk.waiting("double"))
        engine.desk.refresh(lambda step: False)
        jobs = engine.desk.take(10)
        begun = [job.key.split("-")[0] for job in jobs]
        assert begun == sorted(begun)  # double before measure
    finally:
        engine.close()


def test_a_step_whose_protocol_is_missing_fails_by_name_and_the_others_go_on(project, movies, run):
    movies("a")
    p = project(MAP, ("double", "Double", {"number": "measure"}))
    import sqlite3

    db = sqlite3.connect(p.folder / "project.sqlite")
    db.execute("UPDATE step SET protocol = 'nowhere:Gone' WHERE name = 'double'")
    db.commit()
    db.close()
    run(p)
    with p.reader() as reader:
        assert reader.steps()["double"].state == "failed"
        assert "'nowhere:Gone'" in reader.steps()["double"].reason
    assert values(p, "measure") == {"a": 10.0}


def test_a_waiting_step_says_what_it_waits_for(project, movies):
    p = project(MAP, ("double", "Double", {"number": "measure"}), timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        engine.tick()
        with p.reader() as reader:
            step = reader.steps()["double"]
        assert (step.state, step.reason) == ("scheduled", "waits for measure")
    finally:
        engine.close()


def test_a_second_engine_is_refused(project, movies):
    p = project(MAP, timeout="1h")
    engine = Engine(p.folder, "inline")
    try:
        with pytest.raises(EngineRunning, match="process ID"):
            Engine(p.folder, "inline")
    finally:
        engine.close()
    Engine(p.folder, "inline").close()


def test_a_copied_project_opens_elsewhere(project, movies, run, tmp_path):
    import shutil

    movies("a", size=3)
    p = project(MAP)
    run(p)
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(p.folder, moved)
    shutil.rmtree(p.folder)
    from cryowidgets.project import Project

    with Project(moved).reader() as reader:
        assert Path(reader.exposure(1).items["measure"].path).read_text() == "3"


def test_engine_in_a_thread_can_be_ended_from_another(project, movies):
    p = project(MAP, timeout="1h")
    engine = Engine(p.folder, "threads", workers=1)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(engine.run()))
    thread.start()
    movies("a")
    end = time.monotonic() + 10
    while values(p, "measure") != {"a": 10.0}:
        assert time.monotonic() < end
        time.sleep(0.02)
    engine.end()
    thread.join(15)
    assert not ended[0].finished


def test_nobody_else_can_use_the_workers(project, movies):
    """Whoever reaches a Dask scheduler can have any code run, so ours wants a key."""
    from cryowidgets.engine.dask_executor import Dask

    executor = Dask(workers=1)
    try:
        host, port = executor._client.scheduler.address.removeprefix("tls://").split(":")
        assert host == "127.0.0.1"
        stranger = ssl.create_default_context()
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((host, int(port)), 5) as raw:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with stranger.wrap_socket(raw) as tls:
                    if not tls.recv(1):
                        raise ConnectionError("shown the door")
    finally:
        executor.close()
