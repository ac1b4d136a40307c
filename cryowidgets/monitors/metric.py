"""Readings of the numbers of exposures, as `store.metrics` names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cryowidgets.monitors.base import Reading
from cryowidgets.monitors.window import Points
from cryowidgets.store.metrics import METRICS


def reading(
    key: str, news: Mapping[str, Points], low: float = -math.inf, high: float = math.inf, **more: Any
) -> Reading:
    """What is allowed of one number of exposures, in the units of the ledger."""
    metric = METRICS[key]
    return Reading(
        key,
        metric.label,
        news.get(key, Points(exposures=True)),
        low,
        high,
        unit=metric.unit,
        factor=metric.factor,
        digits=metric.digits,
        **more,
    )


def most(limit: float) -> float:
    """A largest value as a trait has it, where 0 stands for any."""
    return limit or math.inf
