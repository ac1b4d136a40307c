"""The step that compares what several pickers have found."""

from __future__ import annotations

import math

import numpy as np
from traitlets import Enum, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels.pickconsensus import agree, jaccard
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.base import Maybe, Protocol
from cryowidgets.protocols.out import Out

_NEAR = 0.3
"""Parts of a diameter within which two places are one particle, where nobody says otherwise."""


class PickConsensus(Protocol):
    """Keep the particles that enough of two to five pickers have found.

    Places of different pickers within the radius of each other are one particle, the nearest first, and stand at their
    mean, in which precise pickers have more weight. Pixels of the pickers' micrographs may differ. Scales of scores
    differ as well: a particle's score is the chance that it is one, by how far the pickers confirm each other.
    """

    takes = {
        "first": Picks,
        "second": Picks,
        "micrograph": Micrograph,
        "third": Maybe(Picks),
        "fourth": Maybe(Picks),
        "fifth": Maybe(Picks),
    }
    gives = Picks
    cites = (cites.COMPLETE_LINKAGE,)

    votes = Int(0, min=0, max=5, help="How many pickers must have found a particle; 0 for all of them, 1 for any")
    radius = Float(
        0.0, min=0, max=1000, help="How far two places of one particle are apart at most; 0 for 0.3 of the diameter"
    ).tag(unit="Å")
    score = Enum(
        ["agreement", "first"], "agreement", help="Chance of a particle, or the score of the first picker"
    ).tag(advanced=True)

    def process(
        self,
        first: Picks,
        second: Picks,
        micrograph: Micrograph,
        out: Out,
        third: Picks | None = None,
        fourth: Picks | None = None,
        fifth: Picks | None = None,
    ) -> Picks:
        pickers = [picks for picks in (first, second, third, fourth, fifth) if picks is not None]
        if self.votes > len(pickers):
            raise ParameterError(
                f"PickConsensus.votes {self.votes} is more than the {len(pickers)} pickers that are linked: lower it, "
                "or link more."
            )
        size = picking.pixel_size(micrograph)
        found = [_places(picks, size) for picks in pickers]
        diameter = next((picks.diameter for picks in pickers if math.isfinite(picks.diameter)), math.nan)
        radius = (self.radius or _NEAR * diameter) / size
        if not radius > 0:
            raise InputError(f"{first.path} comes without a diameter: write a radius for PickConsensus.")
        consensus = agree([own.places for own in found], radius, [own.scores for own in found])
        keep = consensus.votes >= (self.votes or len(pickers))
        scores = consensus.scores[keep]
        if self.score == "first":
            of_first = consensus.members[keep, 0]
            scores = np.where(of_first >= 0, np.append(found[0].scores, math.nan)[of_first], math.nan)
        return picking.picked(
            Coordinates(consensus.places[keep], scores),
            micrograph,
            out,
            diameter,
            agreement=float(keep.mean()) if len(keep) else math.nan,
            jaccard=jaccard(consensus.members),
        )


def _places(picks: Picks, size: float) -> Coordinates:
    """The picks in px of a micrograph with `size` Å/px."""
    if not picks.pixel_size > 0:
        raise InputError(f"{picks.path} comes without a pixel size, so that its places cannot be compared.")
    return coordinates.read(picks.path).scaled(picks.pixel_size / size)
