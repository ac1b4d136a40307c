"""What steps that cut out particles have in common: how large the pictures are."""

from __future__ import annotations

import math

from traitlets import Int

from cryowidgets.errors import ParameterError
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols.base import Protocol


class Boxes(Protocol):
    """Base of such a step."""

    box = Int(0, min=0, max=4096, help="Side of the pictures; 0 for one and a half diameters of the picks").tag(
        unit="px"
    )
    scale = Int(0, min=0, max=4096, help="Reduce pictures to this side; 0 leaves them as they are").tag(unit="px")

    def check(self) -> None:
        super().check()
        name = type(self).__name__
        for side in ("box", "scale"):
            if getattr(self, side) % 2:
                raise ParameterError(f"{name}.{side} {getattr(self, side)} is odd: write an even one.")
        if self.box and self.scale > self.box:
            raise ParameterError(f"{name}.scale {self.scale} is larger than box {self.box}: pictures would grow.")

    def least(self, micrograph: Micrograph, picks: Picks) -> float:
        """Side in px that the diameter of the picks asks for, where none is told.

        Raises
        ------
        ParameterError
            The picks have no diameter.
        """
        if not (math.isfinite(picks.diameter) and picks.diameter > 0):
            raise ParameterError(
                f"{type(self).__name__}.box is 0 and the picks have no diameter: write the side of the box in px."
            )
        return 1.5 * picks.diameter / micrograph.pixel_size


def background(diameter: float, pixel_size: float, side: int) -> int:
    """Radius in px of the circle outside of which is background: a whole one, which is all that RELION takes.

    Parameters
    ----------
    diameter : float
        Of the circle, Å.
    pixel_size : float
        Å/px of the pictures as they are written.
    side : int
        Theirs, px: a circle that reaches beyond it would leave nothing.
    """
    return min(round(diameter / 2 / pixel_size), side // 2 - 1)
