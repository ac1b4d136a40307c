"""How much contrast a micrograph has: a step of one file, as somebody outside would write it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from traitlets import Float, Int

from cryowidgets import Protocol
from cryowidgets.io import mrc
from cryowidgets.model import Item, Micrograph, Reject, column


@dataclass(frozen=True, kw_only=True)
class Contrast(Item):
    """A kind of item of our own: each field is a column of its table, and something to plot."""

    contrast: float = column("standard deviation of the micrograph, binned")
    skewness: float = column("third moment: negative where dark particles lie on a bright ground")


class MeasureContrast(Protocol):
    """Standard deviation and skewness of a micrograph after binning."""

    takes = Micrograph
    gives = Contrast

    binning = Int(4, min=1, max=64, help="Pixels that become one along each axis, to see past the noise").tag(unit="px")
    least = Float(0.0, min=0.0, help="Less contrast than this is rejected; 0 rejects nothing").tag(advanced=True)

    def process(self, micrograph, out):
        image = mrc.read(micrograph.path)
        n = self.binning
        height, width = (side // n * n for side in image.shape)
        small = image[:height, :width].reshape(height // n, n, width // n, n).mean((1, 3), dtype=np.float64)
        small -= small.mean()
        deviation = small.std()
        if deviation < self.least:
            return Reject(f"contrast {deviation:.3g} is less than {self.least:g}")
        return Contrast(contrast=deviation, skewness=float(np.mean(small**3) / deviation**3) if deviation else 0.0)
