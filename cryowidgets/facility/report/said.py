"""Numbers and times in words, as a report says them."""

from __future__ import annotations

import math
import time

NONE = "–"
"""What stands where there is no value."""
THIN = "\u202f"


def count(number: int) -> str:
    """``49 152``, with spaces that do not break a line."""
    return f"{number:,}".replace(",", THIN)


def some(number: int, one: str, many: str = "") -> str:
    """``1 movie``, ``2 movies``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """``12.5 %`` of a whole."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def number(value: float | None, digits: int = 1, unit: str = "") -> str:
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:.{digits}f}".replace("-", "−") + (f" {unit}" if unit else "")


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    whole = max(0, round(seconds))
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    for (name, length), (below, below_length) in zip(units, units[1:], strict=False):
        if whole >= length:
            rest = whole % length // below_length
            return f"{whole // length} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def when(seconds: float | None) -> str:
    """A time in UTC seconds by the clock of this host."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def size(bytes: float) -> str:
    """``3.4 TB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if bytes < 999.5 or unit == "TB":
            return f"{bytes:.3g} {unit}" if bytes < 999.5 else f"{bytes:,.0f} {unit}".replace(",", THIN)
        bytes /= 1000
    raise AssertionError("unreachable")
