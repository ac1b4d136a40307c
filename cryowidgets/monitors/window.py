"""The newest values of one quantity: by the time at which they were recorded, not by that at which they were done."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

KEPT = 3
"""A window is cut back once it holds so many times as many values as are judged."""


def _none(dtype: type) -> np.ndarray:
    return np.zeros(0, dtype)


@dataclass(frozen=True)
class Points:
    """Values that are new, in the order in which they were written down.

    Attributes
    ----------
    ids : int64 (n,)
        Of exposures or of samples. A value of an id that was there before takes its place.
    times : float64 (n,)
        UTC s; when the exposure was acquired, or the sample taken.
    values : float64 (n,)
    groups : int64 (n,)
        Optics group of each exposure; or 0.
    exposures : bool
        Whether the ids are those of exposures.
    label : str
        What they are of where there are several, for instance a disk's place.
    texts : tuple of str
        Words that came with them.
    """

    ids: np.ndarray = field(default_factory=lambda: _none(np.int64))
    times: np.ndarray = field(default_factory=lambda: _none(np.float64))
    values: np.ndarray = field(default_factory=lambda: _none(np.float64))
    groups: np.ndarray = field(default_factory=lambda: _none(np.int64))
    exposures: bool = False
    label: str = ""
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def with_values(self, values: np.ndarray) -> Points:
        """Other values of the same."""
        return Points(self.ids, self.times, values, self.groups, self.exposures, self.label, self.texts)

    @classmethod
    def at(cls, time: float, value: float, label: str = "", text: str = "") -> Points:
        """One value of now."""
        id = np.array([int(time * 1000)], np.int64)
        return cls(id, np.array([time]), np.array([value], float), np.zeros(1, np.int64), False, label, (text,))


class Window:
    """The newest values; however many came, only as many are kept as are judged a few times over."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[float, float]] = {}

    def add(self, points: Points, size: int) -> None:
        """Take in what is new, and let go of what is older than the newest `size`."""
        for id, time, value in zip(points.ids.tolist(), points.times.tolist(), points.values.tolist(), strict=True):
            self._values[id] = (time, value)
        if len(self._values) > KEPT * size:
            newest = sorted(self._values.items(), key=lambda item: (item[1][0], item[0]))[-size:]
            self._values = dict(newest)

    def newest(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, times and ids of the newest, oldest first."""
        found = sorted((time, id, value) for id, (time, value) in self._values.items())[-size:]
        times, ids, values = zip(*found, strict=True) if found else ((), (), ())
        return np.array(values, float), np.array(times, float), np.array(ids, np.int64)


class Reference:
    """What was usual when the session began: the median of the first values of each optics group.

    It is not that of the last hour, which would follow whatever goes wrong slowly.
    """

    def __init__(self) -> None:
        self._first: dict[int, dict[int, float]] = {}

    def relative(self, points: Points, count: int) -> np.ndarray:
        """Values over that of their group's first `count`; NaN as long as there are no more than these."""
        for id, group, value in zip(points.ids.tolist(), points.groups.tolist(), points.values.tolist(), strict=True):
            first = self._first.setdefault(group, {})
            if value == value and (len(first) < count or id in first):
                first[id] = value
        usual = {group: self._median(group) for group in set(points.groups.tolist())}
        known = {group: len(self._first.get(group, ())) >= count for group in usual}
        return np.array(
            [
                value / usual[group] if known[group] and usual[group] > 0 and id not in self._first[group] else np.nan
                for id, group, value in zip(
                    points.ids.tolist(), points.groups.tolist(), points.values.tolist(), strict=True
                )
            ],
            float,
        )

    def usual(self, group: int) -> float:
        """The usual value of a group; NaN where it has none yet."""
        return self._median(group)

    def _median(self, group: int) -> float:
        first = self._first.get(group)
        return float(np.median(list(first.values()))) if first else np.nan
