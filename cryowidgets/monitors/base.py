"""What a monitor is: thresholds as traits, and one method that says which numbers it watches and what is allowed.

A monitor of one's own is a class and a line:

    class Humidity(Monitor):
        '''Damp air in the room.'''

        takes = ("system.humidity",)
        most = Float(60.0, min=0, max=100, help="Humidity from which on ice grows").tag(unit="%")

        def readings(self, news):
            yield Reading("humidity", "humidity", news["system.humidity"], high=self.most, unit="%")

    [project.entry-points."cryowidgets.monitors"]
    humidity = "mine.humidity:Humidity"

It reads no file and no ledger and knows no clock but `now`. What may stand in `takes`, `feeds.py` says. The rule is the
same for all quantities: of the newest `window` values, as many as `share` must be out of range for an alert to open,
and no more than `clear` for it to end; once ended it stays quiet for `cooldown`. The limit never moves, whatever the
values were: what is wrong again is said again, and what came back into range is said to be over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from traitlets import Enum, Float, Int

from cryowidgets.errors import ParameterError
from cryowidgets.model import NAN
from cryowidgets.monitors.window import Points, Window
from cryowidgets.protocols.durations import Duration, text
from cryowidgets.protocols.parameters import Parametrised
from cryowidgets.store.alerts import LEVELS, Alert, Clear, Raise

NOW = 1
"""Window of a quantity that is judged by its present value alone."""


@dataclass(frozen=True)
class Reading:
    """New values of one quantity, and what is allowed of it."""

    key: str
    """Tells it from the monitor's other quantities, also those of other disks and workers."""
    label: str
    """In the middle of a sentence: ``fit resolution``."""
    points: Points
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    factor: float = 1.0
    """A value for people is the value times this."""
    digits: int = 1
    window: int | None = None
    """Values that are judged; by default as many as the monitor's trait says, `NOW` for the last one alone."""
    margin: float = 0.0
    """How far a value must be inside the limit for an alert to end, as a share of the limit."""
    worst_low: float = -math.inf
    worst_high: float = math.inf
    """Beyond these the alert is an alarm, whatever the monitor's level."""
    blank: bool = False
    """Whether a value that is missing is out of range; else it does not count."""
    word: bool = False
    """Whether it is a word that somebody else says, 1 where there is one, and no measured value."""
    said: str = ""
    """The sentence of the alert, in place of the usual one."""
    over: str = ""
    """The sentence of its end, likewise."""

    def spell(self, value: float) -> str:
        """A value for people."""
        if math.isnan(value):
            return "none"
        if math.isinf(value):
            return "any" if value < 0 else "never"
        shown = f"{value * self.factor:.{self.digits}f}".replace("-", "−")
        return f"{shown} {self.unit}".strip()


@dataclass(frozen=True)
class Watched:
    """How one quantity stands: its newest values against its limits."""

    reading: Reading
    values: np.ndarray
    """(n,) of the window, oldest first"""
    times: np.ndarray
    """(n,) UTC s"""
    out: np.ndarray
    """(n,) bool"""
    needed: int
    """values that must be there before anything is said"""
    exposure: int | None
    """the newest that is out of range, or the newest of all"""

    @property
    def share(self) -> float:
        """Part of the window that is out of range; NaN where there is nothing yet."""
        return float(self.out.mean()) if self.out.size else NAN

    @property
    def middle(self) -> float:
        """Median of the window."""
        known = self.values[np.isfinite(self.values)]
        return float(np.median(known)) if known.size else NAN


