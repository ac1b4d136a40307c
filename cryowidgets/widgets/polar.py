"""Astigmatism by its direction: how far the lens is off, and which way."""

from __future__ import annotations

import numpy as np

from cryowidgets.widgets import figures
from cryowidgets.widgets.colours import PURPLE
from cryowidgets.widgets.look import Look

MOST = 1000
"""Points: of more only every so many."""


class PolarPlot:
    """Vectors of twice the angle, as 0° and 180° are the same astigmatism; in nm."""

    def __init__(self) -> None:
        self.plot = figures.polar()
        self._rows: np.ndarray = np.zeros(0, dtype=np.int64)

    def draw(self, look: Look) -> None:
        """Draw the exposures of a stretch."""
        overview = look.overview
        if not {"astigmatism", "angle"} <= overview.metrics.keys():
            return
        metric = overview.metrics["astigmatism"]
        known = np.isfinite(overview.values["astigmatism"]) & np.isfinite(overview.values["angle"])
        rows = look.rows[known[look.rows]]
        rows = rows[:: max(1, -(-len(rows) // MOST))]
        self._rows = rows
        length = overview.values["astigmatism"][rows] * metric.factor
        angle = np.radians(2 * overview.values["angle"][rows])
        rings = _rings(float(np.percentile(length, 98)) if len(rows) else 0.0)
        count = len(rows)
        ring, label = np.full(count, np.nan), [""] * count
        for place, radius in enumerate(rings[:count]):
            ring[place], label[place] = radius, f"{radius:g}"
        self.plot.replace(
            {
                "id": overview.id[rows],
                "x": length * np.cos(angle),
                "y": length * np.sin(angle),
                "ring": ring,
                "colour": look.colours(rows, PURPLE),
                "name": [
                    f"{long:.0f} nm at {at:.0f}° · {overview.names[row]}"
                    for long, at, row in zip(length, overview.values["angle"][rows], rows, strict=True)
                ],
                "label": label,
            }
        )
        if count:
            x, y = float(np.median(length * np.cos(angle))), float(np.median(length * np.sin(angle)))
            towards = np.degrees(np.arctan2(y, x)) / 2 % 180
            self.plot.note = f"{np.hypot(x, y):.0f} nm, {towards:.0f}°"

    def mark(self, look: Look, exposures: np.ndarray) -> None:
        """Ring exposures."""
        shown = look.overview.id[self._rows]
        self.plot.mark(shown[np.isin(shown, exposures)].tolist())


def _rings(most: float) -> list[float]:
    """Two round radii within a length."""
    if most <= 0:
        return []
    step = 10.0 ** np.floor(np.log10(most / 2))
    step *= max(m for m in (1, 2, 5) if m * step <= most / 2)
    return [step, 2 * step]
