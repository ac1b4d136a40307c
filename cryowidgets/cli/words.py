"""A session in words and figures, for people and for programs."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from cryowidgets.store.queries import ExposureRow, Reader, Session

SHOWN = 10
"""Failures that a page of text lists before it only counts."""


def status(reader: Reader) -> str:
    """How a session stands: head, steps, what failed."""
    session = reader.session()
    lines = [
        f"Session  {session.name}   {session.folder}",
        *(f"Comment  {comment}" for comment in [reader.settings().get("comment")] if comment),
        f"Engine   {_engine(session)}",
        f"Stream   {session.stream}{', paused' if session.paused else ''}: {_movies(session)}",
        "",
        _steps(reader),
    ]
    return "\n".join([*lines, *_rules(reader), *_warnings(reader), *_failures(reader)])


def summary(reader: Reader) -> str:
    """What came of a session, naming all that failed."""
    lines = [f"{_movies(reader.session())}.", "", _steps(reader), *_rules(reader), *_warnings(reader)]
    return "\n".join([*lines, *_failures(reader, shown=10**9)])


def data(reader: Reader) -> dict[str, Any]:
    """The same for programs; what is not known is null."""
    session = dataclasses.asdict(reader.session())
    session["folder"] = str(session["folder"])
    tally = reader.tally()
    steps = [
        {
            "name": s.name,
            "protocol": s.protocol,
            "state": s.state,
            "reason": s.reason,
            "tasks": tally.get(s.name, {}),
            "rejected_by_rule": reader.reasons(s.name),
        }
        for s in reader.steps().values()
    ]
    return _null({"session": session, "steps": steps, **_troubles(reader)})


def exposure(row: ExposureRow) -> str:
    """All about one exposure."""
    lines = [row.name, f"  {row.path}", f"  acquired {_clock(row.acquired)}"]
    if row.rejected:
        lines.append(f"  rejected: {row.rejected}")
    for step, item in row.items.items():
        lines += ["", f"{step}: {type(item).__name__}"]
        fields = [(n, getattr(item, n), f.metadata.get("unit", "")) for n, f in item.columns().items()]
        lines += [
            f"  {n:<16} {_value(v)} {'(cleaned)' if v in row.cleaned else unit}".rstrip()
            for n, v, unit in fields
            if not isinstance(v, np.ndarray)
        ]
    attempts = [(t.step, t.attempt, t.state, _clock(t.started), t.host or "", t.error or "") for t in row.tasks]
    if attempts:
        lines += ["", table(("step", "attempt", "state", "started", "host", ""), attempts)]
    lines += [f"\n{t.step}, attempt {t.attempt}:\n{t.traceback.rstrip()}" for t in row.tasks if t.traceback]
    return "\n".join(lines)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], wrap: int = 0) -> str:
    """Columns of text, numbers to the right; the last column is broken to lines of `wrap` characters in all."""
    cells = [[str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(head))]
    lines = []
    for row in cells:
        start = "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row[:-1], widths[:-1], right[:-1], strict=True)
        )
        room = max(30, wrap - len(start) - 2)
        last = textwrap.wrap(row[-1], room) if wrap and row[-1] else [row[-1]]
        lines += [f"{start}  {last[0]}", *(" " * (len(start) + 2) + part for part in last[1:])]
    return "\n".join(line.rstrip() for line in lines)


def _clock(when: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else ""


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _movies(session: Session) -> str:
    parts = [f"{session.found} movies found", f"{session.done} done", f"{session.failed} failed"]
    if session.rejected:
        parts.append(f"{session.rejected} rejected")
    parts.append(f"{session.waiting} waiting")
    text = ", ".join(parts)
    if math.isfinite(session.rate_per_hour):
        text += f"; {session.rate_per_hour:.0f} per hour"
    if math.isfinite(session.latency):
        text += f", {session.latency:.0f} s from closed file to last step (median)"
    return text


def _engine(session: Session) -> str:
    engine = session.engine
    if engine is None:
        return "none runs"
    where = f"on {engine.host} with process ID {engine.pid}, since {_clock(engine.since)}"
    return f"runs {where}" if engine.alive else f"died: it ran {where}; 'cryowidgets run' goes on where it was"


def _steps(reader: Reader) -> str:
    tally = reader.tally()
    states = ("done", "running", "rejected", "failed")
    rows = [
        (s.name, s.protocol, *(tally.get(s.name, {}).get(state, 0) for state in states), _state(s))
        for s in reader.steps().values()
    ]
    return table(("step", "protocol", *states, "state"), rows)


def _rules(reader: Reader) -> list[str]:
    """How many items each rule of each gate holds back; one may break several."""
    counted = {name: reader.reasons(name) for name in reader.steps()}
    lines = [
        f"  {name}: {', '.join(f'{rule} {n}' for rule, n in rules.items())}" for name, rules in counted.items() if rules
    ]
    return ["", "Held back by rule:", *lines] if lines else []


def _warnings(reader: Reader) -> list[str]:
    found = [*(f"{alert.level}: {alert.text}" for alert in reader.alerts()), *reader.warnings(SHOWN)]
    return ["", "Warnings:", *(f"  {sentence}" for sentence in found)] if found else []


def _troubles(reader: Reader) -> dict[str, Any]:
    failures = [dataclasses.asdict(failure) for failure in reader.failures()]
    alerts = [dataclasses.asdict(alert) for alert in reader.alerts()]
    return {"alerts": alerts, "warnings": reader.warnings(), "failures": failures}


def _state(step: Any) -> str:
    return f"{step.state}: {step.reason}" if step.reason else step.state


def _failures(reader: Reader, shown: int = SHOWN) -> list[str]:
    failures = reader.failures()
    if not failures:
        return []
    lines = ["", "Failed:"]
    lines += [f"  {f.name} in {f.step}: {f.error}" for f in failures[-shown:]]
    if len(failures) > shown:
        lines.append(f"  and {len(failures) - shown} before; all are in 'status --json'")
    return lines


def _null(value: Any) -> Any:
    """The same without NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: _null(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_null(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
