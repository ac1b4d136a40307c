"""The monitor of the machine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping

from traitlets import Float, Int

from cryowidgets.monitors.base import NOW, Monitor, Reading, duration
from cryowidgets.monitors.window import Points
from cryowidgets.protocols.durations import Duration

_LOADS = {
    "cpu": "load of the processors",
    "memory": "memory in use",
    "swap": "swap space in use",
    "gpu": "load of the GPUs",
    "gpu_memory": "memory of the GPUs in use",
}


class SystemMonitor(Monitor):
    """Disks that fill up or do not answer, memory that runs out, workers that are lost."""

    takes = tuple(f"system.{name}" for name in _LOADS) + ("disk.free", "disk.full", "disk.silent", "disk.seen", "lost")

    free_min = Float(20.0, min=0, help="Least free space on a disk that the session uses; 0: any").tag(
        unit="GB", group="Disks"
    )
    free_alarm = Float(5.0, min=0, help="Free space below which it is an alarm").tag(unit="GB", group="Disks")
    full_in = Duration("6h", help="A disk that will be full within this time is said; 0: not").tag(group="Disks")
    silent_max = Duration("30s", help="Longest time that a disk may not answer; 0: any").tag(group="Disks")
    read_min = Float(0.0, min=0, help="Least rate at which workers get what they read from a disk; 0: any").tag(
        unit="MB/s", group="Disks"
    )
    memory_max = Float(95.0, min=0, max=100, help="Most memory in use; 0: any").tag(unit="%", group="Machine")
    swap_max = Float(50.0, min=0, max=100, help="Most swap space in use; 0: any").tag(unit="%", group="Machine")
    cpu_max = Float(0.0, min=0, max=100, help="Highest load of the processors; 0: any").tag(unit="%", group="Machine")
    gpu_max = Float(0.0, min=0, max=100, help="Highest load of the GPUs; 0: any").tag(unit="%", group="Machine")
    gpu_memory_max = Float(98.0, min=0, max=100, help="Most memory of the GPUs in use; 0: any").tag(
        unit="%", group="Machine"
    )
    lost_max = Int(0, min=-1, help="Workers that may be lost or silent; -1: any").tag(group="Machine")

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        for name, label in _LOADS.items():
            high = getattr(self, f"{name}_max")
            if high:
                points = news.get(f"system.{name}", Points())
                yield Reading(name, label, points, high=high, unit="%", digits=0)
        for name, points in news.items():
            what, _, place = name.partition(":")
            if place:
                yield from self._disk(what, place, points)
        if self.lost_max >= 0:
            lost = news.get("lost", Points())
            said = lost.texts[-1] if lost.texts else ""
            yield Reading(
                "lost", "number of workers lost", lost, high=self.lost_max, digits=0, window=NOW, said=said,
                over="All workers answer.",
            )  # fmt: skip

    def _disk(self, what: str, place: str, points: Points) -> Iterable[Reading]:
        label = f"{points.label or place}"
        value = float(points.values[-1]) if len(points) else math.nan
        if what == "disk.free" and self.free_min:
            yield Reading(
                f"free:{place}", f"free space on {label}", points, low=self.free_min, unit="GB", digits=0, window=NOW,
                margin=0.1, worst_low=self.free_alarm,
            )  # fmt: skip
        elif what == "disk.full" and self.full_in:
            when = time.strftime("%H:%M", time.localtime(time.time() + value)) if value < 1e7 else ""
            yield Reading(
                f"full:{place}", f"time until {label} is full", points, low=self.full_in, unit="s", digits=0,
                window=NOW, margin=0.5,
                said=f"At this pace {label} is full in {duration(value)}, at {when}." if when else "",
                over=f"{label} is not full soon any more.",
            )  # fmt: skip
        elif what == "disk.silent" and self.silent_max:
            yield Reading(
                f"silent:{place}", f"time that {label} does not answer", points, high=self.silent_max, unit="s",
                digits=0, window=NOW, worst_high=4 * self.silent_max, over=f"{label} answers again.",
            )  # fmt: skip
        elif what == "disk.seen" and self.read_min:
            yield Reading(
                f"read:{place}", f"rate of reading from {label}", points, low=self.read_min, unit="MB/s",
                digits=0,
            )  # fmt: skip
