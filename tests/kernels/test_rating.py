"""Odds against an exposure add up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.kernels.rating import Limit, rate

LIMITS = {"a": Limit(6.0), "b": Limit(100.0, 2.0), "c": Limit(1.0, 6.0)}
MEASURES = st.one_of(st.just(math.nan), st.just(math.inf), st.floats(0, 1e6))


def test_known_answers():
    assert rate({"a": 6.0}, LIMITS).score == pytest.approx(0.5)
    assert rate({"a": 6.0, "b": 100.0}, LIMITS).score == pytest.approx(1 / 3)
    assert rate({"a": 3.0}, LIMITS).score == pytest.approx(16 / 17)
    assert rate({"a": 12.0}, LIMITS).score == pytest.approx(1 / 17)
    assert rate({"a": 0.0, "b": 0.0, "c": 0.0}, LIMITS).score == 1
    bad = rate({"a": 3.0, "b": math.inf, "c": math.nan}, LIMITS)
    assert (bad.score, bad.worst) == (pytest.approx(0, abs=1e-30), "b")
    assert bad.parts["a"] == pytest.approx(16 / 17)
    assert math.isnan(bad.parts["c"])
    nothing = rate({"a": math.nan}, LIMITS)
    assert math.isnan(nothing.score)
    assert nothing.worst == ""
    assert rate({"x": 0.1}, {"x": Limit(0.0)}).score == 0
    assert rate({"x": 0.0}, {"x": Limit(0.0)}).score == 1


@given(st.fixed_dictionaries({name: MEASURES for name in LIMITS}), st.sampled_from(sorted(LIMITS)), st.floats(1, 10))
def test_laws(measures, name, factor):
    rated = rate(measures, LIMITS)
    known = {n: p for n, p in rated.parts.items() if not math.isnan(p)}
    assert set(known) == {n for n, x in measures.items() if not math.isnan(x)}
    if not known:
        assert math.isnan(rated.score)
        return
    assert 0 <= rated.score <= min(known.values()) + 1e-12
    assert known[rated.worst] == min(known.values())
    # what is worse never scores better, and what is unknown never worse
    assert not rate({**measures, name: measures[name] * factor}, LIMITS).score > rated.score
    without = rate({**measures, name: math.nan}, LIMITS).score
    assert math.isnan(without) or without >= rated.score
