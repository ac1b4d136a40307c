"""The monitor of the session's pace."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from traitlets import Float, Int

from cryowidgets.monitors.base import NOW, Monitor, Reading, duration
from cryowidgets.monitors.window import Points
from cryowidgets.protocols.durations import Duration

_USUAL = 500
"""Newest movies whose pace is what is usual: a pace that has lasted for so many has become the usual one."""
_RISE_SAMPLES = 60
_SAMPLE_EVERY = 10.0


class PaceMonitor(Monitor):
    """No new movies, fewer than usual, or more than are processed.

    Nothing is said of silence while the stream is closed or paused, or before the first movie has come.
    """

    takes = ("silence", "acquired", "waiting")

    silence_max = Duration("15m", help="Longest time without a new movie; 0: any")
    drop_max = Float(
        50.0, min=0, max=100, help="How far the pace of the newest movies may fall below the usual one; 0: any"
    ).tag(unit="%")
    backlog_max = Int(500, min=0, help="Movies that may wait to be processed; 0: any")
    growth_max = Float(
        60.0, min=0, help="How fast the number of those that wait may grow over ten minutes; 0: any"
    ).tag(unit="movies/h")
    few = Int(50, min=0, help="Where fewer wait than this, it does not matter that they become more").tag(advanced=True)

    def __init__(self, **values) -> None:
        super().__init__(**values)
        self._times = np.zeros(0)
        self._waiting: list[tuple[float, float]] = []

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        if self.silence_max:
            yield self._silence(news.get("silence", Points()))
        if self.drop_max:
            yield self._rate(news.get("acquired", Points()))
        waiting = news.get("waiting", Points())
        if self.backlog_max:
            yield Reading(
                "backlog",
                "number of movies that wait",
                waiting,
                high=self.backlog_max,
                digits=0,
                window=NOW,
                margin=0.2,
            )
        if self.growth_max:
            yield self._growth(waiting)

    def _silence(self, points: Points) -> Reading:
        seconds = float(points.values[-1]) if len(points) else math.nan
        said = f"No new movie for {duration(seconds)}{points.texts[-1] if points.texts else ''}." if seconds > 0 else ""
        return Reading(
            "silence",
            "time without a new movie",
            points,
            high=self.silence_max,
            unit="s",
            digits=0,
            window=NOW,
            worst_high=4 * self.silence_max,
            said=said,
            over="Movies come again." if not points.texts or points.texts[-1] else "No movies are waited for any more.",
        )

    def _rate(self, points: Points) -> Reading:
        """The median interval of the newest movies against that of the newest 500: pauses do not count."""
        if len(points):
            self._times = np.unique(np.concatenate([self._times, points.times]))[-_USUAL - 1 :]
        steps = np.diff(self._times)
        value, at = math.nan, 0.0
        if steps.size >= 2 * self.window:
            usual, now = float(np.median(steps)), float(np.median(steps[-self.window :]))
            value, at = 100 * (usual / now - 1) if now > 0 else 0.0, float(self._times[-1])
        pace = 3600 / np.median(steps[-self.window :]) if value == value and value < 0 else math.nan
        return Reading(
            "rate",
            "change of the pace against the usual one",
            Points.at(at, value) if value == value else Points(),
            low=-self.drop_max,
            unit="%",
            digits=0,
            window=NOW,
            margin=0.2,
            said=f"Movies come at {pace:.0f} an hour, {-value:.0f} % fewer than usual." if pace == pace else "",
            over="Movies come at their usual pace again.",
        )

    def _growth(self, points: Points) -> Reading:
        """How fast the number that waits grew in both halves of the last ten minutes, as a burst is no trend; 0 where
        few wait."""
        for time, value in zip(points.times.tolist(), points.values.tolist(), strict=True):
            if not self._waiting or time - self._waiting[-1][0] >= _SAMPLE_EVERY:
                self._waiting = [*self._waiting, (time, value)][-_RISE_SAMPLES:]
        grown = Points()
        if len(self._waiting) >= _RISE_SAMPLES // 2:
            times, counts = np.array(self._waiting).T
            half = times.size // 2
            slope = 3600 * min(_slope(times[:half], counts[:half]), _slope(times[half:], counts[half:]))
            grown = Points.at(float(times[-1]), slope if counts[-1] > self.few else min(slope, 0.0))
        return Reading(
            "growth",
            "growth of the number of movies that wait",
            grown,
            high=self.growth_max,
            unit="movies/h",
            digits=0,
            window=NOW,
            margin=1.0,
            over="Movies are processed as fast as they come again.",
        )


def _slope(times: np.ndarray, values: np.ndarray) -> float:
    """Median of the slopes of all pairs."""
    first, second = np.triu_indices(times.size, 1)
    return float(np.median((values[second] - values[first]) / (times[second] - times[first])))
