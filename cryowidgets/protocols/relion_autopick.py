"""The step that has RELION pick particles, by blobs or by templates."""

from __future__ import annotations

import re

import numpy as np
from traitlets import Bool, Enum, Float, Unicode

from cryowidgets.errors import ParameterError, ProgramError
from cryowidgets.io import star
from cryowidgets.io.coordinates import Coordinates, parse_star
from cryowidgets.model import NAN, Ctf, Micrograph, Picks
from cryowidgets.protocols import cites, picking, relion_files
from cryowidgets.protocols.external import Command, Program, Run, command
from cryowidgets.protocols.out import Out

_NONE = re.compile(r"Total number of particles from \d+ micrographs is 0\b")


def _blobs(protocol: RelionAutopick) -> bool:
    return protocol.method == "LoG"


def _templates(protocol: RelionAutopick) -> bool:
    return protocol.method == "templates"


class RelionAutopick(Program):
    """Pick particles with ``relion_autopick``: by a Laplacian of Gaussian, or by templates with the CTF.

    Blobs are found on cores; templates also on a GPU.
    """

    takes = {"micrograph": Micrograph, "ctf": Ctf}
    gives = Picks
    cites = (cites.RELION,)
    program = "RELION"
    names = ("relion_autopick",)
    variable = "CRYOWIDGETS_RELION_AUTOPICK"

    method = Enum(["LoG", "templates"], "LoG", help="Blobs by a Laplacian of Gaussian, or templates")
    diameter_min = Float(150.0, min=5, max=2000, help="Smallest diameter of the particles").tag(unit="Å", when=_blobs)
    diameter_max = Float(180.0, min=5, max=2000, help="Largest diameter of the particles").tag(unit="Å")
    log_threshold = Float(
        0.0, min=-10, max=10, help="Deviations by which the threshold is moved: the larger the fewer picks"
    ).tag(when=_blobs)
    log_upper = Float(999.0, min=0, help="Threshold above which places are left out as ice or dirt").tag(
        advanced=True, when=_blobs
    )
    lowpass = Float(20.0, min=2, max=200, help="Low-pass filter").tag(unit="Å", advanced=True)
    templates = Unicode(
        "", help="MRC stack of templates, as bright as averages of normalised particles: scores go by that"
    ).tag(group="Templates", when=_templates)
    template_pixel_size = Float(0.0, min=0, help="Pixel size of the templates; 0 for that of the micrograph").tag(
        unit="Å/px", group="Templates", when=_templates
    )
    white_templates = Bool(True, help="Particles are bright in the templates, as in class averages").tag(
        group="Templates", when=_templates
    )
    correct_ctf = Bool(True, help="Apply the CTF to the templates").tag(group="Templates", when=_templates)
    threshold = Float(0.05, min=0, max=2, help="Figure of merit from which on places are taken").tag(
        group="Templates", when=_templates
    )
    distance = Float(100.0, min=0, help="Least distance of particles").tag(unit="Å", group="Templates", when=_templates)
    noise_max = Float(1.1, min=-1, help="Local deviation above which there is ice or carbon; -1 for any").tag(
        group="Templates", advanced=True, when=_templates
    )
    angular_step = Float(5.0, min=0.5, max=360, help="Step of the rotations tried").tag(
        unit="°", group="Templates", advanced=True, when=_templates
    )
    shrink = Float(0.0, min=0, max=1, help="Reduce micrographs to this part for speed; 0 goes by the low-pass").tag(
        advanced=True
    )
    gpu = Unicode("", help="GPUs that tasks may use for templates, such as 0,1; empty: none, it runs on cores").tag(
        group="Program", advanced=True, when=_templates
    )

    def check(self) -> None:
        super().check()
        if _blobs(self) and not self.diameter_min < self.diameter_max:
            raise ParameterError(
                f"RelionAutopick.diameter_min {self.diameter_min:g} Å is not below diameter_max "
                f"{self.diameter_max:g} Å."
            )
        if _templates(self) and not self.templates:
            raise ParameterError("RelionAutopick.templates is empty: write the path of a stack of templates, or LoG.")

    def process(self, micrograph: Micrograph, ctf: Ctf, out: Out) -> Picks:
        picking.pixel_size(micrograph)
        blobs = _blobs(self)
        with self.run(out, "" if blobs else self.gpu) as run:
            run.link(picking.searched(micrograph), "micrograph.mrc")
            if not blobs:
                run.link(self.templates, "templates.mrcs")
            needed = None if blobs or not self.correct_ctf else ctf
            blocks = relion_files.micrographs(micrograph, needed, "micrograph.mrc")
            star.write(run.folder / "micrographs.star", blocks)
            found = self._found(run)
            threshold = NAN if blobs else self.threshold
            return picking.picked(found, micrograph, out, self.diameter_max, threshold, **run.made_by)

    def _found(self, run: Run) -> Coordinates:
        try:
            said = run(self.command())
        except ProgramError:
            # Where there are no particles, 3.1 writes an empty file and crashes as it draws a diagram of them.
            said = run.log.read_text(errors="replace")
            if not _NONE.search(said):
                raise
        if _NONE.search(said):
            return Coordinates(np.zeros((0, 2)), np.zeros(0))
        with run.parsing():
            return parse_star(run.text("out/micrograph_autopick.star"), "micrograph_autopick.star")

    def command(self) -> Command:
        """The command; it writes ``out/micrograph_autopick.star``."""
        words: list[object] = ["--i", "micrographs.star", "--odir", "out/", "--pickname", "autopick"]
        words += ["--shrink", self.shrink, "--lowpass", self.lowpass]
        if _blobs(self):
            words += ["--LoG", "--LoG_diam_min", self.diameter_min, "--LoG_diam_max", self.diameter_max]
            words += ["--LoG_adjust_threshold", self.log_threshold, "--LoG_upper_threshold", self.log_upper]
            return command(*words)
        words += ["--ref", "templates.mrcs", "--ang", self.angular_step, "--threshold", self.threshold]
        words += ["--min_distance", self.distance, "--max_stddev_noise", self.noise_max]
        words += ["--particle_diameter", self.diameter_max]
        words += ["--angpix_ref", self.template_pixel_size] if self.template_pixel_size else []
        words += ["--invert"] if self.white_templates else []
        words += ["--ctf"] if self.correct_ctf else []
        words += ["--gpu", 0] if self.gpu else []
        return command(*words)
