"""Faults that are in what is recorded: a movie with one differs from the same movie without by just that."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click import UsageError

from cryowidgets.cli.sim import parse_faults
from cryowidgets.io.movie import open_movie
from cryowidgets.sim.microscope import run
from cryowidgets.sim.recipe import Recipe

RECIPE = Recipe(dose_per_frame=4.0, drift=2.0, defocus=12000.0, astigmatism=200.0, b_factor=20.0, hot=0.0, dead=0.0)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The truth and the sum of the frames of a movie with a fault; the second of its session."""

    def one(fault):
        out = tmp_path_factory.mktemp("scope")
        faults = {2: fault} if fault else {}
        scope = run(out, movies=2, size=160, frames=3, tree="flat", faults=faults, recipe=RECIPE)
        entry = json.loads(scope.truth.read_text())["movies"][1]
        with open_movie(out / entry["path"]) as movie:
            return entry, sum(movie[n].astype(float) for n in range(len(movie)))

    kept = {}
    return lambda fault="": kept.setdefault(fault, None) or kept.update({fault: one(fault)}) or kept[fault]


def ring(image):
    """Power at the rings of ice over that beside them."""
    k = np.hypot(np.fft.fftfreq(len(image), 1.2)[:, None], np.fft.fftfreq(len(image), 1.2))
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    return power[abs(1 / 3.67 - k) < 0.02].mean() / power[(k > 0.3) & (k < 0.33)].mean()


def test_focus_stigmators_and_stage(record):
    usual, _ = record()
    far, _ = record("far focus")
    assert far["defocus_u"] - usual["defocus_u"] == pytest.approx(40000)
    astigmatic, _ = record("astigmatic")
    assert astigmatic["defocus_u"] - astigmatic["defocus_v"] == pytest.approx(6200)
    storm, _ = record("drift storm")
    assert np.linalg.norm(storm["shifts"][-1]) > 3 * np.linalg.norm(usual["shifts"][-1])
    assert record("empty hole")[0]["particles"] == 0 < usual["particles"]


def test_beam_ice_and_camera(record):
    _, usual = record()
    assert record("faint beam")[1].mean() / usual.mean() == pytest.approx(2 / 3, rel=0.02)
    assert ring(usual) < 1.2 < 1.4 < ring(record("crystalline ice")[1])
    other = record("other camera")[1]
    assert abs(np.corrcoef(other.ravel(), usual.ravel())[0, 1]) < 0.5
    assert other.mean() == pytest.approx(usual.mean(), rel=0.02)


def test_a_fault_may_last():
    assert parse_faults(("3=truncated", "5-7 = drift storm")) == {
        3: "truncated",
        **dict.fromkeys((5, 6, 7), "drift storm"),
    }
    with pytest.raises(UsageError, match="'40-80=drift storm'"):
        parse_faults(("3-4-5=truncated",))
