"""The gate decides as Scipion's rule does, and says why."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cryowidgets.errors import ParameterError
from cryowidgets.model import Micrograph, Optics, Reject
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
    expected = {"mode": "or", "max_frame_shift": 10.0, "max_movie_shift": 45.0, "trajectory": "smoothed"}
    assert MaxShift().values() == expected


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


GATES = {
    mode: (
        MaxShift(mode=mode, trajectory="measured", max_frame_shift=7.3, max_movie_shift=31.7),
        MaxShift(mode=mode),
    )
    for mode in ("frame", "movie", "and", "or")
}


def rejected_by_the_formula(shifts, pixel_size, mode, frame, movie):
    """Scipion's rule, as it is written down: step by step."""
    longest = total = 0.0
    for (y0, x0), (y1, x1) in zip(shifts[:-1], shifts[1:], strict=True):
        step = math.sqrt((y1 - y0) ** 2 + (x1 - x0) ** 2) * pixel_size
        longest, total = max(longest, step), total + step
    by_frame, by_movie = longest > frame, total > movie
    return {"frame": by_frame, "movie": by_movie, "or": by_frame or by_movie, "and": by_frame and by_movie}[mode]


@given(
    arrays(np.float64, st.tuples(st.integers(2, 12), st.just(2)), elements=st.floats(-12, 12, width=16)),
    st.sampled_from([0.5, 0.85, 1.3]),
)
def test_measured_shifts_are_judged_as_by_the_formula(shifts, pixel_size):
    micrograph = Micrograph(
        path="a.mrc",
        pixel_size=2 * pixel_size,  # the micrograph is binned, the shifts are not
        height=8,
        width=8,
        optics=Optics(pixel_size=pixel_size),
        measured_shifts=shifts,
        motion_worst=0.0,
        motion_total=0.0,
    )
    for mode, (measured, smoothed) in GATES.items():
        answer = measured.process(micrograph, None)
        assert isinstance(answer, Reject) == rejected_by_the_formula(shifts, pixel_size, mode, 7.3, 31.7)
        assert smoothed.process(micrograph, None) is micrograph, "smoothed, it did not move"


def test_rules_are_counted_and_movies_without_shifts_pass():
    answer = MaxShift(mode="or").process(moved(12.0, 60.0), None)
    assert [(r.rule, r.value, r.limit) for r in answer.reasons] == [("frame", 12.0, 10.0), ("movie", 60.0, 45.0)]
    assert isinstance(MaxShift(trajectory="measured").process(moved(12.0, 60.0), None), Micrograph)


def test_shifts_of_finer_frames_are_measured_in_their_own_pixels():
    """EER at twice the camera's pixels: the path of 30 px is one of 15 Å."""
    shifts = np.array([[0.0, 0.0], [0.0, 30.0]])
    micrograph = Micrograph(
        path="a.mrc", pixel_size=1.0, height=8, width=8, optics=Optics(pixel_size=1.0), shifts=shifts, motion_total=15.0
    )
    gate = MaxShift(mode="movie", trajectory="measured", max_movie_shift=14)
    assert gate.process(micrograph, None).reasons[0].value == pytest.approx(15.0)
    assert MaxShift(mode="movie", trajectory="measured", max_movie_shift=16).process(micrograph, None) is micrograph
