"""The dose of each movie against the newest ones, and what is done where the camera counts another than was told."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.model import Micrograph, Optics, Reject
from cryowidgets.protocols.dose_analysis import DoseAnalysis

TOLD = Optics(pixel_size=1.0, dose_per_frame=1.0)


def movies(*doses, optics=TOLD):
    return [
        Micrograph(path="a.mrc", pixel_size=1.0, height=8, width=8, id=n, optics=optics, measured_dose=dose)
        for n, dose in enumerate(doses, 1)
    ]


def analyse(session, gate=None):
    """Each movie among the newest, as the engine shows it."""
    gate = gate or DoseAnalysis()
    answers = []
    for n in range(len(session)):
        recent = session[max(n + 1 - gate.window, 0) : max(n + 1, gate.movies)]
        answers.append(gate.process(session[n], recent, None))
    return answers


def test_defaults_are_those_of_the_field():
    expected = {"max_deviation": 5, "window": 50, "movies": 20, "alarm": 30, "replace": 2}
    assert DoseAnalysis().values() == expected
    with pytest.raises(ParameterError, match="movies 60 is more than window 50"):
        DoseAnalysis(movies=60)


def test_nothing_is_judged_before_enough_have_come():
    gate = DoseAnalysis()
    assert [gate.opens(np.ones(n, int), False, 1e9) for n in (0, 19, 20, 30)] == [0, 0, 20, 30]
    assert gate.opens(np.ones(3, int), True, 0) == 3


def test_a_movie_with_another_dose_is_rejected_whenever_it_comes():
    doses = [1.0 + 0.01 * (-1) ** n for n in range(80)]
    doses[0], doses[40], doses[70] = 1.2, 0.9, 1.03
    answers = analyse(movies(*doses))
    assert [n for n, answer in enumerate(answers) if isinstance(answer, Reject)] == [0, 40]
    assert answers[40].why == "A frame has 0.9 e/Å², 9 % less than the newest movies with 0.99 e/Å²."
    assert [(r.rule, r.limit) for r in answers[40].reasons] == [("dose", 5.0)]
    assert answers[70].dose_deviation == pytest.approx(100 * (1.03 / answers[70].session_dose - 1))
    assert {answer.dose_alert for answer in answers if isinstance(answer, Micrograph)} == {""}
    assert {answer.dose_per_frame for answer in answers if isinstance(answer, Micrograph)} == {1.0}


def test_a_beam_that_changes_for_good_is_followed_after_an_alarm():
    answers = analyse(movies(*[1.0] * 50, *[0.8] * 60))
    rejected = [n for n, answer in enumerate(answers) if isinstance(answer, Reject)]
    assert rejected == list(range(50, 75)), "until more than half of the newest 50 have the new dose"
    assert "look at the beam" not in answers[60].why
    assert "Of the newest 50 movies 40 % have a dose that is more than 5 % off their median" in answers[69].why
    assert answers[-1].dose_alert.startswith("The camera counts 0.8 e/Å² in a frame, where 1 e/Å² were told")
    assert answers[-1].dose_per_frame == pytest.approx(0.8)


@pytest.mark.parametrize(
    "told, counted, replace, used, said",
    [
        (1.0, 1.015, 2, 1.0, False),
        (1.0, 1.03, 2, 1.03, True),
        (1.0, 1.03, 0, 1.0, False),
        (0.0, 1.03, 2, 1.03, False),
    ],
)
def test_which_dose_to_go_by(told, counted, replace, used, said):
    optics = Optics(pixel_size=1.0, dose_per_frame=told)
    answer = analyse(movies(*[counted] * 30, optics=optics), DoseAnalysis(replace=replace))[-1]
    assert answer.dose_per_frame == pytest.approx(used)
    assert ("were told" in answer.dose_alert) == said


def test_only_movies_of_the_same_settings_are_compared_and_what_was_not_counted_passes():
    others = movies(*[2.0] * 30, optics=Optics(pixel_size=0.5, dose_per_frame=2.0))
    answer = DoseAnalysis().process(movies(1.0)[0], [*others, *movies(1.0)], None)
    assert answer.session_dose == 1.0
    uncounted = movies(math.nan)[0]
    assert DoseAnalysis().process(uncounted, [*movies(1.0, 1.0), uncounted], None) is uncounted


@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=60), st.integers(2, 10))
def test_each_is_compared_with_the_running_median(doses, window):
    gate = DoseAnalysis(window=window, movies=2)
    for n, answer in enumerate(analyse(movies(*doses), gate)):
        shown = doses[max(n + 1 - window, 0) : max(n + 1, 2)]
        deviation = 100 * (doses[n] / statistics.median(shown) - 1)
        if abs(abs(deviation) - 5) > 1e-9:
            assert isinstance(answer, Reject) == (abs(deviation) > 5)
