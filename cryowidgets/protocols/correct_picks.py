"""Steps in which a person has a hand: picks that are corrected, and picks made without any program."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from traitlets import Float

from cryowidgets.io import coordinates, corrections
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.io.corrections import Corrections
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out

_UNKNOWN = 20.0
"""Radius in px where the diameter of the particles is not known."""


class CorrectPicks(Protocol):
    """Apply what a person has corrected: places that were added, and picks that were taken away.

    Corrections are kept apart from what the picker has made, so that they hold as well when it is asked again: of its
    picks goes the nearest to each place that was taken away. A place that was added takes the stead of a pick that is
    as near. Where nobody has corrected anything, picks pass as they are, with their files.
    """

    takes = {"micrograph": Micrograph, "picks": Picks}
    gives = Picks
    by_hand = True

    radius = Float(
        0.0, min=0, max=1000, help="Up to where a place means a pick; 0 for half a diameter of the particles"
    ).tag(unit="Å", advanced=True)

    def process(self, micrograph: Micrograph, picks: Picks, out: Out) -> Picks:
        size = picking.pixel_size(micrograph)
        said = corrections.read(out.corrections()).scaled(size)
        if not said and picking.stand(picks, micrograph):
            return replace(picks, added=0, removed=0)
        found = coordinates.read(picks.path)
        if picks.pixel_size > 0:
            found = found.scaled(picks.pixel_size / size)
        radius = (self.radius or picks.diameter / 2) / size
        made, removed = corrected(found, said, radius if radius > 0 else _UNKNOWN)
        programs = {"program": picks.program, "program_version": picks.program_version}
        return picking.picked(
            made,
            micrograph,
            out,
            picks.diameter,
            picks.threshold,
            added=len(said.added),
            removed=removed,
            **programs,
        )


class PickByHand(Protocol):
    """Take the places that a person has picked; where nobody has picked yet there are none.

    They belong to the exposure and stay when the micrograph is made again, also with other pixels.
    """

    takes = Micrograph
    gives = Picks
    by_hand = True

    diameter = Float(150.0, min=10, max=3000, help="Diameter of the particles").tag(unit="Å")

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        said = corrections.read(out.corrections()).scaled(picking.pixel_size(micrograph))
        found = Coordinates(said.added, np.full(len(said.added), math.nan))
        return picking.picked(found, micrograph, out, self.diameter, added=len(found))


def corrected(found: Coordinates, said: Corrections, radius: float) -> tuple[Coordinates, int]:
    """Picks as a person wants them, and how many were taken away.

    Parameters
    ----------
    found : Coordinates
        What there is, px.
    said : Corrections
        In px of the same micrograph.
    radius : float
        How far from a pick a place may be that means it, px.
    """
    gone = pairs(found.places, said.removed, radius)[:, 0]
    kept = found.kept(np.delete(np.arange(len(found)), gone))
    stead = pairs(kept.places, said.added, radius)
    scores = np.full(len(said.added), math.nan)
    scores[stead[:, 1]] = kept.scores[stead[:, 0]]
    rest = kept.kept(np.delete(np.arange(len(kept)), stead[:, 0]))
    places, scores = np.concatenate([rest.places, said.added]), np.concatenate([rest.scores, scores])
    powers = np.concatenate([rest.powers, np.full(len(said.added), math.nan)]) if len(said.added) else rest.powers
    return Coordinates(places, scores, found.size, powers), len(gone)
