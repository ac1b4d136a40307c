"""The step that says how good an exposure is, in one number and in words."""

from __future__ import annotations

import math

from traitlets import Float

from cryowidgets.kernels import rating
from cryowidgets.kernels.rating import Limit
from cryowidgets.model import Ctf, Micrograph, Quality
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out

_EARLY = 4.0  # e/Å² that late motion does not count: see cryowidgets.kernels.quality


class ScoreExposure(Protocol):
    """Put what is known of an exposure into one score from 0 to 1, and say what speaks against it most.

    The odds against an exposure are the sum of those of its parts: how far the CTF fits, astigmatism, rings of ice,
    carbon, thickness, drift, motion that does not end, motion of parts that was not undone, and how well the motion
    is known. Each has a limit at which it halves the score; half of the limit is good, twice is bad. What could not be
    measured has no say; without a CTF the score is 0. What depends on the rest of the session, such as intensity, is
    left to those who see all of it.
    """

    takes = {"micrograph": Micrograph, "ctf": Ctf}
    gives = Quality

    fit_limit = Float(6.0, min=1, max=100, help="Fit resolution of the CTF that halves the score").tag(unit="Å")
    astigmatism_limit = Float(2000.0, min=10, help="Difference of defocus U and V that halves the score").tag(unit="Å")
    ice_limit = Float(2.0, min=0.01, help="Ice ring density that halves the score").tag(advanced=True)
    carbon_limit = Float(0.5, min=0.01, max=1, help="Share of the image under carbon that halves the score").tag(
        advanced=True
    )
    thickness_limit = Float(2000.0, min=10, help="Thickness of the specimen that halves the score").tag(
        unit="Å", advanced=True
    )
    drift_limit = Float(60.0, min=1, help="Path of the frame that halves the score").tag(unit="Å")
    late_limit = Float(1.0, min=0.01, help="Path for each e/Å² after the first 4 e/Å² that halves the score").tag(
        unit="Å/(e/Å²)", advanced=True
    )
    local_limit = Float(
        1.0, min=0.01, help="Motion of parts that is left over, along an axis, that halves the score"
    ).tag(unit="Å", advanced=True)
    error_limit = Float(0.6, min=0.01, help="Standard error of the frames' shifts that halves the score").tag(
        unit="Å", advanced=True
    )

    def process(self, micrograph: Micrograph, ctf: Ctf, out: Out) -> Quality:
        measures = {
            "fit": math.inf if ctf.reason else ctf.fit_resolution,
            "astigmatism": ctf.astigmatism,
            "ice": ctf.ice,
            "carbon": ctf.carbon,
            "thickness": ctf.thickness,
            "drift": micrograph.motion_total,
            "late": _late(micrograph),
            "local": micrograph.motion_residual,
            "alignment": _error(micrograph),
        }
        rated = rating.rate(measures, self._limits())
        return Quality(
            score=rated.score,
            worst=rated.worst,
            reason=self._reason(rated.worst, measures, ctf),
            **rated.parts,
        )

    def _limits(self) -> dict[str, Limit]:
        return {
            "fit": Limit(self.fit_limit, 6.0),
            "astigmatism": Limit(self.astigmatism_limit),
            "ice": Limit(self.ice_limit),
            "carbon": Limit(self.carbon_limit),
            "thickness": Limit(self.thickness_limit),
            "drift": Limit(self.drift_limit),
            "late": Limit(self.late_limit),
            "local": Limit(self.local_limit),
            "alignment": Limit(self.error_limit),
        }

    def _reason(self, worst: str, measures: dict[str, float], ctf: Ctf) -> str:
        if not worst:
            return "Nothing was measured."
        if worst == "fit" and ctf.reason:
            return f"No CTF: {ctf.reason}"
        x = measures[worst]
        text = {
            "fit": f"The CTF fits to {x:.1f} Å; {self.fit_limit:g} Å",
            "astigmatism": f"Astigmatism of {x / 10:.0f} nm; {self.astigmatism_limit / 10:g} nm",
            "ice": f"An ice ring of density {x:.1f}; {self.ice_limit:g}",
            "carbon": f"Carbon covers {x:.0%} of the image; {self.carbon_limit:.0%}",
            "thickness": f"The specimen is {x / 10:.0f} nm thick; {self.thickness_limit / 10:g} nm",
            "drift": f"The frame moved {x:.0f} Å; {self.drift_limit:g} Å",
            "late": f"The frame went on moving by {x:.2f} Å for each e/Å²; {self.late_limit:g} Å",
            "local": f"Parts of the frame are left with {x:.2f} Å of motion; {self.local_limit:g} Å",
            "alignment": f"The motion of the frames is known to {x:.2f} Å only; {self.error_limit:g} Å",
        }[worst]
        return f"{text} would halve the score."


def _late(micrograph: Micrograph) -> float:
    """Motion after the early dose, Å for each e/Å²."""
    optics = micrograph.optics
    if optics is None or not optics.dose_per_frame:
        return math.nan
    late = optics.pre_exposure + micrograph.frames * optics.dose_per_frame - max(_EARLY, optics.pre_exposure)
    return micrograph.motion_late / late if late > 0 else math.nan


def _error(micrograph: Micrograph) -> float:
    """Standard error of a frame's shift along one axis, Å."""
    return micrograph.shift_error * micrograph.optics.pixel_size if micrograph.optics else math.nan
