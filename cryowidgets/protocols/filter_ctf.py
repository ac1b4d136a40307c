"""The gate that holds back micrographs whose CTF is out of range."""

from __future__ import annotations

from cryowidgets.model import Ctf, Reject
from cryowidgets.protocols.ctf_ranges import CtfRanges, rejection
from cryowidgets.protocols.out import Out


class FilterCtf(CtfRanges):
    """Reject CTFs whose defocus, astigmatism, fit resolution or phase shift is out of range.

    The ranges are those of Scipion's CTF consensus. A micrograph whose CTF could not be fitted is rejected. To hold
    back the micrographs themselves, let SubsetSet take those of which there is a CTF that passed.
    """

    takes = Ctf
    gives = Ctf

    def process(self, ctf: Ctf, out: Out) -> Ctf | Reject:
        broken = self.broken(ctf)
        return rejection(broken) if broken else ctf
