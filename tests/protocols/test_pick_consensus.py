"""Two to five pickers: what enough of them have found stays, at the mean place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
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


def consensus(tmp_path, micrograph, *pickers, **values):
    out = Out(tmp_path, "steps/picks", "m")
    more = dict(zip(("third", "fourth", "fifth"), pickers[2:], strict=False))
    made = PickConsensus(**values).process(*pickers[:2], micrograph, out, **more)
    out.commit()
    assert (tmp_path / made.thumbnail).exists()
    return made, coordinates.read(tmp_path / made.path)


def test_what_both_found_stands_at_the_mean(tmp_path, micrograph, picks):
    first = picks("a", [(10, 20), (50, 60), (100, 100)], [1.0, 3.0, 2.0])
    # In pixels twice as large: (10, 24), (52, 60), and one that is 16 px = 32 Å away from the third.
    second = picks("b", [(5, 12), (26, 30), (58, 50)], [9.0, 8.0, 7.0], pixel_size=4.0)
    made, found = consensus(tmp_path, micrograph, first, second, radius=30)
    assert sorted(found.places.tolist()) == [[10, 22], [51, 60]]
    assert ((found.scores > 0.4) & (found.scores < 1)).all()
    assert (made.count, made.diameter, made.pixel_size) == (2, 150.0, 2.0)
    assert made.agreement == 0.5 and made.jaccard.tolist() == [[1, 0.5], [0.5, 1]]
    made, found = consensus(tmp_path, micrograph, first, second, radius=32)
    assert made.count == 3 and [108, 100] in found.places.tolist()
    assert consensus(tmp_path, micrograph, first, second)[0].count == 3  # 0.3 of 150 Å
    assert consensus(tmp_path, micrograph, first, second, score="first", radius=30)[1].scores.tolist() == [3.0, 1.0]


def test_either_keeps_all_once(tmp_path, micrograph, picks):
    first, second = picks("a", [(10, 20), (50, 60)], [1, 2]), picks("b", [(51, 60), (150, 200)], [5, 6])
    made, found = consensus(tmp_path, micrograph, first, second, radius=10, votes=1, score="first")
    assert made.count == 3 and made.agreement == 1
    assert found.places.tolist() == [[50.5, 60], [10, 20], [150, 200]]
    assert found.scores[:2].tolist() == [2, 1] and math.isnan(found.scores[2])


def test_more_votes_leave_fewer_particles_of_more_pickers(tmp_path, micrograph, picks):
    rng = np.random.default_rng(4)
    truth = np.array([(y, x) for y in range(15, 190, 25) for x in range(15, 290, 25)], float)
    pickers = []
    for name in "abcde":
        hit = rng.random(len(truth)) < 0.8
        pickers.append(picks(name, truth[hit] + rng.uniform(-2, 2, (hit.sum(), 2)), rng.normal(size=hit.sum())))
    counts = []
    for votes in (1, 2, 3, 4, 5):
        made, found = consensus(tmp_path, micrograph, *pickers, votes=votes, radius=12)
        counts.append(made.count)
        assert made.agreement == pytest.approx(made.count / counts[0]) and made.jaccard.shape == (5, 5)
        assert np.abs(found.places[:, None] - truth[None]).max(axis=2).min(axis=1).max() < 2
    assert counts == sorted(counts, reverse=True) and counts[4] < counts[0] <= len(truth)
    assert consensus(tmp_path, micrograph, *pickers, radius=12)[0].count == counts[4]
    assert consensus(tmp_path, micrograph, *pickers[:3], votes=3, radius=12)[0].count >= counts[4]
    with pytest.raises(ParameterError, match="votes 4 is more than the 3 pickers"):
        consensus(tmp_path, micrograph, *pickers[:3], votes=4)


def test_nothing_in_common_is_no_picks(tmp_path, micrograph, picks):
    made, found = consensus(tmp_path, micrograph, picks("a", [(10, 20)], [1]), picks("b", [], []))
    assert (made.count, len(found), made.agreement) == (0, 0, 0.0)
    made, _ = consensus(tmp_path, micrograph, picks("a", [], []), picks("b", [], []))
    assert made.count == 0 and math.isnan(made.agreement)
    out = Out(tmp_path, "x", "m")
    with pytest.raises(InputError, match="b.star comes without a pixel size"):
        PickConsensus().process(picks("a", [], []), picks("b", [], [], pixel_size=math.nan), micrograph, out)
    with pytest.raises(InputError, match="a.star comes without a diameter: write a radius"):
        nothing = [picks(name, [], [], diameter=math.nan) for name in "ab"]
        PickConsensus().process(*nothing, micrograph, out)
