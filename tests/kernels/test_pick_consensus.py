"""Pairs of picks: as brute force finds them, and each place has one partner at most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels.pickconsensus import pairs

PLACES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12).map(
    lambda found: np.array(found, float).reshape(-1, 2)
)


def brute(first, second, radius):
    """All pairs by distance, taken greedily."""
    all_ = sorted(
        (float(np.hypot(*(a - b))), i, j)
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if np.hypot(*(a - b)) <= radius
    )
    taken: list[tuple[int, int]] = []
    for _, i, j in all_:
        if i not in [pair[0] for pair in taken] and j not in [pair[1] for pair in taken]:
            taken.append((i, j))
    return taken


@settings(max_examples=150, deadline=None)
@given(PLACES, PLACES, st.integers(0, 12))
def test_pairs_are_those_of_brute_force(first, second, radius):
    found = pairs(first, second, radius)
    assert [tuple(pair) for pair in found.tolist()] == brute(first, second, radius)
    assert len(set(found[:, 0])) == len(set(found[:, 1])) == len(found)


@settings(max_examples=50, deadline=None)
@given(PLACES, st.integers(1, 12))
def test_a_list_agrees_with_itself(places, radius):
    places = np.unique(places, axis=0)
    assert sorted(map(tuple, pairs(places, places, radius).tolist())) == [(i, i) for i in range(len(places))]


@pytest.mark.parametrize("first, second", [([], [(1, 1)]), ([(1, 1)], []), ([], [])])
def test_nothing_pairs_with_nothing(first, second):
    assert pairs(np.array(first).reshape(-1, 2), np.array(second).reshape(-1, 2), 5).shape == (0, 2)
