"""Where tasks are done: in this thread, in threads, or on Dask workers, behind `submit` and `collect`.

An executor never decides anything: it says how many tasks it can use, takes them, and gives outcomes back. A task
whose worker died comes back as ``lost``; so does everything under way when a whole cluster died, and the next
`submit` finds a new one.
"""

from __future__ import annotations

import itertools
import queue
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol as Interface

import psutil

from cryowidgets.cpu import cores
from cryowidgets.engine.roll import Hand
from cryowidgets.engine.workshop import Job, Outcome, perform
from cryowidgets.errors import ParameterError


@dataclass(frozen=True)
class Load:
    """What an executor is doing: workers there are, tasks running on them, tasks waiting for one."""

    workers: int
    running: int
    queue: int
    wanted: int | None = None
    """Workers there ought to be, where that is for us to say."""


class Executor(Interface):
    """What the engine asks of every executor."""

    def slots(self) -> int:
        """How many tasks it makes sense to have under way."""

    def submit(self, job: Job) -> None:
        """Begin a task; must not block."""

    def collect(self, wait: float) -> list[Outcome]:
        """Outcomes since the last call; waits up to `wait` seconds for the first."""

    def load(self) -> Load: ...

    def hands(self) -> list[Hand]:
        """The workers, one by one."""

    def scale(self, workers: int) -> None:
        """Change the number of workers."""

    def close(self) -> None:
        """End all workers, whatever they do."""


class Inline:
    """Each task is done in the engine's own thread while it collects: for tests, debugging and single machines."""

    def __init__(self, workers: int = 1, threads: int | None = None) -> None:
        self._threads = threads or cores()
        self._jobs: deque[Job] = deque()
        self._host, self._process = socket.gethostname(), psutil.Process()

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
            outcomes.append(replace(perform(self._jobs.popleft(), self._threads), worker="engine"))
        return outcomes

    def load(self) -> Load:
        return Load(1, min(1, len(self._jobs)), max(0, len(self._jobs) - 1))

    def hands(self) -> list[Hand]:
        """One, and between two tasks whenever it is asked."""
        process = self._process
        return [Hand("engine", "engine", self._host, None, process.cpu_percent(None), process.memory_info().rss / 1e6)]

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
        self._host, self._process = socket.gethostname(), psutil.Process()
        self._busy: dict[str, int] = {}
        self._used: dict[str, tuple[float, float]] = {}
        self.scale(workers or cores())
        self._threads = threads

    def slots(self) -> int:
        return self._workers * 2

    def submit(self, job: Job) -> None:
        assert self._pool is not None
        self._flying += 1
        threads = self._threads or max(1, cores() // self._workers)
        self._pool.submit(self._perform, job, threads).add_done_callback(self._landed)

    def _perform(self, job: Job, threads: int) -> Outcome:
        name = threading.current_thread().name
        self._busy[name] = job.task
        try:
            return replace(perform(job, threads), worker=name)
        finally:
            self._busy.pop(name, None)

    def _landed(self, future: Future[Outcome]) -> None:
        if not future.cancelled():
            self._done.put(future.result())

    def collect(self, wait: float) -> list[Outcome]:
        outcomes = drain(self._done, wait)
        self._flying -= len(outcomes)
        return outcomes

    def load(self) -> Load:
        running = min(self._flying, self._workers)
        return Load(self._workers, running, max(0, self._flying - self._workers), self._workers)

    def hands(self) -> list[Hand]:
        """Threads have no memory of their own; their CPU is what the system counts for each."""
        now, before = time.monotonic(), self._used
        seconds = {t.id: t.user_time + t.system_time for t in self._process.threads()}
        alive = {t.name: t.native_id for t in threading.enumerate()}
        self._used, made = {}, []
        for number in range(self._workers):
            name = f"{self._prefix}_{number}"
            self._used[name] = now, seconds.get(alive.get(name) or 0, 0.0)
            then, spent = before.get(name, (now, 0.0))
            cpu = 100 * (self._used[name][1] - spent) / (now - then) if now > then else None
            made.append(Hand(name, name, self._host, self._busy.get(name), cpu))
        return made

    def scale(self, workers: int) -> None:
        if self._pool:
            self._pool.shutdown(wait=False)
        self._workers = max(1, workers)
        self._prefix = f"worker{next(_pools)}"  # threads of the last pool finish what they have
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix=self._prefix)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


_pools = itertools.count(1)


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
