"""Thresholds: a view of the exposures, saved with the project, that deletes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cryowidgets.errors import ParameterError
from cryowidgets.store.metrics import METRICS

Cut = dict[str, tuple[float | None, float | None]]
"""Least and largest value of each bounded metric, in the ledger's units; None where that side is open."""

KEY = "thresholds"
"""Of the project's settings."""


def cut(values: Mapping[str, Sequence[Any]]) -> Cut:
    """Thresholds from what was sent or saved; sides that are open on both ends are left out.

    Raises
    ------
    ParameterError
        A name or a value that is none.
    """
    if not isinstance(values, Mapping):
        raise ParameterError(f"Thresholds are written as {{'drift': [null, 20]}}, not as {values!r}.")
    found: Cut = {}
    for key, bounds in values.items():
        if key not in METRICS:
            raise ParameterError(f"There is no number {key!r} to put a threshold on. There are: {', '.join(METRICS)}.")
        if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
            raise ParameterError(f"Threshold {key!r}: write the least and the largest value, not {bounds!r}.")
        low, high = (_bound(key, bound) for bound in bounds)
        if low is not None and high is not None and low > high:
            raise ParameterError(f"Threshold {key!r}: the least, {low:g}, is above the largest, {high:g}.")
        if low is not None or high is not None:
            found[key] = (low, high)
    return {key: found[key] for key in METRICS if key in found}


def dumps(thresholds: Cut) -> str:
    return json.dumps({key: list(bounds) for key, bounds in thresholds.items()})


def loads(text: str) -> Cut:
    return cut(json.loads(text)) if text else {}


def say(thresholds: Cut) -> str:
    """In words and in the units of people: ``drift ≤ 20.0 Å, 0.50 µm ≤ defocus ≤ 3.00 µm``."""
    said = []
    for key, (low, high) in thresholds.items():
        metric = METRICS[key]
        least = f"{metric.text(low)} ≤ " if low is not None and high is not None else ""
        most = f" ≤ {metric.text(high)}" if high is not None else f" ≥ {metric.text(low or 0.0)}"
        said.append(f"{least}{metric.label}{most}")
    return ", ".join(said) or "no thresholds"


def _bound(key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"Threshold {key!r}: {value!r} is not a number; write null for an open side.")
    return float(value) if math.isfinite(value) else None
