"""Durations as people write them: ``1d 2h 30m 5s``, or plain seconds."""

from __future__ import annotations

import re
from typing import Any

from traitlets import TraitType

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])")


def seconds(text: str | float) -> float:
    """Seconds of a duration: ``"1d 2h 30m 5s"`` in any selection of the units, ``"90"``, or a number.

    Raises
    ------
    ValueError
        It is not a duration.
    """
    if isinstance(text, bool):
        raise ValueError(_message(text))
    if isinstance(text, (int, float)):
        value = float(text)
    else:
        bare = text.strip().lower()
        parts = _PART.findall(bare)
        if parts and not _PART.sub("", bare).strip():
            if len({unit for _, unit in parts}) < len(parts):
                raise ValueError(_message(text))
            value = sum(float(number) * _UNITS[unit] for number, unit in parts)
        else:
            try:
                value = float(bare)
            except ValueError:
                raise ValueError(_message(text)) from None
    if not 0 <= value < float("inf"):
        raise ValueError(_message(text))
    return value


def text(duration: float) -> str:
    """A duration in seconds as a person would write it, ``"2h 30m"``; whole seconds from a minute on."""
    if duration < 60:
        return f"{duration:g}s"
    rest, parts = round(duration), []
    for unit, length in _UNITS.items():
        count, rest = divmod(rest, int(length))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)


class Duration(TraitType):
    """A trait that holds seconds and takes durations as people write them."""

    info_text = "a duration such as '12h', '1d 2h 30m 5s' or '30' (seconds)"

    def __init__(self, default: str | float = 0, **kwargs: Any) -> None:
        super().__init__(seconds(default), **kwargs)

    def validate(self, obj: Any, value: Any) -> float:
        try:
            return seconds(value)
        except (ValueError, TypeError, AttributeError):
            self.error(obj, value)

    def from_string(self, s: str) -> float:
        return seconds(s)


def _message(text: object) -> str:
    return f"{text!r} is not a duration: write for instance '12h', '1d 2h 30m 5s' or '30' (seconds)"
