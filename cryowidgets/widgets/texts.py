"""Numbers, times and names as people read them: defocus in µm, local time, words instead of codes."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Iterable, Sequence

import numpy as np

# What is spelled alike on pages and on paper.
from cryowidgets.spelling import NONE, number
from cryowidgets.spelling import count as count
from cryowidgets.spelling import duration as duration


def micrometres(value: float | None, digits: int = 2, unit: str = "µm") -> str:
    """A length in Å as µm."""
    return number(value, digits, unit, 1e-4)


def nanometres(value: float | None, digits: int = 0, unit: str = "nm") -> str:
    """A length in Å as nm."""
    return number(value, digits, unit, 0.1)


def clock(seconds: float | None, date: bool = False) -> str:
    """A time in UTC seconds by the clock of this host."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    return time.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S", time.localtime(seconds))


def zone() -> str:
    """Name of this host's time zone."""
    return time.strftime("%Z") or "UTC"


def plot_times(seconds: Iterable[float]) -> np.ndarray:
    """UTC seconds as a Bokeh time axis wants them to show the clock of this host: milliseconds."""
    values = np.asarray(list(seconds) if not isinstance(seconds, np.ndarray) else seconds, dtype=np.float64)
    quarters, places = np.unique(np.nan_to_num(values) // 900, return_inverse=True)  # clocks are put on at a quarter
    offsets = np.array([time.localtime(quarter * 900).tm_gmtoff for quarter in quarters], dtype=np.float64)
    return (values + offsets[places]) * 1e3


def from_plot(milliseconds: float) -> float:
    """UTC seconds of a place on a time axis that `plot_times` has labelled."""
    local = milliseconds / 1e3
    return local - time.localtime(local - time.localtime(local).tm_gmtoff).tm_gmtoff


def thousands(number: int) -> str:
    """``49 000``, with a thin space."""
    return f"{number:,}".replace(",", "\u202f")


def distinct(names: Sequence[str]) -> list[str]:
    """Names without the words that all begin or end with: of a microscope's long names the part that tells.

    >>> distinct(["FoilHole_11_Data_5_fractions", "FoilHole_12_Data_7_fractions"])
    ['11_Data_5', '12_Data_7']
    """
    words = [name.split("_") for name in names]
    if len(words) < 2:
        return list(names)
    shortest = min(map(len, words)) - 1  # at least one word stays
    first = 0
    while first < shortest and len({w[first] for w in words}) == 1:
        first += 1
    last = 0
    while last < shortest - first and len({w[-1 - last] for w in words}) == 1:
        last += 1
    return ["_".join(w[first : len(w) - last]) for w in words]


def safe(text: object) -> str:
    """For HTML: names of files and messages of errors are other people's words."""
    return html.escape(str(text))


def heading(label: str, unit: str = "") -> str:
    """A label as a title begins with it: ``Drift, Å``."""
    return label[:1].upper() + label[1:] + (f", {unit}" if unit else "")
