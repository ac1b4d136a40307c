"""The gate that holds back movies that moved too far."""

from __future__ import annotations

from traitlets import Enum, Float

from cryowidgets.model import Micrograph, Reject
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


def _looks_at_steps(protocol: MaxShift) -> bool:
    return protocol.mode != "movie"


def _looks_at_paths(protocol: MaxShift) -> bool:
    return protocol.mode != "frame"


class MaxShift(Protocol):
    """Reject micrographs whose specimen moved too far between two frames, or along its whole path.

    The rule of Scipion's movie max shift: a step or a path longer than its limit, either of them or both. Lengths
    are those of the smoothed trajectory. Where motion could not be measured, nothing is rejected.
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

    def process(self, micrograph: Micrograph, out: Out) -> Micrograph | Reject:
        step, path = micrograph.motion_worst, micrograph.motion_total
        long_step, long_path = step > self.max_frame_shift, path > self.max_movie_shift  # False for NaN
        reject = {
            "frame": long_step,
            "movie": long_path,
            "or": long_step or long_path,
            "and": long_step and long_path,
        }[self.mode]
        if not reject:
            return micrograph
        reasons = []
        if long_step and self.mode != "movie":
            reasons.append(f"{_text(step)} Å between two frames, where {self.max_frame_shift:g} Å are allowed")
        if long_path and self.mode != "frame":
            reasons.append(f"{_text(path)} Å in all, where {self.max_movie_shift:g} Å are allowed")
        return Reject(f"The specimen moved {', and '.join(reasons)}.")


def _text(length: float) -> str:
    return f"{length:.1f}" if length < 1000 else f"{length:.0f}"
