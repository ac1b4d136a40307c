"""What a session was: its microscope, what was acquired when, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.facility.report import charts, said
from cryowidgets.facility.report.axes import Axis, zone
from cryowidgets.model import Micrograph, Movie
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.queries import Reader, Session
from cryowidgets.store.thresholds import Cut

SQUARES = 16
"""Grid squares that are listed; of more, the newest."""
KNOWN = {"user": "User", "operator": "Operator", "microscope": "Microscope", "sample": "Sample", "proposal": "Proposal"}
"""Settings of a project that are shown where somebody has given them."""


@dataclass(frozen=True)
class Pauses:
    """Times without movies."""

    limit: float
    """s; an interval longer than this is a pause"""
    spans: list[tuple[float, float]]
    """UTC s and s: when each began, and how long it was; the longest first"""

    @property
    def total(self) -> float:
        return sum(length for _, length in self.spans)


def pauses(acquired: np.ndarray) -> Pauses:
    """Intervals between movies that are ten times as long as usual, and at least five minutes."""
    times = np.sort(acquired[np.isfinite(acquired)])
    between = np.diff(times)
    limit = max(300.0, 10.0 * float(np.median(between))) if between.size else 300.0
    where = np.nonzero(between > limit)[0]
    spans = [(float(times[i]), float(between[i])) for i in where]
    return Pauses(limit, sorted(spans, key=lambda span: -span[1]))


def facts(reader: Reader, session: Session) -> list[tuple[str, str]]:
    """What the head says of sample, microscope and movies: a name and a value each."""
    settings = reader.settings()
    found = [(label, settings[key]) for key, label in KNOWN.items() if settings.get(key)]
    groups = reader.query(
        "SELECT pixel_size, voltage, cs, dose_per_frame FROM optics WHERE id IN (SELECT DISTINCT optics FROM exposure)"
    )
    if groups:
        pixels, voltages, aberrations, doses = ([*dict.fromkeys(values)] for values in zip(*groups, strict=True))
        found.append(("Voltage, Cs", f"{_several(voltages)} kV, {_several(aberrations)} mm"))
        found.append(("Pixel size", f"{_several(pixels)} Å"))
        frames, size = _frames(reader)
        if any(doses):
            whole = f"; {frames * max(doses):.1f} e/Å² in {frames} frames" if frames else ""
            found.append(("Dose", f"{_several(doses)} e/Å² per frame{whole}"))
        elif frames:
            found.append(("Frames", str(frames)))
        found += [("Image", size)] if size else []
    gains = dict.fromkeys(str(step.params["gain"]) for step in reader.steps().values() if step.params.get("gain"))
    found += [("Gain reference", ", ".join(gain.rpartition("/")[2] for gain in gains))] if gains else []
    found += [("Workflow", settings["workflow"])] if settings.get("workflow") else []
    found.append(("Session", _standing(session)))
    return found


def acquisition(overview: Overview, cut: Cut) -> dict[str, Any]:
    """Movies, rate, pauses, grid squares; with the chart of movies per hour."""
    times = overview.acquired[np.isfinite(overview.acquired)]
    if not times.size:
        return {}
    first, last = float(times.min()), float(times.max())
    resting = pauses(times)
    span = last - first
    busy = max(span - resting.total, 60.0)
    width = _column(span)
    edges = np.arange(first, last + width, width)
    counts, edges = np.histogram(times, np.append(edges, edges[-1] + width) if edges.size < 2 else edges)
    edges = np.append(edges[:-1], max(last, edges[-2] + 60.0))  # the last column is as long as it lasted
    return {
        "first": said.when(first),
        "last": said.when(last),
        "span": said.duration(span),
        "count": said.thousands(times.size),
        "per_hour": said.number(3600.0 * times.size / max(span, 60.0), 0),
        "per_hour_busy": said.number(3600.0 * times.size / busy, 0),
        "pauses": [(said.when(at), said.duration(length)) for at, length in resting.spans[:5]],
        "pause_count": len(resting.spans),
        "pause_total": said.duration(resting.total),
        "pause_limit": said.duration(resting.limit),
        "chart": charts.rate("Movies per hour", Axis.times(first, last), edges, counts, "movies per hour"),
        "column": said.duration(width),
        "squares": _squares(overview, cut),
        "zone": zone(first),
    }


def yields(overview: Overview, cut: Cut) -> dict[str, Any]:
    """What became of the movies: parts that add up to all, with a bar."""
    state = overview.state
    accepted = overview.accepted(cut)
    done = state == STATES.index("done")
    running, waiting = (int(np.count_nonzero(state == STATES.index(name))) for name in ("running", "waiting"))
    counts = {
        "accepted": int(np.count_nonzero(accepted)),
        "outside": int(np.count_nonzero(done & ~accepted)),
        "rejected": int(np.count_nonzero(state == STATES.index("rejected"))),
        "failed": int(np.count_nonzero(state == STATES.index("failed"))),
        "open": running + waiting,
    }
    labels = {
        "accepted": "accepted" if cut else "done",
        "outside": "left out by thresholds",
        "rejected": "rejected by hand or by a gate",
        "failed": "failed",
        "open": "waiting or running",
    }
    parts = [(labels[key], n, COLOURS[key]) for key, n in counts.items() if n or key == "accepted"]
    return {
        "found": len(overview),
        **counts,
        "flagged": int(np.count_nonzero(overview.flag)),
        "parts": [(label, said.thousands(n), said.share(n, len(overview)), colour) for label, n, colour in parts],
        "chart": charts.shares("What became of the movies", parts) if len(overview) else "",
    }


COLOURS = {"accepted": "#0072b2", "outside": "#8fbfdf", "rejected": "#e69f00", "failed": "#b34700", "open": "#c9ced4"}


def _squares(overview: Overview, cut: Cut) -> dict[str, Any]:
    """A row for each grid square, in the order of acquisition."""
    if "square" not in overview.groupings:
        return {}
    codes, labels = overview.groups("square")
    holes = overview.groups("hole")[0] if "hole" in overview.groupings else None
    accepted = overview.accepted(cut)
    keys = [key for key in ("drift", "resolution", "ice", "particles") if key in overview.metrics]
    rows = []
    for code, label in enumerate(labels):
        at = np.nonzero(codes == code)[0]
        if not at.size:
            continue
        middle = [_median(overview, key, at) for key in keys]
        good = int(np.count_nonzero(accepted[at]))
        seen = said.thousands(np.unique(holes[at]).size) if holes is not None else ""
        first = float(overview.acquired[at].min())
        rows.append(
            (first, [label, said.when(first), seen, said.thousands(at.size), said.share(good, at.size), *middle])
        )
    rows.sort(key=lambda row: row[0])
    heads = [("grid square", ""), ("first movie", ""), ("holes", ""), ("movies", ""), ("accepted", "")]
    heads += [(overview.metrics[key].label, overview.metrics[key].unit) for key in keys]
    return {"count": len(rows), "heads": heads, "rows": [cells for _, cells in rows[-SQUARES:]]}


def _median(overview: Overview, key: str, at: np.ndarray) -> str:
    values = overview.values[key][at]
    known = values[np.isfinite(values)]
    return overview.metrics[key].text(float(np.median(known)), unit=False) if known.size else said.NONE


def _column(span: float) -> float:
    """Length of a column of the rate, so that there are at most about a hundred."""
    return next((s for s in (300.0, 600.0, 1800.0, 3600.0, 7200.0) if span / s <= 100), 14400.0)


def _frames(reader: Reader) -> tuple[int, str]:
    """Number of frames and size of an image, by the newest result that knows them."""
    for kind in (Micrograph, Movie):
        steps = [step.name for step in reader.steps().values() if step.gives == kind.__name__]
        item = reader.result(steps[0]) if steps else None
        if isinstance(item, Micrograph):
            return item.frames, f"{item.width} × {item.height} px of {item.pixel_size:.4g} Å"
        if isinstance(item, Movie) and item.frames:
            return item.frames, ""
    return 0, ""


def _several(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _standing(session: Session) -> str:
    engine = session.engine
    if session.stream == "closed":
        return "closed" if session.waiting == 0 else f"closed; {said.count(session.waiting, 'movie')} still to be done"
    word = "paused" if session.paused else "open" if session.stream == "open" else "closing"
    return f"{word}; {'an engine works on it' if engine and engine.alive else 'no engine runs now'}"
