"""What was measured: each number over time and as a histogram, its statistics, and what thresholds leave of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cryowidgets.facility.report import charts, said
from cryowidgets.facility.report.axes import Axis
from cryowidgets.facility.report.charts import Bounds
from cryowidgets.store.metrics import Metric
from cryowidgets.store.overview import Overview
from cryowidgets.store.thresholds import Cut

CHARTED = ("drift", "defocus", "astigmatism", "resolution", "phase_shift", "ice", "quality", "picks", "particles")
"""Numbers that have charts; others have them where a threshold is on them."""
BINS = 240
NEWEST = 50
COLUMNS = 44


def measured(overview: Overview, cut: Cut, gap: float) -> list[dict[str, Any]]:
    """A row of charts for each number that people ask for: over acquisition time, and as a histogram.

    Parameters
    ----------
    gap : float
        Seconds without movies that interrupt a line.
    """
    first, last = float(overview.acquired.min()), float(overview.acquired.max())
    x = Axis.times(first, last)
    rows = []
    for key, metric in overview.metrics.items():
        values = overview.values[key]
        known = values[np.isfinite(values)] * metric.factor
        wanted = key in CHARTED or key in cut
        if not wanted or not known.size or (key == "phase_shift" and not known.any() and key not in cut):
            continue
        bounds = _shown(metric, cut.get(key, (None, None)))
        y = Axis.of(metric.label, known, metric.unit, bounds)
        count = int(np.clip(len(overview) // 4, 8, BINS))
        bins = overview.bins(key, count)
        low, mean, high = (v * metric.factor for v in (bins.low, bins.mean, bins.high))
        still = max(gap, 2.5 * (last - first) / count)
        away = y.beyond(known)
        columns = int(np.clip(2 * np.sqrt(known.size), 8, COLUMNS))
        edges = np.linspace(y.low, y.high, columns + 1)
        counts = np.histogram(known, edges)[0]
        name = metric.label[:1].upper() + metric.label[1:]
        rows.append(
            {
                "key": key,
                "name": name,
                "help": metric.help,
                "median": metric.text(float(np.median(known)) / metric.factor),
                "threshold": _words(metric, cut[key]) if key in cut else "",
                "beyond": said.count(away, "value lies", "values lie") + " beyond the scale" if away else "",
                "trend": charts.trend(f"{name} over time", x, y, bins.time, low, mean, high, still, bounds),
                "histogram": charts.histogram(f"Histogram of {metric.label}", y, edges, counts, bounds),
            }
        )
    return rows


def statistics(overview: Overview) -> list[dict[str, str]]:
    """Every number of the workflow: how many exposures have it, median and range, and the median of the newest 50."""
    rows = []
    by_time = np.argsort(overview.acquired, kind="stable")
    for key, metric in overview.metrics.items():
        values = overview.values[key][by_time]
        known = values[np.isfinite(values)]
        if not known.size or key == "angle" or (key == "phase_shift" and not known.any()):
            continue  # a direction has no median
        least, p5, middle, p95, most = (metric.text(float(v), False) for v in np.percentile(known, [0, 5, 50, 95, 100]))
        label = f"{metric.label} / {metric.unit}" if metric.unit else metric.label
        rows.append(
            {
                "label": label,
                "help": metric.help,
                "n": said.thousands(known.size),
                "least": least,
                "p5": p5,
                "median": middle,
                "p95": p95,
                "most": most,
                "newest": metric.text(float(np.median(known[-NEWEST:])), False),
            }
        )
    return rows


def thresholds(overview: Overview, cut: Cut) -> dict[str, Any]:
    """The thresholds in force, what each leaves by itself, and what all leave together."""
    rows = []
    for key, bounds in cut.items():
        metric = overview.metrics.get(key)
        if metric is None:
            continue  # of a step that the workflow does not have
        alone = overview.count({key: bounds})
        rows.append((_words(metric, bounds), *(said.thousands(n) for n in (alone.accepted, alone.outside))))
    all_ = overview.count(cut)
    return {
        "rows": rows,
        "accepted": said.thousands(all_.accepted),
        "outside": said.thousands(all_.outside),
        "share": said.share(all_.accepted, len(overview)),
    }


def astigmatism(overview: Overview, cut: Cut) -> Any:
    """The polar chart of astigmatism; empty where the workflow measures none."""
    if not {"astigmatism", "angle"} <= overview.metrics.keys():
        return ""
    metric = overview.metrics["astigmatism"]
    values = overview.values["astigmatism"] * metric.factor
    if not np.isfinite(values).any():
        return ""
    bounds = _shown(metric, cut.get("astigmatism", (None, None)))
    scale = Axis.of(metric.label, values, metric.unit, bounds)
    radius = Axis(scale.label, 0.0, scale.high, scale.unit)
    return charts.polar("Astigmatism by direction", radius, values, overview.values["angle"], bounds[1])


def _shown(metric: Metric, bounds: Bounds) -> Bounds:
    low, high = (None if bound is None else bound * metric.factor for bound in bounds)
    return low, high


def _words(metric: Metric, bounds: Bounds) -> str:
    low, high = bounds
    least = f"{metric.text(low)} ≤ " if low is not None else ""
    most = f" ≤ {metric.text(high)}" if high is not None else ""
    return f"{least}{metric.label}{most}"
