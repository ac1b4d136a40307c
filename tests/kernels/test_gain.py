"""Gain and defects: what is found, what is left alone, and how it is replaced."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import gain
from cryowidgets.kernels.xp import asnumpy
from cryowidgets.sim import detector

LIBRARIES = pytest.mark.parametrize("library", [np, array_api_strict], ids=["numpy", "strict"])


def counts(mean, shape=(512, 640), seed=0):
    """The sum of the frames of a movie without defects."""
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.uint32)


def at(defects):
    return set(zip(*(i.tolist() for i in np.unravel_index(defects.found, defects.shape)), strict=True))


@LIBRARIES
def test_a_gain_multiplies(library):
    frame = np.array([[0, 1], [2, 255]], np.uint8)
    reference = np.array([[1, 0.5], [0, 2]], np.float32)
    got = gain.apply(library.asarray(frame), library.asarray(reference))
    assert got.dtype == library.float32
    np.testing.assert_array_equal(asnumpy(got), [[0, 0.5], [0, 510]])
    np.testing.assert_array_equal(asnumpy(gain.apply(library.asarray(frame))), frame)


@pytest.mark.parametrize("mean", [0.5, 2.0, 8.0, 40.0, 1000.0])
def test_nothing_is_found_where_nothing_is_wrong(mean):
    found = sum(len(gain.find_defects(counts(mean, seed=seed))) for seed in range(3))
    assert found <= 1e-5 * 3 * 512 * 640


def test_smooth_illumination_and_an_edge_are_no_defects():
    y, x = np.linspace(-1, 1, 512)[:, None], np.linspace(-1, 1, 640)[None, :]
    light = 40 * (1 - 0.4 * (x**2 + y**2))
    edge = np.where(x + 0.3 * y > 0.2, 0.6, 1.0)
    vertical = np.where(np.abs(x) < 0.3, 0.7, 1.0)
    assert len(gain.find_defects(counts(light * edge, shape=(512, 640)))) <= 3
    assert len(gain.find_defects(counts(light * vertical, shape=(512, 640)))) <= 3


@LIBRARIES
def test_the_defects_of_a_camera_are_found(library):
    camera = detector.make((512, 512), 2e-4, 2e-4, 3)
    total = np.random.default_rng(1).poisson(20 * (1.8 * camera.sensitivity + camera.glow)).astype(np.uint32)
    found = gain.find_defects(library.asarray(total), library.asarray(camera.gain))
    hot = set(map(tuple, camera.hot.tolist()))
    assert hot <= at(found) and len(at(found) - hot) <= 2
    assert set(map(tuple, camera.dead)) == {(i // 512, i % 512) for i in found.told.tolist()}
    assert found.suspicious == 0
    assert found.mask().sum() == len(found) == len(found.index)
    without = gain.find_defects(library.asarray(total))
    assert hot | set(map(tuple, camera.dead)) <= at(without)
    assert len(without) - len(found) <= 10  # the gain's own outliers


def test_hot_pixels_are_those_three_times_as_bright():
    """Recall of at least 0.99 at three times the counts of their neighbours, and no false alarm beyond 1e-5."""
    rng = np.random.default_rng(2)
    rate = np.full((1024, 1024), 25.0)
    hot = rng.choice(rate.size, 200, replace=False)
    rate.flat[hot] *= 3
    found = gain.find_defects(rng.poisson(rate).astype(np.uint32)).found
    assert np.isin(hot, found).mean() >= 0.99
    assert np.isin(found, hot, invert=True).sum() <= 1e-5 * rate.size


def test_half_columns_rows_and_clusters():
    rate = np.full((512, 640), 30.0)
    rate[:256, 100] += 6
    rate[77] -= 6
    rate[300:303, 400:402] += 100
    rate[302, 402] += 28  # too weak by itself
    mask = gain.find_defects(np.random.default_rng(3).poisson(rate).astype(np.uint32)).mask()
    assert mask[:256, 100].all() and not mask[260:, 100].any()
    assert mask[77].all()
    assert mask[300:303, 400:402].all() and mask[302, 402]
    assert mask.sum() <= 256 + 640 + 7 + 3


def test_what_a_gain_and_a_float_movie_tell():
    total = counts(30.0).astype(np.float32)
    total[5, 6], total[7, 8] = np.nan, np.inf
    reference = np.ones(total.shape, np.float32)
    reference[1, 2], reference[3, 4], reference[9, 9] = 0, np.nan, -1
    found = gain.find_defects(total, reference)
    assert at(found) == {(5, 6), (7, 8)}
    assert found.told.tolist() == [1 * 640 + 2, 3 * 640 + 4, 9 * 640 + 9]
    assert found.index.tolist() == sorted(found.told.tolist() + found.found.tolist())


def test_too_many_to_be_true_are_not_believed():
    total = counts(30.0)
    total[np.random.default_rng(5).random(total.shape) < 0.01] *= 4
    reference = np.ones(total.shape, np.float32)
    reference[3, 3] = 0
    found = gain.find_defects(total, reference)
    assert found.suspicious == pytest.approx(0.01, rel=0.1)
    assert len(found.told) == 1 and len(found.found) == 0


def test_dead_and_blank_frames_are_judged_without_complaint():
    assert len(gain.find_defects(np.zeros((64, 64), np.uint32))) == 0
    assert len(gain.find_defects(np.full((64, 64), 7, np.uint32))) == 0
    nothing = gain.find_defects(np.full((64, 64), np.nan, np.float32))
    assert len(nothing) == 64 * 64
    with pytest.raises(ValueError, match="Every pixel is a defect"):
        gain.Repair(nothing, np.zeros((64, 64)))


def defects_at(mask):
    return gain.Defects(mask.shape, np.flatnonzero(mask), np.zeros(0, np.int64))


@LIBRARIES
def test_repair_draws_from_the_good_pixels_around(library):
    shape = (40, 50)
    mask = np.zeros(shape, bool)
    mask[10, 10] = mask[0, 0] = mask[20, :] = mask[30:33, 30:33] = True
    y, x = np.indices(shape)
    frame = (1000 * y + x).astype(np.float32)  # each value tells its place
    repaired = asnumpy(
        gain.Repair(defects_at(mask), library.asarray(frame))(library.asarray(frame.copy()), np.random.default_rng(0))
    )
    np.testing.assert_array_equal(repaired[~mask], frame[~mask])
    source_y, source_x = np.divmod(repaired[mask].astype(int), 1000)
    assert not mask[source_y, source_x].any()
    distance = np.maximum(abs(source_y - y[mask]), abs(source_x - x[mask]))
    assert distance.max() <= 4 and np.median(distance) <= 2


def test_repair_is_the_same_in_every_library_and_for_the_same_seed():
    mask = np.random.default_rng(1).random((64, 64)) < 0.02
    frame = np.random.default_rng(2).poisson(2.0, (64, 64)).astype(np.float32)
    results = []
    for library in (np, np, array_api_strict):
        repair = gain.Repair(defects_at(mask), library.asarray(frame))
        results.append(asnumpy(repair(library.asarray(frame.copy()), np.random.default_rng(7))))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_repaired_pixels_are_statistically_like_their_neighbours():
    mask = np.zeros((256, 256), bool)
    mask[::4, 100], mask[50, 50] = True, True
    rng, repaired = np.random.default_rng(3), []
    repair = gain.Repair(defects_at(mask), np.zeros(1))
    for _ in range(60):
        frame = rng.poisson(3.0, mask.shape).astype(np.float32)
        frame[mask] = 99
        repaired.append(repair(frame, rng)[mask])
    values = np.array(repaired)
    assert values.mean() == pytest.approx(3, abs=0.1) and values.var() == pytest.approx(3, rel=0.1)
    # and do not repeat from frame to frame
    assert abs(np.corrcoef(values)[np.triu_indices(60, 1)].mean()) < 0.01


def test_a_large_dead_area_is_filled_from_elsewhere():
    mask = np.zeros((128, 128), bool)
    mask[10:90, 20:110] = True
    frame = np.random.default_rng(4).poisson(3.0, mask.shape).astype(np.float32)
    frame[mask] = -1
    repaired = gain.Repair(defects_at(mask), frame)(frame, np.random.default_rng(0))
    assert repaired.min() >= 0 and repaired[mask].mean() == pytest.approx(3, abs=0.2)


def test_no_defects_cost_nothing():
    frame = np.ones((8, 8), np.float32)
    assert gain.Repair(defects_at(np.zeros((8, 8), bool)), frame)(frame, np.random.default_rng(0)) is frame


@LIBRARIES
def test_raw_frames_and_gain_are_repaired_together(library):
    """The draw is of counts, and the gain of a defect is the mean of its neighbours'."""
    rng = np.random.default_rng(11)
    factor = rng.uniform(0.9, 1.1, (32, 32)).astype(np.float32)
    frame = rng.poisson(5, (32, 32)).astype(np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[10, 12] = mask[20, 5] = True
    factor[mask], frame[mask] = 0, 255
    repair = gain.Repair(defects_at(mask), library.asarray(frame))
    mended = asnumpy(repair.repaired(library.asarray(factor)))
    near = factor[8:13, 10:15]
    assert mended[10, 12] == pytest.approx(near.sum() / 24, rel=1e-5)
    np.testing.assert_array_equal(mended[~mask], factor[~mask])
    assert asnumpy(repair(library.asarray(frame), rng))[mask].max() < 30


@LIBRARIES
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_sums_of_frames(library, dtype):
    frames = np.random.default_rng(12).integers(0, 200, (5, 33, 47)).astype(dtype)
    kind = np.float32 if dtype is np.float32 else np.uint32
    total = gain.add(library.asarray(frames), library.asarray(np.ones((33, 47), kind)))
    np.testing.assert_array_equal(asnumpy(total), frames.sum(axis=0, dtype=kind) + 1)
