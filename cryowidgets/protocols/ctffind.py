"""The step that has CTFFIND 4 or 5 measure defocus."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from traitlets import Bool, Float, Int

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.io import jpeg, mrc
from cryowidgets.model import NAN, Ctf, Micrograph, Optics
from cryowidgets.protocols import cites
from cryowidgets.protocols.external import Command, Program, Run, command
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers

_THREADED = (4, 1, 12)  # the first that takes a number of threads


def _searched(protocol: Ctffind) -> bool:
    return protocol.search_phase


def _thick(protocol: Ctffind) -> bool:
    return protocol.fit_thickness


class Ctffind(Program):
    """Fit the CTF with CTFFIND 4.1 or CTFFIND 5, the latter with tilt and thickness if asked.

    The fit is to the aligned sum without exposure weighting. The axis of a tilt is as the program has it.
    """

    takes = Micrograph
    gives = Ctf
    cites = (cites.CTFFIND4, cites.CTFFIND5)
    program = "CTFFIND"
    names = ("ctffind5", "ctffind", "ctffind4")
    variable = "CRYOWIDGETS_CTFFIND"
    question = ()  # it greets with its version, then finds no answer and ends

    defocus_min = Float(5000.0, min=0, max=500000, help="Smallest defocus searched").tag(unit="Å", group="Defocus")
    defocus_max = Float(50000.0, min=100, max=500000, help="Largest defocus searched").tag(unit="Å", group="Defocus")
    defocus_step = Float(100.0, min=1, max=10000, help="Step of the search").tag(
        unit="Å", group="Defocus", advanced=True
    )
    astigmatism = Float(
        -1.0, min=-1, max=20000, help="Astigmatism above which a fit is held back; negative for no such restraint"
    ).tag(unit="Å", group="Defocus", advanced=True)
    slow_search = Bool(False, help="Search in two dimensions, for much astigmatism; slower").tag(
        group="Defocus", advanced=True
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
    box = Int(512, min=128, max=4096, help="Side of the power spectrum").tag(unit="px", group="Spectrum")
    resolution_min = Float(30.0, min=5, max=200, help="Coarsest spacing used").tag(unit="Å", group="Spectrum")
    resolution_max = Float(5.0, min=1, max=50, help="Finest spacing used").tag(unit="Å", group="Spectrum")
    fit_tilt = Bool(False, help="CTFFIND 5: measure tilt and tilt axis as well").tag(group="Specimen")
    fit_thickness = Bool(False, help="CTFFIND 5: measure the thickness by the nodes of the rings").tag(group="Specimen")
    node_resolution_min = Float(30.0, min=5, max=200, help="Coarsest spacing used for nodes").tag(
        unit="Å", group="Specimen", advanced=True, when=_thick
    )
    node_resolution_max = Float(3.0, min=1, max=50, help="Finest spacing used for nodes").tag(
        unit="Å", group="Specimen", advanced=True, when=_thick
    )

    def check(self) -> None:
        super().check()
        if not self.defocus_min < self.defocus_max:
            raise ParameterError(
                f"Ctffind.defocus_min {self.defocus_min:g} Å is not below defocus_max {self.defocus_max:g} Å."
            )
        if not self.resolution_min > self.resolution_max:
            raise ParameterError(
                f"Ctffind.resolution_min {self.resolution_min:g} Å is not coarser than resolution_max "
                f"{self.resolution_max:g} Å: the first is the larger number."
            )
        if self.search_phase and not self.phase_min < self.phase_max:
            raise ParameterError(f"Ctffind.phase_min {self.phase_min:g}° is not below phase_max {self.phase_max:g}°.")
        if self.search_phase and self.fit_tilt:
            raise ParameterError("CTFFIND does not fit tilt and phase shift together: clear fit_tilt or search_phase.")
        if self.box % 2:
            raise ParameterError(f"Ctffind.box {self.box} is odd: write {self.box + 1}.")

    def process(self, micrograph: Micrograph, out: Out) -> Ctf:
        with self.run(out) as run:
            run.link(micrograph.path, "micrograph.mrc")
            run(self.command(micrograph, run.version))
            with run.parsing():
                found = parse(run.text("spectrum.txt"))
                curve = parse_curve(run.text("spectrum_avrot.txt"))
                self._picture(run, out, curve)
            np.save(out.file("_ctf.npy"), curve)
            return Ctf(
                micrograph=micrograph.path,
                spectrum=out.name("_ctf.mrc"),
                picture=out.name("_ctf.jpg"),
                curve=out.name("_ctf.npy"),
                defocus_u=found.defocus_u,
                defocus_v=found.defocus_v,
                astigmatism=found.defocus_u - found.defocus_v,
                angle=found.angle,
                phase_shift=found.phase_shift,
                fit_resolution=found.resolution,
                score=found.score,
                tilt=found.tilt if self.fit_tilt else NAN,
                tilt_axis=found.tilt_axis if self.fit_tilt else NAN,
                thickness=found.thickness if self.fit_thickness else NAN,
                **run.made_by,
            )

    def command(self, micrograph: Micrograph, version: str) -> Command:
        """The command for a version, with the answers to all that it asks; it writes ``spectrum.mrc`` and its text.

        Raises
        ------
        ProgramError
            The version is not known, or older than 4.1: then nobody can tell what it asks.
        ParameterError
            It cannot do what is asked for.
        """
        number = numbers(version)
        if number < (4, 1):
            raise ProgramError(
                f"CTFFIND {version or 'of unknown version'} asks for other things than 4.1 and 5 do: "
                "set Ctffind.executable to one of these."
            )
        if number < (5,) and (self.fit_tilt or self.fit_thickness):
            raise ParameterError(
                f"CTFFIND {version} fits no tilt and no thickness: set Ctffind.executable to CTFFIND 5, or clear "
                "fit_tilt and fit_thickness."
            )
        optics = _optics(micrograph)
        lines: list[object] = ["micrograph.mrc", "spectrum.mrc", micrograph.pixel_size]
        lines += [optics.voltage, optics.cs, optics.amplitude_contrast, self.box]
        lines += [self.resolution_min, self.resolution_max, self.defocus_min, self.defocus_max, self.defocus_step]
        lines += [False, self.slow_search, self.astigmatism >= 0]  # astigmatism is not known
        lines += [self.astigmatism] if self.astigmatism >= 0 else []
        lines += [self.search_phase]
        if self.search_phase:
            lines += [math.radians(phase) for phase in (self.phase_min, self.phase_max, self.phase_step)]
        if number >= (5,):
            lines += [] if self.search_phase else [self.fit_tilt]
            lines += [self.fit_thickness]
            if self.fit_thickness:  # search in 1D, then refine in 2D
                lines += [True, True, self.node_resolution_min, self.node_resolution_max, False, False]
        lines += [False]  # no expert options
        threads = ["-j", cpu.threads()] if cpu.threads() > 1 and number >= _THREADED else []
        return command(*threads, stdin="".join(f"{_answer(line)}\n" for line in lines))

    def _picture(self, run: Run, out: Out, curve: np.ndarray) -> None:
        picture = mrc.read(run.file("spectrum.mrc"))
        picture = picture[0] if picture.ndim == 3 else picture
        if not np.isfinite(picture).all():
            raise InputError("spectrum.mrc has pixels that are no numbers.")
        # The header has the pixel size of the micrograph, also where the spectrum was made of larger pixels.
        half = np.clip(picture, -6e4, 6e4).astype(np.float16)
        mrc.write(out.file("_ctf.mrc"), half, 0.5 / float(curve[0, -1]))
        jpeg.write(out.file("_ctf.jpg"), picture, 0.5, 99.5)


@dataclass(frozen=True)
class Found:
    """What CTFFIND found: Å and degrees, U ≥ V, the angle from -90 to 90; NaN where it gives nothing."""

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float
    score: float
    resolution: float
    tilt_axis: float = NAN
    tilt: float = NAN
    thickness: float = NAN
    version: str = ""


def parse(text: str) -> Found:
    """Parse the table of CTFFIND 4 or 5 for one micrograph.

    Raises
    ------
    InputError
        There is no row of numbers, more than one, or one that is cut off.
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(rows) != 1:
        raise InputError(f"its table has {len(rows)} rows where one is needed.")
    columns = max((int(n) for n in re.findall(r"#(\d+)", text)), default=7)
    if len(rows[0]) < max(columns, 7):
        raise InputError(f"its table has {len(rows[0])} columns where {max(columns, 7)} are announced.")
    try:
        values = [float(word) for word in rows[0]]
    except ValueError as error:
        raise InputError(f"its table has what is no number: {error}.") from None
    first, second, angle, phase, score, resolution = values[1:7]
    if not (math.isfinite(first) and math.isfinite(second)):
        raise InputError("it found no defocus.")
    if first < second:
        first, second, angle = second, first, angle + 90
    found = re.search(r"version (\S+?),", text, re.IGNORECASE)
    return Found(
        first,
        second,
        within_a_turn(angle),
        math.degrees(phase),
        score,
        resolution if 0 < resolution < math.inf else NAN,
        *(values[7:10] if len(values) >= 10 else ()),
        version=found[1] if found else "",
    )


def parse_curve(text: str) -> np.ndarray:
    """Parse the rotational average that CTFFIND writes beside its table.

    Returns
    -------
    (4, n) float32
        Frequency in 1/Å, spectrum along the rings, fit, and how well they agree.

    Raises
    ------
    InputError
        It is cut off.
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        values = np.array(rows[:6], np.float32)
    except ValueError:
        raise InputError("its rotational average is cut off, or holds what is no number.") from None
    if values.ndim != 2 or len(values) < 6 or values.shape[1] < 2 or not values[0, -1] > 0:
        raise InputError("its rotational average is cut off.")
    return values[[0, 2, 3, 4]]


def within_a_turn(angle: float) -> float:
    """The direction of an axis as an angle above -90° and up to 90°."""
    return 90.0 - (90.0 - angle) % 180.0


def _optics(micrograph: Micrograph) -> Optics:
    if micrograph.optics is None:
        raise InputError(f"{micrograph.path} comes without optics: voltage and Cs are needed to fit its CTF.")
    return micrograph.optics


def _answer(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
