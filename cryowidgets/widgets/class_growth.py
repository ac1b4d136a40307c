"""How many particles there are by now, how fast more come, and how many classes look good."""

from __future__ import annotations

import numpy as np

from cryowidgets.store.queries import Columns
from cryowidgets.widgets import charts, texts

SHORT = 60.0
"""Seconds in which no rate can be told."""


def growth(rows: Columns) -> str:
    """Numbers and a chart of the results of a sorting, one row for each batch; empty where there is none.

    Where a sorting was begun again, what it found before is left out.
    """
    total = np.asarray(rows["particles"])
    if not len(total):
        return ""
    fallen = np.flatnonzero(np.diff(total) < 0)
    first = int(fallen[-1]) + 1 if len(fallen) else 0
    time, total = np.asarray(rows["time"])[first:], total[first:]
    good, good_classes = np.asarray(rows["good_particles"])[first:], np.asarray(rows["good"])[first:]
    judged = bool(good.any())
    shown = [charts.Line("sorted", time, total)]
    if judged:
        shown.append(charts.Line("in good classes", time, good))
    width = charts.NARROW if judged and len(time) > 1 else charts.WIDE
    chart = charts.lines(shown, texts.clock, _thousands, "particles sorted against time", width=width)
    classes = ""
    if judged and len(time) > 1:
        line = charts.Line("good classes", time, good_classes)
        classes = charts.lines(
            [line], texts.clock, lambda v: f"{v:g}", "number of good classes against time", width=charts.NARROW
        )
    rate = float(np.asarray(rows["rate"])[-1])
    cells = [
        ("particles sorted", texts.thousands(int(total[-1]))),
        ("in good classes", texts.thousands(int(good[-1])) if judged else ""),
        ("good classes", f"{int(good_classes[-1])} of {int(rows['count'][-1])}" if judged else ""),
        ("classes", "" if judged else str(rows["count"][-1])),
        ("particles per hour", texts.thousands(round(_pace(time, total))) if time[-1] - time[0] > SHORT else ""),
        ("sorted per second", texts.number(rate, 0) if np.isfinite(rate) else ""),
        ("finest class", texts.number(float(rows["resolution"][-1]), 1, "Å")),
    ]
    known = [(name, texts.safe(value)) for name, value in cells if value not in ("", texts.NONE)]
    told = "".join(f"<div><span>{name}</span><b>{value}</b></div>" for name, value in known)
    zone = texts.safe(texts.zone())
    charted = f"<figure><figcaption>Particles</figcaption>{chart}</figure>"
    charted += f"<figure><figcaption>Good classes</figcaption>{classes}</figure>" if classes else ""
    title = f"<div class='cw-title'>Growth <span>time by the clock, {zone}</span></div>"
    name = "cw-ch-pair" if classes else "cw-ch-one"
    return f"{title}<div class='cw-numbers'>{told}</div><div class='{name}'>{charted}</div>"


def _pace(time: np.ndarray, total: np.ndarray) -> float:
    """Particles per hour over the last hour, or as long as there is."""
    first = int(np.searchsorted(time, time[-1] - 3600.0))
    first = min(first, len(time) - 2)
    span = time[-1] - time[first]
    return float(total[-1] - total[first]) / span * 3600.0 if span > 0 else 0.0


def _thousands(value: float) -> str:
    return texts.thousands(round(value)) if value < 1e5 else f"{value / 1e3:g} k"
