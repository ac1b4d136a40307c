"""How many threads a task may use, and loops compiled for them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from cryowidgets import cpu


def test_threads_are_what_was_set(monkeypatch):
    monkeypatch.setattr(cpu, "_threads", 1)
    cpu.set_threads(3)
    assert cpu.threads() == 3
    with pytest.raises(ValueError, match="at least 1"):
        cpu.set_threads(0)


@pytest.mark.parametrize(("text", "n"), [("2", 2), ("", 1), ("many", 1), ("0", 1)])
def test_threads_come_from_the_environment(text, n):
    code = "from cryowidgets.cpu import threads; print(threads())"
    env = {**os.environ, "CRYOWIDGETS_THREADS": text}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) == n


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("length", [1, 5, 100])
def test_bands_cover_every_row_once(monkeypatch, n, length):
    monkeypatch.setattr(cpu, "_threads", n)
    rows = [row for first, end in cpu.bands(length) for row in range(first, end)]
    assert rows == list(range(length))


def test_each_uses_the_threads_that_there_are(monkeypatch):
    monkeypatch.setattr(cpu, "_threads", 2)
    together = threading.Barrier(2, timeout=30)

    def work(part):
        together.wait()  # nobody gets past alone
        return part * part

    assert cpu.each(work, [2, 3]) == [4, 9]


def test_a_compiled_loop_gives_what_python_gives():
    def total(values):
        s = 0.0
        for v in values:
            s += v * v
        return s

    values = np.linspace(0, 1, 100)
    assert cpu.compiled(total)(values) == pytest.approx(total(values))


def test_where_nothing_can_be_written_every_process_compiles(tmp_path):
    """A container's file system may be read only: the loop must run all the same."""
    module = tmp_path / "loops.py"
    module.write_text("from cryowidgets.cpu import compiled\n@compiled\ndef twice(x):\n    return 2 * x\n")
    code = "exec(open('loops.py').read().replace('@compiled', '')); print(compiled(twice)(21))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "42"  # code from a string has no file to keep the machine code beside


@pytest.mark.parametrize(("text", "n"), [("3", 3), ("", None), ("all", None)])
def test_cores_are_those_that_were_given_to_us(monkeypatch, text, n):
    monkeypatch.setenv("CRYOWIDGETS_CORES", text)
    assert cpu.cores() == (n or len(os.sched_getaffinity(0)))


def test_an_executor_shares_out_the_cores_that_are_ours(monkeypatch):
    from cryowidgets.engine.executors import Threads

    monkeypatch.setenv("CRYOWIDGETS_CORES", "5")
    pool = Threads()
    assert pool.load().workers == 5
    pool.close()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such settings")
def test_freed_memory_is_kept():
    """A process that was told to give all back, as workers of Dask are, has few page faults all the same."""
    program = """
import resource, sys
import numpy as np
from cryowidgets import cpu
if sys.argv[1] == "keep":
    cpu.keep_memory()
def use():
    for _ in range(20):
        np.ones(500_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = use()
print(use() - before)
"""
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    runs = [[sys.executable, "-c", program, how] for how in ("return", "keep")]
    faults = [int(subprocess.run(run, env=environment, capture_output=True, check=True).stdout) for run in runs]
    assert faults[1] < 0.1 * faults[0]
