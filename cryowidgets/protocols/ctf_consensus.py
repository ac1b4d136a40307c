"""The gate that compares two estimates of the CTF of one micrograph."""

from __future__ import annotations

import dataclasses

from traitlets import Enum, Float

from cryowidgets.errors import InputError
from cryowidgets.kernels.ctfconsensus import Aberration, Agreement, agreement, mean
from cryowidgets.model import NAN, Ctf, Reason, Reject
from cryowidgets.protocols.ctf_ranges import CtfRanges, rejection
from cryowidgets.protocols.out import Out


class CtfConsensus(CtfRanges):
    """Reject CTFs that are out of range, or that a second estimate does not confirm.

    Two estimates agree up to the resolution at which their phases differ by 90°: a correction by one has the wrong
    sign by the other beyond that. The ranges are asked of what is kept, the first estimate or the mean of both; its
    result has the values of both and how well they agree.
    """

    takes = {"first": Ctf, "second": Ctf}
    gives = Ctf

    consensus_max = Float(
        15.0,
        min=0,
        max=1000,
        help="Coarsest resolution up to which both must agree; 6 Å is a good choice for live work; 0: any",
    ).tag(unit="Å", group="Consensus")
    version = Enum(
        ["area", "linear"],
        default_value="area",
        help="How the part of all frequencies in which both agree becomes a resolution: 'area' takes it for an area, "
        "'linear' for a radius, which is coarser and as in Xmipp and Scipion",
    ).tag(group="Consensus")
    keep = Enum(
        ["first", "average"],
        default_value="first",
        help="What flows on: the first estimate, or the mean of defocus, astigmatism and phase shift of both",
    ).tag(group="Consensus")

    def process(self, first: Ctf, second: Ctf, out: Out) -> Ctf | Reject:
        if second.reason and not first.reason:
            why = f"there is no second CTF: {second.reason.rstrip('.')}"
            return rejection([(Reason("no second fit"), why), *self.broken(first)])
        if first.reason:
            return rejection(self.broken(first))
        if first.optics is None:
            raise InputError(f"The CTF of {first.micrograph} comes without optics: two are compared at a voltage.")
        one, two = _aberration(first), _aberration(second)
        found = agreement(one, two, first.optics.voltage, 2 * first.optics.pixel_size)
        kept = self._kept(first, second, one, two, found)
        broken = self.broken(kept)
        reached = found.resolution if self.version == "area" else found.linear
        if self.consensus_max and reached > self.consensus_max:
            both = f"{kept.first_defocus:.0f} and {kept.second_defocus:.0f} Å"
            text = f"two estimates, {both}, agree to {reached:.1f} Å, where {self.consensus_max:g} is the most"
            broken.append((Reason("consensus", reached, self.consensus_max), text))
        return rejection(broken) if broken else kept

    def _kept(self, first: Ctf, second: Ctf, one: Aberration, two: Aberration, found: Agreement) -> Ctf:
        kept = dataclasses.replace(
            first,
            consensus_resolution=found.resolution,
            consensus_linear=found.linear,
            **_values("first", first),
            **_values("second", second),
        )
        if self.keep == "first":
            return kept
        u, v, angle, phase_shift = mean(one, two)
        return dataclasses.replace(
            kept,
            defocus_u=u,
            defocus_v=v,
            angle=angle,
            phase_shift=phase_shift,
            astigmatism=u - v,
            # Half of a difference is the standard error of the mean of two.
            defocus_error=abs(found.defocus) / 2,
            astigmatism_error=found.astigmatism / 2,
            angle_error=NAN,
            phase_error=abs(found.phase_shift) / 2 if found.phase_shift else NAN,
        )


def _aberration(ctf: Ctf) -> Aberration:
    return Aberration(ctf.defocus_u, ctf.defocus_v, ctf.angle, ctf.phase_shift)


def _values(which: str, ctf: Ctf) -> dict[str, float]:
    return {
        f"{which}_defocus": 0.5 * (ctf.defocus_u + ctf.defocus_v),
        f"{which}_astigmatism": ctf.defocus_u - ctf.defocus_v,
        f"{which}_angle": ctf.angle,
        f"{which}_phase_shift": ctf.phase_shift,
        f"{which}_fit_resolution": ctf.fit_resolution,
    }
