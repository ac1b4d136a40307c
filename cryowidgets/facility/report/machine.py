"""What the machine did: load over time, its disks, and the room that the session takes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.facility.report import charts, said
from cryowidgets.facility.report.axes import Axis
from cryowidgets.store.queries import Reader

POINTS = 240
GAP = 1500.0
"""Seconds: old samples are ten minutes apart."""


def load(reader: Reader) -> dict[str, Any]:
    """Charts of CPU, memory and GPU, and of what disks read and write."""
    table = reader.system()
    if len(table["time"]) < 2:
        return {}
    x = Axis.times(float(table["time"].min()), float(table["time"].max()), "time")
    busy = {"CPU": "cpu", "memory": "memory", "GPU": "gpu", "GPU memory": "gpu_memory"}
    disks = {"read": "disk_read", "write": "disk_write"}
    percent = {label: _thinned(table, key) for label, key in busy.items() if np.isfinite(table[key]).any()}
    moved = {label: _thinned(table, key) for label, key in disks.items() if np.isfinite(table[key]).any()}
    most = max((float(np.nanmax(values)) for _, values in moved.values()), default=0.0)
    return {
        "busy": charts.lines("Load of the machine", x, Axis("load", 0.0, 104.0, "%"), percent, GAP),
        "moved": charts.lines("What disks read and write", x, Axis.counts("disks", most, "MB/s"), moved, GAP),
    }


def disks(reader: Reader) -> list[dict[str, str]]:
    """Each disk that the session uses: how full it is, and when it will be full."""
    return [
        {
            "uses": ", ".join(mount.uses),
            "type": mount.type + (", over the network" if mount.network else ""),
            "total": said.size(1e9 * mount.total) if mount.total == mount.total else said.NONE,
            "free": said.size(1e9 * mount.free) if mount.free == mount.free else said.NONE,
            "full": said.when(mount.full),
        }
        for mount in reader.mounts()
    ]


class Room:
    """How much room a session takes: its movies by the ledger, its own files by looking.

    A look walks over all files, 200,000 of them in a long session; so it is repeated only when a hundred times as long
    as it took has passed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._due = 0.0
        self._steps: dict[str, tuple[int, int]] = {}

    def table(self, reader: Reader) -> dict[str, Any]:
        """Bytes and files of the movies, of each step, and of the rest of the project."""
        movies = (0, 0)
        if "movie" in reader.tables():
            bytes, count = reader.query("SELECT coalesce(sum(size), 0), count(*) FROM movie")[0]
            movies = int(bytes), count
        if time.monotonic() >= self._due:
            began = time.monotonic()
            self._steps = self._look()
            self._due = time.monotonic() + max(60.0, 100 * (time.monotonic() - began))
        rows = [("movies", *movies), *((name, *used) for name, used in self._steps.items() if used[1])]
        return {
            "rows": [
                (name, said.size(bytes) if bytes else said.NONE, said.thousands(count)) for name, bytes, count in rows
            ],
            "project": said.size(sum(bytes for bytes, _ in self._steps.values())),
            "movies": said.size(movies[0]),
        }

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        steps = self._folder / "steps"
        for step in sorted(steps.iterdir()) if steps.is_dir() else ():
            if step.is_dir() and not step.name.startswith("."):
                found[step.name] = _weigh(step)
        own = [entry for entry in self._folder.iterdir() if entry.name not in ("steps", "microscope")]
        parts = [_weigh(entry) if entry.is_dir() else (_size(entry), 1) for entry in own]
        found["ledger, logs, reports"] = sum(b for b, _ in parts), sum(n for _, n in parts)
        return found


def _weigh(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files in a folder; links are not followed."""
    bytes = count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            bytes += _size(os.path.join(where, name))
            count += 1
    return bytes, count


def _size(path: Path | str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # gone meanwhile


def _thinned(table: dict[str, Any], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Means over parts of equal length; where a part has no sample, nothing."""
    times, values = table["time"], table[key]
    there = np.isfinite(values)
    times, values = times[there], values[there]
    if times.size <= POINTS:
        return times, values
    start, end = table["time"].min(), table["time"].max()
    part = np.minimum((times - start) / (end - start) * POINTS, POINTS - 1).astype(np.int64)
    n = np.bincount(part, minlength=POINTS)
    filled = n > 0
    means = [np.bincount(part, v, minlength=POINTS)[filled] / n[filled] for v in (times, values)]
    return means[0], means[1]
