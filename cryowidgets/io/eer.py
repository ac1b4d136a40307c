"""EER movies of Falcon cameras: one list of electrons for each raw frame (Guo et al., IUCrJ 7 (2020) 860,
doi:10.1107/S205225252000929X), rendered to fractions of many raw frames each.

A file is a BigTIFF with a directory for each raw frame, 250 to 320 of them in a second. Rows are in the order of the
file, as RELION reads them.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import directories as tiff
from cryowidgets.io import meter
from cryowidgets.io.eercode import CODES, TAGGED, Code
from cryowidgets.io.eerwrite import write
from cryowidgets.io.frames import Opened, open_file
from cryowidgets.io.verdict import Verdict, blank, judge

__all__ = ["FRACTIONS", "EerMovie", "whole", "write"]

FRACTIONS = 40  # where neither their number nor their size is asked for
BEYOND = 8  # bytes behind each raw frame in memory: loops read somewhat further than it goes
_AT_ONCE = 32  # raw frames that are in memory at a time, for each thread


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Walk the directories and compare them with the size of the file; see `cryowidgets.io.movie.whole`.

    Frames are raw frames. Without their expected number, the one in the acquisition record proves the file whole.
    """
    try:
        with open(path, "rb") as file:
            survey = _survey(file)
            present = len(survey.raw)
            if survey.fault:
                lead = f"holds {present} raw frames; " if present else ""
                return Verdict(False, present, f"{path} {lead}{survey.fault}.")
            verdict = judge(path, present, frames)
            if not verdict.whole:
                return verdict
            if frames is None and survey.acquisition.get("numberOfFrames") != present:
                return Verdict(None, present, f"{path} holds {present} raw frames and may be about to grow.")
            if blank(file, *survey.last):
                return Verdict(None, present, f"{path} has its full size, but the end is blank.")
            return verdict
    except FileNotFoundError:
        return Verdict(False, 0, f"{path} does not exist.")
    except OSError as error:
        return Verdict(False, 0, f"{path} cannot be read: {error.strerror}.")


