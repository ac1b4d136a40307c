"""Two sets of parameters over one session: what changed, exposure by exposure, and whether that is more than chance.

Exposures are paired by their movies. Of each number the median of the differences is told, with the interval that the
sign test leaves: it asks nothing of how differences are distributed, so a few wild ones do not matter. For n pairs it
reaches from the j-th smallest to the j-th largest difference, with j from the binomial distribution (Conover, Practical
Nonparametric Statistics, chapter 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.store.metrics import METRICS, Metric
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut

TURNS = {"angle": 180.0, "phase_shift": 180.0}
"""Angles that come back to the same after so many degrees."""


@dataclass(frozen=True)
class Difference:
    """One number over all pairs, in the unit in which people read it; second minus first."""

    metric: Metric
    names: list[str]
    first: np.ndarray
    """(n,)"""
    second: np.ndarray
    differences: np.ndarray
    median: float
    """of the differences"""
    low: float
    """where the median lies with the confidence asked for; NaN where there are too few pairs"""
    high: float
    p: float
    """of the sign test: how likely so many went one way by chance"""

    @property
    def better(self) -> int:
        """Pairs in which the second is the better one; 0 where it cannot be said what is better."""
        sign = {"low": -1, "high": 1, "": 0}[self.metric.better]
        return int(np.count_nonzero(sign * self.differences > 0))

    @property
    def worse(self) -> int:
        sign = {"low": -1, "high": 1, "": 0}[self.metric.better]
        return int(np.count_nonzero(sign * self.differences < 0))

    @property
    def verdict(self) -> str:
        """In a word: better, worse, different, or no difference, by the interval."""
        if math.isnan(self.low):
            return "too few to tell"
        if self.low <= 0 <= self.high:
            return "no difference"
        if not self.metric.better:
            return "different"
        return "better" if (self.median < 0) == (self.metric.better == "low") else "worse"


@dataclass(frozen=True)
class Changed:
    """An exposure that one side accepts and the other does not."""

    name: str
    first: bool
    second: bool
    why: str
    """what moved it across, in words"""


@dataclass(frozen=True)
class Compared:
    """Two sessions over the same movies."""

    names: tuple[str, str]
    pairs: int
    alone: tuple[int, int]
    """exposures that only one of them has"""
    settings: dict[str, dict[str, tuple[Any, Any]]]
    """parameters that differ, by step and name; None for a step or parameter that one does not have"""
    differences: dict[str, Difference]
    cut: Cut
    accepted: tuple[int, int]
    changed: list[Changed]
    cost: dict[str, tuple[float, float]] = field(default_factory=dict)
    """seconds that the tasks of each step took"""


def compare(first: Reader, second: Reader, cut: Cut | None = None, confidence: float = 0.95) -> Compared:
    """Compare two projects over the same movies.

    Parameters
    ----------
    cut : Cut, optional
        Thresholds for both; by default those of the first project.
    confidence : float
        Of the intervals.

    Raises
    ------
    ProjectError
        They have no movie in common.
    """
    views = Overview(), Overview()
    for view, reader in zip(views, (first, second), strict=True):
        view.refresh(reader)
    rows = _pairs(first, second, views)
    if not len(rows[0]):
        raise ProjectError(f"{first.folder} and {second.folder} have no movie in common: nothing can be compared.")
    cut = first.thresholds() if cut is None else cut
    names = [views[0].names[row] for row in rows[0]]
    found = {}
    for key, metric in METRICS.items():
        if key in views[0].metrics and key in views[1].metrics and key != "latency":
            difference = _difference(metric, names, views, rows, confidence)
            if len(difference.differences):
                found[key] = difference
    accepted = [view.accepted(cut)[row] for view, row in zip(views, rows, strict=True)]
    changed = [
        Changed(name, bool(a), bool(b), _why(cut, views, (int(r), int(s))))
        for name, a, b, r, s in zip(names, *accepted, *rows, strict=True)
        if a != b
    ]
    return Compared(
        names=(first.settings()["name"], second.settings()["name"]),
        pairs=len(names),
        alone=(len(views[0]) - len(names), len(views[1]) - len(names)),
        settings=_settings(first, second),
        differences=found,
        cut=cut,
        accepted=(int(accepted[0].sum()), int(accepted[1].sum())),
        changed=changed,
        cost=_cost(first, second),
    )


def interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Where the median of what values are drawn from lies, by the sign test; NaN where they are too few to tell."""
    from scipy.special import bdtr

    n = len(values)
    ranks = np.arange(n // 2)
    allowed = ranks[bdtr(ranks, n, 0.5) <= (1 - confidence) / 2]
    if not len(allowed):
        return math.nan, math.nan
    ordered = np.sort(values)
    j = int(allowed[-1])  # counted from 0
    return float(ordered[j]), float(ordered[n - 1 - j])


def sign_test(values: np.ndarray) -> float:
    """How likely at least so many of one sign are where either is as likely; ties say nothing."""
    from scipy.special import bdtr

    above, below = int(np.count_nonzero(values > 0)), int(np.count_nonzero(values < 0))
    if not above + below:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(above, below), above + below, 0.5)))


