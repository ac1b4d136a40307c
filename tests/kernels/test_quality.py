"""Path lengths of known trajectories."""

import math

import numpy as np
import pytest

from cryowidgets.kernels import quality


def test_lengths_of_a_known_path():
    shifts = np.array([[0, 0], [3, 4], [3, 4], [3, 5]])
    path = quality.path(shifts, pixel_size=2.0, dose_per_frame=1.0)
    assert (path.total, path.worst) == (12, 10)
    # frames 2, 3 and 4 end at 2, 3 and 4 e/Å²: all early
    assert (path.early, path.late) == (12, 0)
    assert quality.path(shifts, 2.0, 1.0, pre_exposure=1.0).early == 10
    assert quality.path(shifts, 2.0, 1.5).early == 10
    assert quality.path(shifts, 2.0, 5.0).early == 0


def test_early_and_late_make_the_total():
    shifts = np.random.default_rng(0).standard_normal((40, 2)).cumsum(axis=0)
    path = quality.path(shifts, 1.1, 0.7)
    assert path.early + path.late == pytest.approx(path.total)
    assert path.early > 0 and path.late > 0


def test_what_is_unknown_is_nan():
    path = quality.path(np.zeros((5, 2)), 1.0)
    assert (path.total, path.worst) == (0, 0)
    assert math.isnan(path.early) and math.isnan(path.late)
    assert quality.path(np.zeros((1, 2)), 1.0, 1.0).total == 0
