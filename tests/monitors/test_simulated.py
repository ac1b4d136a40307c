"""What a whole session would take too long to show: another camera, and holes without particles."""

from __future__ import annotations

import json

import pytest

from cryowidgets.model import Movie
from cryowidgets.protocols.estimate_gain import EstimateGain
from cryowidgets.protocols.out import Out
from cryowidgets.sim.microscope import run
from cryowidgets.sim.recipe import Recipe

RECIPE = Recipe(dose_per_frame=8.0, drift=1.0, molecule=1, camera=1, mass=100.0, density=40000.0)
FAULTS = {4: "other camera", 5: "other camera", 6: "other camera", 7: "empty hole", 8: "empty hole", 9: "empty hole"}


@pytest.fixture(scope="module")
def scope(tmp_path_factory):
    out = tmp_path_factory.mktemp("scope")
    return run(out, movies=12, size=192, frames=3, tree="flat", format="mrc", faults=FAULTS, recipe=RECIPE)


@pytest.fixture(scope="module")
def truth(scope):
    return json.loads(scope.truth.read_text())["movies"]


@pytest.fixture
def ledger(told):
    """People are told of all that opens and ends in it, which is looked at when a test ends."""
    return told


def test_another_camera_than_the_gain_says(ledger, scope, truth):
    ledger.only("gain")
    paths = [str(scope.out / entry["path"]) for entry in truth]
    last = None

    def estimate(first, end, last):
        items = [Movie(path=path, gain=str(scope.gain), id=first) for path in paths[first:end]]
        out = Out(ledger.store.folder, "steps/gain", f"gain_{end:06d}_{first}")
        found = EstimateGain(stride=1).process(items, last, out)
        out.commit()
        ledger.gain(found.residual, found.residual_error, found.alert)
        return found.located(ledger.store.folder)

    last = estimate(0, 3, last)
    assert ledger.look() == []
    estimate(3, 6, last)
    assert ledger.look() == ["warning gain.residual"]
    assert "it is of another camera" in ledger.found[0].text
    estimate(9, 12, None)  # begun anew, once the gain was put right
    assert ledger.look() == ["over gain.residual"]


def test_holes_without_particles(ledger, truth):
    """Counted as a picker would that misses none."""
    ledger.only("particles", reference=3, window=3)
    said = []
    for entry in truth:
        ledger.expose(1, picks=entry["particles"])
        said += ledger.look()
    assert said == ["warning particles.collapse", "over particles.collapse"]
