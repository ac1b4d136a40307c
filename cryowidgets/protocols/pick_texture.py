"""The step that picks particles by their texture."""

from __future__ import annotations

import math

from traitlets import Bool, Enum, Float

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels import texture
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


class PickTexture(Protocol):
    """Pick particles as what looks unlike the ice around it, learnt anew from each micrograph: for a start.

    Nothing is asked for but a rough diameter. Windows that many others resemble, and those that few do, teach the two
    kinds. Scores are in standard deviations of the noise; nothing is picked on carbon film and dirt, and where there
    are no particles there are no picks. As a picker unlike others it is a good voice in a consensus.
    """

    takes = Micrograph
    gives = Picks
    cites = (cites.APPLE,)

    diameter = Float(150.0, min=10, max=3000, help="Rough diameter of the particles").tag(unit="Å")
    threshold = Float(0.0, min=0, max=200, help="Least score, in standard deviations of the noise; 0 to have it chosen")
    distance = Float(0.0, min=0, max=3000, help="Least distance of two particles; 0 for 0.6 of the diameter").tag(
        unit="Å", advanced=True
    )
    contrast = Enum(["dark", "bright"], "dark", help="How particles stand out; bright in stain").tag(advanced=True)
    masked = Bool(True, help="Look for nothing on carbon film and dirt").tag(advanced=True)

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        image, size = mrc.read(picking.searched(micrograph)), picking.pixel_size(micrograph)
        if min(image.shape) * size < 4 * self.diameter:
            raise InputError(
                f"{picking.searched(micrograph)} is {min(image.shape) * size:.0f} Å wide, too little to learn from it "
                f"what particles of {self.diameter:g} Å look like: see whether its pixel size, {size:g} Å, is right."
            )
        found = texture.find(
            image,
            size,
            self.diameter,
            threshold=self.threshold or None,
            apart=self.distance,
            bright=self.contrast == "bright",
            masked=self.masked,
        )
        threshold = found.threshold if math.isfinite(found.threshold) else math.nan
        return picking.picked(Coordinates(found.places, found.scores), micrograph, out, self.diameter, threshold)
