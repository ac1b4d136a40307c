"""The monitor of the beam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from traitlets import Float, Int

from cryowidgets.monitors.base import NOW, Monitor, Reading
from cryowidgets.monitors.window import Points, Reference


class DoseMonitor(Monitor):
    """Counts that drift away from those at the beginning: a fading source, a lost beam, an aperture, a hole missed.

    Each optics group is compared with its own first movies, however long the session lasts, so a slow change is seen
    as well as a sudden one. What the step `DoseAnalysis` has to say of the dose is said here as well.
    """

    takes = ("counts", "dose.alert")
    first = 1000

    change_max = Float(
        10.0, min=0.1, max=1000, help="Largest change of the mean counts of a frame since the beginning"
    ).tag(unit="%")
    reference = Int(50, min=1, max=1000, help="First movies of an optics group, whose median is what is usual").tag(
        advanced=True
    )

    def __init__(self, **values) -> None:
        super().__init__(**values)
        self._usual = Reference()

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        counts = news.get("counts", Points(exposures=True))
        change = 100 * (self._usual.relative(counts, self.reference) - 1)
        yield Reading(
            "counts",
            "change of the mean counts since the beginning",
            counts.with_values(np.asarray(change, float)),
            -self.change_max,
            self.change_max,
            unit="%",
        )
        words = news.get("dose.alert", Points(exposures=True))
        said = words.texts[-1] if words.texts else ""
        yield Reading(
            "told",
            "what the step DoseAnalysis says",
            words,
            high=0.5,
            digits=0,
            word=True,
            window=NOW,
            said=said,
            over="The dose of the newest movies is as it was told.",
        )
