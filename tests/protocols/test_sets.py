"""Samples and parts: exact, the same each time, and nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.model import Ctf, Micrograph, Reject
from cryowidgets.protocols.sets import DifferenceSet, JoinSets, Sampler, SplitSet, SubsetSet


def exposures(count):
    return [Ctf(micrograph="a.mrc", exposure=n, id=3 * n) for n in range(1, count + 1)]


def passed(gate, items):
    answers = [(item, gate.process(item, None)) for item in items]
    assert all(answer is item or isinstance(answer, Reject) for item, answer in answers)
    return [item.exposure for item, answer in answers if answer is item]


@settings(max_examples=40)
@given(st.integers(1, 60), st.floats(0, 100), st.integers(0, 5))
def test_of_each_batch_the_same_share_passes(batch, share, seed):
    sampler = Sampler(batch=batch, share=share, seed=seed)
    through = passed(sampler, exposures(3 * batch))
    for n in range(3):
        inside = [e for e in through if n * batch < e <= (n + 1) * batch]
        assert len(inside) == round(share / 100 * batch)


@settings(max_examples=20)
@given(st.permutations(range(1, 41)))
def test_a_sample_does_not_depend_on_the_order(order):
    sampler = Sampler(batch=20, share=25)
    items = exposures(40)
    assert sorted(passed(sampler, [items[n - 1] for n in order])) == passed(sampler, items)


def test_all_that_comes_of_an_exposure_is_in_the_sample_or_none():
    sampler = Sampler(batch=10, share=50)
    ctfs = passed(sampler, exposures(30))
    others = [Micrograph(path="", pixel_size=1, height=1, width=1, exposure=n, id=7 * n) for n in range(1, 31)]
    assert passed(sampler, others) == ctfs
    assert passed(Sampler(batch=10, share=50, seed=1), exposures(30)) != ctfs
    answer = Sampler(share=0).process(others[0], None)
    assert answer.why == "Not in the sample of 0 %."
    assert [reason.rule for reason in answer.reasons] == ["not chosen"]


@given(st.integers(2, 6), st.integers(0, 40), st.integers(0, 3), st.sampled_from(["random", "in turn"]))
def test_parts_are_disjoint_complete_and_of_one_size(parts, count, seed, order):
    items = exposures(count)
    each = [passed(SplitSet(parts=parts, part=n + 1, seed=seed, order=order), items) for n in range(parts)]
    assert sorted(e for part in each for e in part) == list(range(1, count + 1))
    assert max(map(len, each)) - min(map(len, each)) <= 1


def test_parts_in_turn_and_what_is_not_a_part():
    assert passed(SplitSet(parts=3, part=2, order="in turn"), exposures(7)) == [2, 5]
    with pytest.raises(ParameterError, match="SplitSet.part 3 is not one of 2 parts"):
        SplitSet(part=3)


def test_items_pass_as_they_are():
    first, second = exposures(2)
    assert JoinSets().process(first, None) is first
    assert DifferenceSet().process(first, None) is first
    assert SubsetSet().process(first, second, None) is first
