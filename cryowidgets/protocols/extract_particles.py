"""The step that cuts out particles."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from traitlets import Bool, Float

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels import extract
from cryowidgets.kernels.fourier import fast_length
from cryowidgets.model import Ctf, Micrograph, Particles, Picks
from cryowidgets.protocols import cites, picking, relion_files
from cryowidgets.protocols.boxes import Boxes, background
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out


class ExtractParticles(Boxes):
    """Cut out particles as RELION does: boxes, scaled, background of mean 0 and deviation 1, protein bright.

    A particle whose box reaches too far beyond the micrograph is left out; where it reaches a little beyond, the pixels
    of the edge are repeated. The stack and its star file go to RELION, cryoSPARC and others as they are.
    """

    takes = {"micrograph": Micrograph, "ctf": Ctf, "picks": Picks}
    gives = Particles
    cites = (cites.RELION,)

    background = Float(
        0.0, min=0, max=4000, help="Diameter of the circle outside of which is background; 0 for 3/4 of the box"
    ).tag(unit="Å")
    phase_flip = Bool(False, help="Turn the waves that the lens has turned, in the whole micrograph").tag(advanced=True)
    normalize = Bool(True, help="Give the background mean 0 and standard deviation 1").tag(advanced=True)
    ramp = Bool(True, help="Take a plane away from the background").tag(advanced=True)
    invert = Bool(True, help="Make particles bright").tag(advanced=True)
    white_dust = Float(0.0, min=0, help="Deviations above which a pixel is dust; 0 for none").tag(advanced=True)
    black_dust = Float(0.0, min=0, help="Deviations below which a pixel is dust; 0 for none").tag(advanced=True)
    inside = Float(0.9, min=0.25, max=1, help="Least part of a box that lies in the micrograph").tag(advanced=True)
    half_precision = Bool(False, help="Write float16, which RELION 4 and later read").tag(advanced=True)

    def process(self, micrograph: Micrograph, ctf: Ctf, picks: Picks, out: Out) -> Particles:
        size, box = picking.pixel_size(micrograph), self.box or fast_length(math.ceil(self.least(micrograph, picks)))
        side = self.scale or box
        if side > box:
            raise ParameterError(
                f"ExtractParticles.scale {side} is larger than the box of {box} px that the diameter of the picks asks "
                "for: pictures would grow. Lower scale, or set box."
            )
        pixel = size * box / side
        diameter = self.background or 0.75 * side * pixel
        places = self._places(micrograph, picks, size)
        if not len(places):
            return Particles(path="", count=0, box=side, pixel_size=pixel, diameter=diameter)
        if micrograph.optics is None:
            raise InputError(f"{micrograph.path} comes without optics, which the star file of particles needs.")
        image = mrc.read(picking.searched(micrograph))
        if self.phase_flip:
            image = self._flipped(image, micrograph, ctf)
        pictures, _, inside = extract.boxes(image, places.places, box)
        keep = inside >= self.inside
        places, pictures = places.kept(keep), extract.scale(pictures[keep], side)
        if not len(places):
            return Particles(path="", count=0, box=side, pixel_size=pixel, diameter=diameter)
        self._finish(pictures, background(diameter, pixel, side), micrograph.name)
        stack = out.file("_particles.mrcs")
        mrc.write(stack, pictures.astype(np.float16) if self.half_precision else pictures, pixel)
        star.write(out.file("_particles.star"), self._blocks(micrograph, ctf, places, out, side, pixel))
        write_mosaic(out.file("_particles.jpg"), pictures)
        return Particles(
            path=out.name("_particles.mrcs"),
            metadata=out.name("_particles.star"),
            thumbnail=out.name("_particles.jpg"),
            count=len(places),
            box=side,
            pixel_size=pixel,
            diameter=diameter,
        )

    def _places(self, micrograph: Micrograph, picks: Picks, size: float) -> Coordinates:
        if not picks.count:
            return Coordinates(np.zeros((0, 2)), np.zeros(0))
        found = coordinates.read(picks.path)
        if picks.pixel_size > 0:
            found = found.scaled(picks.pixel_size / size)
        return found.inside((micrograph.height, micrograph.width))

    def _flipped(self, image: Any, micrograph: Micrograph, ctf: Ctf) -> Any:
        optics = micrograph.optics
        assert optics is not None
        if not math.isfinite(ctf.defocus_u):
            raise InputError(f"{micrograph.path} has no defocus: {ctf.reason or 'its CTF was not fitted.'}")
        lens = (optics.voltage, optics.cs, optics.amplitude_contrast, ctf.phase_shift)
        return extract.flip_phases(image, micrograph.pixel_size, ctf.defocus_u, ctf.defocus_v, ctf.angle, *lens)

    def _finish(self, pictures: np.ndarray, radius: int, name: str) -> None:
        if self.normalize:
            extract.normalise(pictures, radius, self.ramp)
            rng = np.random.default_rng(zlib.crc32(name.encode()))  # the same each time
            extract.dust(pictures, self.white_dust, self.black_dust, rng)
        if self.invert:
            np.negative(pictures, out=pictures)

    def _blocks(
        self, micrograph: Micrograph, ctf: Ctf, places: Coordinates, out: Out, side: int, pixel: float
    ) -> relion_files.Blocks:
        blocks = relion_files.micrographs(micrograph, ctf, out.relative(picking.searched(micrograph)))
        optics = {key: value for key, value in blocks["optics"].items() if key != "rlnMicrographPixelSize"}
        count = len(places)
        row = {key: value * count for key, value in blocks["micrographs"].items()}
        table = {
            "rlnCoordinateX": places.places[:, 1],
            "rlnCoordinateY": places.places[:, 0],
            "rlnImageName": [f"{i:06d}@{out.name('_particles.mrcs')}" for i in range(1, count + 1)],
            **row,
            "rlnCtfBfactor": [0.0] * count,
            "rlnCtfScalefactor": [1.0] * count,
            "rlnClassNumber": [0] * count,
        }
        if np.isfinite(places.scores).any():
            table["rlnAutopickFigureOfMerit"] = places.scores
        told = {
            "rlnImagePixelSize": [pixel],
            "rlnImageSize": [side],
            "rlnImageDimensionality": [2],
            "rlnCtfDataAreCtfPremultiplied": [0],
        }
        if self.phase_flip:
            told["rlnCtfDataArePhaseFlipped"] = [1]
        return {"optics": {**optics, **told}, "particles": table}
