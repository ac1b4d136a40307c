"""The size of particles over a session: batch after batch the same as all at once, and honest where nothing is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import ParameterError
from cryowidgets.io import mrc
from cryowidgets.model import Micrograph
from cryowidgets.protocols.estimate_size import EstimateSize
from cryowidgets.protocols.out import Out

PIXEL, DIAMETER, SHAPE = 4.0, 160.0, (360, 400)
LIMITS = {"smallest": 80.0, "largest": 320.0}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Micrographs with balls that lie at random, and one with nothing."""
    folder = tmp_path_factory.mktemp("session")
    made = {}
    for name in ("a", "b", "c", "empty"):
        rng = np.random.default_rng(len(made))
        radius, mean, placed = DIAMETER / 2 / PIXEL, np.full(SHAPE, 60.0), []
        while name != "empty" and len(placed) < 28:
            at = rng.uniform(22, np.array(SHAPE) - 23)
            if placed and np.hypot(*(np.array(placed) - at).T).min() < 2.1 * radius:
                continue
            placed.append(at)
            y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
            high = np.sqrt(np.clip(1 - ((y - at[0]) ** 2 + (x - at[1]) ** 2) / radius**2, 0, None))
            mean *= 1 - rng.uniform(0.05, 0.08) * high
        path = folder / f"{name}.mrc"
        mrc.write(path, rng.poisson(mean).astype(np.float32), PIXEL)
        made[name] = Micrograph(name=name, path=str(path), pixel_size=PIXEL, height=SHAPE[0], width=SHAPE[1])
    return made


def estimate(folder, batches, **values):
    protocol, last = EstimateSize(**{**LIMITS, **values}), None
    for number, batch in enumerate(batches):
        out = Out(folder, "steps/size", f"size_{number:06d}")
        last = protocol.process(batch, last, out)
        out.commit()
        last = last.located(folder)
    return last


def test_batches_come_to_the_same_as_all_at_once(session, tmp_path):
    items = [session[name] for name in ("a", "empty", "b", "c")]
    whole = estimate(tmp_path / "whole", [items])
    parts = estimate(tmp_path / "parts", [items[:2], items[2:3], items[3:]])
    assert whole.diameter == pytest.approx(DIAMETER, rel=0.15) and whole.reason == "" and whole.micrographs == 4
    assert 0 <= whole.diameter_error < 15
    assert (whole.smallest, whole.largest) == pytest.approx((0.8 * whole.diameter, 1.2 * whole.diameter))
    for name in ("diameter", "diameter_error", "micrographs"):
        assert getattr(parts, name) == getattr(whole, name)
    np.testing.assert_allclose(np.load(parts.curve), np.load(whole.curve), rtol=1e-5)
    curve = np.load(whole.curve)
    assert curve.shape == (2, 41) and curve[1].max() == 1
    assert curve[0][curve[1].argmax()] == pytest.approx(whole.diameter, rel=0.15)
    assert (
        len(list((tmp_path / "parts/steps/size").glob("*.npz"))) == 2
    )  # that of the last batch, and of the one before
    with Image.open(whole.picture) as picture:
        pixels = np.asarray(picture.convert("L")).astype(float)
    middle = pixels[118:138, 118:138].mean()
    assert middle < pixels[:20].mean() - 40  # dark, as in a micrograph


def test_it_looks_at_so_many_and_no_more_and_says_what_it_cannot_tell(session, tmp_path):
    gone = replace(session["a"], path="nowhere.mrc", name="x")
    made = estimate(tmp_path, [[session["empty"], gone], [gone, session["a"]], [session["b"]]], most=3)
    assert made.micrographs == 3 and math.isnan(made.diameter) and math.isnan(made.smallest)
    assert made.curve == made.picture == "" and made.state.endswith("size_000001_size.npz")
    assert sorted(file.name for file in (tmp_path / "steps/size").iterdir()) == [
        "size_000000_size.npz",
        "size_000001_size.npz",
    ]
    assert made.reason.startswith("0 of 3 micrographs tell a size, and 3 are needed; nowhere.mrc")
    with pytest.raises(ParameterError, match="smallest 700 Å is above largest 600 Å"):
        EstimateSize(smallest=700)


def test_other_limits_begin_again(session, tmp_path):
    before = estimate(tmp_path, [[session["a"]]])
    out = Out(tmp_path, "steps/size", "size_9")
    after = EstimateSize(smallest=100, largest=300).process([session["empty"]], before, out)
    assert (before.micrographs, after.micrographs) == (1, 1)
    same = EstimateSize(**LIMITS).process([session["empty"]], before, out)
    assert same.micrographs == 2 and "1 of 2 micrographs tell a size, and 3 are needed" == same.reason