class Monitor(Parametrised):
    """Base of all monitors; see the module's text for what a subclass writes."""

    takes: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that it is given, see `feeds.py`."""
    first: ClassVar[int] = 0
    """How many of the session's first values it is given again when an engine starts, beside the newest."""

    window = Int(25, min=1, max=1000, help="Newest values that are judged together").tag(advanced=True, group="Rule")
    share = Float(50.0, min=0.1, max=100, help="Part of them out of range from which on there is an alert").tag(
        unit="%", advanced=True, group="Rule"
    )
    clear = Float(20.0, min=0, max=100, help="Part of them out of range up to which an alert ends").tag(
        unit="%", advanced=True, group="Rule"
    )
    cooldown = Duration("5m", help="How long an alert that ended is not opened again").tag(advanced=True, group="Rule")
    level = Enum(LEVELS, default_value="warning", help="How bad an alert of this monitor is").tag(
        advanced=True, group="Rule"
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._windows: dict[str, Window] = {}
        self._open: dict[str, int] = {}
        self._ended: dict[str, float] = {}
        self._watched: dict[str, Watched] = {}

    def check(self) -> None:
        if self.clear >= self.share:
            raise ParameterError(
                f"{type(self).__name__}.clear {self.clear:g} % is not less than share {self.share:g} %: an alert would "
                "open and end with every value. Write a smaller clear."
            )

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        """What it watches now: a `Reading` of each quantity that has a limit, with the values that are new.

        Parameters
        ----------
        news : mapping
            `Points` by each name of `takes`; empty where nothing is new or the workflow has no such number.
        """
        raise NotImplementedError(f"{type(self).__name__} has no readings()")

    def restore(self, alerts: Iterable[Alert]) -> None:
        """Take up where another process ended: its alerts as the ledger has them, open ones and ended ones."""
        for alert in alerts:
            if alert.cleared is None:
                self._open[alert.key] = alert.rank
            else:
                self._ended[alert.key] = max(alert.cleared, self._ended.get(alert.key, 0.0))

    def look(self, news: Mapping[str, Points], now: float) -> list[Raise | Clear]:
        """Judge what is new; the monitor's name in the answer is left to who asks.

        Parameters
        ----------
        news : mapping
            As `readings` takes them.
        now : float
            UTC s.
        """
        found: list[Raise | Clear] = []
        self._watched = {}
        for reading in self.readings(news):
            window = self._windows.setdefault(reading.key, Window())
            window.add(reading.points, reading.window or self.window)
            watched = self._watched[reading.key] = self._measure(reading, window)
            found += self._judge(watched, now)
        for key in [key for key in self._open if key not in self._watched]:
            found.append(self._end(key, "It is no longer watched.", now))
        return found

    def watched(self) -> list[Watched]:
        """How its quantities stood at the last look."""
        return list(self._watched.values())

    def _measure(self, reading: Reading, window: Window) -> Watched:
        size = reading.window or self.window
        values, times, ids = window.newest(size)
        low, high = reading.low, reading.high
        if reading.key in self._open and reading.margin:
            low += abs(low) * reading.margin if math.isfinite(low) else 0.0
            high -= abs(high) * reading.margin if math.isfinite(high) else 0.0
        blank = np.isnan(values)
        out = (values < low) | (values > high) | (blank & reading.blank)
        if not reading.blank:
            values, times, ids, out = (a[~blank] for a in (values, times, ids, out))
        which = ids[out] if out.any() else ids
        exposure = int(which[-1]) if which.size and reading.points.exposures else None
        return Watched(reading, values, times, out, max(1, size // 2), exposure)

    def _judge(self, watched: Watched, now: float) -> list[Raise | Clear]:
        reading, share = watched.reading, 100 * watched.share
        if watched.values.size < watched.needed:
            return []
        level = self._level(watched)
        before = self._open.get(reading.key)
        if before is None:
            quiet = now - self._ended.get(reading.key, -math.inf) < self.cooldown
            if share >= self.share and (not quiet or level == LEVELS[-1] != self.level):
                self._open[reading.key] = LEVELS.index(level)
                return [self._raise(watched, level)]
        elif share <= self.clear:
            return [self._end(reading.key, reading.over or _over(watched), now)]
        elif LEVELS.index(level) > before and share >= self.share:
            self._open[reading.key] = LEVELS.index(level)
            return [self._raise(watched, level)]
        return []

    def _level(self, watched: Watched) -> str:
        reading, middle = watched.reading, watched.middle
        return LEVELS[-1] if middle < reading.worst_low or middle > reading.worst_high else self.level

    def _raise(self, watched: Watched, level: str) -> Raise:
        reading = watched.reading
        limit = _limit(watched)
        said = reading.said or _said(watched, limit)
        return Raise("", reading.key, level, said, watched.middle, limit, watched.exposure)

    def _end(self, key: str, said: str, now: float) -> Clear:
        del self._open[key]
        self._ended[key] = now
        return Clear("", key, said)


def _limit(watched: Watched) -> float:
    """The limit that most of the values broke."""
    reading, out = watched.reading, watched.values[watched.out]
    above, below = int((out > reading.high).sum()), int((out < reading.low).sum())
    if not above and not below:
        return reading.high if math.isfinite(reading.high) else reading.low
    return reading.high if above >= below else reading.low


def _said(watched: Watched, limit: float) -> str:
    reading, n = watched.reading, watched.values.size
    side = "above" if limit == reading.high else "below"
    head = f"{reading.label[:1].upper()}{reading.label[1:]}"
    if n == 1:
        return f"{head} is {reading.spell(watched.middle)}, {side} {reading.spell(limit)}."
    blank = int(np.isnan(watched.values).sum())
    parts = [f"{int(watched.out.sum()) - blank} are {side} {reading.spell(limit)}"] if watched.out.sum() > blank else []
    if blank and reading.blank:
        parts.append(f"{blank} have none")
    both = math.isfinite(reading.low) and math.isfinite(reading.high)
    if both and len({v > reading.high for v in watched.values[watched.out] if not math.isnan(v)}) > 1:
        parts[0] = (
            f"{int(watched.out.sum()) - blank} are outside of {reading.spell(reading.low)} to "
            f"{reading.spell(reading.high)}"
        )
    middle = f"; the median is {reading.spell(watched.middle)}" if not math.isnan(watched.middle) else ""
    return f"{head}: of the newest {n} values {' and '.join(parts)}{middle}."


def _over(watched: Watched) -> str:
    reading, n = watched.reading, watched.values.size
    head = f"{reading.label[:1].upper()}{reading.label[1:]}"
    if n == 1:
        return f"{head} is {reading.spell(watched.middle)} again."
    return (
        f"{head} is in range again: {int(watched.out.sum())} of the newest {n} values are out of it; the median is "
        f"{reading.spell(watched.middle)}."
    )


def duration(seconds: float) -> str:
    """A duration for people: no more seconds than matter."""
    step = 1 if seconds < 600 else 60
    return text(float(step * round(seconds / step)))
