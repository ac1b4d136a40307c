"""What a session was done with: parameters and their versions, software, and what people decided, as one value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryowidgets.store.database import Step

Query = Callable[..., list[tuple]]


@dataclass(frozen=True)
class Version:
    """One version of a step's parameters."""

    values: dict[str, Any]
    time: float
    """UTC s, when it was given"""


@dataclass(frozen=True)
class StepRecord:
    """A step as it was done."""

    name: str
    protocol: str
    gives: str
    versions: dict[int, Version]
    software: dict[str, int]
    """Tasks by the software that did them: ``cryowidgets 0.1.0``; empty text where that was not recorded."""
    programs: dict[str, int]
    """Results by the outside program that made them, with its version; none where we did."""
    begun: float | None
    ended: float | None
    """UTC s of the first and the last task"""


@dataclass(frozen=True)
class Record:
    """A session as it was done."""

    steps: dict[str, StepRecord]
    used: dict[int, dict[str, int]] = field(default_factory=dict)
    """By exposure and step: the version of the parameters that its present result, or its rejection, comes from."""
    names: dict[int, str] = field(default_factory=dict)
    """Of the exposures."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Movies that a person took out, and why."""
    readmitted: tuple[str, ...] = ()
    """Movies that a person let pass a gate."""


def record(query: Query, steps: dict[str, Step]) -> Record:
    """The whole session; costs in proportion to its tasks, so it is for the end of one."""
    names = dict(query("SELECT id, name FROM exposure ORDER BY id"))
    by_id = {step.id: step.name for step in steps.values()}
    used: dict[int, dict[str, int]] = {}
    sql = (
        "SELECT exposure, step, version FROM task WHERE exposure IS NOT NULL AND state IN ('done', 'rejected') "
        "ORDER BY id"
    )
    for exposure, step, version in query(sql):
        used.setdefault(exposure, {})[by_id[step]] = version
    readmitted = query(
        "SELECT DISTINCT exposure FROM task WHERE state = 'done' AND error = 'readmitted by hand' ORDER BY exposure"
    )
    return Record(
        steps={name: _step(query, step) for name, step in steps.items()},
        used=used,
        names=names,
        rejected=dict(query("SELECT name, rejected FROM exposure WHERE rejected IS NOT NULL ORDER BY id")),
        readmitted=tuple(names[exposure] for (exposure,) in readmitted),
    )


def _step(query: Query, step: Step) -> StepRecord:
    versions = query("SELECT version, json, time FROM params WHERE step = ? ORDER BY version", (step.id,))
    recorded = "software" in {row[1] for row in query("PRAGMA table_info(task)")}
    column = "coalesce(software, '')" if recorded else "''"
    done = "FROM task WHERE step = ? AND state = 'done'"
    software = query(f"SELECT {column}, count(*) {done} GROUP BY 1 ORDER BY 2 DESC", (step.id,))
    ((begun, ended),) = query(f"SELECT min(started), max(finished) {done}", (step.id,))
    table = step.gives.lower()
    programs: list[tuple] = []
    if "program" in {row[1] for row in query(f'PRAGMA table_info("{table}")')}:
        sql = f"SELECT trim(program || ' ' || program_version), count(*) FROM \"{table}\" WHERE step = ? GROUP BY 1"
        programs = [row for row in query(sql, (step.id,)) if row[0]]
    return StepRecord(
        step.name,
        step.protocol,
        step.gives,
        {version: Version(json.loads(values), time) for version, values, time in versions},
        dict(software),
        dict(programs),
        begun,
        ended,
    )
