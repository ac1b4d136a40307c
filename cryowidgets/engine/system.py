"""How busy machine, disks and workers are: samples every few seconds for the System tab and the monitors."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable

import psutil

from cryowidgets.engine.executors import Executor, Load
from cryowidgets.engine.mounts import Mounts
from cryowidgets.engine.roll import Doing, Roll
from cryowidgets.engine.workshop import Outcome
from cryowidgets.protocols.import_movies import ImportMovies
from cryowidgets.store.samples import Samples, end_workers
from cryowidgets.store.store import Store

EVERY = 2.0
"""Seconds between samples of the machine."""
WORKERS_EVERY, MOUNTS_EVERY = 4.0, 10.0
"""Seconds between samples of the workers and of the disks."""


class SystemSampler:
    """Writes samples of the machine's load, its disks and the workers into the ledger when they are due.

    Parameters
    ----------
    store : Store
        Of the project; its disks are the project's own, that of the movies and that of the gain.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._samples = store, Samples(store)
        self._mounts, self._roll = Mounts(), Roll()
        self._due = self._workers_due = self._mounts_due = 0.0
        self._read: dict[str, tuple[float, float]] = {}
        self._last = (time.monotonic(), *_disk())
        self._gpus = _gpus()
        end_workers(store)  # of an engine that died
        psutil.cpu_percent(None)  # the first call has nothing to compare with

    def count(self, outcome: Outcome) -> None:
        """A worker has ended a task."""
        if outcome.worker:
            self._roll.did(outcome.worker)
        path, amount, seconds = outcome.read
        if path and amount:
            path = os.path.join(self._store.folder, path)
            before = self._read.get(path, (0.0, 0.0))
            self._read[path] = before[0] + amount, before[1] + seconds

    def sample(self, executor: Executor, doing: Callable[[int], Doing | None]) -> None:
        """Write what is due; `doing` tells step and exposure of a task."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY
        load = executor.load()
        workers: list[dict] = []
        mounts: list[dict] = []
        if now >= self._workers_due:
            self._workers_due = now + WORKERS_EVERY
            workers = self._roll.call(executor.hands(), load.wanted, doing)
        if now >= self._mounts_due:
            self._mounts_due = now + MOUNTS_EVERY
            mounts = self._mounts.sample(self._uses(), self._read)
            self._read = {}
        self._samples.add(self._machine(now, load), mounts, workers)

    def close(self) -> None:
        """The workers end with their engine."""
        end_workers(self._store)

    def _machine(self, now: float, load: Load) -> dict[str, float | None]:
        before, self._last = self._last, (now, *_disk())
        span = max(now - before[0], 1e-3)
        gpu, gpu_memory = self._gpu()
        return {
            "time": time.time(),
            "cpu": psutil.cpu_percent(None),
            "memory": psutil.virtual_memory().percent,
            "swap": _swap(),
            "disk_read": (self._last[1] - before[1]) / span / 1e6,
            "disk_write": (self._last[2] - before[2]) / span / 1e6,
            "disk_free": psutil.disk_usage(str(self._store.folder)).free / 1e9,
            "workers": load.workers,
            "running": load.running,
            "queue": load.queue,
            "gpu": gpu,
            "gpu_memory": gpu_memory,
        }

    def _uses(self) -> dict[str, str]:
        """What is where: the newest movie tells better than the pattern, in which a folder may have any name."""
        uses = {"project": str(self._store.folder)}
        for step in self._store.steps().values():
            if step.protocol != ImportMovies.__name__:
                continue
            newest = self._store.query("SELECT path FROM exposure ORDER BY id DESC LIMIT 1")
            uses["movies"] = os.path.dirname(newest[0][0] if newest else step.params.get("pattern", "").split("*")[0])
            gain = step.params.get("gain")
            if gain:
                uses["gain"] = os.path.join(self._store.folder, str(gain))
        return {use: path for use, path in uses.items() if os.path.isabs(path)}

    def _gpu(self) -> tuple[float | None, float | None]:
        """Mean load and mean memory in use over all GPUs, %."""
        if not self._gpus:
            return None, None
        import pynvml

        try:
            loads = [pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu for gpu in self._gpus]
            memories = [pynvml.nvmlDeviceGetMemoryInfo(gpu) for gpu in self._gpus]
        except pynvml.NVMLError:
            return None, None
        return sum(loads) / len(loads), sum(100 * m.used / m.total for m in memories) / len(memories)


def _swap() -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # psutil warns where the system does not count what goes in and out
        return psutil.swap_memory().percent


def _disk() -> tuple[int, int]:
    counters = psutil.disk_io_counters()  # None where the system tells nothing, as in some containers
    return (counters.read_bytes, counters.write_bytes) if counters else (0, 0)


def _gpus() -> list:
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except ImportError:
        return []
    except pynvml.NVMLError:
        return []
