"""Axes of charts: what a scale covers, where its ticks stand and what is written there."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600, 604800)
"""Seconds between ticks of time that people can read."""


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`, with its name and unit."""

    label: str
    low: float
    high: float
    unit: str = ""
    clock: bool = False
    """Whether the values are UTC seconds, to be written by the clock of this host"""

    @classmethod
    def of(cls, label: str, values: np.ndarray, unit: str = "", bounds: Iterable[float | None] = ()) -> Axis:
        """The scale of measured values: all but the odd ones far out, and thresholds where these are near.

        A single exposure gone wrong would else press all others into one line; `beyond` counts what is not shown.
        """
        known = values[np.isfinite(values)]
        if not known.size:
            return cls(label, 0.0, 1.0, unit)
        q0, q1, q99, q100 = (float(v) for v in np.percentile(known, [0, 1, 99, 100]))
        reach = max(q99 - q1, 1e-9 * max(abs(q1), abs(q99)), 1e-12)
        low, high = max(q0, q1 - 0.5 * reach), min(q100, q99 + 0.5 * reach)
        for bound in bounds:
            if bound is not None and math.isfinite(bound) and low - reach <= bound <= high + reach:
                low, high = min(low, bound), max(high, bound)
        pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
        wide_low = 0.0 if 0 <= low < 0.4 * high else low - pad
        return cls(label, wide_low, high + pad, unit)

    @classmethod
    def counts(cls, label: str, most: float, unit: str = "") -> Axis:
        """The scale of counts, from zero."""
        return cls(label, 0.0, 1.08 * most if most > 0 else 1.0, unit)

    @classmethod
    def times(cls, first: float, last: float, label: str = "acquired") -> Axis:
        """A scale of times, at least a minute long."""
        if last - first < 60:
            first, last = first - 30, last + 30
        return cls(label, first, last, zone(first), clock=True)

    @property
    def title(self) -> str:
        return f"{self.label} / {self.unit}" if self.unit and not self.clock else self.label

    def beyond(self, values: np.ndarray) -> int:
        """How many values lie outside of the scale."""
        return int(np.count_nonzero((values < self.low) | (values > self.high)))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Up to `most` places and what is written there."""
        return self._times(most) if self.clock else self._numbers(most)

    def _numbers(self, most: int) -> list[tuple[float, str]]:
        raw = (self.high - self.low) / max(most, 1)
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw * (1 - 1e-9))
        digits = max(0, -math.floor(math.log10(step) + 1e-9) + (round(step / size, 1) == 2.5))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(k * step, f"{k * step:.{digits}f}".replace("-", "−")) for k in range(first, last + 1)]

    def _times(self, most: int) -> list[tuple[float, str]]:
        step = next((s for s in STEPS if (self.high - self.low) / s <= most), STEPS[-1])
        offset = time.localtime(self.low).tm_gmtoff
        first = math.ceil((self.low + offset) / step) * step - offset
        found = []
        for at in np.arange(first, self.high + 1e-6, step):
            local = time.localtime(float(at))
            midnight = local.tm_hour == local.tm_min == 0
            found.append((float(at), f"{local.tm_mday} {MONTHS[local.tm_mon - 1]}" if midnight else _clock(local)))
        return found


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def zone(at: float | None = None) -> str:
    """This host's time zone at a time, with its distance from UTC: ``CET (UTC+1)``."""
    local = time.localtime(at)
    minutes = (local.tm_gmtoff or 0) // 60
    if not minutes:
        return "UTC"
    far = f"UTC{'+' if minutes > 0 else '−'}{abs(minutes) // 60}"
    far += f":{abs(minutes) % 60:02d}" if minutes % 60 else ""
    return f"{local.tm_zone} ({far})" if local.tm_zone.isalpha() else far


def _clock(local: time.struct_time) -> str:
    return f"{local.tm_hour:02d}:{local.tm_min:02d}"
