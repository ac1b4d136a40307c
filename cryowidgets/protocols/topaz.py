"""The step that has Topaz pick particles."""

from __future__ import annotations

from traitlets import Float, Int, Unicode

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.coordinates import parse_topaz
from cryowidgets.kernels import brightness
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.external import Command, Program, command
from cryowidgets.protocols.out import Out

_ACROSS = 18  # px of a reduced micrograph across a particle, near to what its own models were trained with
_APART = 0.75  # diameters: at less, parts of a particle are picked one by one


class Topaz(Program):
    """Pick particles with Topaz, by one of the models that come with it or by one of one's own.

    The micrograph is reduced and normalised first, as ``topaz preprocess`` does in many times the time, and then
    searched (``topaz extract``). Bepler et al., Nat Methods 16, 1153 (2019), doi:10.1038/s41592-019-0575-8.
    """

    takes = Micrograph
    gives = Picks
    cites = (cites.TOPAZ,)
    program = "Topaz"
    names = ("topaz",)
    variable = "CRYOWIDGETS_TOPAZ"

    diameter = Float(150.0, min=10, max=2000, help="Diameter of the particles").tag(unit="Å")
    threshold = Float(
        0.0, min=-20, max=20, help="Score from which on places are taken, a log-likelihood ratio; -6 takes nearly all"
    )
    model = Unicode(
        "resnet16_u32",
        help="A model that comes with it: resnet16_u32, resnet16 in twice the time, resnet8_u32, …; or a file",
    )
    downscale = Int(0, min=0, max=64, help="Reduce micrographs by this factor; 0 goes by the diameter").tag(
        advanced=True
    )
    radius = Int(0, min=0, help="Least distance of particles in reduced px; 0 for three quarters of the diameter").tag(
        unit="px", advanced=True
    )
    gpu = Unicode("", help="GPUs that tasks of this step may use, such as 0,1; empty: none, it runs on cores").tag(
        group="Program", advanced=True
    )

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        scale, _ = self._sizes(micrograph)
        with self.run(out, self.gpu) as run:
            small = brightness.standardised(mrc.read(picking.searched(micrograph)), scale)
            mrc.write(run.folder / "micrograph.mrc", small, micrograph.pixel_size * scale)
            run(self.command(micrograph))
            with run.parsing():
                # Rows are those of the MRC file, first row first.
                found = parse_topaz(run.text("picks.txt"), "picks.txt")
                found = found.kept(found.scores >= self.threshold)
            return picking.picked(found, micrograph, out, self.diameter, self.threshold, **run.made_by)

    def command(self, micrograph: Micrograph) -> Command:
        """The command that finds particles; it writes ``picks.txt`` in px of the whole micrograph."""
        scale, radius = self._sizes(micrograph)
        words = ["extract", "-m", self.model, "-r", radius, "-t", self.threshold, "-x", scale]
        words += ["-d", 0 if self.gpu else -1, "-j", cpu.threads()]
        return command(*words, "-o", "picks.txt", "micrograph.mrc")

    def _sizes(self, micrograph: Micrograph) -> tuple[int, int]:
        """Factor of reduction, and radius in reduced px."""
        across = self.diameter / picking.pixel_size(micrograph)
        if across < 4:
            raise InputError(
                f"{micrograph.path} has {micrograph.pixel_size:g} Å/px: particles of {self.diameter:g} Å are "
                f"{across:.1f} px across, too few to be found. Correct Topaz.diameter."
            )
        scale = self.downscale or max(round(across / _ACROSS), 1)
        return scale, self.radius or max(round(across / scale * _APART), 1)
