"""The step that turns a movie into a micrograph."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np
from traitlets import Bool, Enum, Float, Int

from cryowidgets.cpu import each
from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc, star
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import Frames, open_movie
from cryowidgets.kernels import flow, fourier, gain, localmotion, motion, quality, spectrum, warp
from cryowidgets.kernels.sums import add_up
from cryowidgets.model import NAN, Micrograph, Movie, Optics
from cryowidgets.protocols import cites, relion
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.raw import Raw
from cryowidgets.protocols.spectra import write_spectrum

_LARGEST_HALF = 6.5e4  # float16 ends at 65504
_FEWEST = 4  # frames that show local motion
_FRACTIONS = 40  # of an EER movie whose exposure is not known


class AlignMovie(Protocol):
    """Undo the motion of a movie's content and add up the frames, with and without exposure weighting.

    Counts are multiplied with the gain reference, defect pixels are replaced, and the motion of the whole frame is
    measured by comparing each frame with the sum of the others; then that of its parts, by one smooth field which is
    used only where it makes parts that had no say in it likelier. Two micrographs are written: NAME.mrc, the plain sum,
    from which the CTF is measured, and NAME_DW.mrc, the exposure-weighted one, where the dose is known. A movie whose
    frames do not agree, such as one of an empty field, is added up as it is, and its motion is left unknown.
    """

    takes = Movie
    gives = Micrograph
    cites = (cites.BOOTES, cites.MOTIONCOR, cites.SMOOTH_FIELD)

    first_frame = Int(1, min=1, help="First frame used, counted from 1").tag(group="Frames")
    last_frame = Int(0, min=0, help="Last frame used; 0 for the last of the movie").tag(group="Frames")
    repair_defects = Bool(True, help="Find hot and dead pixels, columns and rows, and replace them").tag(group="Frames")
    memory = Float(2.0, min=0, help="Keep a movie in memory up to this size; a larger one is read several times").tag(
        unit="GB", group="Frames", advanced=True
    )
    eer_dose = Float(
        1.0, min=0, help="EER: exposure of the fractions that raw frames are added up to, where eer_group is 0"
    ).tag(unit="e/Å²", group="Frames", advanced=True)
    eer_group = Int(0, min=0, help="EER: raw frames in a fraction; 0 goes by eer_dose").tag(
        group="Frames", advanced=True
    )
    eer_upsampling = Enum([1, 2], 1, help="EER: 2 renders at twice the camera's resolution").tag(
        group="Frames", advanced=True
    )
    method = Enum(
        ["likelihood", "relion", "pairs"],
        "likelihood",
        help="How the whole frame is aligned: by maximum likelihood; or, for comparison, as RELION does, or by all "
        "pairs of frames",
    ).tag(group="Motion", advanced=True)
    local = Enum(
        ["field", "flow", "none"],
        "field",
        help="Local motion: one smooth field for all parts; optical flow, which is less precise; or none",
    ).tag(group="Motion")
    patches = Int(
        0, min=0, max=24, help="Parts along the longer side that local motion is measured from; 0: one for each 450 Å"
    ).tag(group="Motion", advanced=True, when=lambda protocol: protocol.local == "field")
    resolution = Float(5.0, min=2, max=50, help="Finest detail that frames are compared by").tag(
        unit="Å", group="Motion", advanced=True
    )
    max_shift = Float(100.0, min=1, max=1000, help="How far a frame may be away from the mean of the others").tag(
        unit="Å", group="Motion"
    )
    dose_weighting = Bool(True, help="Write an exposure-weighted sum as well, where the dose is known").tag(
        group="Micrographs"
    )
    spectrum_dose = Float(
        8.0,
        min=0,
        help="Exposure of the groups of frames whose mean power spectrum is kept, for the CTF to be measured from it "
        "and the micrograph together; 0 for none",
    ).tag(unit="e/Å²", group="Micrographs", advanced=True)
    halves = Bool(False, help="Write the sums of even and of odd frames as well, for denoising").tag(
        group="Micrographs", advanced=True
    )
    binning = Float(1.0, min=1, max=16, help="Make micrographs smaller by this factor; 2 for super-resolution").tag(
        group="Micrographs"
    )
    output_type = Enum(
        ["float32", "float16"],
        "float32",
        help="Numbers in the micrographs: float16 halves the files; RELION 4 and CryoSPARC 4 read it, CTFFIND does not",
    ).tag(group="Micrographs", advanced=True)

    def check(self) -> None:
        if 0 < self.last_frame < self.first_frame:
            raise ParameterError(
                f"AlignMovie.last_frame {self.last_frame} comes before first_frame {self.first_frame}: "
                "write a later frame, or 0 for the last of the movie."
            )

    def process(self, movie: Movie, out: Out) -> Micrograph:
        optics = movie.optics
        if optics is None:
            raise InputError(f"{movie.path} comes without optics: its pixel size is needed to align it.")
        with self._open(movie, optics) as file:
            optics = _of_frames(file, optics)
            numbers = self._numbers(movie, len(file))
            # compiled loops are made anew for arrays that cannot be written to
            reference = np.require(read_gain(movie.gain, file.shape[1:]), requirements="CW") if movie.gain else None
            frames = Raw(file, numbers, self.memory * 1e9, seed=zlib.crc32(movie.name.encode()))
            defects = None
            if self.repair_defects:
                defects = gain.find_defects(frames.total, reference)
                repair = frames.repair(defects)
                reference = None if reference is None else repair.repaired(reference)
            before = optics.pre_exposure + optics.dose_per_frame * numbers[0]
            known = optics.pixel_size, optics.dose_per_frame, before, optics.voltage, self.resolution
            whole = motion.align(frames, *known, self.max_shift, reference, self.method)
            local = self._local(frames, reference, whole, *known) if whole.ok else None
            shape = _binned(file.shape[1:], self.binning)
            weighted = self.dose_weighting and optics.dose_per_frame > 0
            ends = before + optics.dose_per_frame * np.arange(1, len(frames) + 1)
            displacement = warp.uniform(whole.shifts, frames.shape) if local is None else local.tiles()
            spectra: list[spectrum.Spectrum] = []
            sums = add_up(
                frames.blocks(),
                reference,
                displacement,
                frames.shape,
                optics.pixel_size,
                ends if weighted else None,
                optics.voltage,
                shape,
                self.halves,
                *self._groups(len(frames), optics, spectra),
            )
            note = self._note(whole, optics, file)
            pixel_size = optics.pixel_size * file.shape[2] / shape[1]
            images = {".mrc": sums.plain, "_DW.mrc": sums.weighted, "_EVN.mrc": sums.even, "_ODD.mrc": sums.odd}
            files = [
                partial(self._write, out.file(end), image, pixel_size)
                for end, image in images.items()
                if image is not None
            ]
            files.append(partial(jpeg.write, out.file("_thumbnail.jpg"), sums.plain))
            each(lambda write: write(), files)
            if spectra:
                mean = _white(spectrum.average(spectra), optics.pixel_size, displacement)
                write_spectrum(out.file("_PS.mrc"), mean)
            shifts = whole.shifts if local is None else local.shifts
            anew = local is not None and np.isfinite(local.covariance).all()
            covariance = local.covariance if anew else whole.covariance
            field = local.field if local is not None else None
            blocks = relion.metadata(
                movie, optics, file.shape, numbers, shifts, field, self.binning, defects, self._eer(file)
            )
            star.write(out.file(".star"), blocks)
            if field is not None:
                np.savez(out.file("_motion.npz"), centres=local.grid.centres, tracks=local.tracks())
        path = quality.UNKNOWN
        if whole.ok:
            path = quality.path(shifts, optics.pixel_size, optics.dose_per_frame, before, covariance)
        counts = frames.counts()
        return Micrograph(
            path=out.name(".mrc"),
            dose_weighted=out.name("_DW.mrc") if weighted else "",
            power_spectrum=out.name("_PS.mrc") if spectra else "",
            even=out.name("_EVN.mrc") if self.halves else "",
            odd=out.name("_ODD.mrc") if self.halves else "",
            thumbnail=out.name("_thumbnail.jpg"),
            metadata=out.name(".star"),
            local_motion=out.name("_motion.npz") if field is not None else "",
            pixel_size=pixel_size,
            height=shape[0],
            width=shape[1],
            frames=len(frames),
            motion_total=path.total,
            motion_early=path.early,
            motion_late=path.late,
            motion_worst=path.worst,
            motion_total_error=path.total_error,
            motion_early_error=path.early_error,
            motion_late_error=path.late_error,
            motion_worst_error=path.worst_error,
            motion_local=0.0 if field is None else field.rms() * optics.pixel_size,
            motion_residual=local.residual * optics.pixel_size if local is not None else NAN,
            shift_error=float(np.sqrt(np.mean(np.diag(covariance)))) if whole.ok else NAN,
            counts=counts,
            measured_dose=counts / optics.pixel_size**2,
            defects=len(defects) if defects is not None else 0,
            shifts=shifts if whole.ok else None,
            measured_shifts=whole.raw if whole.ok else None,
            reason=whole.why,
            note=note,
        )

    def _open(self, movie: Movie, optics: Optics) -> Frames:
        """The movie; raw frames of EER grouped, their exposure being that of the optics."""
        if not movie.path.lower().endswith(".eer"):
            return open_movie(movie.path)
        group = self.eer_group or None
        if group is None and optics.dose_per_frame > 0:
            group = max(round(self.eer_dose / optics.dose_per_frame), 1)
        if group is None:
            return open_movie(movie.path, fractions=_FRACTIONS, upsampling=self.eer_upsampling)
        return open_movie(movie.path, group=group, upsampling=self.eer_upsampling)

    def _local(self, frames: Raw, reference: np.ndarray | None, whole: motion.Motion, *known: float):
        if self.local == "none" or len(frames) < _FEWEST:
            return None
        if self.local == "flow":
            return flow.measure(frames.blocks(), reference, frames.shape, whole.shifts, *known)
        number = None
        if self.patches:
            longer = max(frames.shape)
            number = tuple(max(round(self.patches * n / longer), 2) for n in frames.shape)
        blocks = frames.blocks(localmotion.grouped(len(frames), known[1]))
        return localmotion.measure(
            blocks, reference, frames.shape, whole.shifts, *known, number, covariance=whole.covariance
        )

    def _groups(self, frames: int, optics: Optics, spectra: list) -> tuple:
        """The group of each frame, and what to do with the sum of each: its power spectrum goes to `spectra`.

        Where a single group would do, or the micrograph is binned, the micrograph tells as much.
        """
        if not (self.spectrum_dose and optics.dose_per_frame) or self.binning != 1:
            return None, None
        size = max(round(self.spectrum_dose / optics.dose_per_frame), 1)
        count = frames // size
        if count < 2:
            return None, None
        group = np.minimum(np.arange(frames) // size, count - 1)
        return group, lambda image: spectra.append(spectrum.power_spectrum(image, optics.pixel_size))

    def _note(self, whole: motion.Motion, optics: Optics, file: Frames) -> str:
        found = []
        if whole.ok:
            found.append(
                quality.oddities(whole.shifts, whole.raw, whole.raw_error, whole.covariance, optics.pixel_size)
            )
        found += getattr(file, "faults", [])
        return " ".join(filter(None, found))

    def _eer(self, file: Frames) -> tuple[int, int]:
        """Upsampling and raw frames in a fraction, as RELION records them."""
        return (self.eer_upsampling, file.group) if hasattr(file, "raw_frames") else (1, 1)

    def _numbers(self, movie: Movie, present: int) -> range:
        """The frames to use, counted from 0."""
        last = self.last_frame or present
        if not self.first_frame <= last <= present:
            raise InputError(
                f"{movie.path} has {present} frames, and frames {self.first_frame} to {last} are asked for: "
                "change first_frame or last_frame."
            )
        return range(self.first_frame - 1, last)

    def _write(self, path, image: np.ndarray, pixel_size: float) -> None:
        half = self.output_type == "float16" and float(np.abs(image).max()) < _LARGEST_HALF
        mrc.write(path, image.astype(np.float16) if half else image, pixel_size)


def _white(found: spectrum.Spectrum, pixel_size: float, displacement: np.ndarray) -> spectrum.Spectrum:
    """The spectrum of moved frames freed of what moving them did to it."""
    y, x = fourier.frequencies((found.box, found.box), found.pixel_size)
    y, x = warp.response(y * pixel_size, x * pixel_size, displacement)
    return dataclasses.replace(found, power=found.power / np.square(y * x))


def _binned(shape: Sequence[int], binning: float) -> tuple[int, int]:
    """Size of the micrograph, even where it is binned, as transforms like it and RELION demands."""
    if binning == 1:
        return shape[0], shape[1]
    return 2 * max(int(shape[0] / binning / 2), 1), 2 * max(int(shape[1] / binning / 2), 1)


def _of_frames(file: Frames, optics: Optics) -> Optics:
    """The optics of the frames that are added up; those given are of the raw frames and pixels of an EER movie."""
    if not hasattr(file, "raw_frames"):
        return optics
    return dataclasses.replace(
        optics,
        pixel_size=optics.pixel_size / file.upsampling,
        dose_per_frame=optics.dose_per_frame * file.group,
    )
