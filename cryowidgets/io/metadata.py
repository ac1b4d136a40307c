"""What acquisition software says about one movie, whichever software it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from cryowidgets.model import NAN

SUPER_RESOLUTION_FROM = 7000
"""px; no counting frame has a longer side than 6000, no super-resolution frame a shorter one than 7400."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Settings of the microscope for one movie; NaN, 0, None or empty where the files do not tell.

    Attributes
    ----------
    pixel_size : float
        Å/px of an image whose longer side is `side` px; see `frame_pixel_size`.
    side : int
        px, 0 where unknown.
    voltage : float
        kV.
    dose_per_frame, total_dose : float
        e/Å²; a frame is one of those in the movie file.
    frames, frames_asked : int or None
        How many were recorded, and how many were asked for.
    acquired : float
        UTC seconds.
    exposure_time : float
        s.
    beam_shift : (float, float) or None
        x and y of what the beam was moved by to this shot: EPU's beam shift in units of its own, SerialEM's image shift
        in µm.
    shift_unit : float
        How far apart, in the unit of `beam_shift`, shots are that surely differ; NaN where there is none.
    stage : (float, float, float) or None
        x, y and z, Å.
    tilt : float
        Degrees.
    defocus : float
        The defocus asked for, Å, underfocus positive.
    magnification : float
    camera, software : str
    binning : float
        Of the image that `pixel_size` tells of; 0.5 is SerialEM's word for super-resolution.
    super_resolution : int
        1 or 2, pixels of the movie for each pixel of the sensor, along one axis; 0 where unknown.
    gain, defects : str
        File names, without folders, of the gain reference and of the list of defects.
    gain_corrected : bool or None
        Whether the frames are multiplied with the gain already.
    warnings : tuple of str
        A sentence for each file that could not be read, or not whole.
    """

    pixel_size: float = NAN
    side: int = 0
    voltage: float = NAN
    dose_per_frame: float = NAN
    total_dose: float = NAN
    frames: int | None = None
    frames_asked: int | None = None
    acquired: float = NAN
    exposure_time: float = NAN
    beam_shift: tuple[float, float] | None = None
    shift_unit: float = NAN
    stage: tuple[float, float, float] | None = None
    tilt: float = NAN
    defocus: float = NAN
    magnification: float = NAN
    camera: str = ""
    software: str = ""
    binning: float = NAN
    super_resolution: int = 0
    gain: str = ""
    defects: str = ""
    gain_corrected: bool | None = None
    warnings: tuple[str, ...] = ()

    def told(self, name: str) -> bool:
        """Whether the files tell this."""
        return not _untold(getattr(self, name))

    def completed(self, other: Metadata) -> Metadata:
        """With what is not told here taken from `other`."""
        values = {f.name: getattr(other, f.name) for f in fields(self) if not self.told(f.name)}
        if self.told("pixel_size"):  # a pixel size and the image that it is of stay together
            for name in ("side", "binning"):
                values.pop(name, None)
        return replace(self, **{**values, "warnings": self.warnings + other.warnings})

    def frame_pixel_size(self, shape: Sequence[int] | None = None) -> float:
        """Å/px of frames of `shape` (y, x); NaN where not told.

        EPU tells the pixel of the preview, which may be binned, and SerialEM that of the picture on its screen. Which
        binning lies between it and the frames follows from their sizes, as far as both are known.
        """
        longest = max(shape) if shape else 0
        if longest and self.side:
            ratio = self.side / longest
            power = round(math.log2(ratio))
            if abs(ratio / 2**power - 1) < 0.05:  # else the movie is cut out of the field, at the same scale
                return self.pixel_size * 2.0**power
        elif longest and self.binning == 0.5 and longest < SUPER_RESOLUTION_FROM:
            return 2 * self.pixel_size
        return self.pixel_size

    def frame_dose(self, frames: int = 0) -> float:
        """e/Å² of one of the `frames` that the movie file holds; NaN where not told."""
        count = frames or self.frames or 0
        if self.told("dose_per_frame") and (self.frames in (None, count) or not count):
            return self.dose_per_frame
        return self.total_dose / count if count else NAN


def _untold(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (not isinstance(value, bool) and value in (0, "", ()))
