"""The monitor of ice and carbon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from traitlets import Float

from cryowidgets.monitors.base import Monitor, Reading
from cryowidgets.monitors.metric import reading
from cryowidgets.monitors.window import Points


class IceMonitor(Monitor):
    """Rings of crystalline ice, specimens too thick, and images full of carbon: time to go to another square."""

    takes = ("ice", "thickness", "carbon")

    ice_max = Float(2.0, min=0, help="Largest ice ring density; 0: any")
    thickness_max = Float(0.0, min=0, help="Thickest specimen, where that is measured; 0: any").tag(unit="Å")
    carbon_max = Float(0.0, min=0, max=1, help="Largest share of an image under carbon, from 0 to 1; 0: any")

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        for key in self.takes:
            high = getattr(self, f"{key}_max")
            if high:
                yield reading(key, news, high=high)
