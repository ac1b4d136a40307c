"""The file behind the ledger: opening it on local and network disks, and the steps that every reader needs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "project.sqlite"
NETWORK_DISKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p"}


@dataclass(frozen=True)
class Step:
    """A protocol with its parameters, placed in a workflow."""

    id: int
    name: str
    protocol: str
    gives: str
    version: int
    valid_from: int
    state: str
    reason: str
    params: dict[str, Any]
    inputs: dict[str, str]
    fold: bool = False
    """its results belong to no exposure: it takes many items, or what comes of such a step"""
    fresh_from: int = 1
    label: str = ""
    comment: str = ""
    after: tuple[str, ...] = ()
    hold: bool = False
    halted: str = ""
    newest: bool = False
    """takes the newest result of each of its sources, which are folds or come of folds"""


def batched(steps: Mapping[str, Step], step: Step) -> Step:
    """The step whose results a fold takes many of: that input is called by its kind, and none beside it is."""
    sources = [(name, steps[source]) for name, source in step.inputs.items()]
    return next((source for name, source in sources if name == source.gives.lower()), sources[0][1])


def read_steps(db: sqlite3.Connection) -> dict[str, Step]:
    """Steps of a ledger by name, whoever reads it."""
    links: dict[int, dict[str, str]] = {}
    for step, input, source in db.execute("SELECT l.step, l.input, s.name FROM link l JOIN step s ON s.id = l.source"):
        links.setdefault(step, {})[input] = source
    there = {row[1] for row in db.execute("PRAGMA table_info(step)")}
    later = ", ".join(f's."{name}"' if name in there else default for name, default in _LATER.items())
    found = db.execute(
        "SELECT s.id, s.name, s.protocol, s.gives, s.version, s.valid_from, s.state, s.reason, p.json, "
        f"{later} FROM step s JOIN params p ON p.step = s.id AND p.version = s.version ORDER BY s.id"
    )
    steps = {}
    for *head, params, fold, fresh_from, label, comment, after, hold, halted in found:
        tail = (bool(fold), fresh_from, label, comment, tuple(json.loads(after)), bool(hold), halted, fold == 2)
        steps[head[1]] = Step(*head, json.loads(params), links.get(head[0], {}), *tail)  # type: ignore[call-arg]
    return _ordered(steps)


def _ordered(steps: dict[str, Step]) -> dict[str, Step]:
    """Each step behind those that it takes from, else as they were added; a link may lead to one added later."""
    done: dict[str, Step] = {}
    rest = dict(steps)
    while rest:
        ready = (name for name, step in rest.items() if set(step.inputs.values()) <= done.keys())
        name = next(ready, next(iter(rest)))  # in a circle, which nobody can make here, the first
        done[name] = rest.pop(name)
    return done


_LATER = {
    "fold": "0",
    "fresh_from": "1",
    "label": "''",
    "comment": "''",
    "after": "'[]'",
    "hold": "0",
    "halted": "''",
}
"""Columns that a ledger of an earlier version lacks as long as only readers have opened it, and what they hold."""


def is_network_disk(folder: Path) -> bool:
    """Whether a folder lies on a disk whose shared memory does not reach other hosts, where WAL must not be used."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return False
    for line in mounts:
        _, place, fstype, *_ = line.split()
        place = place.replace("\\040", " ")
        if len(place) >= len(best) and Path(folder).is_relative_to(place):
            best, kind = place, fstype
    return kind in NETWORK_DISKS or kind.startswith("fuse.sshfs")


def connect_for_writing(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, timeout=30.0, check_same_thread=False, cached_statements=512)
    db.execute(f"PRAGMA journal_mode = {'DELETE' if is_network_disk(file.parent) else 'WAL'}")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    return db
