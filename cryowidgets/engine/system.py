"""How busy the machine is: one sample every few seconds for the page's load plots."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from cryowidgets.engine.executors import Load

EVERY = 2.0
"""Seconds between samples."""


class SystemSampler:
    """Samples of CPU, memory, disks and GPUs since the last one.

    Parameters
    ----------
    folder : Path
        The project; free space is that of its disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._due = 0.0
        self._last = (time.monotonic(), *_disk())
        self._gpus = _gpus()
        psutil.cpu_percent(None)  # the first call has nothing to compare with

    def sample(self, load: Load) -> dict[str, float | None] | None:
        """A row for the ledger's table `system`, or None before the next is due."""
        now = time.monotonic()
        if now < self._due:
            return None
        self._due = now + EVERY
        before, self._last = self._last, (now, *_disk())
        span = max(now - before[0], 1e-3)
        gpu, gpu_memory = self._gpu()
        return {
            "time": time.time(),
            "cpu": psutil.cpu_percent(None),
            "memory": psutil.virtual_memory().percent,
            "disk_read": (self._last[1] - before[1]) / span / 1e6,
            "disk_write": (self._last[2] - before[2]) / span / 1e6,
            "disk_free": psutil.disk_usage(str(self._folder)).free / 1e9,
            "workers": load.workers,
            "running": load.running,
            "queue": load.queue,
            "gpu": gpu,
            "gpu_memory": gpu_memory,
        }

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
