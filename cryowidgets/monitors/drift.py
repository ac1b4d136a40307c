"""The monitor of motion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from traitlets import Float

from cryowidgets.monitors.base import Monitor, Reading
from cryowidgets.monitors.metric import reading
from cryowidgets.monitors.window import Points


class DriftMonitor(Monitor):
    """Specimens that do not rest: a stage that has not settled, a bad grid, a beam that charges it."""

    takes = ("drift", "early", "late", "local")

    drift_max = Float(45.0, min=0, help="Longest path of the whole frame; 0: any").tag(unit="Å")
    early_max = Float(0.0, min=0, help="Longest path in the first 4 e/Å²; 0: any").tag(unit="Å")
    late_max = Float(0.0, min=0, help="Longest path after that; 0: any").tag(unit="Å")
    local_max = Float(0.0, min=0, help="Largest motion of parts beside the whole frame, rms; 0: any").tag(unit="Å")

    def readings(self, news: Mapping[str, Points]) -> Iterable[Reading]:
        for key in self.takes:
            high = getattr(self, f"{key}_max")
            if high:
                yield reading(key, news, high=high)
