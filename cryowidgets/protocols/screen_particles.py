"""The step that leaves out pictures without a particle, and those of something else."""

from __future__ import annotations

import dataclasses

import numpy as np
from traitlets import Float

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import screen
from cryowidgets.model import Particles
from cryowidgets.protocols import cites, relion_files
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out


class ScreenParticles(Protocol):
    """Leave out pictures that hold no particle, and those that are unlike all others of their micrograph.

    The stack stays as it is; the star file names the particles that are left. Both numbers of each particle stand in
    it, as cwSignal and cwOddness.
    """

    takes = Particles
    gives = Particles
    cites = (cites.SCREENING,)

    empty = Float(
        1.5,
        min=0,
        max=100,
        help="Least power of a particle over that of ice, in standard errors of ice; 0 leaves nothing out as empty",
    )
    odd = Float(
        6.0,
        min=0,
        max=100,
        help="How far a picture may be from the others of its micrograph, in standard deviations; 0 for any distance",
    )
    diameter = Float(0.0, min=0, max=4000, help="Of the particles; 0 for two thirds of the background's circle").tag(
        unit="Å", advanced=True
    )

    def process(self, particles: Particles, out: Out) -> Particles:
        if not particles.count:
            return _again(particles)
        blocks = star.read(particles.metadata)
        optics, table = relion_files.particles(blocks, particles.metadata)
        pictures = mrc.read_stack(particles.path)
        rows = np.array(relion_files.pictures(table)[0]) - 1
        if len(rows) and rows.max() >= len(pictures):
            raise InputError(
                f"{particles.metadata} names picture {rows.max() + 1} of a stack of {len(pictures)}: it is not whole."
            )
        pictures = pictures[rows].astype(np.float32, copy=False)
        outside = particles.diameter if particles.diameter > 0 else 0.75 * particles.box * particles.pixel_size
        diameter = self.diameter or outside / 1.5
        found = screen.screen(pictures, diameter / particles.pixel_size, outside / particles.pixel_size)
        keep = found.signal >= self.empty if self.empty else np.ones(len(rows), bool)
        if self.odd:
            keep &= found.oddness <= self.odd
        rest = np.flatnonzero(keep)
        left = {name: [values[i] for i in rest] for name, values in table.items()}
        left |= {"cwSignal": found.signal[keep].round(3).tolist(), "cwOddness": found.oddness[keep].round(3).tolist()}
        screened = particles.screened + len(rows) - len(rest)
        if not len(rest):
            nothing = dataclasses.replace(_again(particles), path="", metadata="", thumbnail="")
            return dataclasses.replace(nothing, count=0, screened=screened)
        star.write(out.file("_particles.star"), {"optics": optics, "particles": left})
        write_mosaic(out.file("_particles.jpg"), pictures[keep])
        return dataclasses.replace(
            _again(particles),
            metadata=out.name("_particles.star"),
            thumbnail=out.name("_particles.jpg"),
            count=len(rest),
            screened=screened,
        )


def _again(particles: Particles) -> Particles:
    """The same as a result of its own: the store fills in whose it is."""
    return dataclasses.replace(particles, id=0, exposure=0, name="", optics=None)
