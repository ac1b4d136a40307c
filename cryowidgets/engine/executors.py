"""Where tasks are done: in this thread, in threads, or on Dask workers, behind `submit` and `collect`.

An executor never decides anything: it says how many tasks it can use, takes them, and gives outcomes back. A task
whose worker died comes back as ``lost``; so does everything under way when a whole cluster died, and the next
`submit` finds a new one.
"""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol as Interface

from cryowidgets.engine.workshop import Job, Outcome, perform
from cryowidgets.errors import ParameterError


@dataclass(frozen=True)
class Load:
    """What an executor is doing: workers there are, tasks running on them, tasks waiting for one."""

    workers: int
    running: int
    queue: int


class Executor(Interface):
    """What the engine asks of every executor."""

    def slots(self) -> int:
        """How many tasks it makes sense to have under way."""

    def submit(self, job: Job) -> None:
        """Begin a task; must not block."""

    def collect(self, wait: float) -> list[Outcome]:
        """Outcomes since the last call; waits up to `wait` seconds for the first."""

    def load(self) -> Load: ...

    def scale(self, workers: int) -> None:
        """Change the number of workers."""

    def close(self) -> None:
        """End all workers, whatever they do."""


class Inline:
    """Each task is done in the engine's own thread while it collects: for tests, debugging and single machines."""

    def __init__(self, workers: int = 1, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._jobs: deque[Job] = deque()

    def slots(self) -> int:
        return 8

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def collect(self, wait: float) -> list[Outcome]:
        if not self._jobs:
            time.sleep(wait)
        outcomes = []
        until = time.monotonic() + wait
        while self._jobs and (not outcomes or time.monotonic() < until):
            outcomes.append(perform(self._jobs.popleft(), self._threads))
        return outcomes

    def load(self) -> Load:
        return Load(1, min(1, len(self._jobs)), max(0, len(self._jobs) - 1))

    def scale(self, workers: int) -> None:
        pass

    def close(self) -> None:
        self._jobs.clear()


class Threads:
    """Tasks in threads of the engine's process; numpy and FFTs let go of the interpreter's lock."""

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        self._flying = 0
        self.scale(workers or os.cpu_count() or 1)
        self._threads = threads

    def slots(self) -> int:
        return self._workers * 2

    def submit(self, job: Job) -> None:
        assert self._pool is not None
        self._flying += 1
        threads = self._threads or max(1, (os.cpu_count() or 1) // self._workers)
        self._pool.submit(perform, job, threads).add_done_callback(self._landed)

    def _landed(self, future: Future[Outcome]) -> None:
        if not future.cancelled():
            self._done.put(future.result())

    def collect(self, wait: float) -> list[Outcome]:
        outcomes = drain(self._done, wait)
        self._flying -= len(outcomes)
        return outcomes

    def load(self) -> Load:
        return Load(self._workers, min(self._flying, self._workers), max(0, self._flying - self._workers))

    def scale(self, workers: int) -> None:
        if self._pool:
            self._pool.shutdown(wait=False)
        self._workers = max(1, workers)
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="worker")

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


def make(name: str, workers: int | None = None) -> Executor:
    """The executor of that name: ``inline``, ``threads``, ``dask``, or the address of a Dask scheduler.

    Raises
    ------
    ParameterError
        There is none of that name.
    """
    if name == "inline":
        return Inline()
    if name == "threads":
        return Threads(workers)
    if name == "dask" or "://" in name:
        from cryowidgets.engine.dask_executor import Dask  # takes a second to import; only the engine needs it

        return Dask(workers, address=None if name == "dask" else name)
    raise ParameterError(
        f"There is no executor {name!r}: write inline, threads, dask, or the address of a Dask scheduler "
        "such as tcp://10.0.0.1:8786."
    )


def drain(source: queue.SimpleQueue, wait: float) -> list:
    """All that is in a queue; waits up to `wait` seconds for the first."""
    found = []
    try:
        found.append(source.get(timeout=wait) if wait > 0 else source.get_nowait())
        while True:
            found.append(source.get_nowait())
    except queue.Empty:
        return found
