"""What a trigger lets pass of any stream, however it comes in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.protocols.trigger import DataCounter, Trigger

MODES = ("growing", "static", "batches")
items = st.lists(st.just(1), max_size=40)
stacks = st.lists(st.integers(0, 30), max_size=40)
counts = st.integers(1, 25)


def passing(gate, sizes, cuts=(), seconds=0.0):
    """How many have passed after each arrival, and at the end; a step asks no more once it is full."""
    open_ = 0
    history = []
    for n, last in [*((min(cut, len(sizes)), False) for cut in sorted(cuts)), (len(sizes), True)]:
        begun = np.array(sizes[:open_], np.int64)
        if not gate.full(begun):
            open_ = max(open_, gate.opens(np.array(sizes[:n], np.int64), last, seconds))
        assert open_ <= n
        history.append(open_)
    return history


@given(st.one_of(items, stacks), counts, st.lists(st.integers(0, 40), max_size=6))
def test_a_static_set_is_the_shortest_begin_that_holds_enough(sizes, count, cuts):
    gate = Trigger(mode="static", count=count)
    passed = passing(gate, sizes, cuts)[-1]
    reached = list(itertools.accumulate(sizes))
    wanted = next((n + 1 for n, total in enumerate(reached) if total >= count), len(sizes))
    assert passed == wanted
    assert gate.full(np.array(sizes[:passed])) == (sum(sizes) >= count)
    if set(sizes) == {1}:
        assert passed == min(count, len(sizes)), "single items are counted exactly"


@given(st.one_of(items, stacks), counts, st.integers(0, 40))
def test_a_growing_set_opens_once_and_for_all(sizes, count, cut):
    before, end = passing(Trigger(mode="growing", count=count), sizes, [cut])
    enough = sum(sizes[:cut]) >= count
    assert before == (min(cut, len(sizes)) if enough else 0)
    assert end == len(sizes)


@given(items, counts, st.integers(0, 40))
def test_batches_are_exact_and_the_last_may_be_smaller(sizes, count, cut):
    before, end = passing(Trigger(mode="batches", count=count), sizes, [cut])
    assert before == min(cut, len(sizes)) // count * count
    assert end == len(sizes)


@given(stacks, counts, st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_batches_of_stacks_end_with_the_stack_that_fills_them(sizes, count, cuts):
    gate = Trigger(mode="batches", count=count)
    *ends, whole = passing(gate, sizes, cuts)
    assert whole == len(sizes)
    assert ends == sorted(ends)
    boundaries, total = [0], 0
    for n, size in enumerate(sizes):
        total += size
        if total >= count:
            boundaries.append(n + 1)
            total = 0
    assert set(ends) <= set(boundaries), "never a part of a batch"


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40)
@given(sizes=stacks, count=counts, one=st.lists(st.integers(0, 40)), other=st.lists(st.integers(0, 40)))
def test_what_has_passed_in_the_end_does_not_depend_on_how_it_came(mode, sizes, count, one, other):
    gate = Trigger(mode=mode, count=count)
    assert passing(gate, sizes, one)[-1] == passing(gate, sizes, other)[-1]


def test_a_counter_opens_by_count_or_by_time():
    few, many = np.ones(5, np.int64), np.ones(10, np.int64)
    assert DataCounter().values() == {"until": "either", "count": 10000, "hours": 1.0, "closed_by": ""}
    counter = DataCounter(count=10)
    assert [counter.opens(few, False, 3599), counter.opens(few, False, 3600), counter.opens(many, False, 0)] == [
        0,
        5,
        10,
    ]
    by_count, by_time = DataCounter(count=10, until="count"), DataCounter(count=10, until="time")
    assert [by_count.opens(few, False, 1e9), by_count.opens(many, False, 0)] == [0, 10]
    assert [by_time.opens(many, False, 0), by_time.opens(few, False, 3600)] == [0, 5]
    assert counter.opens(few, True, 0) == 5, "what is left when no more will come"
    assert not counter.full(many)


def test_defaults_and_limits():
    assert Trigger().values() == {"count": 10000, "mode": "growing", "closed_by": ""}
    with pytest.raises(ParameterError, match="Trigger.count does not take 0"):
        Trigger(count=0)
