"""The step that measures local resolution: its files, and what it says of maps it cannot measure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.model import Volume
from cryowidgets.protocols.local_resolution import LocalResolution, histogram
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.resolution_picture import coloured, ticks
from cryowidgets.sim import halfmaps

PIXEL = 2.0


@pytest.fixture(scope="module")
def made():
    return halfmaps.simulate((48, 48, 48), PIXEL, (6.0, 12.0), fill=0.65, seed=4)


@pytest.fixture
def volume(made, tmp_path):
    whole = (made.half1 + made.half2) / 2
    for name, map_ in (("half1", made.half1), ("half2", made.half2), ("map", whole)):
        mrc.write(tmp_path / f"{name}.mrc", map_, PIXEL)
    paths = {name: str(tmp_path / f"{name}.mrc") for name in ("half1", "half2")}
    return Volume(path=str(tmp_path / "map.mrc"), **paths, box=48, pixel_size=PIXEL, name="first")


def process(volume, folder, **values):
    out = Out(folder, "steps/resolution", "first")
    result = LocalResolution(**values).process(volume, out)
    out.commit()
    return result.located(folder)


@pytest.mark.parametrize("method", ["auto", "single"])
def test_a_map_gets_its_resolution_with_every_file(volume, made, tmp_path, method):
    result = process(volume, tmp_path, method=method)
    assert result.reason == "" and result.map == volume.path and (result.box, result.pixel_size) == (48, PIXEL)
    values, mask = mrc.read(result.path), mrc.read(result.mask)
    assert mrc.read_header(result.path).pixel_size == pytest.approx(PIXEL)
    np.testing.assert_array_equal(values > 0, mask > 0.5)
    assert (mask[made.mask] > 0.5).mean() > 0.97
    inside = values[values > 0]
    percentiles = [result.finest, result.median, result.coarsest]
    np.testing.assert_allclose(percentiles, np.percentile(inside, (10, 50, 90)), rtol=1e-5)
    fine, coarse = made.mask & (made.distance < -6), made.mask & (made.distance > 12)
    assert np.median(values[fine]) == pytest.approx(6, rel=0.15)
    assert np.median(values[coarse]) > 1.4 * np.median(values[fine])
    bins = np.load(result.histogram)
    assert bins.shape[0] == 2 and bins.dtype == np.float32 and bins[1].sum() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(result.level)
    with Image.open(result.thumbnail) as picture:
        shown = np.asarray(picture.convert("RGB"), int)
    assert shown.shape[1] > shown.shape[0] > 300
    assert (np.ptp(shown, axis=2) > 60).mean() > 0.03, "there are colours"


def test_halves_alone_will_do(volume, tmp_path):
    with_map = process(volume, tmp_path)
    result = process(dataclasses.replace(volume, path=""), tmp_path)
    assert result.median == pytest.approx(with_map.median, rel=1e-3)
    np.testing.assert_allclose(mrc.read(result.map), mrc.read(volume.path), atol=1e-6)


def test_a_threshold_means_the_same_both_ways(volume, tmp_path):
    for method in ("halves", "single"):
        strict = process(volume, tmp_path, method=method, threshold=0.5)
        assert strict.median > process(volume, tmp_path, method=method).median + 0.5


def test_a_mask_that_is_given_is_taken(volume, made, tmp_path):
    path = tmp_path / "mine.mrc"
    mrc.write(path, (made.distance < -4).astype(np.float32) * made.mask, PIXEL)
    result = process(volume, tmp_path, mask=str(path))
    np.testing.assert_array_equal(mrc.read(result.path) > 0, (made.distance < -4) & made.mask)
    mrc.write(path, made.mask[:40].astype(np.float32), PIXEL)
    with pytest.raises(InputError, match=r"mine\.mrc has 40 × 48 × 48 voxels where the map has 48 × 48 × 48"):
        process(volume, tmp_path, mask=str(path))


def test_what_cannot_be_measured_is_said(volume, made, tmp_path):
    none = process(Volume(reason="12 classes are too few"), tmp_path)
    assert none.path == "" and none.reason == "there is no map: 12 classes are too few"
    noise = np.random.default_rng(1).standard_normal((3, 48, 48, 48), np.float32)
    for name, values in zip(("map", "half1", "half2"), noise, strict=True):
        mrc.write(tmp_path / f"{name}.mrc", values, PIXEL)
    empty = process(volume, tmp_path)
    assert empty.path == "" and "no mask was found" in empty.reason and np.isnan(empty.median)
    mrc.write(tmp_path / "mask.mrc", made.mask.astype(np.float32), PIXEL)
    masked = process(volume, tmp_path, mask=str(tmp_path / "mask.mrc"))
    assert masked.path == "" and "stands out of the noise" in masked.reason and masked.mask


def test_halves_that_are_one_map_are_a_limit_and_that_is_said(volume, tmp_path):
    result = process(dataclasses.replace(volume, half2=volume.half1), tmp_path)
    assert "one and the same" in result.reason and result.median == pytest.approx(2 * PIXEL)
    assert np.load(result.histogram)[1].sum() == pytest.approx(1)


def test_what_is_missing_is_named(volume, tmp_path):
    with pytest.raises(InputError, match=r"map\.mrc comes without maps of two halves.*'auto' or 'single'"):
        process(dataclasses.replace(volume, half2=""), tmp_path, method="halves")
    with pytest.raises(InputError, match="without a pixel size"):
        process(dataclasses.replace(volume, pixel_size=float("nan")), tmp_path)
    mrc.write(tmp_path / "flat.mrc", np.zeros((48, 48), np.float32), PIXEL)
    with pytest.raises(InputError, match=r"flat\.mrc holds 48 × 48 px: a map has three"):
        process(dataclasses.replace(volume, path=str(tmp_path / "flat.mrc")), tmp_path)


def test_colours_go_evenly_from_dark_to_bright():
    colours = coloured(np.linspace(4, 8, 200), 4, 8).astype(float)
    brightness = colours @ (0.2126, 0.7152, 0.0722)
    steps = np.diff(brightness)
    assert (steps > -0.6).all() and brightness[-1] - brightness[0] > 150
    np.testing.assert_array_equal(coloured([3, 4], 4, 8)[0], coloured([3, 4], 4, 8)[1])


@pytest.mark.parametrize(("low", "high"), [(3.9, 8.3), (2.0, 2.2), (10, 41), (4, 4)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 7 and all(low - 1e-6 <= x <= high + 1e-6 for x in found)


def test_shares_of_one_value_are_a_histogram_too():
    assert histogram(np.full(10, 5.0))[1].sum() == 1
