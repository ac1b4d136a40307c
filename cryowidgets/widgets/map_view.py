"""`MapView`: a map of a particle as a surface that can be turned, and as three slices through it.

All is drawn by the browser's processor: nothing is loaded from anywhere, and a display without a graphics card shows
the same as one with it.
"""

from __future__ import annotations

import numpy as np
from traitlets import Unicode

from cryowidgets.widgets import ramp
from cryowidgets.widgets.part import Part, esm
from cryowidgets.widgets.solid import Solid


class MapView(Part):
    """Shows a `Solid`.

    Parameters
    ----------
    nothing : str
        What to say where there is nothing to show.
    """

    _esm = esm("slider.js", "picture.js", "surface.js", "map_view.js")

    empty = Unicode().tag(sync=True)

    def __init__(self, nothing: str) -> None:
        self.shown: Solid | None = None
        """What is shown."""
        self._watched = False
        super().__init__(empty=nothing)

    def show(self, solid: Solid | None) -> None:
        """Show another one; the same again is not sent again."""
        if (solid and solid.key) == (self.shown and self.shown.key):
            return
        self.shown = solid
        if self._watched:
            self._tell()

    def _tell(self) -> None:
        solid = self.shown
        if solid is None:
            self.send({"type": "none", "word": self.empty})
            return
        coats = [
            {
                "name": coat.name,
                "unit": coat.unit,
                "low": coat.low,
                "high": coat.high,
                "stops": list(ramp.STOPS[::-1] if coat.bright == "low" else ramp.STOPS),
            }
            for coat in solid.coats
        ]
        message = {
            "type": "map",
            "key": solid.key,
            "n": len(solid.values),
            "pixel": solid.pixel_size,
            "low": solid.low,
            "high": solid.high,
            "level": solid.level,
            "coats": coats,
        }
        values = np.ascontiguousarray(solid.values, "<u2").tobytes()
        self.send(message, buffers=[values, *(coat.values.tobytes() for coat in solid.coats)])

    def _receive(self, message: dict) -> None:
        if message.get("type") == "need":
            self._watched = True
            self._tell()
