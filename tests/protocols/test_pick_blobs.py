"""Picking by size, as a step: discs in noise become a star file, a picture and an item."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.model import Micrograph
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.pick_blobs import PickBlobs

PIXEL, DIAMETER = 3.0, 150.0
PLACES = np.array([(y, x) for y in range(60, 660, 120) for x in range(60, 760, 100)], float)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Dark discs on counts, and the same as it would be without any."""
    folder = tmp_path_factory.mktemp("field")
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:720, :820]
    mean = np.full(y.shape, 50.0)
    for a, b in PLACES:
        mean[np.hypot(y - a, x - b) < DIAMETER / PIXEL / 2] *= 0.96
    for name, image in (("discs", mean), ("none", np.full(y.shape, 50.0))):
        mrc.write(folder / f"{name}.mrc", rng.poisson(image).astype(np.float32), PIXEL)
    return folder


def pick(field, tmp_path, name="discs", **values):
    micrograph = Micrograph(name=name, path=str(field / f"{name}.mrc"), pixel_size=PIXEL, height=720, width=820)
    out = Out(tmp_path, "steps/pick", name)
    made = PickBlobs(smallest=120, largest=180, **values).process(micrograph, out)
    out.commit()
    assert (tmp_path / made.thumbnail).stat().st_size > 1000
    return made, coordinates.read(tmp_path / made.path)


@pytest.mark.parametrize("filter", ["laplacian", "difference"])
def test_every_disc_is_picked_where_it_is(field, tmp_path, filter):
    made, found = pick(field, tmp_path, filter=filter)
    paired = pairs(found.places, PLACES, 10.0)
    assert len(paired) == len(PLACES) == made.count
    assert np.sqrt(np.mean(np.square(found.places[paired[:, 0]] - PLACES[paired[:, 1]]))) < 3
    assert made.diameter == pytest.approx(math.sqrt(120 * 180))
    assert found.scores.min() >= made.threshold > 3
    assert made.score == pytest.approx(float(np.median(found.scores)), rel=1e-4)


def test_nothing_is_no_picks_and_a_threshold_is_obeyed(field, tmp_path):
    assert pick(field, tmp_path, "none")[0].count == 0
    made, found = pick(field, tmp_path, threshold=8.0)
    assert made.threshold == 8.0 and (len(found) == 0 or found.scores.min() > 8)


def test_wrong_sizes_are_refused(field, tmp_path):
    with pytest.raises(ParameterError, match="smallest 200 Å is above largest 180 Å"):
        PickBlobs(smallest=200)
    with pytest.raises(ParameterError, match="smallest 120 Å is above largest 100 Å"):
        PickBlobs(diameter=150, largest=100)
    assert PickBlobs(diameter=100).sizes == (80, 120) and PickBlobs(smallest=70, largest=90).sizes == (70, 90)
    micrograph = Micrograph(path=str(field / "discs.mrc"), pixel_size=0.3, height=720, width=820)
    with pytest.raises(InputError, match="216 Å wide, too little"):
        PickBlobs().process(micrograph, Out(tmp_path, "x", "m"))
