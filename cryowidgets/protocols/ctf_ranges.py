"""What is asked of a CTF before it flows on: ranges that the gates of CTFs share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traitlets import Float

from cryowidgets.errors import ParameterError
from cryowidgets.model import Ctf, Reason, Reject
from cryowidgets.protocols.base import Protocol


class CtfRanges(Protocol):
    """Ranges of a CTF; a limit of 0 asks for nothing, and what was not measured breaks no rule."""

    defocus_min = Float(4000.0, min=0, max=500000, help="Smallest mean defocus that may pass").tag(
        unit="Å", group="Ranges"
    )
    defocus_max = Float(40000.0, min=0, max=500000, help="Largest mean defocus that may pass; 0: any").tag(
        unit="Å", group="Ranges"
    )
    astigmatism_max = Float(0.0, min=0, max=100000, help="Largest difference of defocus U and V; 0: any").tag(
        unit="Å", group="Ranges"
    )
    astigmatism_percent = Float(
        10.0, min=0, max=200, help="Largest difference of defocus U and V, of their mean; 0: any"
    ).tag(unit="%", group="Ranges")
    resolution_max = Float(
        17.0, min=0, max=100, help="Coarsest fit resolution that may pass; 6 Å is a good choice for live work; 0: any"
    ).tag(unit="Å", group="Ranges")
    phase_min = Float(0.0, min=0, max=180, help="Smallest phase shift that may pass").tag(
        unit="°", group="Ranges", advanced=True
    )
    phase_max = Float(180.0, min=0, max=180, help="Largest phase shift that may pass").tag(
        unit="°", group="Ranges", advanced=True
    )
    ice_max = Float(0.0, min=0, help="Largest ice ring density that may pass; 0: any").tag(
        group="Ranges", advanced=True
    )
    gap_min = Float(
        0.0, min=0, help="Standard deviations by which the defocus must beat the next best; 3 is a good choice; 0: any"
    ).tag(group="Ranges", advanced=True)

    def check(self) -> None:
        for low, high, unit in (("defocus_min", "defocus_max", " Å"), ("phase_min", "phase_max", "°")):
            least, most = getattr(self, low), getattr(self, high)
            if least > most and not (high == "defocus_max" and most == 0):
                raise ParameterError(
                    f"{type(self).__name__}.{low} {least:g}{unit} is above {high} {most:g}{unit}: nothing could pass."
                )

    def broken(self, ctf: Ctf) -> list[tuple[Reason, str]]:
        """The rules that a CTF breaks, each with what it says to people."""
        if ctf.reason:
            return [(Reason("no fit"), f"there is no CTF: {ctf.reason.rstrip('.')}")]
        defocus = 0.5 * (ctf.defocus_u + ctf.defocus_v)
        astigmatism = abs(ctf.defocus_u - ctf.defocus_v)
        percent = 100 * astigmatism / abs(defocus) if defocus else math.nan
        most = math.inf
        looked = [
            ("defocus", defocus, self.defocus_min, self.defocus_max or most, "a defocus of {:.0f} Å"),
            ("astigmatism", astigmatism, 0, self.astigmatism_max or most, "an astigmatism of {:.0f} Å"),
            ("astigmatism %", percent, 0, self.astigmatism_percent or most, "an astigmatism of {:.1f} %"),
            ("resolution", ctf.fit_resolution, 0, self.resolution_max or most, "a fit that ends at {:.1f} Å"),
            ("phase shift", ctf.phase_shift, self.phase_min, self.phase_max, "a phase shift of {:.0f}°"),
            ("ice", ctf.ice, 0, self.ice_max or most, "an ice ring of density {:.2f}"),
            ("gap", ctf.gap, self.gap_min, most, "a defocus that beats the next best by {:.1f} standard deviations"),
        ]
        return [
            (Reason(rule, value, low if value < low else high), _said(text.format(value), value, low, high))
            for rule, value, low, high, text in looked
            if value < low or value > high  # False for NaN
        ]


def rejection(broken: Sequence[tuple[Reason, str]]) -> Reject:
    """The answer to an item that breaks rules, of which there is at least one."""
    text = "; ".join(text for _, text in broken)
    return Reject(f"{text[0].upper()}{text[1:]}.", tuple(reason for reason, _ in broken))


def _said(text: str, value: float, low: float, high: float) -> str:
    return f"{text}, where {low:g} is the least" if value < low else f"{text}, where {high:g} is the most"
