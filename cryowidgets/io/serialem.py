"""The mdoc files that SerialEM writes beside a movie.

Lines of ``key = value``, first those that hold for all, then a section for each frame file (``[FrameSet = 0]``) or each
picture of a series (``[ZValue = 0]``). Times are local and tell no zone: that of this machine is taken.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from cryowidgets.io.metadata import Metadata
from cryowidgets.model import NAN

SHIFT_UNIT = 0.2
"""µm of image shift: shots of a multishot pattern are further apart than this, repeats of one closer together."""

Section = dict[str, str]


def parse(content: bytes, name: str, movie: str = "") -> Metadata:
    """Read an mdoc file.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        Of the file, for the warnings.
    movie : str
        Name of the movie, without folders: its section is taken where several files share an mdoc, else the first.
    """
    common, sections = split(content)
    if not sections:
        return Metadata(warnings=(f"{name} is not a readable mdoc file: it has no [FrameSet] and no [ZValue].",))
    mine = next((s for s in sections if movie and _base(s.get("SubFramePath", "")) == movie), sections[0])
    return _section({**common, **mine})


def split(content: bytes) -> tuple[Section, list[Section]]:
    """What holds for all, and the sections of frame files and pictures, in their order."""
    common: Section = {}
    sections: list[Section] = []
    here: Section | None = common
    for line in content.decode("utf-8", "replace").replace("\ufeff", "").splitlines():
        title = re.match(r"\s*\[\s*(\w+)\s*=", line)
        if title:
            here = {} if title[1] in ("FrameSet", "ZValue") else None  # [T = …] is a title and begins nothing
            if here is not None:
                sections.append(here)
            continue
        key, sign, value = line.partition("=")
        if sign and here is not None:
            here.setdefault(key.strip(), value.strip())
    return common, sections


def _section(values: Section) -> Metadata:
    binning = _numbers(values, "Binning")[0]
    count = _numbers(values, "NumSubFrames")[0]
    uncropped = [abs(n) for n in _numbers(values, "UncroppedSize") if n]
    dose, number = _doses(values)
    total = _numbers(values, "ExposureDose")[0]
    shift, stage = _numbers(values, "ImageShift"), _numbers(values, "StagePosition") + _numbers(values, "StageZ")
    target = _numbers(values, "TargetDefocus")[0]
    return Metadata(
        pixel_size=_positive(_numbers(values, "PixelSpacing")[0]),
        # With binning 0.5 the picture may have been reduced afterwards, and its size says nothing of its scale.
        side=round(max(uncropped)) if binning >= 1 and len(uncropped) == 2 else 0,
        voltage=_positive(_numbers(values, "Voltage")[0]),
        dose_per_frame=dose,
        total_dose=dose * number if dose > 0 else _positive(total),
        frames=int(count) if count >= 1 else None,
        acquired=_moment(values.get("DateTime", "")),
        exposure_time=_positive(_numbers(values, "ExposureTime")[0]),
        beam_shift=(shift[0], shift[1]) if len(shift) == 2 and math.isfinite(sum(shift)) else None,
        shift_unit=SHIFT_UNIT,
        stage=(stage[0] * 1e4, stage[1] * 1e4, stage[2] * 1e4) if len(stage) == 3 else None,
        tilt=_numbers(values, "TiltAngle")[0],
        defocus=-target * 1e4,
        magnification=_positive(_numbers(values, "Magnification")[0]),
        software="SerialEM",
        binning=binning,
        gain=_base(values.get("GainReference", "")),
        defects=_base(values.get("DefectFile", "")),
    )


def _doses(values: Section) -> tuple[float, int]:
    """Mean dose of a frame and the number of frames, of pairs of dose and number; NaN where it was not calibrated."""
    pairs = _numbers(values, "FrameDosesAndNumber")
    doses, numbers = pairs[::2], pairs[1::2]
    if len(doses) != len(numbers) or not math.isfinite(sum(pairs)) or sum(numbers) < 1:
        return NAN, 0
    total = math.fsum(d * n for d, n in zip(doses, numbers, strict=True))
    return (total / sum(numbers) if total > 0 else NAN), int(sum(numbers))


def _numbers(values: Section, key: str) -> list[float]:
    try:
        found = [float(word) for word in values[key].split()]
    except (KeyError, ValueError):
        return [NAN]
    return found or [NAN]


def _positive(value: float) -> float:
    return value if value > 0 else NAN


def _base(path: str) -> str:
    return re.split(r"[\\/]", path)[-1]


def _moment(text: str) -> float:
    """UTC seconds of ``06-Dec-20  03:35:22``, also with the year in four digits."""
    found = re.fullmatch(r"(\d+)-(\w{3})-(\d{2}|\d{4}) +(\d+):(\d\d):(\d\d)", text.strip())
    if not found or found[2].lower() not in MONTHS:
        return NAN
    year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
    try:
        clock = [int(n) for n in found.group(4, 5, 6)]
        return datetime(year, MONTHS.index(found[2].lower()) + 1, int(found[1]), *clock).timestamp()
    except (ValueError, OverflowError, OSError):
        return NAN


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
