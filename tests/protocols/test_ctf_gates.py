"""Ranges, consensus of two estimates, and that every rule that is broken is named and counted."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.model import Ctf, Optics, Reason, Reject
from cryowidgets.protocols.ctf_consensus import CtfConsensus
from cryowidgets.protocols.filter_ctf import FilterCtf

OPTICS = Optics(pixel_size=0.85)
FIT = {"defocus_u": 15200.0, "defocus_v": 15000.0, "angle": 20.0, "fit_resolution": 4.0, "gap": 8.0, "ice": 0.3}


def ctf(**values) -> Ctf:
    return Ctf(micrograph="a.mrc", optics=OPTICS, **{**FIT, **values})


def rules(answer) -> list[str]:
    return [reason.rule for reason in answer.reasons] if isinstance(answer, Reject) else []


def test_defaults_are_those_of_the_field():
    expected = {
        "defocus_min": 4000,
        "defocus_max": 40000,
        "astigmatism_max": 0,
        "astigmatism_percent": 10,
        "resolution_max": 17,
        "phase_min": 0,
        "phase_max": 180,
        "ice_max": 0,
        "gap_min": 0,
    }
    assert FilterCtf().values() == expected
    assert CtfConsensus().values() == {**expected, "consensus_max": 15, "version": "area", "keep": "first"}


@pytest.mark.parametrize(
    "values, limits, broken",
    [
        ({}, {}, []),
        ({"defocus_u": 3900.0, "defocus_v": 3800.0}, {}, ["defocus"]),
        ({"defocus_u": 41000.0, "defocus_v": 40000.0}, {}, ["defocus"]),
        ({"defocus_u": 41000.0, "defocus_v": 40000.0}, {"defocus_max": 0}, []),
        ({"defocus_u": 16000.0, "defocus_v": 14000.0}, {}, ["astigmatism %"]),
        ({"defocus_u": 16000.0, "defocus_v": 14000.0}, {"astigmatism_percent": 0}, []),
        ({"defocus_u": 15600.0, "defocus_v": 14400.0}, {"astigmatism_max": 1000}, ["astigmatism"]),
        ({"fit_resolution": 17.0}, {}, []),  # a limit is still allowed
        ({"fit_resolution": 17.1}, {}, ["resolution"]),
        ({"fit_resolution": math.nan, "ice": math.nan, "gap": math.nan}, {"ice_max": 1, "gap_min": 3}, []),
        ({"phase_shift": 20.0}, {"phase_min": 30, "phase_max": 120}, ["phase shift"]),
        ({"ice": 1.2, "gap": 2.0}, {"ice_max": 1, "gap_min": 3}, ["ice", "gap"]),
        ({"reason": "No rings stand out."}, {}, ["no fit"]),
    ],
)
def test_ranges(values, limits, broken):
    given = ctf(**values)
    answer = FilterCtf(**limits).process(given, None)
    assert rules(answer) == broken
    assert answer is given or isinstance(answer, Reject)
    assert rules(CtfConsensus(**limits).process(given, given, None)) == broken


def test_the_sentence_has_every_value_and_limit():
    answer = FilterCtf().process(ctf(defocus_u=45000.0, defocus_v=35000.0, fit_resolution=20.0), None)
    assert answer.why == (
        "An astigmatism of 25.0 %, where 10 is the most; a fit that ends at 20.0 Å, where 17 is the most."
    )
    assert answer.reasons == (Reason("astigmatism %", 25.0, 10.0), Reason("resolution", 20.0, 17.0))


def test_ranges_that_nothing_can_pass_are_refused():
    with pytest.raises(ParameterError, match="FilterCtf.defocus_min 50000 Å is above defocus_max 40000 Å"):
        FilterCtf(defocus_min=50000)
    with pytest.raises(ParameterError, match="phase_min 90° is above phase_max 20°"):
        CtfConsensus(phase_min=90, phase_max=20)


def test_what_flows_on_is_the_first_with_the_values_of_both():
    second = ctf(defocus_u=15400.0, defocus_v=15000.0, angle=-10.0, phase_shift=5.0, fit_resolution=5.0)
    kept = CtfConsensus().process(ctf(), second, None)
    assert (kept.defocus_u, kept.defocus_v, kept.angle, kept.fit_resolution) == (15200, 15000, 20, 4)
    assert (kept.first_defocus, kept.first_astigmatism, kept.first_angle, kept.first_phase_shift) == (15100, 200, 20, 0)
    assert (kept.second_defocus, kept.second_astigmatism, kept.second_angle) == (15200, 400, -10)
    assert (kept.second_phase_shift, kept.second_fit_resolution) == (5, 5)
    assert 1.7 < kept.consensus_resolution < kept.consensus_linear < 15


def test_an_average_of_opposite_astigmatism_is_round_and_knows_its_error():
    first = ctf(defocus_u=15300.0, defocus_v=15100.0, angle=20.0)
    second = ctf(defocus_u=15100.0, defocus_v=14900.0, angle=-70.0, phase_shift=10.0)
    kept = CtfConsensus(keep="average").process(first, second, None)
    assert (kept.defocus_u, kept.defocus_v) == (pytest.approx(15100), pytest.approx(15100))
    assert kept.astigmatism == pytest.approx(0, abs=1e-6)
    assert (kept.phase_shift, kept.phase_error) == (5, 5)
    assert kept.defocus_error == pytest.approx(100)
    assert kept.astigmatism_error == pytest.approx(200)
    assert (kept.first_defocus, kept.second_defocus) == (15200, 15000)


def test_estimates_that_disagree_are_rejected_in_the_version_asked_for():
    second = ctf(defocus_u=17200.0, defocus_v=17000.0)  # 2000 Å at 300 kV: 8.9 Å, and 46 Å as an area for a radius
    passed = CtfConsensus().process(ctf(), second, None)
    assert passed.consensus_resolution == pytest.approx(8.9, abs=0.05)
    assert passed.consensus_linear == pytest.approx(8.87**2 / 1.7, rel=0.01)
    linear = CtfConsensus(version="linear").process(ctf(), second, None)
    assert rules(linear) == ["consensus"]
    assert linear.reasons[0].value == pytest.approx(passed.consensus_linear)
    strict = CtfConsensus(consensus_max=6).process(ctf(), second, None)
    assert strict.why == "Two estimates, 15100 and 17100 Å, agree to 8.9 Å, where 6 is the most."
    assert isinstance(CtfConsensus(consensus_max=0, version="linear").process(ctf(), second, None), Ctf)


def test_without_one_of_both_there_is_no_consensus():
    none = ctf(reason="No rings stand out.", defocus_u=math.nan, defocus_v=math.nan)
    assert rules(CtfConsensus().process(none, ctf(), None)) == ["no fit"]
    answer = CtfConsensus().process(ctf(fit_resolution=20.0), none, None)
    assert rules(answer) == ["no second fit", "resolution"]
    assert answer.why.startswith("There is no second CTF: No rings stand out; a fit that ends")
    with pytest.raises(InputError, match="without optics"):
        CtfConsensus().process(dataclasses.replace(ctf(), optics=None), ctf(), None)


estimates = st.builds(
    lambda d, a, angle, phase, fit: ctf(
        defocus_u=d + a / 2, defocus_v=d - a / 2, angle=angle, phase_shift=phase, fit_resolution=fit
    ),
    st.floats(2000, 60000),
    st.floats(0, 3000),
    st.floats(-90, 90),
    st.floats(0, 180),
    st.floats(2, 30),
)


@given(estimates, estimates)
def test_an_average_does_not_depend_on_which_comes_first(first, second):
    gate = CtfConsensus(keep="average", resolution_max=0)
    there, back = gate.process(first, second, None), gate.process(second, first, None)
    assert rules(there) == rules(back)
    if isinstance(there, Ctf):
        assert (there.defocus_u, there.defocus_v) == pytest.approx((back.defocus_u, back.defocus_v))


@given(st.lists(st.tuples(estimates, estimates), max_size=4))
def test_each_is_accepted_or_rejected_for_at_least_one_rule(pairs):
    for gate in (CtfConsensus(), CtfConsensus(keep="average", version="linear")):
        for first, second in pairs:
            answer = gate.process(first, second, None)
            assert isinstance(answer, Ctf) or (answer.reasons and answer.why)
