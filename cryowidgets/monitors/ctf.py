"""The monitor of focus and resolution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from traitlets import Float

from cryowidgets.errors import ParameterError
from cryowidgets.monitors.base import Monitor, Reading
from cryowidgets.monitors.metric import most, reading
from cryowidgets.monitors.window import Points


class CtfMonitor(Monitor):
    """Defocus out of range, astigmatism, and fits that do not reach far: autofocus, stigmators, ice, the beam."""

    takes = ("defocus", "astigmatism", "resolution")

    defocus_min = Float(3000.0, min=0, max=500000, help="Least mean defocus that is right").tag(unit="Å")
    defocus_max = Float(40000.0, min=0, max=500000, help="Largest mean defocus that is right; 0: any").tag(unit="Å")
    astigmatism_max = Float(1500.0, min=0, max=100000, help="Largest difference of defocus U and V; 0: any").tag(
        unit="Å"
    )
    resolution_max = Float(8.0, min=0, max=100, help="Coarsest fit resolution, where no fit is coarser; 0: any").tag(
        unit="Å"
    )

    def check(self) -> None:
        super().check()
        if self.defocus_max and self.defocus_min > self.defocus_max:
            raise ParameterError(
                f"CtfMonitor.defocus_min {self.defocus_min:g} Å is above defocus_max {self.defocus_max:g} Å: nothing "
                "would be in range."
            )

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        if self.defocus_min or self.defocus_max:
            yield reading("defocus", news, self.defocus_min, most(self.defocus_max))
        if self.astigmatism_max:
            yield reading("astigmatism", news, high=self.astigmatism_max)
        if self.resolution_max:
            yield reading("resolution", news, high=self.resolution_max, blank=True)
