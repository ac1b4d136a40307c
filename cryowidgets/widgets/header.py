"""The head of the page: what session this is, whether it lives, and how it gets on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from cryowidgets.store.database import Step
from cryowidgets.store.queries import Session
from cryowidgets.widgets import texts

STATES = ("running", "done", "rejected", "failed")
_STREAMS = {
    "open": ("good", "stream open"),
    "stopping": ("warn", "stream closing"),
    "closed": ("calm", "stream closed"),
}


def header(session: Session) -> str:
    """Name, state of stream and engine, counts and pace, as HTML."""
    stream_kind, stream = _stream(session)
    engine_kind, engine = _engine(session)
    cells = [
        _cell("found", texts.thousands(session.found)),
        _cell("done", texts.thousands(session.done)),
        _cell("waiting", texts.thousands(session.waiting)),
        _cell("rejected", texts.thousands(session.rejected), "rejected" if session.rejected else ""),
        _cell("failed", texts.thousands(session.failed), "failed" if session.failed else ""),
        _cell("movies per hour", _rate(session.rate_per_hour)),
        _cell("file closed → CTF", texts.duration(session.latency)),
    ]
    return (
        f"<header class='cw-header'><div><h1>{texts.safe(session.name)}</h1>"
        f"<p><span class='cw-chip cw-{stream_kind}'>{stream}</span>"
        f"<span class='cw-chip cw-{engine_kind}'>{texts.safe(engine)}</span>"
        f"<span class='cw-soft'>times in {texts.safe(texts.zone())}</span></p></div>"
        f"<div class='cw-cells'>{''.join(cells)}</div></header>"
    )


def steps(rows: Mapping[str, Step], tally: Mapping[str, Mapping[str, int]]) -> str:
    """A line for each step: state, why it waits, and how many tasks are in which state."""
    lines = []
    for step in rows.values():
        counts = tally.get(step.name, {})
        there = [state for state in STATES if counts.get(state)]
        numbers = "".join(
            f"<span class='cw-is-{state}'>{texts.thousands(counts[state])} {state}</span>" for state in there
        )
        state = texts.safe(step.state + (f" · {step.reason}" if step.reason else ""))
        lines.append(
            f"<div class='cw-step'><b>{texts.safe(step.name)}</b> <span class='cw-soft'>{state}</span>"
            f"<span class='cw-counts'>{numbers}</span></div>"
        )
    return "".join(lines)


def _stream(session: Session) -> tuple[str, str]:
    if session.paused:
        return "warn", "paused"
    return _STREAMS.get(session.stream, ("calm", texts.safe(session.stream)))


def _engine(session: Session) -> tuple[str, str]:
    engine = session.engine
    if engine and engine.alive:
        return "good", f"engine on {engine.host} since {_since(engine.since)}"
    if engine:
        return "bad", f"the engine on {engine.host} died"
    if session.stream == "closed" and not session.waiting:
        return "calm", "session complete"
    return "bad" if session.found else "warn", "no engine is running"


def _since(seconds: float) -> str:
    long_ago = time.time() - seconds > 20 * 3600
    return texts.clock(seconds, date=long_ago)[: 16 if long_ago else 5]


def _cell(label: str, value: str, kind: str = "") -> str:
    return f"<div class='cw-cell-number cw-is-{kind}' data-name='{label}'><b>{value}</b><span>{label}</span></div>"


def _rate(per_hour: float) -> str:
    return texts.thousands(round(per_hour)) if math.isfinite(per_hour) else texts.NONE
