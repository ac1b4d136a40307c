"""The step that cuts picks by their score and by how much goes on there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from traitlets import Float

from cryowidgets.errors import ParameterError
from cryowidgets.io import coordinates
from cryowidgets.model import Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


class FilterPicks(Protocol):
    """Let those picks pass whose score and local power lie within limits, and draw them anew where some do not.

    The picker is not asked again, so that the limits can be moved while the session runs. A pick without a score, such
    as one by hand, is not judged by it; so it is with power.
    """

    takes = Picks
    gives = Picks

    score_min = Float(
        None, allow_none=True, min=-1e6, max=1e6, help="Least score, in the picker's own scale; none for no limit"
    )
    power_min = Float(0.0, min=0, max=1000, help="Least local power, of empty ice 1; 0 for no limit")
    power_max = Float(0.0, min=0, max=1000, help="Most local power: more is dirt or film; 0 for no limit")

    def check(self) -> None:
        if self.power_max and self.power_min > self.power_max:
            raise ParameterError(
                f"FilterPicks.power_min {self.power_min:g} is above power_max {self.power_max:g}: exchange them."
            )

    def process(self, picks: Picks, out: Out) -> Picks:
        found = coordinates.read(picks.path)
        keep = np.ones(len(found), bool)
        if self.score_min is not None:
            keep &= ~(found.scores < self.score_min)
        if self.power_min:
            keep &= ~(found.powers < self.power_min)
        if self.power_max:
            keep &= ~(found.powers > self.power_max)
        threshold = picks.threshold if self.score_min is None else self.score_min
        if keep.all():
            return replace(picks, threshold=threshold)
        return picking.again(picks, found.kept(keep), out, threshold=threshold)
