"""The gate that lets a sample pass which covers the defocus of a session evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from traitlets import Int

from cryowidgets.errors import ParameterError
from cryowidgets.kernels.sampling import balanced
from cryowidgets.model import NOT_CHOSEN, Ctf, Reason, Reject
from cryowidgets.protocols.base import Protocol, Recent
from cryowidgets.protocols.out import Out


class DefocusSampler(Protocol):
    """Let a few of the first CTFs pass that cover the range of their defocus evenly; nothing after these.

    For what needs a handful of typical micrographs early in a session: training a picker, choosing its threshold. Once
    enough have come, equal parts of the range from the smallest to the largest mean defocus give one each in turn. The
    micrographs of the sample pass SubsetSet.
    """

    takes = Recent(Ctf, count="among", least="among")
    gives = Ctf
    chooses = True

    count = Int(25, min=1, help="CTFs that pass")
    among = Int(100, min=1, help="CTFs among which they are chosen; nothing passes before these have come")
    bins = Int(10, min=1, max=1000, help="Equal parts of the range of defocus").tag(advanced=True)
    seed = Int(0, min=0, help="Another seed is another sample").tag(advanced=True)

    def check(self) -> None:
        if self.count > self.among:
            raise ParameterError(f"DefocusSampler.count {self.count} is more than among {self.among}.")

    def opens(self, sizes: np.ndarray, last: bool, seconds: float) -> int:
        return min(len(sizes), self.among) if last or len(sizes) >= self.among else 0

    def full(self, sizes: np.ndarray) -> bool:
        return len(sizes) >= self.among

    def process(self, ctf: Ctf, recent: Sequence[Ctf], out: Out) -> Ctf | Reject:
        defocus = np.array([np.nan if c.reason else 0.5 * (c.defocus_u + c.defocus_v) for c in recent])
        chosen = balanced(defocus, self.count, self.bins, self.seed)
        if ctf.id in {recent[n].id for n in chosen}:
            return ctf
        return Reject(f"Not among the {self.count} that cover the defocus evenly.", (Reason(NOT_CHOSEN),))
