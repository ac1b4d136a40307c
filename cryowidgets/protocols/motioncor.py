"""The step that has MotionCor2 or MotionCor3 align a movie."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
from traitlets import Bool, Enum, Float, Int, Unicode

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import open_movie
from cryowidgets.model import Micrograph, Movie, Optics
from cryowidgets.protocols import cites
from cryowidgets.protocols.aligned import displacements, micrograph, optics_of
from cryowidgets.protocols.external import Command, GpuProgram, Run, command
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers

_INPUT = {".mrc": "-InMrc", ".mrcs": "-InMrc", ".tif": "-InTiff", ".tiff": "-InTiff", ".eer": "-InEer"}
_EER = (1, 4)  # MotionCor2 that reads EER
_GROUPS = (1, 6)  # MotionCor2 that groups frames for patches on their own


class MotionCor(GpuProgram):
    """Align a movie with MotionCor2 (1.2 or later) or MotionCor3, which tells its version itself.

    The sum without exposure weighting is kept, and the weighted one where the dose is known. Shifts of the whole frame
    are taken from the log. The gain is that of the movie; one that is no MRC file is converted.
    """

    takes = Movie
    gives = Micrograph
    cites = (cites.MOTIONCOR,)
    program = "MotionCor"
    names = ("MotionCor3", "motioncor3", "MotionCor2", "motioncor2")
    variable = "CRYOWIDGETS_MOTIONCOR"

    patch_x = Int(5, min=0, max=40, help="Patches along x for local motion; 0 for none").tag(group="Motion")
    patch_y = Int(5, min=0, max=40, help="Patches along y").tag(group="Motion")
    overlap = Int(0, min=0, max=90, help="Overlap of patches").tag(unit="%", group="Motion", advanced=True)
    group = Int(1, min=1, help="Frames that are added up for the alignment of the whole frame").tag(group="Motion")
    group_local = Int(4, min=1, help="Frames that are added up for that of patches; MotionCor2 1.6 and MotionCor3").tag(
        group="Motion", advanced=True
    )
    iterations = Int(10, min=1, max=100, help="Most iterations of the alignment").tag(group="Motion", advanced=True)
    tolerance = Float(0.2, min=0.01, help="Shift at which iterations end").tag(unit="px", group="Motion", advanced=True)
    bfactor = Float(500.0, min=0, help="B-factor that damps fine detail for the whole frame").tag(
        unit="px²", group="Motion", advanced=True
    )
    bfactor_local = Float(100.0, min=0, help="The same for patches").tag(unit="px²", group="Motion", advanced=True)
    first_frame = Int(1, min=1, help="First frame used, counted from 1").tag(group="Frames")
    skip_last = Int(0, min=0, help="Frames at the end that are not used").tag(group="Frames", advanced=True)
    eer_group = Int(0, min=0, help="EER: raw frames in a fraction; 0 for fractions of 1 e/Å²").tag(group="Frames")
    eer_upsampling = Enum([1, 2], 1, help="EER: 2 renders at twice the camera's resolution").tag(
        group="Frames", advanced=True
    )
    dose_weighting = Bool(True, help="Write an exposure-weighted sum as well, where the dose is known").tag(
        group="Micrographs"
    )
    halves = Bool(False, help="Write the sums of even and of odd frames as well, for denoising").tag(
        group="Micrographs", advanced=True
    )
    binning = Float(1.0, min=1, max=8, help="Make micrographs smaller by this factor; 2 for super-resolution").tag(
        group="Micrographs"
    )
    gain_rotation = Enum(
        [0, 1, 2, 3], 0, help="Turn the gain by so many times 90°; gains that the project has prepared need no turn"
    ).tag(group="Gain", advanced=True)
    gain_flip = Enum([0, 1, 2], 0, help="Then flip it: 1 upside down, 2 left to right").tag(group="Gain", advanced=True)
    defect_file = Unicode("", help="Text file of defects: x, y, width and height in each line").tag(
        group="Gain", advanced=True
    )
    defect_map = Unicode("", help="MRC or TIFF file of the camera's size, 1 where a pixel is defective").tag(
        group="Gain", advanced=True
    )

    def check(self) -> None:
        super().check()
        if (self.patch_x > 1) != (self.patch_y > 1):
            raise ParameterError(
                f"MotionCor.patch_x {self.patch_x} and patch_y {self.patch_y}: write more than 1 for both, or 0 for "
                "both to leave local motion out."
            )
        if self.defect_file and self.defect_map:
            raise ParameterError("MotionCor takes defect_file or defect_map, not both: clear one of them.")

    def process(self, movie: Movie, out: Out) -> Micrograph:
        optics = optics_of(movie)
        if Path(movie.path).suffix.lower() not in _INPUT:
            raise InputError(f"{movie.path} is of no kind that MotionCor reads: MRC, TIFF or EER.")
        with self.run(out) as run:
            frames, group = self._frames(movie, optics)
            gain = self._gain(movie, run.folder)
            if group:
                dose = optics.dose_per_frame
                (run.folder / "fractions.txt").write_text(f"{frames} {group} {dose:g}\n")
            said = run(self.command(movie, run.program, run.version, gain))
            with run.parsing():
                corrections = parse(said)
                used = frames // group if group else frames
                self._counted(len(corrections), used)
                return micrograph(
                    movie,
                    out,
                    self._of_frames(optics, group),
                    self._sums(run, optics),
                    displacements(corrections),
                    self.first_frame,
                    self.binning,
                    used,
                    (self.eer_upsampling, group) if group else (1, 1),
                    **run.made_by,
                )

    def introduced(self, said: str, file: str) -> tuple[str, str]:
        """MotionCor2 or MotionCor3, each of which counts its versions from 1."""
        newest = "motioncor3" in (said if "motioncor" in said.lower() else file).lower()
        return "MotionCor3" if newest else "MotionCor2", super().introduced(said, file)[1]

    def command(self, movie: Movie, program: str, version: str, gain: str = "") -> Command:
        """The command for MotionCor2 or MotionCor3 of a version; it writes ``sum.mrc`` and others in its folder.

        Raises
        ------
        ParameterError
            This version cannot do what is asked for.
        """
        optics = optics_of(movie)
        newest, number = program == "MotionCor3", numbers(version)
        suffix = Path(movie.path).suffix.lower()
        eer = suffix == ".eer"
        if eer and not newest and number and number < _EER:
            raise ParameterError(f"MotionCor2 {version} does not read EER: set MotionCor.executable to 1.4 or later.")
        recent = newest or number >= _GROUPS
        weighted = self._weighted(optics)
        words: list[object] = [_INPUT[suffix], movie.path, "-OutMrc", "sum.mrc"]
        words += ["-PixSize", optics.pixel_size / (self.eer_upsampling if eer else 1), "-kV", optics.voltage]
        if self.patch_x > 1:
            words += ["-Patch", self.patch_x, self.patch_y, self.overlap]
        words += ["-Iter", self.iterations, "-Tol", self.tolerance, "-Bft", self.bfactor, self.bfactor_local]
        words += ["-Group", self.group, *([self.group_local] if recent else [])]
        words += ["-Throw", self.first_frame - 1, "-Trunc", self.skip_last, "-FtBin", self.binning]
        if weighted:
            words += ["-InitDose", optics.pre_exposure, "-SumRange", 0, 0]
            words += [] if eer else ["-FmDose", optics.dose_per_frame]
        if eer:
            words += ["-EerSampling", self.eer_upsampling, "-FmIntFile", "fractions.txt"]
        if gain:
            words += ["-Gain", gain, "-RotGain", self.gain_rotation, "-FlipGain", self.gain_flip]
        if self.defect_file:
            words += ["-DefectFile", self.defect_file]
        if self.defect_map:
            words += ["-DefectMap", self.defect_map]
        if self.halves:
            words += ["-SplitSum", 1]
        if newest:
            words += ["-Cs", 0]  # it would estimate the CTF as well
        return command(*words, "-Gpu", 0)

    def _frames(self, movie: Movie, optics: Optics) -> tuple[int, int]:
        """Frames in the file, and for EER how many raw ones are added up."""
        if not movie.path.lower().endswith(".eer"):
            with open_movie(movie.path) as file:
                return len(file), 0
        group = self.eer_group or (max(round(1 / optics.dose_per_frame), 1) if optics.dose_per_frame > 0 else 0)
        if not group:
            raise ParameterError(
                f"MotionCor.eer_group is 0 and the dose of {movie.path} is not known: write how many raw frames "
                "make a fraction."
            )
        with open_movie(movie.path, group=group) as file:
            return file.raw_frames, group

    def _gain(self, movie: Movie, folder: Path) -> str:
        if not movie.gain or movie.gain.lower().endswith(".mrc"):
            return movie.gain
        with open_movie(movie.path) as file:
            mrc.write(folder / "gain.mrc", read_gain(movie.gain, file.shape[1:]))
        return "gain.mrc"

    def _weighted(self, optics: Optics) -> bool:
        return self.dose_weighting and optics.dose_per_frame > 0

    def _of_frames(self, optics: Optics, group: int) -> Optics:
        """The optics of the frames that are added up; those given are of raw frames where a movie is of EER."""
        if not group:
            return optics
        size = optics.pixel_size / self.eer_upsampling
        return dataclasses.replace(optics, pixel_size=size, dose_per_frame=optics.dose_per_frame * group)

    def _sums(self, run: Run, optics: Optics) -> dict[str, Path]:
        sums = {"path": run.file("sum.mrc")}
        if self._weighted(optics):
            sums["dose_weighted"] = run.file("sum_DW.mrc")
        if self.halves:
            sums |= {"even": run.file("sum_EVN.mrc"), "odd": run.file("sum_ODD.mrc")}
        return sums

    def _counted(self, found: int, present: int) -> None:
        wanted = present - (self.first_frame - 1) - self.skip_last
        if found != wanted:
            raise InputError(f"its log has the shifts of {found} frames where {wanted} were to be aligned.")


def parse(log: str) -> np.ndarray:
    """Shifts of the whole frame from a log of MotionCor2 or 3, or of the first MotionCor.

    Returns
    -------
    (n, 2)
        x and y in px, as the program has them: corrections relative to its own frame of reference.

    Raises
    ------
    InputError
        The log has none, or they do not follow one another.
    """
    rows: dict[int, tuple[float, float]] = {}
    first = None
    table = False
    for line in log.splitlines():
        if re.match(r"\s*Frame\s+x Shift\s+y Shift", line):
            table, rows = True, {}
            continue
        if re.search(r"Full-frame alignment shift", line):
            rows = {}
        found = _LINE.match(line) or (_ROW.match(line) if table else None)
        if found:
            rows[int(found[1])] = (float(found[2]), float(found[3]))
            first = min(rows)
        else:
            table = table and not rows
    if not rows:
        raise InputError("its log has no shifts of the whole frame.")
    if sorted(rows) != list(range(first, first + len(rows))):
        raise InputError("its log has no shifts of some frames.")
    return np.array([rows[number] for number in sorted(rows)])


_FLOAT = r"([-+]?\d+(?:\.\d*)?)"
_LINE = re.compile(rf"\s*\.{{6}}\s*(?:Add )?Frame\s*[#(]\s*(\d+)\s*\)?\s*(?:with xy )?shift:\s*{_FLOAT}\s+{_FLOAT}\s*$")
_ROW = re.compile(rf"\s*(\d+)\s+{_FLOAT}\s+{_FLOAT}\s*$")
