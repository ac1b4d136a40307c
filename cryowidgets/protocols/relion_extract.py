"""The step that has RELION cut out particles."""

from __future__ import annotations

import math

from traitlets import Bool, Float

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.io.movie import whole
from cryowidgets.model import Ctf, Micrograph, Particles, Picks
from cryowidgets.protocols import cites, picking, relion_files
from cryowidgets.protocols.boxes import Boxes, background
from cryowidgets.protocols.external import Command, Program, command
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers

_LISTS = (4,)  # the first that takes a list of files of coordinates, and writes float16


class RelionExtract(Boxes, Program):
    """Cut out particles with ``relion_preprocess`` of RELION 3.1 or later: inverted, normalised, scaled.

    A micrograph without picks gives no stack and no particles, and no program runs.
    """

    takes = {"micrograph": Micrograph, "ctf": Ctf, "picks": Picks}
    gives = Particles
    cites = (cites.RELION,)
    program = "RELION"
    names = ("relion_preprocess",)
    variable = "CRYOWIDGETS_RELION_PREPROCESS"

    background = Float(
        0.0, min=0, max=4000, help="Diameter of the circle outside of which is background; 0 for that of the picks"
    ).tag(unit="Å")
    normalize = Bool(True, help="Give the background mean 0 and standard deviation 1").tag(advanced=True)
    invert = Bool(True, help="Make particles bright").tag(advanced=True)
    white_dust = Float(-1.0, min=-1, help="Deviations above which a pixel is dust; -1 for none").tag(advanced=True)
    black_dust = Float(-1.0, min=-1, help="Deviations below which a pixel is dust; -1 for none").tag(advanced=True)
    half_precision = Bool(False, help="Write float16, which RELION 4 and later read").tag(advanced=True)

    def process(self, micrograph: Micrograph, ctf: Ctf, picks: Picks, out: Out) -> Particles:
        picking.pixel_size(micrograph)
        box, diameter = self._box(micrograph, picks), self.background or picks.diameter
        size = micrograph.pixel_size * (box / self.scale if self.scale else 1)
        if not picks.count:
            return Particles(path="", count=0, box=self.scale or box, pixel_size=size, diameter=diameter)
        with self.run(out) as run:
            run.link(picking.searched(micrograph), "micrograph.mrc")
            coordinates.write(run.folder / "micrograph_picks.star", coordinates.read(picks.path))
            star.write(run.folder / "micrographs.star", relion_files.micrographs(micrograph, ctf, "micrograph.mrc"))
            named = {"rlnMicrographName": ["micrograph.mrc"], "rlnMicrographCoordinates": ["micrograph_picks.star"]}
            star.write(run.folder / "coordinates.star", {"coordinate_files": named})
            run(self.command(micrograph, picks, run.version))
            with run.parsing():
                blocks = star.parse(run.text("out/particles.star"), "particles.star")
                optics, table = relion_files.particles(blocks, "particles.star")
                stack = run.file("out/micrograph.mrcs")
                _complete(stack, table["rlnImageName"], self.scale or box)
            stack.rename(out.file("_particles.mrcs"))
            table = relion_files.renamed(table, "rlnImageName", lambda _: out.name("_particles.mrcs"))
            table["rlnMicrographName"] = [out.relative(picking.searched(micrograph))] * len(table["rlnImageName"])
            star.write(out.file("_particles.star"), {"optics": optics, "particles": table})
            write_mosaic(out.file("_particles.jpg"), mrc.read_stack(out.file("_particles.mrcs")))
            return Particles(
                path=out.name("_particles.mrcs"),
                metadata=out.name("_particles.star"),
                thumbnail=out.name("_particles.jpg"),
                count=len(table["rlnImageName"]),
                box=self.scale or box,
                pixel_size=size,
                diameter=diameter,
                **run.made_by,
            )

    def command(self, micrograph: Micrograph, picks: Picks, version: str) -> Command:
        """The command for a version; it writes ``out/particles.star`` and ``out/micrograph.mrcs``."""
        box = self._box(micrograph, picks)
        side = self.scale or box
        radius = background(self.background or picks.diameter, micrograph.pixel_size * box / side, side)
        recent = not version or numbers(version) >= _LISTS
        words: list[object] = ["--i", "micrographs.star"]
        words += (
            ["--coord_list", "coordinates.star"] if recent else ["--coord_dir", "./", "--coord_suffix", "_picks.star"]
        )
        words += ["--part_star", "out/particles.star", "--part_dir", "out/", "--extract", "--extract_size", box]
        words += ["--scale", self.scale] if self.scale else []
        words += ["--norm", "--bg_radius", radius] if self.normalize else []
        words += ["--white_dust", self.white_dust, "--black_dust", self.black_dust]
        words += ["--invert_contrast"] if self.invert else []
        if self.half_precision:
            if not recent:
                raise ParameterError(f"RELION {version} writes no float16: clear RelionExtract.half_precision.")
            words += ["--float16"]
        return command(*words)

    def _box(self, micrograph: Micrograph, picks: Picks) -> int:
        return self.box or 2 * math.ceil(self.least(micrograph, picks) / 2)


def _complete(stack, names: list[str], side: int) -> None:
    """See that the stack has what the star file names."""
    verdict = whole(stack)
    if verdict.whole is False:
        raise InputError(verdict.why)
    sections, height, width = mrc.read_header(stack).shape
    if sections != len(names) or (height, width) != (side, side):
        raise InputError(
            f"particles.star names {len(names)} pictures of {side}×{side} px where {stack.name} has {sections} of "
            f"{height}×{width} px."
        )
