"""The gate decides as Scipion's rule does, and says why."""

import math

import pytest

from cryowidgets.errors import ParameterError
from cryowidgets.model import Micrograph, Reject
from cryowidgets.protocols.max_shift import MaxShift


def moved(step=0.0, path=0.0):
    return Micrograph(path="a.mrc", pixel_size=1.0, height=8, width=8, motion_worst=step, motion_total=path)


@pytest.mark.parametrize(
    "step, path, rejecting",
    [
        (3.0, 20.0, []),
        (10.0, 45.0, []),  # a limit is still allowed
        (10.1, 20.0, ["frame", "or"]),
        (3.0, 45.1, ["movie", "or"]),
        (12.0, 60.0, ["frame", "movie", "and", "or"]),
        (math.nan, math.nan, []),
    ],
)
def test_four_modes(step, path, rejecting):
    for mode in ("frame", "movie", "and", "or"):
        micrograph = moved(step, path)
        answer = MaxShift(mode=mode).process(micrograph, None)
        assert isinstance(answer, Reject) if mode in rejecting else answer is micrograph


def test_the_default_is_or_with_10_and_45():
    assert MaxShift().values() == {"mode": "or", "max_frame_shift": 10.0, "max_movie_shift": 45.0}


@pytest.mark.parametrize(
    "mode, sentence",
    [
        ("frame", "The specimen moved 12.3 Å between two frames, where 10 Å are allowed."),
        ("movie", "The specimen moved 60.0 Å in all, where 45 Å are allowed."),
        (
            "or",
            "The specimen moved 12.3 Å between two frames, where 10 Å are allowed, and 60.0 Å in all, "
            "where 45 Å are allowed.",
        ),
    ],
)
def test_the_reason_has_the_numbers(mode, sentence):
    assert MaxShift(mode=mode).process(moved(12.34, 60.0), None).why == sentence


def test_limits_are_parameters():
    assert isinstance(MaxShift(max_movie_shift=5).process(moved(1, 6), None), Reject)
    with pytest.raises(ParameterError, match="max_frame_shift"):
        MaxShift(max_frame_shift=-1)
