"""The step that compares what two pickers have found."""

from __future__ import annotations

import math

import numpy as np
from traitlets import Enum, Float

from cryowidgets.errors import InputError
from cryowidgets.io import coordinates
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


class PickConsensus(Protocol):
    """Keep the particles that two pickers have both found, or those that either has.

    Two places within the radius are one particle, the nearest first, and stand at their mean. A particle has the score
    of the first picker where that has found it, since scales of scores differ.
    """

    takes = {"first": Picks, "second": Picks, "micrograph": Micrograph}
    gives = Picks

    radius = Float(30.0, min=0, max=1000, help="How far two places of one particle are apart at most").tag(unit="Å")
    keep = Enum(["both", "either"], "both", help="Particles that both pickers have found, or all")

    def process(self, first: Picks, second: Picks, micrograph: Micrograph, out: Out) -> Picks:
        size = picking.pixel_size(micrograph)
        one, two = _places(first, size), _places(second, size)
        found = pairs(one.places, two.places, self.radius / size)
        i, j = found.T
        places, scores = (one.places[i] + two.places[j]) / 2, one.scores[i]
        if self.keep == "either":
            alone = np.delete(np.arange(len(one)), i), np.delete(np.arange(len(two)), j)
            places = np.concatenate([places, one.places[alone[0]], two.places[alone[1]]])
            scores = np.concatenate([scores, one.scores[alone[0]], np.full(len(alone[1]), math.nan)])
        diameter = first.diameter if math.isfinite(first.diameter) else second.diameter
        return picking.picked(Coordinates(places, scores), micrograph, out, diameter, first.threshold)


def _places(picks: Picks, size: float) -> Coordinates:
    """The picks in px of a micrograph with `size` Å/px."""
    if not picks.pixel_size > 0:
        raise InputError(f"{picks.path} comes without a pixel size, so that its places cannot be compared.")
    return coordinates.read(picks.path).scaled(picks.pixel_size / size)
