"""What protocols say is to be cited for their methods."""

from __future__ import annotations

import re

from cryowidgets.plugins import PROTOCOLS, found
from cryowidgets.protocols import registry

CITATION = re.compile(r"[A-Z].+ \(\d{4}\) .+\. doi:10\.\d{4,}/\S+[\w]")


def test_what_is_to_be_cited_has_authors_year_and_doi():
    said = {point.name: registry.get(point.name).cites for point in found(PROTOCOLS)}
    assert all(CITATION.fullmatch(text) for texts in said.values() for text in texts)
    assert any("10.7554/eLife.06980" in text for text in said["AlignMovie"])
    assert any("10.1016/j.jsb.2015.08.008" in text for text in said["EstimateCtf"])
    assert said["ImportMovies"] == ()
