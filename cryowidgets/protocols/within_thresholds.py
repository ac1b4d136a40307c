"""The gate before the particle branch: exposures within the thresholds that people set on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from traitlets import Float

from cryowidgets.errors import ParameterError
from cryowidgets.model import Ctf, Micrograph, Reason, Reject
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


def _limit(help: str, unit: str = "", advanced: bool = False) -> Float:
    return Float(0.0, min=0, help=f"{help}; 0: any").tag(unit=unit, group="Limits", advanced=advanced)


class WithinThresholds(Protocol):
    """Let pass micrographs whose numbers, and those of their CTFs, lie within limits; hold back all others.

    The limits have the names of the thresholds of the session's page, which sets them on request. A number that could
    not be measured lies within no limit.
    """

    takes = {"micrograph": Micrograph, "ctf": Ctf}
    gives = Micrograph

    drift_max = _limit("Longest path of the whole frame", "Å")
    early_max = _limit("Longest path in the first 4 e/Å²", "Å")
    late_max = _limit("Longest path after that", "Å")
    step_max = _limit("Longest step between two frames", "Å")
    local_max = _limit("Largest motion of parts beside the whole frame, root mean square", "Å", advanced=True)
    dose_min = _limit("Least dose counted in a frame", "e/Å²", advanced=True)
    dose_max = _limit("Largest dose counted in a frame", "e/Å²", advanced=True)
    counts_min = _limit("Least mean counts of a raw frame", "e/px", advanced=True)
    counts_max = _limit("Largest mean counts of a raw frame", "e/px", advanced=True)
    defocus_min = _limit("Least mean defocus", "Å")
    defocus_max = _limit("Largest mean defocus", "Å")
    astigmatism_max = _limit("Largest difference of defocus U and V", "Å")
    phase_shift_min = _limit("Least phase shift", "°", advanced=True)
    phase_shift_max = _limit("Largest phase shift", "°", advanced=True)
    resolution_max = _limit("Coarsest fit resolution", "Å")
    ice_max = _limit("Largest ice ring density")
    carbon_max = _limit("Largest share of the image under carbon, from 0 to 1")
    thickness_max = _limit("Thickest specimen, where that is measured", "Å", advanced=True)
    ctf_score_min = _limit("Least correlation of spectrum and fit", advanced=True)

    def check(self) -> None:
        for name in self.parameters():
            key, side = name.rsplit("_", 1)
            most = getattr(self, f"{key}_max", 0.0)
            if side == "min" and most and getattr(self, name) > most:
                raise ParameterError(
                    f"WithinThresholds.{name} {getattr(self, name):g} is above {key}_max {most:g}: nothing could pass."
                )

    def process(self, micrograph: Micrograph, ctf: Ctf, out: Out) -> Micrograph | Reject:
        measured = values(micrograph, ctf)
        said, reasons = [], []
        for name in self.parameters():
            limit = getattr(self, name)
            if not limit:
                continue
            key, side = name.rsplit("_", 1)
            value = measured[key]
            if not (value >= limit if side == "min" else value <= limit):  # True for NaN as well
                known = f"{value:.4g}" if math.isfinite(value) else "not known"
                said.append(f"{key.replace('_', ' ')} is {known}, at {'least' if side == 'min' else 'most'} {limit:g}")
                reasons.append(Reason(key.replace("_", " "), value, limit))
        if not said:
            return micrograph
        return Reject(f"Outside the thresholds: {'; '.join(said)}.", tuple(reasons))

    @classmethod
    def limits(cls, cut: Mapping[str, tuple[float | None, float | None]]) -> tuple[dict[str, Any], list[str]]:
        """Values of all parameters for thresholds, and the names of those for which there is no parameter."""
        chosen: dict[str, Any] = dict.fromkeys(cls.parameters(), 0.0)
        unknown = []
        for key, bounds in cut.items():
            for side, bound in zip(("min", "max"), bounds, strict=True):
                if bound is None or (side == "min" and bound <= 0):
                    continue  # nothing that is measured here is below 0
                if f"{key}_{side}" in chosen:
                    chosen[f"{key}_{side}"] = float(bound)
                else:
                    unknown.append(key)
        return chosen, unknown


def values(micrograph: Micrograph, ctf: Ctf) -> dict[str, float]:
    """The numbers that limits are put on, by name, in the units of the ledger."""
    return {
        "drift": micrograph.motion_total,
        "early": micrograph.motion_early,
        "late": micrograph.motion_late,
        "step": micrograph.motion_worst,
        "local": micrograph.motion_local,
        "dose": micrograph.measured_dose,
        "counts": micrograph.counts,
        "defocus": 0.5 * (ctf.defocus_u + ctf.defocus_v),
        "astigmatism": ctf.astigmatism,
        "phase_shift": ctf.phase_shift,
        "resolution": ctf.fit_resolution,
        "ice": ctf.ice,
        "carbon": ctf.carbon,
        "thickness": ctf.thickness,
        "ctf_score": ctf.score,
    }
