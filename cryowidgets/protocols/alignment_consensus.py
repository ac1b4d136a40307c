"""The gate that compares two alignments of one movie."""

from __future__ import annotations

import dataclasses

import numpy as np
from traitlets import Float

from cryowidgets.kernels.trajectory import correlation, resampled
from cryowidgets.model import Micrograph, Reason, Reject
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.max_shift import pixel_size
from cryowidgets.protocols.out import Out


class AlignmentConsensus(Protocol):
    """Reject micrographs whose motion a second alignment of the same movie does not confirm; keep the first.

    The paths along x and along y must correlate, as in Scipion's movie alignment consensus. An axis along which neither
    path leaves a small range is not compared: what is left there is noise. A movie whose motion one of the two could
    not measure is rejected.
    """

    takes = {"first": Micrograph, "second": Micrograph}
    gives = Micrograph

    min_correlation = Float(0.75, min=-1, max=1, help="Least correlation of the two paths, along x and along y")
    still = Float(3.0, min=0, help="Paths that stay within this range are not compared").tag(unit="px")

    def process(self, first: Micrograph, second: Micrograph, out: Out) -> Micrograph | Reject:
        if first.shifts is None or second.shifts is None:
            which, why = ("first", first.reason) if first.shifts is None else ("second", second.reason)
            said = f": {why.rstrip('.')}" if why else ""
            return Reject(f"The {which} alignment measured no motion{said}.", (Reason("no motion"),))
        one, two = first.shifts * pixel_size(first), resampled(second.shifts, len(first.shifts)) * pixel_size(second)
        found = correlation(one, two)
        moves = np.maximum(np.ptp(one, axis=0), np.ptp(two, axis=0)) > self.still * pixel_size(first)
        worst = float(found[moves].min()) if moves.any() else np.nan
        if worst < self.min_correlation:
            axis = "yx"[int(np.argmin(np.where(moves, found, np.inf)))]
            why = f"The paths of two alignments correlate with {worst:.2f} along {axis}"
            reason = Reason("correlation", worst, self.min_correlation)
            return Reject(f"{why}, where {self.min_correlation:g} is the least.", (reason,))
        between = one - two
        distance = np.sqrt(np.mean(np.sum(np.square(between - between.mean(axis=0)), axis=1)))
        return dataclasses.replace(first, consensus_correlation=worst, consensus_distance=float(distance))