class EerMovie(Opened):
    """Fractions of an EER file, each rendered when asked for; see `cryowidgets.io.movie.open_movie`.

    Damaged raw frames are left out and counted; of a truncated file there is what is whole.

    Parameters
    ----------
    group : int, optional
        Raw frames for each fraction.
    fractions : int, optional
        How many fractions; 40 if nothing is given.
    dose : float, optional
        Aim at this dose for each fraction, e/Å², by the dose in the acquisition record.
    upsampling : {1, 2}
        Pixels for one of the camera, along each axis.

    Attributes
    ----------
    raw_frames, remainder : int
        Raw frames in the file, and those at its end that do not fill a fraction and are not used.
    skipped : int
        Damaged raw frames met so far.
    faults : list of str
        What is wrong with the file, as known so far: sentences.
    acquisition : dict
        The record that the camera's software leaves in the file, by its own names and units.
    exposure, dose : float
        Of the whole movie, s and e/Å²; 0 where the record does not tell.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        group: int | None = None,
        fractions: int | None = None,
        dose: float | None = None,
        upsampling: int = 1,
    ) -> None:
        self.path = Path(path)
        if upsampling not in (1, 2):
            raise ParameterError(f"upsampling {upsampling!r} is not possible: write 1 (pixels of the camera) or 2.")
        self._file = open_file(path)
        try:
            survey = _survey(self._file)
            self._raw, self._fault, self.acquisition = survey.raw, survey.fault, survey.acquisition
            self.raw_frames = len(self._raw)
            if not self._raw:
                raise InputError(f"{path} {survey.fault or 'holds no raw frame: it is not an EER movie'}.")
            if upsampling == 2 and not all(raw.code.x and raw.code.y for raw in self._raw):
                raise InputError(f"{path} does not tell where in a pixel electrons are: write upsampling 1.")
            self.upsampling = upsampling
            self._camera = survey.shape
            across = _number(self.acquisition, "sensorPixelSize.width") * 1e10
            across = across if 0.01 < across < 100 else 0.0  # Å on the specimen; some files give the camera's own
            self.pixel_size = across / upsampling
            self.exposure = _number(self.acquisition, "exposureTime")
            self.dose = _number(self.acquisition, "totalDose") / across**2 if across else 0.0
            self.group, count = self._divide(group, fractions, dose)
        except BaseException:
            self.close()
            raise
        self.remainder = self.raw_frames - count * self.group
        self.shape = (count, survey.shape[0] * upsampling, survey.shape[1] * upsampling)
        # A raw frame has at most one electron in a pixel.
        self.dtype = np.dtype(np.uint8 if self.group < 256 else np.uint16)
        self._counts = np.full(self.raw_frames, np.nan)
        self._bad = np.zeros(self.raw_frames, bool)
        self._thrifty = False  # whether codes that could waste bits do not

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        return self.block(frame, frame + 1)[0]

    def block(self, first: int, end: int, out: np.ndarray | None = None) -> np.ndarray:
        """Render fractions `first` to `end` - 1; see `cryowidgets.io.frames.Frames`."""
        out = self._room(first, end, out)
        n = len(out)
        shares = max(cpu.threads() // n, 1) if n else 1  # of one fraction's raw frames, where there are more threads
        edges = [self.group * i // shares for i in range(shares + 1)]

        def work(part: tuple[int, int]) -> tuple[int, np.ndarray]:
            i, share = part
            image = out[i] if share == 0 else np.empty_like(out[i])
            start = (first + i) * self.group
            self._render(range(start + edges[share], start + edges[share + 1]), image)
            return i, image

        for i, image in cpu.each(work, [(i, share) for i in range(n) for share in range(shares)]):
            if image.base is None:
                out[i] += image
        return out

    def electrons(self) -> np.ndarray:
        """Electrons in each raw frame, float64; NaN where it is damaged.

        Beam blanking, a drifting dose and missing frames show in it. Raw frames not rendered yet are counted now.
        """
        unknown = [int(i) for i in np.flatnonzero(np.isnan(self._counts) & ~self._bad)]
        cpu.each(lambda part: self._count(unknown[slice(*part)]), cpu.bands(len(unknown)) if unknown else [])
        return self._counts.copy()

    @property
    def skipped(self) -> int:
        return int(self._bad.sum())

    @property
    def faults(self) -> list[str]:
        found = []
        if self._fault:
            found.append(f"{self.path} holds {self.raw_frames} whole raw frames; {self._fault}.")
        if self.skipped:
            numbers = ", ".join([str(i + 1) for i in np.flatnonzero(self._bad)[:10]] + ["…"] * (self.skipped > 10))
            found.append(f"{self.path}: {self.skipped} raw frames are damaged and left out ({numbers}).")
        return found

    def close(self) -> None:
        self._file.close()

    def _divide(self, group: int | None, fractions: int | None, dose: float | None) -> tuple[int, int]:
        """Raw frames in each fraction, and how many fractions there are."""
        if sum(choice is not None for choice in (group, fractions, dose)) > 1:
            raise ParameterError("group, fractions and dose exclude each other: write one of them.")
        if dose is not None:
            if not dose > 0:
                raise ParameterError(f"dose {dose!r} is not possible: write the dose of a fraction, e/Å².")
            if not self.dose:
                raise InputError(f"{self.path} does not tell its dose: write group, the raw frames in a fraction.")
            group = max(1, round(dose * self.raw_frames / self.dose))
        if group is not None:
            if not 1 <= group <= self.raw_frames:
                raise ParameterError(f"group {group!r} is not possible: {self.path} has {self.raw_frames} raw frames.")
            return int(group), self.raw_frames // int(group)
        if fractions is None:
            fractions = min(FRACTIONS, self.raw_frames)
        if not 1 <= fractions <= self.raw_frames:
            raise ParameterError(
                f"fractions {fractions!r} are not possible: {self.path} has {self.raw_frames} raw frames."
            )
        return self.raw_frames // int(fractions), int(fractions)

    def _render(self, numbers: range, image: np.ndarray) -> None:
        image[...] = 0
        for start in range(0, len(numbers), _AT_ONCE):
            self._decode(numbers[start : start + _AT_ONCE], image.reshape(-1), 1)

    def _count(self, numbers: list[int]) -> None:
        for start in range(0, len(numbers), _AT_ONCE):
            self._decode(numbers[start : start + _AT_ONCE], np.empty(0, np.uint8), 0)

    def _decode(self, numbers: range | list[int], image: np.ndarray, sign: int) -> None:
        """Add these raw frames to the image, or only count their electrons, and remember how many there are."""
        for code, same in groupby(numbers, lambda i: self._raw[i].code):
            rest = np.array(list(same))
            stream, begins, ends = self._read(rest)
            # Files of 8-bit run lengths exist in both ways; a frame is whole in one of them only.
            likely, other = replace(code, wasteful=not self._thrifty), replace(code, wasteful=self._thrifty)
            for way in (likely, other) if code.wasteful else (code,):
                good, electrons = self._add(way, stream, begins, ends, image, sign)
                self._counts[rest[good]] = electrons[good]
                if way is other and good.any():
                    self._thrifty = not way.wasteful  # the next ones will be like these
                rest, begins, ends = rest[~good], begins[~good], ends[~good]
                if not len(rest):
                    break
            self._bad[rest] = True

    def _add(
        self, code: Code, stream: np.ndarray, begins: np.ndarray, ends: np.ndarray, image: np.ndarray, sign: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which raw frames are good, and the electrons in each; the good ones are in the image."""
        from cryowidgets.io import eerloops

        height, width = self._camera

        def render(chosen: np.ndarray | slice, sign: int) -> np.ndarray:
            widths = code.run, code.x, code.y, code.wasteful
            where = begins[chosen], ends[chosen]
            return eerloops.render(stream, *where, *widths, height, width, self.upsampling, sign, image)

        told = render(slice(None), sign)
        good = told[:, 0] == height * width
        if sign and not good.all():
            render(~good, -sign)
        return good, told[:, 1]

    def _read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Raw frames as they are in the file, with some room behind each; where they begin and end."""
        lengths = np.array([sum(length for _, length in self._raw[i].pieces) for i in numbers])
        places = np.concatenate([[0], np.cumsum((lengths + 2 * BEYOND - 1) // BEYOND * BEYOND)])
        stream = np.zeros(places[-1], np.uint8)
        view = memoryview(stream)
        for i, begin in zip(numbers, places, strict=False):
            for start, length in self._raw[i].pieces:
                # Of a file that shrank meanwhile, what is missing stays zero: the frame is found to be damaged.
                meter.preadv(self._file.fileno(), [view[begin : begin + length]], start)
                begin += length
        return stream.view(np.uint32), places[:-1], places[:-1] + lengths


@dataclass(frozen=True)
class _Raw:
    """Where a raw frame is in the file (begin and length of each piece, bytes), and how it is written."""

    pieces: list[tuple[int, int]]
    code: Code


@dataclass
class _Survey:
    """What a walk along the directories found: raw frames, size of the camera (y, x), the acquisition record, the last
    of the data (end and length, bytes), and what is wrong."""

    raw: list[_Raw]
    shape: tuple[int, int] = (0, 0)
    acquisition: dict[str, float | str] = field(default_factory=dict)
    last: tuple[int, int] = (0, 0)
    fault: str = ""


def _survey(file: BinaryIO) -> _Survey:
    """Follow the directories without decoding anything. Summed images are passed over."""
    size = os.fstat(file.fileno()).st_size
    found = _Survey([])
    try:
        for tags in tiff.follow(file, size):
            kind = tiff.number(tags, tiff.COMPRESSION, 1)
            if kind not in (*CODES, TAGGED):
                continue
            parts = tiff.pieces(tags, size)
            shape = tiff.number(tags, tiff.LENGTH, 0), tiff.number(tags, tiff.WIDTH, 0)
            if not found.raw:
                found.shape = shape
            if shape != found.shape:
                raise tiff.Damaged("then a raw frame has another size")
            found.raw.append(_Raw(parts, CODES.get(kind) or _tagged(tags)))
            found.last = max(found.last, max((start + length, length) for start, length in parts))
    except tiff.Damaged as damage:
        found.fault = str(damage) if found.raw else str(damage).removeprefix("then ")
    found.acquisition = _acquisition(file, size)
    return found


def _tagged(tags: tiff.Tags) -> Code:
    code = Code(*(tiff.number(tags, *usual) for usual in ((tiff.RUN_BITS, 7), (tiff.X_BITS, 2), (tiff.Y_BITS, 2))))
    if not (1 <= code.run <= 16 and 0 <= code.x <= 8 and 0 <= code.y <= 8):
        raise tiff.Damaged(f"then a raw frame is written in codes of {code.run}, {code.x} and {code.y} bits")
    return code


def _acquisition(file: BinaryIO, size: int) -> dict[str, float | str]:
    """Items of the acquisition record, which is in one of the first two directories."""
    found: dict[str, float | str] = {}
    try:
        for tags in islice(tiff.follow(file, size, frozenset({tiff.ACQUISITION})), 2):
            # Not parsed as XML: some files declare an encoding that does not exist.
            for name, value in _ITEM.findall(tiff.text(tags, tiff.ACQUISITION)):
                try:
                    found[name] = float(value)
                except ValueError:
                    found[name] = value.strip()
    except tiff.Damaged:
        pass  # whoever looks at the frames meets it again and says so
    return found


_ITEM = re.compile(r'<item\s+name="([^"]+)"[^>]*>([^<]*)</item>')


def _number(acquisition: dict[str, float | str], name: str) -> float:
    """A positive number of the record, or 0."""
    value = acquisition.get(name)
    return value if isinstance(value, float) and 0 < value < math.inf else 0.0
