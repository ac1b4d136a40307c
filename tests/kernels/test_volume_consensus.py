"""Several maps become one: what agrees is averaged, what does not is left out, and the error map knows of doubts."""

import functools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from cryowidgets.kernels import volumeconsensus
from cryowidgets.kernels.volumeconsensus import Pose, common, consensus
from cryowidgets.sim import particles

BOX, PIXEL = 24, 14.0


@functools.lru_cache
def molecule(seed, box=BOX):
    return particles.simulate(1, box=box, pixel_size=BOX * PIXEL / box, seed=seed).density[0]


def noise(seed, box=BOX):
    made = gaussian_filter(np.random.default_rng(seed).standard_normal((box,) * 3), 0.7)
    return (made / made.std()).astype(np.float32)


def pose(seed, mirrored=False):
    turn = Rotation.random(random_state=seed).as_matrix()
    return Pose(turn, np.random.default_rng(seed).uniform(-1, 1, 3), mirrored)


def test_maps_that_are_the_same_give_that_map():
    one = molecule(1)
    found = consensus([one, one, one], [PIXEL] * 3)
    np.testing.assert_array_equal(found.volume, one)
    assert not found.deviation.any() and found.kept.all() and found.reason == ""
    np.testing.assert_allclose(found.weights, 1 / 3)
    np.testing.assert_allclose(found.agreement, 1, atol=1e-5)
    assert found.pixel_size == PIXEL and all(way.same for way in found.poses)


def test_a_wrong_map_is_left_out_and_the_others_lie_on_each_other():
    level = 0.4 * molecule(2).std()
    good = [molecule(2) + level * noise(i) for i in range(2)]
    found = consensus([pose(6, mirrored=True).apply(good[1]), molecule(77), good[0]], [PIXEL] * 3)
    np.testing.assert_array_equal(found.kept, [True, False, True])
    assert found.weights[1] == 0 and found.weights.sum() == pytest.approx(1) and found.medoid != 1
    assert found.reason == ""
    frame = found.poses[2].apply(good[0]), found.poses[2].apply(molecule(2))
    noisy, average = (np.corrcoef(lying.ravel(), frame[1].ravel())[0, 1] for lying in (frame[0], found.volume))
    assert average > noisy + 0.02


def test_the_error_map_knows_where_maps_are_uncertain():
    grid = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    uncertain = np.exp(-np.square(grid - np.array([3, -2, 1])[:, None, None, None]).sum(axis=0) / 16)
    maps = [molecule(3) + molecule(3).std() * (0.2 + 3 * uncertain) * noise(10 + i) for i in range(4)]
    found = consensus([m.astype(np.float32) for m in maps], [PIXEL] * 4, aligned=True)
    true = np.sqrt(gaussian_filter(np.square(found.volume - molecule(3)), 1.5))
    assert np.corrcoef(true.ravel(), found.deviation.ravel())[0, 1] > 0.8


def test_maps_of_other_boxes_and_pixels_are_brought_together():
    fine, coarse = molecule(4, 36), molecule(4)
    maps, size = common([fine, coarse, np.pad(coarse, 6)], [PIXEL * BOX / 36, PIXEL, PIXEL])
    assert size == PIXEL and {m.shape for m in maps} == {(36, 36, 36)}
    np.testing.assert_array_equal(maps[1], maps[2])
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.98
    same, _ = common([coarse, coarse], [PIXEL, PIXEL])
    assert same[0] is not None and (same[0] == coarse).all()


def test_resampling_keeps_the_middle_and_the_density():
    wide = gaussian_filter(np.pad(np.ones((1, 1, 1), np.float32), ((20, 19),) * 3), 4.0)
    for part in (0.5, 0.73):
        small = volumeconsensus._resampled(wide, part)
        assert np.unravel_index(small.argmax(), small.shape) == (len(small) // 2,) * 3
        assert small.max() == pytest.approx(wide.max(), rel=0.02)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_way_back_undoes_the_way(mirrored):
    way = pose(8, mirrored)
    smooth = gaussian_filter(molecule(1), 1.0)
    back = way.inverse().apply(way.apply(smooth))
    assert np.corrcoef(back.ravel(), smooth.ravel())[0, 1] > 0.995
    twice = way.inverse().inverse()
    np.testing.assert_allclose(twice.rotation, way.rotation, atol=1e-12)
    np.testing.assert_allclose(twice.shift, way.shift, atol=1e-12)


def test_maps_of_different_particles_are_said_to_be_so():
    found = consensus([molecule(20), pose(3).apply(molecule(21))], [PIXEL] * 2)
    assert "maps of different particles" in found.reason


def test_one_map_alone_agrees_with_nothing():
    found = consensus([molecule(1)], [PIXEL])
    np.testing.assert_array_equal(found.volume, molecule(1))
    assert "alone" in found.reason and not found.deviation.any()


@pytest.mark.parametrize(
    ("volumes", "sizes"), [([], []), ([np.zeros((4, 4, 5))], [1.0]), ([np.zeros((4,) * 3)], [1.0, 2.0])]
)
def test_what_is_no_map_is_refused(volumes, sizes):
    with pytest.raises(ValueError, match="give"):
        consensus(volumes, sizes)


def test_a_louder_map_is_not_heard_more():
    maps = [molecule(2) + 0.3 * molecule(2).std() * noise(i) for i in range(2)]
    plain = consensus(maps, [PIXEL] * 2, aligned=True)
    loud = consensus([maps[0], 7 * maps[1]], [PIXEL] * 2, aligned=True)
    np.testing.assert_allclose(plain.weights, loud.weights, rtol=1e-3)
    quiet = loud.volume if loud.medoid == 0 else loud.volume / 7
    assert np.corrcoef(quiet.ravel(), plain.volume.ravel())[0, 1] > 0.99
