"""A sample that covers the defocus evenly: exact, reproducible, and the same for all that ask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.kernels.sampling import balanced
from cryowidgets.model import Ctf, Reject
from cryowidgets.protocols.defocus_sampler import DefocusSampler


@given(
    st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), max_size=80),
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(0, 3),
)
def test_parts_of_the_range_differ_by_one_unless_they_have_no_more(values, count, bins, seed):
    values = np.array(values)
    chosen = balanced(values, count, bins, seed)
    there = np.isfinite(values)
    assert len(chosen) == min(count, there.sum())
    assert len(set(chosen.tolist())) == len(chosen)
    if not len(chosen):
        return
    low, span = values[there].min(), np.ptp(values[there]) or 1.0
    part = np.minimum((values - low) / span * bins, bins - 1)
    of_each = [
        (int((part[chosen].astype(int) == b).sum()), int((part[there].astype(int) == b).sum())) for b in range(bins)
    ]
    most = max(taken for taken, _ in of_each)
    assert all(taken >= most - 1 or taken == inside for taken, inside in of_each)


def test_a_crowded_defocus_does_not_crowd_the_sample():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(12000, 200, 90), [8000, 9000, 10000, 14000, 15000, 16000]])
    chosen = values[balanced(values, 12, 8)]
    assert {8000, 9000, 10000, 14000, 15000, 16000} <= set(chosen)


def session(count):
    rng = np.random.default_rng(1)
    fits = [
        Ctf(micrograph="a.mrc", id=10 + n, defocus_u=d, defocus_v=d) for n, d in enumerate(rng.uniform(5e3, 3e4, count))
    ]
    fits[3] = Ctf(micrograph="a.mrc", id=13, reason="No rings.")
    return fits


def test_exactly_so_many_pass_and_nothing_after():
    sampler, fits = DefocusSampler(), session(100)
    assert [sampler.opens(np.ones(n, int), False, 0) for n in (99, 100, 130)] == [0, 100, 100]
    assert sampler.opens(np.ones(40, int), True, 0) == 40
    assert [sampler.full(np.ones(n, int)) for n in (99, 100)] == [False, True]
    answers = [sampler.process(fit, fits, None) for fit in fits]
    passed = [answer for answer in answers if isinstance(answer, Ctf)]
    assert len(passed) == 25
    assert fits[3] not in passed
    assert np.histogram([c.defocus_u for c in passed], bins=5)[0].min() >= 4
    assert {r.rule for answer in answers if isinstance(answer, Reject) for r in answer.reasons} == {"not chosen"}


def test_a_sample_larger_than_what_it_is_of_is_refused():
    with pytest.raises(ParameterError, match="count 30 is more than among 20"):
        DefocusSampler(count=30, among=20)
