"""The disks that a session uses: what is on which, how full it is, what goes over it, and whether it answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cryowidgets.store.database import NETWORK_DISKS

Counters = tuple[float, float]
"""Bytes read and written since some moment."""

PATIENCE = 0.05
"""Seconds to wait for a disk; local ones answer within a thousandth of that."""
SLEEPS = 30.0
"""Seconds without an answer after which what a disk said before holds no more."""


class Mounts:
    """Samples of the disks on which some folders lie.

    A network disk that sleeps makes whoever asks it wait, perhaps for hours. So each is asked in a thread of its own,
    and where one does not answer, the sample says since when.
    """

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}
        self._real: dict[str, str] = {}
        self._last: dict[str, tuple[float, Counters]] = {}

    def sample(self, uses: Mapping[str, str], read: Mapping[str, tuple[float, float]] | None = None) -> list[dict]:
        """Rows for the ledger's table `mount`, one for each disk; the answers are those to the last questions.

        Parameters
        ----------
        uses : mapping
            What is there (project, movies, gain) to its folder or file, absolute.
        read : mapping, optional
            Of folders or files: bytes that workers read there since the last sample, and the seconds it took.
        """
        table = [(p.mountpoint, p.device, p.fstype) for p in psutil.disk_partitions(all=True)]
        found: dict[str, dict[str, Any]] = {}
        for use, path in uses.items():
            place, device, type = mount_of(self._resolved(path), table)
            row = found.setdefault(place, {"place": place, "device": device, "type": type, "uses": []})
            row["uses"].append(use)
        moved = counters({row["device"]: row["place"] for row in found.values()})
        seen: dict[str, tuple[float, float]] = {}
        for path, (amount, seconds) in (read or {}).items():
            place = mount_of(self._resolved(path), table)[0]
            before = seen.get(place, (0.0, 0.0))
            seen[place] = before[0] + amount, before[1] + seconds
        return [self._row(row, moved.get(row["device"]), seen.get(place)) for place, row in found.items()]

    def _resolved(self, path: str) -> str:
        """A path without links, once that is known; folders of movies are often links to another disk."""
        if path not in self._real:
            self._real[path] = path

            def resolve() -> None:
                self._real[path] = os.path.realpath(path)

            thread = threading.Thread(target=resolve, daemon=True, name=f"where {path} is")
            thread.start()
            thread.join(PATIENCE)
        return self._real[path]

    def _row(self, row: dict[str, Any], moved: Counters | None, seen: tuple[float, float] | None) -> dict[str, Any]:
        now = time.monotonic()
        asked = self._asked.setdefault(row["place"], _Asked(row["place"]))
        asked.ask()
        before = self._last.get(row["device"])
        rates: list[float | None] = [None, None]
        if moved:
            self._last[row["device"]] = now, moved
            if before and now > before[0]:
                rates = [max(0.0, b - a) / (now - before[0]) / 1e6 for a, b in zip(before[1], moved, strict=True)]
        total, free = asked.answer
        return {
            "time": time.time(),
            "place": row["place"],
            "device": row["device"],
            "type": row["type"],
            "network": int(is_network(row["type"])),
            "uses": ",".join(row["uses"]),
            "total": total,
            "free": free,
            "read": rates[0],
            "write": rates[1],
            "seen": seen[0] / seen[1] / 1e6 if seen and seen[1] > 0 and seen[0] > 1e6 else None,
            "silent": asked.silent(),
        }


@dataclass
class _Asked:
    """One disk and the last question to it."""

    place: str
    answer: tuple[float | None, float | None] = (None, None)
    _since: float = 0.0
    _thread: threading.Thread | None = None

    def ask(self) -> None:
        """Put a question where none waits."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._look, daemon=True, name=f"space on {self.place}")
        self._thread.start()
        self._thread.join(PATIENCE)

    def _look(self) -> None:
        try:
            space = psutil.disk_usage(self.place)
        except OSError:
            self.answer = (None, None)
        else:
            self.answer = (space.total / 1e9, space.free / 1e9)

    def silent(self) -> float:
        """Seconds that the present question waits; what was known before is forgotten then."""
        waits = self._thread is not None and self._thread.is_alive()
        for_so_long = time.monotonic() - self._since if waits else 0.0
        if for_so_long > SLEEPS:
            self.answer = (None, None)
        return for_so_long


def mount_of(path: str, table: Iterable[tuple[str, str, str]]) -> tuple[str, str, str]:
    """Mount point, device and type of the file system on which a path lies; by its name alone, no disk is asked."""
    best = ("/", "", "")
    for place, device, type in table:
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best[0]):
            best = (place, device, type)
    return best


def is_network(type: str) -> bool:
    """Whether a file system of this type lies on another host."""
    return type in NETWORK_DISKS or type.startswith("fuse.sshfs")


def counters(places: Mapping[str, str]) -> dict[str, Counters]:
    """Bytes read and written of devices of which the system counts them: local disks, and NFS under Linux."""
    disks = psutil.disk_io_counters(perdisk=True) or {}
    nfs = nfs_counters(_mountstats()) if any(":" in device for device in places) else {}
    found: dict[str, Counters] = {}
    for device, place in places.items():
        # /dev/mapper/data is a link to /dev/dm-3, and that is the name by which it is counted.
        disk = disks.get(os.path.basename(os.path.realpath(device))) if device.startswith("/dev/") else None
        if disk:
            found[device] = disk.read_bytes, disk.write_bytes
        elif place in nfs:
            found[device] = nfs[place]
    return found


def nfs_counters(text: str) -> dict[str, Counters]:
    """Bytes from and to the server of each NFS mount, by mount point, of the text of ``/proc/self/mountstats``.

    The fifth and sixth number of the line ``bytes:`` are what went over the network, reads of the page cache not
    among it (Linux, ``include/linux/nfs_iostat.h``).
    """
    found: dict[str, Counters] = {}
    place = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["device"]:
            place = words[4].replace("\\040", " ") if words[2:4] == ["mounted", "on"] and len(words) > 4 else ""
        elif words[:1] == ["bytes:"] and place and len(words) > 6:
            found[place] = float(words[5]), float(words[6])
    return found


def _mountstats() -> str:
    try:
        return Path("/proc/self/mountstats").read_text()
    except OSError:
        return ""
