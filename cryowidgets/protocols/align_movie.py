"""The step that turns a movie into a micrograph."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from traitlets import Bool, Enum, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc, star
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import Frames, open_movie
from cryowidgets.kernels import dose, gain, motion, quality
from cryowidgets.model import NAN, Micrograph, Movie, Optics
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out

NOT_OBSERVED = -9999.0
"""What RELION writes for the shift of a frame that was left out."""

_LARGEST_HALF = 6.5e4  # float16 ends at 65504


class AlignMovie(Protocol):
    """Undo the motion of the whole frame and add up the frames, with and without exposure weighting.

    Counts are multiplied with the gain reference, defect pixels are replaced, and the motion is measured by comparing
    each frame with the sum of the others. Two micrographs are written: NAME.mrc, the plain sum, from which the CTF is
    measured, and NAME_DW.mrc, the exposure-weighted one, where the dose is known. A movie whose frames do not agree,
    such as one of an empty field, is added up as it is, and its motion is left unknown.
    """

    takes = Movie
    gives = Micrograph

    first_frame = Int(1, min=1, help="First frame used, counted from 1").tag(group="Frames")
    last_frame = Int(0, min=0, help="Last frame used; 0 for the last of the movie").tag(group="Frames")
    repair_defects = Bool(True, help="Find hot and dead pixels, columns and rows, and replace them").tag(group="Frames")
    resolution = Float(5.0, min=2, max=50, help="Finest detail that frames are compared by").tag(
        unit="Å", group="Motion", advanced=True
    )
    max_shift = Float(100.0, min=1, max=1000, help="How far a frame may be away from the mean of the others").tag(
        unit="Å", group="Motion"
    )
    dose_weighting = Bool(True, help="Write an exposure-weighted sum as well, where the dose is known").tag(
        group="Micrographs"
    )
    binning = Float(1.0, min=1, max=16, help="Make micrographs smaller by this factor; 2 for super-resolution").tag(
        group="Micrographs"
    )
    output_type = Enum(
        ["float32", "float16"],
        "float32",
        help="Numbers in the micrographs: float16 halves the files; RELION 4 and CryoSPARC 4 read it, CTFFIND does not",
    ).tag(group="Micrographs", advanced=True)
    memory = Float(2.0, min=0, help="Keep a movie in memory up to this size; a larger one is read three times").tag(
        unit="GB", group="Frames", advanced=True
    )

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
        with open_movie(movie.path) as file:
            numbers = self._numbers(movie, len(file))
            reference = read_gain(movie.gain, file.shape[1:]) if movie.gain else None
            frames = _Corrected(file, numbers, reference, self.memory * 1e9, seed=zlib.crc32(movie.name.encode()))
            defects = frames.find_defects() if self.repair_defects else None
            before = optics.pre_exposure + optics.dose_per_frame * numbers[0]
            found = motion.align(
                frames,
                optics.pixel_size,
                optics.dose_per_frame,
                before,
                optics.voltage,
                self.resolution,
                self.max_shift,
            )
            shape = _binned(file.shape[1:], self.binning)
            weighted = self.dose_weighting and optics.dose_per_frame > 0
            ends = before + optics.dose_per_frame * np.arange(1, len(frames) + 1)
            sums = dose.align_and_sum(
                reversed(frames),
                found.shifts[::-1],
                optics.pixel_size,
                ends[::-1] if weighted else None,
                optics.voltage,
                shape,
            )
            pixel_size = optics.pixel_size * file.shape[2] / shape[1]
            self._write(out.file(".mrc"), sums.plain, pixel_size)
            if weighted:
                self._write(out.file("_DW.mrc"), sums.weighted, pixel_size)
            jpeg.write(out.file("_thumbnail.jpg"), sums.plain)
            blocks = _relion(movie, optics, file, numbers, found.shifts, self.binning, defects)
            star.write(out.file(".star"), blocks)
        path = quality.UNKNOWN
        if found.ok:
            path = quality.path(found.shifts, optics.pixel_size, optics.dose_per_frame, before)
        return Micrograph(
            path=out.name(".mrc"),
            dose_weighted=out.name("_DW.mrc") if weighted else "",
            thumbnail=out.name("_thumbnail.jpg"),
            metadata=out.name(".star"),
            pixel_size=pixel_size,
            height=shape[0],
            width=shape[1],
            frames=len(frames),
            motion_total=path.total,
            motion_early=path.early,
            motion_late=path.late,
            motion_worst=path.worst,
            shift_error=float(np.sqrt(np.mean(np.square(found.error)))) if found.ok else NAN,
            counts=frames.counts(),
            defects=len(defects) if defects is not None else 0,
            shifts=found.shifts if found.ok else None,
            reason=found.why,
        )

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


class _Corrected(Sequence):
    """Frames of an open movie times the gain, with their defects replaced the same way each time they are asked for.

    Raw frames are kept, as long as they fit into `memory` bytes.
    """

    def __init__(
        self, file: Frames, numbers: range, reference: np.ndarray | None, memory: float, seed: int
    ) -> None:
        self._file, self._numbers, self._reference, self._seed = file, numbers, reference, seed
        whole = len(numbers) * file.shape[1] * file.shape[2] * np.dtype(file.dtype).itemsize
        self._kept: dict[int, np.ndarray] | None = {} if whole <= memory else None
        self._repair: gain.Repair | None = None
        self._total: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> np.ndarray:
        number = self._numbers[i]
        frame = gain.apply(self._raw(number), self._reference)
        if self._repair is not None:
            frame = self._repair(frame, np.random.default_rng([self._seed, number]))
        return frame

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def find_defects(self) -> gain.Defects:
        """Find defects in the sum of the raw frames, to be replaced from now on."""
        defects = gain.find_defects(self.total(), self._reference)
        self._repair = gain.Repair(defects, self.total())
        return defects

    def counts(self) -> float:
        """Mean of a raw frame."""
        total = self.total()
        return float(total.mean(dtype=np.float64, where=np.isfinite(total))) / len(self)

    def total(self) -> np.ndarray:
        """Sum of the raw frames: (y, x)."""
        if self._total is None:
            kind = {"u": np.uint32, "i": np.int32}.get(np.dtype(self._file.dtype).kind, np.float32)
            self._total = np.zeros(self._file.shape[1:], kind)
            for number in self._numbers:
                self._total += self._raw(number)
        return self._total

    def _raw(self, number: int) -> np.ndarray:
        if self._kept is None:
            return self._file[number]
        if number not in self._kept:
            self._kept[number] = self._file[number]
        return self._kept[number]


def _binned(shape: Sequence[int], binning: float) -> tuple[int, int]:
    """Size of the micrograph, even where it is binned, as transforms like it and RELION demands."""
    if binning == 1:
        return shape[0], shape[1]
    return 2 * max(int(shape[0] / binning / 2), 1), 2 * max(int(shape[1] / binning / 2), 1)


def _relion(
    movie: Movie,
    optics: Optics,
    file: Frames,
    numbers: range,
    shifts: np.ndarray,
    binning: float,
    defects: gain.Defects | None,
) -> dict[str, dict]:
    """The movie's own star file as RELION's motion correction writes it, which Bayesian polishing reads.

    RELION's shift is the correction, px of the movie: by how much to move the content of a frame so that it lies on
    that of the first. Content that drifts by +3 px has a shift of -3. Its rows are those of MRC, as ours are.
    """
    frames, height, width = file.shape
    correction = np.full((frames, 2), NOT_OBSERVED)
    correction[numbers.start : numbers.stop] = 0.0 - shifts
    general = {
        "rlnImageSizeX": width,
        "rlnImageSizeY": height,
        "rlnImageSizeZ": frames,
        "rlnMicrographMovieName": movie.path,
        **({"rlnMicrographGainName": movie.gain} if movie.gain else {}),
        "rlnMicrographBinning": float(binning),
        "rlnMicrographOriginalPixelSize": float(optics.pixel_size),
        "rlnMicrographDoseRate": float(optics.dose_per_frame),
        "rlnMicrographPreExposure": float(optics.pre_exposure),
        "rlnVoltage": float(optics.voltage),
        "rlnMicrographStartFrame": numbers.start + 1,
        "rlnEERUpsampling": 1,
        "rlnEERGrouping": 1,
        "rlnMotionModelVersion": 0,
    }
    blocks: dict[str, dict] = {
        "general": general,
        "global_shift": {
            "rlnMicrographFrameNumber": list(range(1, frames + 1)),
            "rlnMicrographShiftX": correction[:, 1].tolist(),
            "rlnMicrographShiftY": correction[:, 0].tolist(),
        },
    }
    if defects is not None and len(defects.found):  # those of the gain RELION sees itself
        y, x = np.divmod(defects.found, width)
        blocks["hot_pixels"] = {"rlnCoordinateX": x.astype(float).tolist(), "rlnCoordinateY": y.astype(float).tolist()}
    return blocks
