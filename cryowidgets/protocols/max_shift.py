"""The gate that holds back movies that moved too far."""

from __future__ import annotations

import numpy as np
from traitlets import Enum, Float

from cryowidgets.kernels import quality
from cryowidgets.model import Micrograph, Reason, Reject
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


def _looks_at_steps(protocol: MaxShift) -> bool:
    return protocol.mode != "movie"


def _looks_at_paths(protocol: MaxShift) -> bool:
    return protocol.mode != "frame"


class MaxShift(Protocol):
    """Reject micrographs whose specimen moved too far between two frames, or along its whole path.

    The rule of Scipion's movie max shift: a step or a path longer than its limit, either of them or both. Errors of
    single frames make a path longer than it was, the more frames the more, so lengths are those of the smoothed
    trajectory unless told otherwise. Where motion could not be measured, nothing is rejected.
    """

    takes = Micrograph
    gives = Micrograph

    mode = Enum(
        ["or", "and", "frame", "movie"],
        "or",
        help="What rejects: 'frame' a step that is too long, 'movie' a path that is too long, 'or' either, 'and' both",
    )
    max_frame_shift = Float(10.0, min=0, help="Longest step allowed between two frames").tag(
        unit="Å", when=_looks_at_steps
    )
    max_movie_shift = Float(45.0, min=0, help="Longest path allowed, the sum of all steps").tag(
        unit="Å", when=_looks_at_paths
    )
    trajectory = Enum(
        ["smoothed", "measured"],
        "smoothed",
        help="Whose lengths: of the smoothed trajectory, or of the shifts as measured of each frame alone",
    ).tag(advanced=True)

    def process(self, micrograph: Micrograph, out: Out) -> Micrograph | Reject:
        step, path = micrograph.motion_worst, micrograph.motion_total
        if self.trajectory == "measured":
            step, path = _measured(micrograph)
        long_step, long_path = step > self.max_frame_shift, path > self.max_movie_shift  # False for NaN
        reject = {
            "frame": long_step,
            "movie": long_path,
            "or": long_step or long_path,
            "and": long_step and long_path,
        }[self.mode]
        if not reject:
            return micrograph
        said, reasons = [], []
        if long_step and self.mode != "movie":
            said.append(f"{_text(step)} Å between two frames, where {self.max_frame_shift:g} Å are allowed")
            reasons.append(Reason("frame", step, self.max_frame_shift))
        if long_path and self.mode != "frame":
            said.append(f"{_text(path)} Å in all, where {self.max_movie_shift:g} Å are allowed")
            reasons.append(Reason("movie", path, self.max_movie_shift))
        return Reject(f"The specimen moved {', and '.join(said)}.", tuple(reasons))


def _measured(micrograph: Micrograph) -> tuple[float, float]:
    """Longest step and whole path of the shifts as they were measured, Å."""
    shifts = micrograph.measured_shifts if micrograph.measured_shifts is not None else micrograph.shifts
    if shifts is None:
        return quality.UNKNOWN.worst, quality.UNKNOWN.total
    path = quality.path(shifts, pixel_size(micrograph))
    return path.worst, path.total


def pixel_size(micrograph: Micrograph) -> float:
    """Å for each px of a micrograph's shifts, which are those of its frames: neither binned, nor always of the optics.

    EER frames may be finer than the pixels of the camera; the length of the path is known in both units.
    """
    if micrograph.shifts is not None:
        length = quality.path(np.asarray(micrograph.shifts), 1.0).total
        if length > 0 and micrograph.motion_total > 0:
            return micrograph.motion_total / length
    return micrograph.optics.pixel_size if micrograph.optics else micrograph.pixel_size


def _text(length: float) -> str:
    return f"{length:.1f}" if length < 1000 else f"{length:.0f}"
