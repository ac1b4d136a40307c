"""The monitor of the gain in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from traitlets import Float

from cryowidgets.monitors.base import NOW, Monitor, Reading
from cryowidgets.monitors.window import Points


class GainMonitor(Monitor):
    """A gain reference that is old, of another camera, or the wrong way round, by what it leaves in the frames.

    It needs a step that estimates the gain from the movies. What the residual may be by chance alone is taken off it.
    """

    takes = ("gain.residual",)

    residual_max = Float(25.0, min=1, max=1000, help="Largest share of its pattern that the gain leaves in frames").tag(
        unit="%"
    )

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        points = news.get("gain.residual", Points())
        said = next((text for text in reversed(points.texts) if text), "") if len(points) else ""
        yield Reading(
            "residual",
            "gain pattern left in the frames",
            points.with_values(np.asarray(100 * points.values)),
            high=self.residual_max,
            unit="%",
            digits=0,
            window=NOW,
            margin=0.2,
            said=said,
            over="Frames are corrected well again: the gain in use fits the movies.",
        )
