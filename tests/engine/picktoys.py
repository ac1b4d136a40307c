"""A microscope that shows nothing and a picker that finds a grid: real files for steps that go by people's hands."""

from __future__ import annotations

import numpy as np
from traitlets import Float

from cryowidgets.io import mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph, Movie, ParticleSize, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.base import Many, Protocol

SHAPE = (120, 160)
GRID = np.array([(y, x) for y in (20, 60, 100) for x in (20, 60, 100, 140)], float)


class Stand(Protocol):
    takes = Movie
    gives = Micrograph

    def process(self, movie, out):
        image = np.random.default_rng(len(movie.name)).normal(size=SHAPE).astype(np.float32)
        mrc.write(out.file(".mrc"), image, 2.0)
        return Micrograph(path=out.name(".mrc"), pixel_size=2.0, height=SHAPE[0], width=SHAPE[1])


class Grid(Protocol):
    takes = Micrograph
    gives = Picks

    shift = Float(0.0)

    def process(self, micrograph, out):
        return picking.picked(Coordinates(GRID + self.shift, np.arange(12.0)), micrograph, out, 40.0)


class Size(Protocol):
    """Tells what it was told to."""

    takes = Many(Micrograph, every=3)
    gives = ParticleSize

    diameter = Float(30.0)

    def process(self, items, last, out):
        if not self.diameter:
            return ParticleSize(micrographs=len(items), reason="there are no particles")
        smallest, largest = 0.8 * self.diameter, 1.2 * self.diameter
        return ParticleSize(diameter=self.diameter, smallest=smallest, largest=largest, micrographs=len(items))
