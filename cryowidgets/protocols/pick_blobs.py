"""The step that picks particles by their size alone."""

from __future__ import annotations

import math

from traitlets import Bool, Enum, Float

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels import blobs
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


def _difference(protocol: PickBlobs) -> bool:
    return protocol.filter == "difference"


class PickBlobs(Protocol):
    """Pick particles as blobs of about their size: no templates, nothing to train.

    Scores are in standard deviations of the noise, so that one threshold holds for all micrographs of a session; the
    automatic one is what noise alone hardly reaches. Nothing is picked on carbon film and dirt, and where there are no
    particles there are no picks.
    """

    takes = Micrograph
    gives = Picks
    cites = (cites.LOG_PICKER, cites.DOG_PICKER)

    diameter = Float(150.0, min=10, max=3000, help="Diameter of the particles").tag(unit="Å")
    smallest = Float(0.0, min=0, max=3000, help="Diameter of the smallest; 0 for 0.8 of the diameter").tag(unit="Å")
    largest = Float(0.0, min=0, max=3000, help="Diameter of the largest; 0 for 1.2 of the diameter").tag(unit="Å")
    threshold = Float(0.0, min=0, max=100, help="Least score, in standard deviations of the noise; 0 to have it chosen")
    distance = Float(0.0, min=0, max=3000, help="Least distance of two particles; 0 for 0.6 of the mean diameter").tag(
        unit="Å", advanced=True
    )
    contrast = Enum(["dark", "bright"], "dark", help="How particles stand out; bright in stain").tag(advanced=True)
    filter = Enum(
        ["laplacian", "difference"], "laplacian", help="Laplacian of a Gaussian, or difference of two as of Appion"
    ).tag(advanced=True)
    ratio = Float(1.2, min=1.05, max=3, help="Ratio of the widths of the two Gaussians").tag(
        advanced=True, when=_difference
    )
    masked = Bool(True, help="Look for nothing on carbon film and dirt").tag(advanced=True)

    def check(self) -> None:
        super().check()
        smallest, largest = self.sizes
        if smallest > largest:
            said = f"PickBlobs.smallest {smallest:g} Å is above largest {largest:g} Å: exchange them, or write both."
            raise ParameterError(said)

    @property
    def sizes(self) -> tuple[float, float]:
        """Diameters of the smallest and of the largest particles, Å."""
        return self.smallest or 0.8 * self.diameter, self.largest or 1.2 * self.diameter

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        image, size = mrc.read(picking.searched(micrograph)), picking.pixel_size(micrograph)
        smallest, largest = self.sizes
        if min(image.shape) * size < 2 * largest:
            raise InputError(
                f"{picking.searched(micrograph)} is {min(image.shape) * size:.0f} Å wide, too little for particles of "
                f"{largest:g} Å: see whether its pixel size, {size:g} Å, is right."
            )
        found = blobs.find(
            image,
            size,
            smallest,
            largest,
            threshold=self.threshold or None,
            apart=self.distance,
            bright=self.contrast == "bright",
            ratio=self.ratio if self.filter == "difference" else 0.0,
            masked=self.masked,
        )
        diameter = math.sqrt(smallest * largest)
        threshold = found.threshold if math.isfinite(found.threshold) else math.nan
        return picking.picked(Coordinates(found.places, found.scores), micrograph, out, diameter, threshold)
