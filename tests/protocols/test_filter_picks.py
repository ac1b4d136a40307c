"""Cutting picks: what lies within the limits stays as it is, and what stays and what goes are all that there was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.io import coordinates, mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.filter_picks import FilterPicks
from cryowidgets.protocols.out import Out

PLACES = np.array([(y, x) for y in range(20, 200, 40) for x in range(20, 300, 40)], float)
SCORES = np.where(np.arange(len(PLACES)) % 5 == 4, np.nan, np.linspace(-3, 9, len(PLACES)))


@pytest.fixture(scope="module")
def picked(tmp_path_factory) -> tuple[Picks, Coordinates, Path]:
    folder = tmp_path_factory.mktemp("picked")
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:200, :300]
    image = rng.normal(size=y.shape).astype(np.float32)
    for strength, (a, b) in enumerate(PLACES):
        image[np.hypot(y - a, x - b) < 8] -= strength / 10
    mrc.write(folder / "m.mrc", image, 2.0)
    micrograph = Micrograph(name="m", path=str(folder / "m.mrc"), pixel_size=2.0, height=200, width=300)
    out = Out(folder, "steps/pick", "m")
    made = picking.picked(Coordinates(PLACES, SCORES), micrograph, out, 32.0, 1.0)
    out.commit()
    return made.located(folder), coordinates.read(folder / made.path), folder


def filtered(picked, **values) -> tuple[Picks, Coordinates]:
    out = Out(picked[2], "steps/filter", "m")
    made = FilterPicks(**values).process(picked[0], out)
    out.commit()
    assert (picked[2] / made.thumbnail).is_file() and made.micrograph == picked[0].micrograph
    return made, coordinates.read(picked[2] / made.path)


def test_pickers_write_the_power_of_each_pick(picked):
    made, found, _ = picked
    assert np.isfinite(found.powers).all() and made.power == pytest.approx(np.median(found.powers), abs=1e-5)
    strength = np.argsort(np.argsort([np.flatnonzero((PLACES == place).all(axis=1))[0] for place in found.places]))
    assert np.corrcoef(strength, found.powers)[0, 1] > 0.8


def test_what_no_limit_touches_passes_with_its_files(picked):
    for values in ({}, {"power_min": 0.01}, {"score_min": -100.0}):
        made, found = filtered(picked, **values)
        assert (made.path, made.thumbnail) == (picked[0].path, picked[0].thumbnail)
        assert made.threshold == values.get("score_min", picked[0].threshold)
    some = filtered(picked, score_min=0.0)[0]
    assert some.path != picked[0].path and some.count < picked[0].count


def test_without_limits_all_pass_unchanged(picked):
    made, found = filtered(picked)
    np.testing.assert_array_equal(found.places, picked[1].places)
    np.testing.assert_array_equal(found.scores, picked[1].scores)
    np.testing.assert_array_equal(found.powers, picked[1].powers)
    for name in ("count", "diameter", "threshold", "score", "power", "pixel_size", "height", "width", "added"):
        assert getattr(made, name) == pytest.approx(getattr(picked[0], name), abs=1e-5), name


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-4, 10), st.floats(0.5, 8))
def test_what_stays_and_what_goes_are_all(picked, score, power):
    whole = len(picked[1])
    for low, high in (({"score_min": score}, None), ({"power_min": power}, {"power_max": power})):
        stays = filtered(picked, **low)[1]
        if high:
            goes = filtered(picked, **high)[1]
            assert {tuple(p) for p in stays.places} | {tuple(p) for p in goes.places} == set(map(tuple, PLACES))
            assert len(stays) + len(goes) == whole + int((picked[1].powers == power).sum())
        else:
            assert len(stays) == np.isnan(SCORES).sum() + (picked[1].scores >= score).sum()


def test_a_limit_of_zero_is_one_for_scores_and_none_for_power(picked):
    assert filtered(picked, score_min=0.0)[0].count == np.isnan(SCORES).sum() + (SCORES >= 0).sum()
    assert filtered(picked, power_min=0.0, power_max=0.0)[0].count == len(PLACES)
    assert filtered(picked, score_min=2.5)[0].threshold == 2.5
    assert filtered(picked, score_min=100.0, power_min=999)[0].count == 0
    with pytest.raises(ParameterError, match="power_min 3 is above power_max 2"):
        FilterPicks(power_min=3, power_max=2)
