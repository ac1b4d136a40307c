"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.protocols.durations import seconds, text
from cryowidgets.protocols.import_movies import ImportMovies


@pytest.mark.parametrize(
    "written, meant",
    [
        ("30", 30),
        ("12h", 43200),
        ("1d 2h 30m 5s", 95405),
        ("1d2h", 93600),
        ("90 s", 90),
        ("1.5h", 5400),
        (7, 7),
        ("0", 0),
    ],
)
def test_what_is_meant(written, meant):
    assert seconds(written) == meant


@pytest.mark.parametrize("wrong", ["", "soon", "5x", "-3", "1h 2h", "h", "1d 5", "inf", "nan", True])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match="is not a duration: write for instance"):
        seconds(wrong)


@given(st.integers(0, 10**7))
def test_text_and_back(duration):
    assert seconds(text(duration)) == duration


def test_a_trait_takes_what_people_write_and_names_itself_when_it_does_not():
    assert ImportMovies(timeout="2h").timeout == 7200
    with pytest.raises(ParameterError, match="ImportMovies.timeout does not take 'soon'"):
        ImportMovies(timeout="soon")
