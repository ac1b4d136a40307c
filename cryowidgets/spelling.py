"""Numbers, counts, sizes and lengths of time as people read them, on pages and on paper alike."""

from __future__ import annotations

import math

NONE = "–"
"""What stands where there is no value."""
THIN = "\u202f"
"""A space within a number, at which no line breaks."""


def number(value: float | None, digits: int = 1, unit: str = "", scale: float = 1.0) -> str:
    """A measured value with its unit, a dash where it could not be measured."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value * scale:.{digits}f}".replace("-", "−") + (f" {unit}" if unit else "")


def thousands(number: int) -> str:
    """``49 152``."""
    return f"{number:,}".replace(",", THIN)


def count(number: int, one: str, many: str = "") -> str:
    """``1 movie``, ``2 movies``."""
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


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


def size(bytes: float) -> str:
    """``3.4 TB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if bytes < 999.5 or unit == "TB":
            return f"{bytes:.3g} {unit}" if bytes < 999.5 else f"{bytes:,.0f} {unit}".replace(",", THIN)
        bytes /= 1000
    raise AssertionError("unreachable")
