"""The step that has Gctf measure defocus."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from traitlets import Bool, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc, star
from cryowidgets.model import NAN, Ctf, Micrograph
from cryowidgets.protocols import cites
from cryowidgets.protocols.ctffind import within_a_turn
from cryowidgets.protocols.external import Command, GpuProgram, Run, command
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers

_LARGEST_STEP = 500.0  # Å, as the program has it where nothing is said


def _searched(protocol: Gctf) -> bool:
    return protocol.search_phase


class Gctf(GpuProgram):
    """Fit the CTF with Gctf 1.06 or 1.18."""

    takes = Micrograph
    gives = Ctf
    cites = (cites.GCTF,)
    program = "Gctf"
    names = ("Gctf", "gctf")
    variable = "CRYOWIDGETS_GCTF"
    question = ("--help",)

    defocus_min = Float(5000.0, min=0, max=500000, help="Smallest defocus searched").tag(unit="Å", group="Defocus")
    defocus_max = Float(90000.0, min=100, max=500000, help="Largest defocus searched").tag(unit="Å", group="Defocus")
    astigmatism = Float(1000.0, min=0, max=20000, help="Astigmatism that is expected at most").tag(
        unit="Å", group="Defocus", advanced=True
    )
    search_phase = Bool(False, help="Search the phase shift of a phase plate as well").tag(group="Phase plate")
    phase_min = Float(0.0, min=0, max=180, help="Smallest phase shift searched").tag(
        unit="°", group="Phase plate", when=_searched
    )
    phase_max = Float(180.0, min=0, max=180, help="Largest phase shift searched").tag(
        unit="°", group="Phase plate", when=_searched
    )
    phase_step = Float(10.0, min=0.1, max=90, help="Step of the search").tag(
        unit="°", group="Phase plate", advanced=True, when=_searched
    )
    box = Int(1024, min=128, max=4096, help="Side of the power spectrum").tag(unit="px", group="Spectrum")
    resolution_min = Float(50.0, min=5, max=200, help="Coarsest spacing used").tag(unit="Å", group="Spectrum")
    resolution_max = Float(4.0, min=1, max=50, help="Finest spacing used").tag(unit="Å", group="Spectrum")
    bfactor = Float(150.0, min=0, max=1000, help="B-factor that damps fine detail").tag(
        unit="Å²", group="Spectrum", advanced=True
    )
    equiphase = Bool(True, help="Estimate the resolution of the fit by equiphase averages").tag(
        group="Spectrum", advanced=True
    )

    def check(self) -> None:
        super().check()
        if not self.defocus_min < self.defocus_max:
            raise ParameterError(
                f"Gctf.defocus_min {self.defocus_min:g} Å is not below defocus_max {self.defocus_max:g} Å."
            )
        if not self.resolution_min > self.resolution_max:
            raise ParameterError(
                f"Gctf.resolution_min {self.resolution_min:g} Å is not coarser than resolution_max "
                f"{self.resolution_max:g} Å: the first is the larger number."
            )
        if self.search_phase and not self.phase_min < self.phase_max:
            raise ParameterError(f"Gctf.phase_min {self.phase_min:g}° is not below phase_max {self.phase_max:g}°.")

    def process(self, micrograph: Micrograph, out: Out) -> Ctf:
        with self.run(out) as run:
            run.link(micrograph.path, "micrograph.mrc")
            said = run(self.command(micrograph, run.version))
            with run.parsing():
                found = self._found(run, said)
                picture = self._picture(run, out, micrograph.pixel_size)
            return Ctf(
                micrograph=micrograph.path,
                spectrum=out.name("_ctf.mrc") if picture else "",
                picture=out.name("_ctf.jpg") if picture else "",
                defocus_u=found.defocus_u,
                defocus_v=found.defocus_v,
                astigmatism=found.defocus_u - found.defocus_v,
                angle=found.angle,
                phase_shift=found.phase_shift,
                fit_resolution=found.resolution,
                score=found.score,
                **run.made_by,
            )

    def command(self, micrograph: Micrograph, version: str) -> Command:
        """The command for a version; it writes ``micrographs.star`` and ``micrograph_gctf.log``."""
        optics = micrograph.optics
        if optics is None:
            raise InputError(f"{micrograph.path} comes without optics: voltage and Cs are needed to fit its CTF.")
        words: list[object] = ["--apix", micrograph.pixel_size, "--kV", optics.voltage, "--cs", optics.cs]
        words += ["--ac", optics.amplitude_contrast, "--defL", self.defocus_min, "--defH", self.defocus_max]
        words += ["--defS", min(_LARGEST_STEP, (self.defocus_max - self.defocus_min) / 10)]
        words += ["--astm", self.astigmatism, "--resL", self.resolution_min, "--resH", self.resolution_max]
        words += ["--boxsize", self.box, "--bfac", self.bfactor, "--do_EPA", int(self.equiphase)]
        if self.search_phase:
            words += ["--phase_shift_L", self.phase_min, "--phase_shift_H", self.phase_max]
            words += ["--phase_shift_S", self.phase_step]
            if numbers(version) >= (1, 18):
                words += ["--cosearch_refine_ps", 0]
        return command(*words, "--gid", 0, "--ctfstar", "micrographs.star", "micrograph.mrc")

    def _found(self, run: Run, said: str) -> Found:
        """What the star file says, or the log, which has the resolution also where versions leave it out."""
        log = run.folder / "micrograph_gctf.log"
        text = log.read_text(errors="replace") if log.is_file() else said
        if (run.folder / "micrographs.star").is_file():
            return parse_star(run.text("micrographs.star"))
        return parse_log(text)

    def _picture(self, run: Run, out: Out, pixel_size: float) -> bool:
        """The spectrum with the fit in one half, which is called otherwise by each version."""
        for suffix in (".ctf", ".pow", ".epa"):
            file = run.folder / f"micrograph{suffix}"
            if file.is_file():
                picture = mrc.read(file)
                picture = picture[0] if picture.ndim == 3 else picture
                if not np.isfinite(picture).all():
                    raise InputError(f"{file.name} has pixels that are no numbers.")
                mrc.write(out.file("_ctf.mrc"), np.clip(picture, -6e4, 6e4).astype(np.float16), pixel_size)
                jpeg.write(out.file("_ctf.jpg"), picture, 0.5, 99.5)
                return True
        return False


@dataclass(frozen=True)
class Found:
    """What Gctf found: Å and degrees, U ≥ V, the angle from -90 to 90; NaN where it gives nothing."""

    defocus_u: float
    defocus_v: float
    angle: float
    score: float
    resolution: float = NAN
    phase_shift: float = 0.0


def parse_star(text: str) -> Found:
    """Parse the star file of one micrograph, the last where there are more.

    Raises
    ------
    InputError
        It has no row, or lacks a column.
    """
    rows = [block for block in star.parse(text, "its star file").values() if "rlnDefocusU" in block]
    if not rows or not rows[0]["rlnDefocusU"]:
        raise InputError("its star file has no defocus.")

    def last(column: str, default: float = NAN) -> float:
        value = rows[0].get(column, default)
        value = value[-1] if isinstance(value, list) else value
        if not isinstance(value, int | float):
            raise InputError(f"its star file has {value!r} as {column}.")
        return float(value)

    return _found(
        (last("rlnDefocusU"), last("rlnDefocusV"), last("rlnDefocusAngle")),
        last("rlnCtfFigureOfMerit"),
        last("rlnFinalResolution", last("rlnCtfMaxResolution")),
        last("rlnPhaseShift", 0.0),
    )


def parse_log(text: str) -> Found:
    """Parse the log of one micrograph.

    Raises
    ------
    InputError
        It has no final values: the program has not come to its end.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    values = re.findall(r"^\s*((?:[-+.\dEe]+\s+){4,5})Final Values", text, re.MULTILINE)
    if not values:
        raise InputError("its log has no final values.")
    try:
        numbers = [float(word) for word in values[-1].split()]
    except ValueError as error:
        raise InputError(f"its log has what is no number: {error}.") from None
    resolution = re.findall(r"Resolution limit estimated by EPA:\s*([\d.]+)", text)
    phase = numbers[3] if len(numbers) == 5 else 0.0
    return _found(tuple(numbers[:3]), numbers[-1], float(resolution[-1]) if resolution else NAN, phase)


def _found(defocus: tuple[float, ...], score: float, resolution: float, phase: float) -> Found:
    first, second, angle = defocus
    if not all(map(math.isfinite, defocus)):
        raise InputError("it found no defocus.")
    if first < second:
        first, second, angle = second, first, angle + 90
    return Found(first, second, within_a_turn(angle), score, resolution if resolution > 0 else NAN, phase)
