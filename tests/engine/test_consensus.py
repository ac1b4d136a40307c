"""Two estimates of the CTF of real, simulated movies: confirmed where both are right, held back where one is wrong."""

from __future__ import annotations

import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.project import Project
from cryowidgets.sim.microscope import Microscope

MOVIES = 2


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    microscope = Microscope(folder / "scope", movies=MOVIES, every=0, frames=6, seed=8, write_seconds=0, tree="flat")
    microscope.run()
    project = Project.create(
        folder / "p",
        template=None,
        movies=microscope.pattern,
        gain=str(microscope.gain),
        poll="0.1s",
        file_timeout="0.1s",
        timeout="0.5s",
        **microscope.optics,
    )
    w = project.workflow
    align = w.add("AlignMovie", name="align", movie=w.movies, local="none")
    one = w.add("EstimateCtf", name="one", micrograph=align)
    two = w.add("EstimateCtf", name="two", micrograph=align, source="micrograph", box=256, resolution_max=5)
    wrong = w.add("EstimateCtf", name="wrong", micrograph=align, defocus_min=30000, resolution_max=8)
    agreed = w.add("CtfConsensus", name="agreed", first=one, second=two, consensus_max=6, keep="average")
    doubt = w.add("CtfConsensus", name="doubt", first=one, second=wrong, consensus_max=6)
    w.add("SubsetSet", name="good", first=align, second=agreed)
    w.add("DifferenceSet", name="bad", first=align, second=doubt)
    w.add("MaxShift", name="still", micrograph="good", trajectory="measured", max_movie_shift=500, max_frame_shift=50)
    assert Engine(project.folder, "threads", workers=2).run().finished
    with project.reader() as reader:
        yield reader


def test_two_right_estimates_confirm_each_other(session):
    assert session.tally()["agreed"] == {"done": MOVIES, "running": 0}
    assert session.reasons("agreed") == {}
    for exposure in session.exposures()["id"].tolist():
        items = session.exposure(exposure).items
        kept, one, two = items["agreed"], items["one"], items["two"]
        first, second = ((c.defocus_u + c.defocus_v) / 2 for c in (one, two))
        assert (kept.first_defocus, kept.second_defocus) == (pytest.approx(first), pytest.approx(second))
        assert (kept.defocus_u + kept.defocus_v) / 2 == pytest.approx((first + second) / 2)
        assert kept.defocus_error == pytest.approx(abs(first - second) / 2)
        assert 2 * one.optics.pixel_size <= kept.consensus_resolution <= kept.consensus_linear
        assert kept.consensus_resolution < 6
        assert kept.first_fit_resolution == one.fit_resolution
        assert kept.second_fit_resolution == two.fit_resolution


def test_a_wrong_one_is_held_back_with_its_reason(session):
    assert session.tally()["wrong"]["done"] == MOVIES
    assert session.tally()["doubt"] == {"rejected": MOVIES, "running": 0}
    counted = session.reasons("doubt")
    assert sum(counted.values()) >= MOVIES
    assert set(counted) <= {"consensus", "no second fit"}


def test_micrographs_follow_their_ctfs(session):
    names = session.rows("align")["name"]
    assert sorted(session.rows("good")["name"]) == sorted(session.rows("bad")["name"]) == sorted(names)
    assert sorted(session.rows("still")["name"]) == sorted(names)
    shifts = [session.exposure(e).items["still"].measured_shifts for e in session.exposures()["id"].tolist()]
    assert [s.shape for s in shifts] == [(6, 2)] * MOVIES
