"""The last exposures against the session: is it still as good as it was?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cryowidgets.store.metrics import Metric
from cryowidgets.store.overview import Overview
from cryowidgets.store.thresholds import Cut
from cryowidgets.widgets import texts
from cryowidgets.widgets.figures import RECENT
from cryowidgets.widgets.strip import recent

STEADY = 0.35
"""Of the session's interquartile range: a median that moved less says nothing."""
_ARROWS = {"higher": "▲", "lower": "▼", "steady": "="}


@dataclass(frozen=True)
class Line:
    """One number: its medians, in words that people read."""

    label: str
    last: str
    session: str
    marked: str
    way: str
    """higher, lower, steady; empty where there is too little to say"""
    verdict: str
    """better or worse, empty where that cannot be said"""


def compare(overview: Overview, keys: Iterable[str], cut: Cut, marked: np.ndarray) -> list[Line]:
    """A line for each number, for the share that thresholds accept, and for movies per hour."""
    rows = np.flatnonzero(np.isin(overview.id, marked))
    lines = [_of_metric(overview, overview.metrics[key], rows) for key in keys]
    newest = np.argsort(overview.acquired, kind="stable")
    lines.append(_accepted(overview, cut, newest[-RECENT:], rows))
    lines.append(_pace(overview, newest))
    return [line for line in lines if line.session != texts.NONE]


def table(lines: list[Line], marked: int) -> str:
    """The lines as HTML; arrows, words and colour say the same."""
    if not lines:
        return "<div class='cw-nothing'>nothing to compare yet</div>"
    third = f"<th>{texts.count(marked, 'marked', 'marked')}</th>" if marked else ""
    head = f"<tr><th></th><th>last {RECENT}</th><th>session</th>{third}<th></th></tr>"
    return f"<table class='cw-recent'>{head}{''.join(_row(line, bool(marked)) for line in lines)}</table>"


def _row(line: Line, marked: bool) -> str:
    words = line.verdict or line.way
    said = f"<i>{_ARROWS[line.way]}</i> {words}" if line.way else ""
    third = f"<td class='cw-recent-marked'>{texts.safe(line.marked)}</td>" if marked else ""
    return (
        f"<tr><th>{texts.safe(line.label)}</th><td><b>{texts.safe(line.last)}</b></td>"
        f"<td>{texts.safe(line.session)}</td>{third}<td class='cw-way cw-way-{line.verdict or 'calm'}'>{said}</td></tr>"
    )


def _of_metric(overview: Overview, metric: Metric, rows: np.ndarray) -> Line:
    values = overview.values[metric.key]
    known = values[np.isfinite(values)]
    if not len(known):
        return Line(metric.label, texts.NONE, texts.NONE, texts.NONE, "", "")
    last = float(np.median(recent(overview, metric.key)))
    low, middle, high = np.percentile(known, [25, 50, 75])
    chosen = values[rows][np.isfinite(values[rows])]
    way = _way(last - middle, STEADY * (high - low)) if len(known) > RECENT else ""
    return Line(
        metric.label,
        _text(metric, last),
        _text(metric, float(middle)),
        _text(metric, float(np.median(chosen))) if len(chosen) else texts.NONE,
        way,
        _verdict(way, metric.better),
    )


def _text(metric: Metric, value: float) -> str:
    return texts.duration(value) if metric.unit == "s" else metric.text(value)


def _accepted(overview: Overview, cut: Cut, newest: np.ndarray, rows: np.ndarray) -> Line:
    accepted = overview.accepted(cut)
    if not len(accepted):
        return Line("accepted", texts.NONE, texts.NONE, texts.NONE, "", "")
    last, session = float(accepted[newest].mean()), float(accepted.mean())
    way = _way(last - session, 0.08) if len(accepted) > RECENT else ""
    chosen = f"{accepted[rows].mean():.0%}" if len(rows) else texts.NONE
    return Line("accepted", f"{last:.0%}", f"{session:.0%}", chosen, way, _verdict(way, "high"))


def _pace(overview: Overview, newest: np.ndarray) -> Line:
    last, session = (_rate(overview.acquired[rows]) for rows in (newest[-RECENT:], newest))
    way = _way(last - session, 0.1 * session) if len(newest) > RECENT else ""
    return Line("movies/h", texts.number(last, 0), texts.number(session, 0), texts.NONE, way, "")


def _rate(times: np.ndarray) -> float:
    long = float(times.max() - times.min()) if len(times) > 1 else 0.0
    return (len(times) - 1) * 3600.0 / long if long > 0 else float("nan")


def _way(difference: float, least: float) -> str:
    if not np.isfinite(difference):
        return ""
    return "steady" if abs(difference) <= least else "higher" if difference > 0 else "lower"


def _verdict(way: str, better: str) -> str:
    if way not in ("higher", "lower") or not better:
        return ""
    return "better" if (way == "higher") == (better == "high") else "worse"
