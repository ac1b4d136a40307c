"""The step that has RELION's own implementation of motion correction align a movie."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from traitlets import Bool, Enum, Float, Int

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.io.gain import inverted, load
from cryowidgets.model import Micrograph, Movie, Optics
from cryowidgets.protocols import cites, relion_files
from cryowidgets.protocols.aligned import displacements, micrograph, optics_of
from cryowidgets.protocols.external import Command, Program, command
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers
from cryowidgets.protocols.relion import NOT_OBSERVED

_HALVES = (5,)  # the first that writes sums of even and of odd frames


class RelionMotioncorr(Program):
    """Align a movie with ``relion_run_motioncorr --use_own`` of RELION 3.1 or later; on cores alone.

    Zivanov, Nakane & Scheres, IUCrJ 6, 5 (2019), doi:10.1107/S205225251801463X.
    """

    takes = Movie
    gives = Micrograph
    cites = (cites.RELION_MOTION, cites.BOOTES)
    program = "RELION"
    names = ("relion_run_motioncorr",)
    variable = "CRYOWIDGETS_RELION_MOTIONCORR"

    patch_x = Int(5, min=1, max=40, help="Patches along x for local motion; 1 for none").tag(group="Motion")
    patch_y = Int(5, min=1, max=40, help="Patches along y").tag(group="Motion")
    bfactor = Float(150.0, min=0, help="B-factor that damps fine detail").tag(unit="px²", group="Motion")
    group = Int(1, min=1, help="Frames that are added up for the alignment").tag(group="Motion", advanced=True)
    first_frame = Int(1, min=1, help="First frame used, counted from 1").tag(group="Frames")
    last_frame = Int(0, min=0, help="Last frame used; 0 for the last of the movie").tag(group="Frames")
    eer_group = Int(0, min=0, help="EER: raw frames in a fraction; 0 for fractions of 1 e/Å²").tag(group="Frames")
    eer_upsampling = Enum([1, 2], 1, help="EER: 2 renders at twice the camera's resolution").tag(
        group="Frames", advanced=True
    )
    dose_weighting = Bool(True, help="Write an exposure-weighted sum as well, where the dose is known").tag(
        group="Micrographs"
    )
    halves = Bool(False, help="Write the sums of even and of odd frames as well; RELION 5").tag(
        group="Micrographs", advanced=True
    )
    binning = Float(1.0, min=1, max=8, help="Make micrographs smaller by this factor; 2 for super-resolution").tag(
        group="Micrographs"
    )
    gain_rotation = Enum(
        [0, 1, 2, 3], 0, help="Turn the gain by so many times 90°; gains that the project has prepared need no turn"
    ).tag(group="Gain", advanced=True)
    gain_flip = Enum([0, 1, 2], 0, help="Then flip it: 1 upside down, 2 left to right").tag(group="Gain", advanced=True)

    def check(self) -> None:
        super().check()
        if 0 < self.last_frame < self.first_frame:
            raise ParameterError(
                f"RelionMotioncorr.last_frame {self.last_frame} comes before first_frame {self.first_frame}: "
                "write a later frame, or 0 for the last of the movie."
            )

    def process(self, movie: Movie, out: Out) -> Micrograph:
        optics = optics_of(movie)
        eer = movie.path.lower().endswith(".eer")
        with self.run(out) as run:
            name = f"Movies/movie{Path(movie.path).suffix.lower()}"  # RELION names results by the movie's path
            run.link(movie.path, name)
            star.write(run.folder / "movies.star", relion_files.movies(movie, optics, name))
            run(self.command(movie, run.version, self._gain(movie, run.folder, eer)))
            with run.parsing():
                corrections, first = parse(run.text("out/Movies/movie.star"))
                weighted = self._weighted(optics)
                sums = {"path": run.file(f"out/Movies/movie{'_noDW' if weighted else ''}.mrc")}
                if weighted:
                    sums["dose_weighted"] = run.file("out/Movies/movie.mrc")
                if self.halves:
                    sums |= {key: run.file(f"out/Movies/movie_{end}.mrc") for key, end in _ENDS.items()}
                group = self._eer_group(movie, optics) if eer else 0
                return micrograph(
                    movie,
                    out,
                    self._of_frames(optics, group),
                    sums,
                    displacements(corrections),
                    first,
                    self.binning,
                    eer=(self.eer_upsampling, group) if group else (1, 1),
                    **run.made_by,
                )

    def command(self, movie: Movie, version: str, gain: str = "") -> Command:
        """The command for a version; it writes below ``out/Movies``.

        Raises
        ------
        ParameterError
            This version cannot do what is asked for.
        """
        optics = optics_of(movie)
        if self.halves and numbers(version) < _HALVES:
            raise ParameterError(f"RELION {version} writes no sums of halves: clear halves, or take RELION 5.")
        words: list[object] = ["--i", "movies.star", "--o", "out/", "--use_own", "--j", cpu.threads()]
        words += ["--first_frame_sum", self.first_frame, "--last_frame_sum", self.last_frame or -1]
        words += ["--bin_factor", self.binning, "--bfactor", self.bfactor, "--group_frames", self.group]
        words += ["--patch_x", self.patch_x, "--patch_y", self.patch_y]
        words += ["--dose_per_frame", optics.dose_per_frame, "--preexposure", optics.pre_exposure]
        if gain:
            words += ["--gainref", gain, "--gain_rot", self.gain_rotation, "--gain_flip", self.gain_flip]
        if movie.path.lower().endswith(".eer"):
            words += ["--eer_grouping", self._eer_group(movie, optics), "--eer_upsampling", self.eer_upsampling]
        if self._weighted(optics):
            words += ["--dose_weighting", "--save_noDW"]
        if self.halves:
            words += ["--even_odd_split"]
        return command(*words)

    def _weighted(self, optics: Optics) -> bool:
        return self.dose_weighting and optics.dose_per_frame > 0

    def _eer_group(self, movie: Movie, optics: Optics) -> int:
        if not self.eer_group and not optics.dose_per_frame > 0:
            raise ParameterError(
                f"RelionMotioncorr.eer_group is 0 and the dose of {movie.path} is not known: write how many raw "
                "frames make a fraction."
            )
        return self.eer_group or max(round(1 / optics.dose_per_frame), 1)

    def _gain(self, movie: Movie, folder: Path, eer: bool) -> str:
        """The gain as RELION understands it: it divides EER movies by one that is an MRC file."""
        suffix = Path(movie.gain).suffix.lower()
        if not movie.gain or suffix == ".gain" or (suffix == ".mrc" and not eer):
            return movie.gain
        gain = load(movie.gain)
        mrc.write(folder / "gain.mrc", (inverted(gain) if eer else gain).astype(np.float32))
        return "gain.mrc"

    def _of_frames(self, optics: Optics, group: int) -> Optics:
        if not group:
            return optics
        size = optics.pixel_size / self.eer_upsampling
        return dataclasses.replace(optics, pixel_size=size, dose_per_frame=optics.dose_per_frame * group)


_ENDS = {"even": "EVN", "odd": "ODD"}


def parse(text: str) -> tuple[np.ndarray, int]:
    """Shifts of the whole frame from the star file of one movie.

    Returns
    -------
    (n, 2) array
        x and y in px, as RELION has them: corrections relative to the first frame that was used.
    int
        The first frame that was used, counted from 1.

    Raises
    ------
    InputError
        The file has none, or some in between are missing.
    """
    table = star.parse(text, "its star file").get("global_shift", {})
    names = ("rlnMicrographFrameNumber", "rlnMicrographShiftX", "rlnMicrographShiftY")
    if not all(name in table for name in names):
        raise InputError("its star file has no shifts of the whole frame.")
    rows = np.array([np.atleast_1d(table[name]) for name in names], float).T
    rows = rows[(rows[:, 1:] != NOT_OBSERVED).all(axis=1)]
    if not len(rows) or not np.array_equal(rows[:, 0], rows[0, 0] + np.arange(len(rows))):
        raise InputError("its star file lacks the shifts of some frames.")
    return rows[:, 1:], int(rows[0, 0])
