"""The score says what a person would, and why."""

import math

import pytest

from cryowidgets.model import Ctf, Micrograph, Optics, Quality
from cryowidgets.protocols.score_exposure import ScoreExposure

OPTICS = Optics(pixel_size=1.2, dose_per_frame=1.0)
GOOD = {"motion_total": 12.0, "motion_late": 6.0, "shift_error": 0.05}
FITTED = {"fit_resolution": 3.4, "astigmatism": 300.0, "ice": 0.2}


def score(micrograph=(), ctf=(), optics=OPTICS, **limits) -> Quality:
    movie = Micrograph(
        path="a.mrc", pixel_size=1.2, height=8, width=8, frames=40, optics=optics, **{**GOOD, **dict(micrograph)}
    )
    return ScoreExposure(**limits).process(movie, Ctf(micrograph="a.mrc", **{**FITTED, **dict(ctf)}), None)


def test_a_good_exposure():
    good = score()
    assert good.score > 0.95
    assert good.worst == "fit"
    assert good.reason == "The CTF fits to 3.4 Å; 6 Å would halve the score."
    parts = [good.fit, good.astigmatism, good.ice, good.drift, good.late, good.alignment]
    assert math.isnan(good.carbon)  # nobody looked for it
    assert min(parts) == good.fit > 0.95


@pytest.mark.parametrize(
    ("micrograph", "ctf", "worst", "part", "says"),
    [
        ({}, {"fit_resolution": 6.0}, "fit", 0.5, "The CTF fits to 6.0 Å; 6 Å would"),
        ({}, {"fit_resolution": 12.0}, "fit", 1 / 65, "The CTF fits to 12.0 Å"),
        ({}, {"astigmatism": 4000.0}, "astigmatism", 1 / 17, "Astigmatism of 400 nm; 200 nm would"),
        ({}, {"ice": 6.0}, "ice", 1 / 82, "An ice ring of density 6.0; 2 would"),
        ({}, {"carbon": 1.0}, "carbon", 1 / 17, "Carbon covers 100% of the image; 50% would"),
        ({}, {"thickness": 4000.0}, "thickness", 1 / 17, "The specimen is 400 nm thick; 200 nm would"),
        ({"motion_total": 120.0}, {}, "drift", 1 / 17, "The frame moved 120 Å; 60 Å would"),
        ({"motion_late": 72.0}, {}, "late", 1 / 17, "The frame went on moving by 2.00 Å for each e/Å²; 1 Å would"),
        ({"motion_residual": 2.0}, {}, "local", 1 / 17, "Parts of the frame are left with 2.00 Å of motion; 1 Å"),
        (
            {"shift_error": 1.0},
            {},
            "alignment",
            1 / 17,
            "The motion of the frames is known to 1.20 Å only; 0.6 Å would",
        ),
    ],
)
def test_each_trouble_is_named_and_lowers_the_score(micrograph, ctf, worst, part, says):
    bad = score(micrograph, ctf)
    assert bad.worst == worst
    assert getattr(bad, worst) == pytest.approx(part)
    assert bad.reason.startswith(says)
    assert 0.9 * part < bad.score < part


def test_without_a_ctf_the_score_is_0_and_says_why():
    none = {"fit_resolution": math.nan, "astigmatism": math.nan, "reason": "No rings stand out of the noise."}
    found = score({"motion_total": math.nan, "motion_late": math.nan, "shift_error": math.nan}, none)
    assert found.score == pytest.approx(0, abs=1e-20)
    assert (found.worst, found.reason) == ("fit", "No CTF: No rings stand out of the noise.")
    assert math.isnan(found.drift)


def test_what_is_unknown_has_no_say():
    blind = score({"motion_total": math.nan, "motion_late": math.nan, "shift_error": math.nan}, {"ice": math.nan})
    assert blind.score >= score().score
    assert score(optics=Optics(pixel_size=1.2)).late != score().late  # the dose is unknown
    assert math.isnan(score(optics=None).alignment)
    nothing = score(
        {"motion_total": math.nan, "motion_late": math.nan, "shift_error": math.nan},
        {"fit_resolution": math.nan, "astigmatism": math.nan, "ice": math.nan},
    )
    assert math.isnan(nothing.score)
    assert (nothing.worst, nothing.reason) == ("", "Nothing was measured.")


def test_limits_are_parameters():
    assert score(ctf={"fit_resolution": 9.0}, fit_limit=9.0).fit == pytest.approx(0.5)
    assert "halves the score" in ScoreExposure.parameters()["fit_limit"].help
