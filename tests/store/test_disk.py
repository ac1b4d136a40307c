"""When a disk will be full: known fillings, and what must not fool the forecast."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.store.disk import FURTHEST, full_at

HOUR = 3600.0
T = 1.7e9 + np.arange(0, 4 * HOUR, 60.0)
RATE = 140.0 / HOUR
"""GB/s: 140 GB an hour, as a K3 in full swing."""


def filling(start=1120.0):
    return start - RATE * (T - T[0])


def test_a_disk_filled_steadily_is_full_when_arithmetic_says():
    free = filling()
    assert full_at(T, free) == pytest.approx(T[0] + 1120.0 / RATE, abs=1)


@given(
    rate=st.floats(1.0, 500.0),
    start=st.floats(3000.0, 9000.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_noise_of_temporary_files_moves_it_little(rate, start, seed):
    free = start - rate / HOUR * (T - T[0]) + np.random.default_rng(seed).uniform(0, 0.02 * rate, T.size)
    ahead = start / rate * HOUR - (T[-1] - T[0])
    found = full_at(T, free)
    if ahead < 0.9 * FURTHEST:
        assert found - T[-1] == pytest.approx(ahead, rel=0.03)


@pytest.mark.parametrize("freed", [400.0, 800.0, 20000.0])
@pytest.mark.parametrize("minutes", [1, 25])
def test_cleaning_up_does_not_put_it_off_beyond_what_was_freed(freed, minutes):
    free = filling()
    since = np.clip((T - T[120]) / (60.0 * minutes), 0, 1)
    free = free + freed * since
    ahead = free[-1] / RATE
    if ahead < FURTHEST:
        assert full_at(T, free) - T[-1] == pytest.approx(ahead, rel=0.1)


def test_bursts_count_at_their_mean_rate():
    free = 1120.0 - 35.0 * np.floor((T - T[0]) / (0.25 * HOUR))  # 35 GB at once, each quarter of an hour
    assert full_at(T, free) - T[-1] == pytest.approx(free[-1] / RATE, rel=0.15)


def test_what_was_before_the_last_hours_does_not_count():
    times = np.concatenate([T - 10 * HOUR, T])
    free = np.concatenate([np.full(T.size, 5000.0), filling()])
    assert full_at(times, free) == pytest.approx(T[0] + 1120.0 / RATE, abs=1)


def test_unknown_samples_are_left_out():
    free = filling()
    free[::3] = math.nan
    assert full_at(T, free) == pytest.approx(T[0] + 1120.0 / RATE, abs=1)


def test_a_full_disk_is_full_now():
    assert full_at(T, np.maximum(filling(300.0), 0.0)) == T[-1]


@pytest.mark.parametrize(
    ("times", "free"),
    [
        ([], []),
        (T[:3], filling()[:3]),  # too few
        (T[:8], filling()[:8]),  # too short a time
        (T, np.full(T.size, 100.0)),  # nobody writes
        (T, 100.0 + np.tile([0.0, 0.2], T.size // 2)),  # files that come and go
        (T, 5000.0 + (T - T[0]) / HOUR),  # it empties
        (T, 1e6 - RATE * (T - T[0])),  # in 300 days
        (T, np.full(T.size, math.nan)),
    ],
)
def test_it_says_nothing_where_there_is_no_trend(times, free):
    assert math.isnan(full_at(times, free))
