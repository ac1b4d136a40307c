"""Two pickers: what both have found stays, at the mean place; what either has found, if asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.io import coordinates, mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.pick_consensus import PickConsensus


@pytest.fixture
def micrograph(tmp_path) -> Micrograph:
    mrc.write(tmp_path / "m.mrc", np.zeros((200, 300), np.float32), 2.0)
    return Micrograph(name="m", path=str(tmp_path / "m.mrc"), pixel_size=2.0, height=200, width=300)


@pytest.fixture
def picks(tmp_path):
    def make(name, places, scores, pixel_size=2.0, diameter=150.0):
        path = tmp_path / f"{name}.star"
        coordinates.write(path, Coordinates(np.array(places, float).reshape(-1, 2), np.array(scores, float)))
        return Picks(path=str(path), micrograph="m.mrc", count=len(places), pixel_size=pixel_size, diameter=diameter)

    return make


def consensus(tmp_path, micrograph, first, second, **values):
    out = Out(tmp_path, "steps/picks", "m")
    made = PickConsensus(**values).process(first, second, micrograph, out)
    out.commit()
    assert (tmp_path / made.thumbnail).exists()
    return made, coordinates.read(tmp_path / made.path)


def test_what_both_found_stands_at_the_mean_with_the_score_of_the_first(tmp_path, micrograph, picks):
    first = picks("a", [(10, 20), (50, 60), (100, 100)], [1.0, 3.0, 2.0])
    # In pixels twice as large: (10, 24), (52, 60), and one that is 16 px = 32 Å away from the third.
    second = picks("b", [(5, 12), (26, 30), (58, 50)], [9.0, 8.0, 7.0], pixel_size=4.0)
    made, found = consensus(tmp_path, micrograph, first, second, radius=30)
    assert found.places.tolist() == [[51, 60], [10, 22]]
    assert found.scores.tolist() == [3.0, 1.0]
    assert (made.count, made.diameter, made.pixel_size, made.score) == (2, 150.0, 2.0, 2.0)
    made, found = consensus(tmp_path, micrograph, first, second, radius=32)
    assert (made.count, found.places.tolist()[1]) == (3, [108, 100])


def test_either_keeps_all_once(tmp_path, micrograph, picks):
    first, second = picks("a", [(10, 20), (50, 60)], [1, 2]), picks("b", [(51, 60), (150, 200)], [5, 6])
    made, found = consensus(tmp_path, micrograph, first, second, radius=10, keep="either")
    assert made.count == 3
    assert found.places.tolist() == [[50.5, 60], [10, 20], [150, 200]]
    assert found.scores[:2].tolist() == [2, 1] and math.isnan(found.scores[2])


def test_nothing_in_common_is_no_picks(tmp_path, micrograph, picks):
    made, found = consensus(tmp_path, micrograph, picks("a", [(10, 20)], [1]), picks("b", [], []))
    assert (made.count, len(found)) == (0, 0)
    with pytest.raises(InputError, match="b.star comes without a pixel size"):
        PickConsensus().process(
            picks("a", [], []), picks("b", [], [], pixel_size=math.nan), micrograph, Out(tmp_path, "x", "m")
        )
