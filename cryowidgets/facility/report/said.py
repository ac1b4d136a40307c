"""Numbers and times in words, as a report says them."""

from __future__ import annotations

import math
import time

# What is spelled alike on pages and on paper.
from cryowidgets.spelling import NONE
from cryowidgets.spelling import count as count
from cryowidgets.spelling import duration as duration
from cryowidgets.spelling import number as number
from cryowidgets.spelling import size as size
from cryowidgets.spelling import thousands as thousands


def share(part: int, whole: int) -> str:
    """``12.5 %`` of a whole."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def when(seconds: float | None) -> str:
    """A time in UTC seconds by the clock of this host."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
