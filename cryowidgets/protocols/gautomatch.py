"""The step that has Gautomatch pick particles."""

from __future__ import annotations

from traitlets import Bool, Enum, Float, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.io.coordinates import parse_box, parse_star
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.external import Command, GpuProgram, Run, command
from cryowidgets.protocols.out import Out


def _with_templates(protocol: Gautomatch) -> bool:
    return bool(protocol.templates)


class Gautomatch(GpuProgram):
    """Pick particles with Gautomatch 0.53 or 0.56, by templates or by blobs of its own."""

    takes = Micrograph
    gives = Picks
    program = "Gautomatch"
    names = ("Gautomatch", "gautomatch")
    variable = "CRYOWIDGETS_GAUTOMATCH"
    question = ("--help",)

    diameter = Float(150.0, min=10, max=2000, help="Diameter of the particles").tag(unit="Å")
    threshold = Float(0.1, min=0, max=1, help="Correlation from which on places are taken")
    templates = Unicode("", help="MRC stack of templates; empty: blobs of its own").tag(group="Templates")
    template_pixel_size = Float(0.0, min=0, help="Pixel size of the templates; 0 for that of their file's header").tag(
        unit="Å/px", group="Templates", when=_with_templates
    )
    white_templates = Bool(True, help="Particles are bright in the templates, as RELION has class averages").tag(
        group="Templates", when=_with_templates
    )
    angular_step = Float(5.0, min=1, max=90, help="Step of the rotations tried").tag(
        unit="°", group="Templates", advanced=True, when=_with_templates
    )
    distance = Float(0.0, min=0, help="Least distance of particles; 0 for nine tenths of the diameter").tag(
        unit="Å", advanced=True
    )
    speed = Enum([0, 1, 2, 3, 4], 2, help="The larger the faster and coarser").tag(advanced=True)
    lowpass = Float(30.0, min=1, help="Low-pass filter of the micrograph").tag(unit="Å", advanced=True)
    highpass = Float(1000.0, min=1, help="High-pass filter of the micrograph").tag(unit="Å", advanced=True)
    sigma_max = Float(1.2, min=0, help="Local deviation above which there is ice or carbon").tag(advanced=True)
    mean_min = Float(-1.0, help="Local mean below which there is ice or carbon").tag(advanced=True)
    mean_max = Float(1.0, help="Local mean above which it is empty").tag(advanced=True)

    def check(self) -> None:
        super().check()
        if not self.mean_min < self.mean_max:
            raise ParameterError(
                f"Gautomatch.mean_min {self.mean_min:g} is not below mean_max {self.mean_max:g}: nothing is left."
            )

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        with self.run(out) as run:
            run.link(picking.searched(micrograph), "micrograph.mrc")  # it writes beside what it reads
            if self.templates:
                run.link(self.templates, "templates.mrcs")
            run(self.command(micrograph))
            with run.parsing():
                found = self._found(run)
            return picking.picked(found, micrograph, out, self.diameter, self.threshold, **run.made_by)

    def command(self, micrograph: Micrograph) -> Command:
        """The command; it writes ``micrograph_automatch.star`` and ``.box``."""
        size = picking.pixel_size(micrograph)
        words: list[object] = ["--apixM", size, "--diameter", self.diameter, "--cc_cutoff", self.threshold]
        words += ["--min_dist", self.distance or 0.9 * self.diameter, "--speed", self.speed]
        words += ["--boxsize", 2 * round(self.diameter * 0.75 / size), "--lp", self.lowpass, "--hp", self.highpass]
        words += ["--lsigma_cutoff", self.sigma_max, "--lave_min", self.mean_min, "--lave_max", self.mean_max]
        if self.templates:
            words += ["--T", "templates.mrcs", "--ang_step", self.angular_step]
            words += ["--apixT", self.template_pixel_size] if self.template_pixel_size else []
            words += [] if self.white_templates else ["--dont_invertT"]
        return command(*words, "--gid", 0, "micrograph.mrc")

    def _found(self, run: Run):
        """What its star file says, whose rows are those of the MRC file; or the boxes, which have no scores."""
        if (run.folder / "micrograph_automatch.star").is_file():
            return parse_star(run.text("micrograph_automatch.star"), "micrograph_automatch.star")
        return parse_box(run.text("micrograph_automatch.box"), "micrograph_automatch.box")
