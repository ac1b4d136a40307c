"""The gate that watches the dose of a session."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

import numpy as np
from traitlets import Float, Int

from cryowidgets.errors import ParameterError
from cryowidgets.model import NAN, Micrograph, Reason, Reject
from cryowidgets.protocols.base import Protocol, Recent
from cryowidgets.protocols.out import Out


class DoseAnalysis(Protocol):
    """Reject micrographs whose frames have another dose than those of the newest movies.

    A movie is compared with the median of those before it, itself included, or with the first ones as long as there
    are no more. Only movies of the same optics group and settings are compared; one whose electrons were not counted
    passes. The dose is what the camera counted, so how many electrons it misses does not matter to the comparison, but
    does matter where the measured dose is to take the place of the one that was told.
    """

    takes = Recent(Micrograph, count="window", least="movies")
    gives = Micrograph

    max_deviation = Float(5.0, min=0, max=1000, help="Largest difference from the median dose that may pass").tag(
        unit="%"
    )
    window = Int(50, min=2, max=1000, help="Newest movies of which the median is taken").tag(advanced=True)
    movies = Int(20, min=1, max=1000, help="Movies that must have come before any is judged").tag(advanced=True)
    alarm = Float(
        30.0, min=0, max=100, help="Share of the newest movies with another dose from which on something is wrong"
    ).tag(unit="%", advanced=True)
    replace = Float(
        2.0,
        min=0,
        help="Difference from the dose that was told from which on the measured one is to be gone by; 0: never",
    ).tag(unit="%", advanced=True)

    def check(self) -> None:
        if self.movies > self.window:
            raise ParameterError(
                f"DoseAnalysis.movies {self.movies} is more than window {self.window}: there would never be enough."
            )

    def opens(self, sizes: np.ndarray, last: bool, seconds: float) -> int:
        return len(sizes) if last or len(sizes) >= self.movies else 0

    def process(self, micrograph: Micrograph, recent: Sequence[Micrograph], out: Out) -> Micrograph | Reject:
        dose = micrograph.measured_dose
        doses = [m.measured_dose for m in recent if m.optics == micrograph.optics and m.measured_dose > 0]
        if not dose > 0 or not doses:
            return micrograph
        median = statistics.median(doses)
        deviation = 100 * (dose / median - 1)
        off = 100 * sum(abs(100 * (d / median - 1)) > self.max_deviation for d in doses) / len(doses)
        alert = ""
        if off > self.alarm:
            alert = (
                f"Of the newest {len(doses)} movies {off:.0f} % have a dose that is more than {self.max_deviation:g} % "
                "off their median: look at the beam."
            )
        if abs(deviation) > self.max_deviation:
            why = f"A frame has {dose:.3g} e/Å², {abs(deviation):.0f} % {'more' if deviation > 0 else 'less'} than"
            reason = Reason("dose", deviation, self.max_deviation)
            return Reject(f"{why} the newest movies with {median:.3g} e/Å². {alert}".strip(), (reason,))
        told = micrograph.optics.dose_per_frame if micrograph.optics else 0.0
        other = self._other(told, median)
        if other and told:
            alert = (
                f"{alert} The camera counts {median:.3g} e/Å² in a frame, where {told:.3g} e/Å² were told; "
                "set dose_per_frame of the import to weight by what is right."
            ).strip()
        return dataclasses.replace(
            micrograph,
            session_dose=median,
            dose_deviation=deviation,
            dose_per_frame=median if other else told or NAN,
            dose_alert=alert,
        )

    def _other(self, told: float, median: float) -> bool:
        """Whether the measured dose is to take the place of the one that was told."""
        if not told:
            return True
        return self.replace > 0 and abs(100 * (median / told - 1)) > self.replace
