"""What part of a session is looked at and how it is drawn: the stretch of time, points or bins, the colours.

A stretch with at most `KEEP` exposures is drawn as points, a longer one as `BINS` bins of equal length, each with its
least, mean and largest value. Where nothing was recorded nothing is drawn, so pauses stay visible.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cryowidgets.store.overview import Overview
from cryowidgets.widgets import texts
from cryowidgets.widgets.colours import GREY, GROUPS
from cryowidgets.widgets.figures import KEEP

BINS = 500
HOUR = 3600.0
BARS = 120
"""Bars of movies per hour, at most."""
ENOUGH = 6
"""Movies in a bar, at least, on the average: of fewer a rate says little."""
PAUSE = 120.0
"""Seconds without any movie that are a pause, at least."""
SPANS = (60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds that a bar may last."""


@dataclass(frozen=True)
class Look:
    """One stretch of a session.

    Parameters
    ----------
    overview : Overview
    first, last : float
        From when to when, UTC s.
    by : str
        By which grouping points are coloured; empty for none.
    """

    overview: Overview
    first: float
    last: float
    by: str = ""
    groups: tuple[int, ...] = field(init=False, default=())
    """Codes of the groups that have a colour, the newest first."""

    def __post_init__(self) -> None:
        if self.by:
            codes = self.overview.groups(self.by)[0][self.rows][::-1]
            known, places = np.unique(codes[codes >= 0], return_index=True)
            newest = known[np.argsort(places)][: len(GROUPS)]
            object.__setattr__(self, "groups", tuple(newest.tolist()))

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the overview in this stretch."""
        acquired = self.overview.acquired
        return np.flatnonzero((acquired >= self.first) & (acquired <= self.last))

    @cached_property
    def binned(self) -> bool:
        return len(self.rows) > KEEP

    @property
    def stale(self) -> float:
        """Seconds that a drawing of a long stretch stays as it is while nothing but data comes: a twentieth of a bin.

        Nobody sees the difference, and the cost for a movie no longer grows with the session. 0 below half a day.
        """
        part = (self.last - self.first) / BINS / 20
        return min(30.0, part) if part > 4 else 0.0

    @property
    def span(self) -> tuple[float, float]:
        """The time axis, as `LivePlot.view` takes it."""
        margin = 0.015 * max(self.last - self.first, 60.0)
        start, end = texts.plot_times([self.first - margin, self.last + margin])
        return float(start), float(end)

    def colours(self, rows: np.ndarray, otherwise: str) -> list[str]:
        """A colour for each row; `otherwise` where they are not told apart."""
        if not self.by:
            return [otherwise] * len(rows)
        palette = {code: colour for code, colour in zip(self.groups, GROUPS, strict=False)}
        return [palette.get(code, GREY) for code in self.overview.groups(self.by)[0][rows].tolist()]

    def legend(self) -> dict[str, str]:
        """Colour by name of group, the newest first."""
        if not self.by:
            return {}
        labels = self.overview.groups(self.by)[1]
        return {labels[code]: colour for code, colour in zip(self.groups, GROUPS, strict=False)}


def points(look: Look, keys: list[str], rows: np.ndarray, colour: str) -> dict[str, Any]:
    """Columns of a figure `series`: one point for each row; of `keys` the first is its value, the others beside it."""
    overview = look.overview
    nothing = np.full(len(rows), np.nan)
    columns = {"value": keys[0], **{key: key for key in keys[1:]}}
    return {
        "id": overview.id[rows],
        "time": texts.plot_times(overview.acquired[rows]),
        **{name: overview.values[key][rows] * overview.metrics[key].factor for name, key in columns.items()},
        **dict.fromkeys(("low", "high", "width"), nothing),
        "name": [overview.names[row] for row in rows],
        "colour": look.colours(rows, colour),
    }


def bins(look: Look, keys: list[str], colour: str) -> dict[str, Any]:
    """Columns of a figure `series`: a row for each bin in which anything was measured; its id is an exposure of it."""
    overview, factor = look.overview, look.overview.metrics[keys[0]].factor
    found = overview.bins(keys[0], BINS, look.first, look.last)
    some = found.n > 0
    examples = _examples(look, keys[0])[some]
    others = {key: overview.bins(key, BINS, look.first, look.last).mean[some] * factor for key in keys[1:]}
    return {
        "id": overview.id[examples],
        "time": texts.plot_times(found.time[some]),
        "value": found.mean[some] * factor,
        **others,
        "low": found.low[some] * factor,
        "high": found.high[some] * factor,
        "width": np.full(len(examples), 1e3 * (look.last - look.first) / BINS),
        "name": [f"mean of {n} exposures" if n > 1 else "1 exposure" for n in found.n[some].tolist()],
        "colour": look.colours(examples, colour),
    }


def pace(look: Look, colour: str) -> dict[str, Any]:
    """Columns of a figure `series`: movies per hour, in bars that end with the newest; a bar of none stands at 0."""
    overview, rows = look.overview, look.rows
    long = max(look.last - look.first, 1.0)
    wanted = max(long / BARS, ENOUGH * long / max(len(rows), 1))
    width = next((span for span in SPANS if span >= wanted), SPANS[-1])
    count = max(1, int(np.ceil(long / width)))
    place = np.clip(count - 1 - np.floor((look.last - overview.acquired[rows]) / width), 0, count - 1).astype(np.int64)
    counted = np.bincount(place, minlength=count)
    covered = np.full(count, float(width))
    covered[0] = max(long - (count - 1) * width, 0.25 * width)  # the first bar begins with the session
    newest = np.full(count, -1)
    newest[place] = overview.id[rows]
    rate = counted * HOUR / covered
    middle = look.last - width * (np.arange(count)[::-1] + 0.5)
    return {
        "id": newest,
        "time": texts.plot_times(middle),
        "value": rate,
        "low": np.zeros(count),
        "high": rate,
        "width": np.full(count, 940.0 * width),
        "name": [f"{n} movies in {texts.duration(width)}" for n in counted.tolist()],
        "colour": [colour] * count,
    }


def pauses(look: Look) -> list[tuple[float, float]]:
    """When the microscope stood still, and for how long: UTC s and s, at least two minutes and five usual intervals."""
    times = np.sort(look.overview.acquired[look.rows])
    if len(times) < 3:
        return []
    steps = np.diff(times)
    long = np.flatnonzero(steps > max(PAUSE, 5 * float(np.median(steps))))
    return [(float(times[at]), float(steps[at])) for at in long]


def examples_of(look: Look, key: str, ids: np.ndarray) -> np.ndarray:
    """Which of the ids that `bins` gives have exposures among `ids` in their bin."""
    if not len(ids):
        return look.overview.id[:0]
    rows = look.rows[np.isin(look.overview.id[look.rows], ids)]
    hit = np.unique(_bin(look, rows))
    examples = _examples(look, key, hit if len(hit) == 1 else None)
    return look.overview.id[examples[hit][examples[hit] >= 0]]


def _examples(look: Look, key: str, only: np.ndarray | None = None) -> np.ndarray:
    """A row for each bin in which the number is known, −1 for the others; `only` one bin is looked into where told."""
    values = look.overview.values[key]
    rows = look.rows
    if only is not None:  # one exposure is in view, and another with each movie: not all bins for it
        width = max(look.last - look.first, 1.0) / BINS
        away = np.abs(look.overview.acquired[rows] - look.first - width * (only[0] + 0.5))
        rows = rows[away < width]
    rows = rows[np.isfinite(values[rows])]
    found = np.full(BINS, -1)
    found[_bin(look, rows)] = rows
    return found


def _bin(look: Look, rows: np.ndarray) -> np.ndarray:
    width = max(look.last - look.first, 1.0) / BINS
    return np.minimum((look.overview.acquired[rows] - look.first) // width, BINS - 1).astype(np.int64)
