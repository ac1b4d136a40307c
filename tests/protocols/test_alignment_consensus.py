"""Two alignments of one movie: what counts as the same motion."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels.trajectory import correlation, resampled
from cryowidgets.model import Micrograph, Optics, Reject
from cryowidgets.protocols.alignment_consensus import AlignmentConsensus

FRAMES = np.arange(40)
PATH = np.stack([8 * (1 - np.exp(-FRAMES / 10)), -5 * (1 - np.exp(-FRAMES / 15))], axis=1)


def aligned(shifts, reason="", pixel_size=1.2):
    optics = Optics(pixel_size=pixel_size)
    total = np.nan
    if shifts is not None:
        total = float(np.linalg.norm(np.diff(shifts, axis=0), axis=1).sum() * pixel_size)
    return Micrograph(
        path="a.mrc", pixel_size=1.2, height=8, width=8, optics=optics, shifts=shifts, motion_total=total, reason=reason
    )


def consensus(first, second, **limits):
    return AlignmentConsensus(**limits).process(aligned(first), aligned(second), None)


def test_the_same_motion_passes_and_says_how_well_it_agrees():
    noisy = PATH + np.random.default_rng(1).normal(0, 0.2, PATH.shape)
    kept = consensus(PATH, noisy + 7.0)
    assert 0.95 < kept.consensus_correlation < 1
    assert kept.consensus_distance == pytest.approx(0.2 * np.sqrt(2) * 1.2, rel=0.2)
    np.testing.assert_array_equal(kept.shifts, PATH)


def test_another_motion_along_one_axis_is_rejected():
    answer = consensus(PATH, PATH * [1, -1])
    assert answer.why == "The paths of two alignments correlate with -1.00 along x, where 0.75 is the least."
    (reason,) = answer.reasons
    assert (reason.rule, reason.limit) == ("correlation", 0.75)
    assert reason.value == pytest.approx(-1)
    assert isinstance(consensus(PATH, PATH * [1, -1], min_correlation=-1), Micrograph)


def test_noise_of_a_still_movie_is_not_compared_and_one_that_moves_is():
    a, b = np.random.default_rng(2).uniform(-1.4, 1.4, (2, 40, 2))
    still = consensus(a, b)
    assert np.isnan(still.consensus_correlation)
    assert isinstance(consensus(a, b, still=1), Reject)
    along_y = PATH * [1, 0]
    assert isinstance(consensus(along_y + a * [0, 1], along_y + b * [0, 1]), Micrograph)
    assert isinstance(consensus(along_y, np.zeros((40, 2))), Reject), "one moves where the other does not"


def test_frames_grouped_differently_are_compared_at_the_same_exposure():
    grouped = PATH.reshape(20, 2, 2).mean(axis=1)
    assert consensus(PATH, grouped).consensus_correlation > 0.999
    assert consensus(grouped, PATH).consensus_distance < 0.1


@pytest.mark.parametrize("first", [True, False])
def test_without_one_of_both_there_is_no_consensus(first):
    pair = [aligned(None, "Nothing but noise."), aligned(PATH)]
    answer = AlignmentConsensus().process(*(pair if first else pair[::-1]), None)
    assert [reason.rule for reason in answer.reasons] == ["no motion"]
    assert answer.why == f"The {'first' if first else 'second'} alignment measured no motion: Nothing but noise."


def test_correlation_is_that_of_numpy_and_a_line_stays_a_line():
    a, b = np.random.default_rng(3).normal(size=(2, 30, 2))
    np.testing.assert_allclose(correlation(a, b), [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in (0, 1)])
    line = np.stack([FRAMES, -2.0 * FRAMES], axis=1)
    middle = resampled(line, 20)
    np.testing.assert_allclose(np.diff(middle, axis=0), np.tile([2.0, -4.0], (19, 1)))