def _pairs(first: Reader, second: Reader, views: tuple[Overview, Overview]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the two, of the same movies, in the order of acquisition."""
    paths = [dict(reader.query("SELECT path, id FROM exposure ORDER BY acquired, id")) for reader in (first, second)]
    both = [path for path in paths[0] if path in paths[1]]
    rows = [np.array([view.row(known[path]) for path in both], int) for view, known in zip(views, paths, strict=True)]
    return rows[0], rows[1]


def _difference(
    metric: Metric,
    names: list[str],
    views: tuple[Overview, Overview],
    rows: tuple[np.ndarray, np.ndarray],
    confidence: float,
) -> Difference:
    a, b = (view.values[metric.key][row] * metric.factor for view, row in zip(views, rows, strict=True))
    use = np.isfinite(a) & np.isfinite(b)
    a, b = a[use], b[use]
    differences = b - a
    turn = TURNS.get(metric.key)
    if turn:
        differences = (differences + turn / 2) % turn - turn / 2
    low, high = interval(differences, confidence)
    return Difference(
        metric,
        [name for name, used in zip(names, use, strict=True) if used],
        a,
        b,
        differences,
        float(np.median(differences)) if len(differences) else math.nan,
        low,
        high,
        sign_test(differences),
    )


def _why(cut: Cut, views: tuple[Overview, Overview], rows: tuple[int, int]) -> str:
    """What moved an exposure across: states that differ, and bounded numbers that crossed."""
    said = []
    states = [STATES[view.state[row]] for view, row in zip(views, rows, strict=True)]
    if states[0] != states[1]:
        said.append(f"{states[0]} → {states[1]}")
    for key, (low, high) in cut.items():
        values = [
            view.values[key][row] if key in view.values else math.nan for view, row in zip(views, rows, strict=True)
        ]
        within = [v == v and (low is None or v >= low) and (high is None or v <= high) for v in values]
        if within[0] != within[1]:
            metric = METRICS[key]
            said.append(f"{metric.label} {metric.text(values[0], unit=False)} → {metric.text(values[1])}")
    return ", ".join(said)


def _settings(first: Reader, second: Reader) -> dict[str, dict[str, tuple[Any, Any]]]:
    steps = first.steps(), second.steps()
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for name in dict.fromkeys([*steps[0], *steps[1]]):
        params = [known[name].params if name in known else {} for known in steps]
        other = {
            key: (params[0].get(key), params[1].get(key))
            for key in dict.fromkeys([*params[0], *params[1]])
            if params[0].get(key) != params[1].get(key)
        }
        if other:
            found[name] = other
    return found


def _cost(first: Reader, second: Reader) -> dict[str, tuple[float, float]]:
    sql = (
        "SELECT s.name, total(t.finished - t.started) FROM task t JOIN step s ON s.id = t.step "
        "WHERE t.state IN ('done', 'rejected') AND t.started IS NOT NULL GROUP BY s.id"
    )
    known = dict(first.query(sql)), dict(second.query(sql))
    return {
        name: (known[0].get(name, 0.0), known[1].get(name, 0.0))
        for name in dict.fromkeys([*first.steps(), *second.steps()])
        if name in known[0] or name in known[1]
    }
