"""The monitor of the number of particles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from traitlets import Float, Int

from cryowidgets.monitors.base import Monitor, Reading
from cryowidgets.monitors.metric import reading
from cryowidgets.monitors.window import Points, Reference


class ParticlesMonitor(Monitor):
    """Micrographs on which hardly anything is found any more: empty ice, thick ice, a picker that fails."""

    takes = ("picks",)
    first = 1000

    drop_max = Float(
        70.0, min=1, max=100, help="How much fewer particles than at the beginning there may be in a micrograph"
    ).tag(unit="%")
    picks_min = Int(0, min=0, help="Least number of particles in a micrograph, whatever was before; 0: any")
    reference = Int(50, min=1, max=1000, help="First micrographs, whose median count is what is usual").tag(
        advanced=True
    )

    def __init__(self, **values) -> None:
        super().__init__(**values)
        self._usual = Reference()

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        picks = news.get("picks", Points(exposures=True))
        relative = 100 * (self._usual.relative(picks, self.reference) - 1)
        yield Reading(
            "collapse",
            "change of the number of particles since the beginning",
            picks.with_values(np.asarray(relative, float)),
            low=-self.drop_max,
            unit="%",
            digits=0,
        )
        if self.picks_min:
            yield reading("picks", news, low=self.picks_min)
