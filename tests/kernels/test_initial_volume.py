"""A first map: that of the object, of either hand, where averages show it; and the reason where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import initialchecks, initialstages, project3d
from cryowidgets.kernels.alignvolumes import align, apply
from cryowidgets.kernels.directions import even, facing, group, turns
from cryowidgets.kernels.evenness import evenness, spread
from cryowidgets.kernels.fsc import crossing, fsc
from cryowidgets.kernels.initialvolume import Settings, first_map
from cryowidgets.kernels.symmetryaxes import onto_axes

BOX, PIXEL, DIAMETER = 32, 6.0, 130.0
SETTINGS = Settings(pixel_size=PIXEL, diameter=DIAMETER, starts=4, finest=18.0, seed=3)


def molecule(symmetry="C1", seed=7):
    rng = np.random.default_rng(seed)
    z, y, x = (np.mgrid[:BOX, :BOX, :BOX] - BOX // 2) * PIXEL
    volume = np.zeros((BOX, BOX, BOX))
    for _ in range(14 // min(len(group(symmetry)), 3)):
        centre, width = rng.uniform(-30, 30, 3), rng.uniform(6, 9)
        for c in group(symmetry) @ centre:
            volume += np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) / (2 * width**2))
    return volume.astype(np.float32)


def pictures(volume, rotations, snr=2.0, seed=1):
    rng = np.random.default_rng(seed)
    seen = project3d.project(volume, rotations)
    shifts = rng.uniform(-1, 1, (len(seen), 2))
    seen = initialstages.shifted(seen, -shifts)
    return seen + rng.standard_normal(seen.shape, np.float32) * np.sqrt(seen.var(axis=(1, 2)).mean() / snr)


def views(count, seed=2):
    rng = np.random.default_rng(seed)
    return turns(rng.standard_normal((1, 3)))[0][None] @ facing(even(count), rng.uniform(0, 360, count))


@pytest.fixture(scope="module")
def found():
    volume = molecule()
    return volume, first_map(pictures(volume, views(30)), SETTINGS, weights=np.arange(1, 31) * 10)


def test_the_map_is_that_of_the_object(found):
    volume, made = found
    assert made.reason == ""
    assert 2 <= made.agreeing <= len(made.scores) == 4
    assert made.agreement < 36 and made.resolution < 36
    onto = apply(made.volume, *align(made.volume, volume, PIXEL)[:3])
    assert crossing(*fsc(onto, volume), threshold=0.5, pixel_size=PIXEL) < 22
    for half in (made.half1, made.half2):
        assert half.shape == volume.shape and np.corrcoef(half.ravel(), made.volume.ravel())[0, 1] > 0.9
    assert made.deviation.shape == volume.shape and (made.deviation >= 0).all()


def test_poses_are_those_of_the_map_and_views_weigh_what_their_particles_do(found):
    volume, made = found
    seen = project3d.project(made.volume, made.rotations)
    centred = initialstages.shifted(pictures(volume, views(30)), made.shifts)
    likeness = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(seen, centred, strict=True)]
    assert np.mean(likeness) > 0.7
    assert made.counts.sum() == pytest.approx(10 * sum(range(1, 31)))
    assert made.evenness > 0.4


def test_noise_gives_no_map():
    noise = np.random.default_rng(5).standard_normal((24, BOX, BOX), np.float32)
    made = first_map(noise, SETTINGS)
    assert made.volume is None and ("left out" in made.reason or "different maps" in made.reason)


def test_one_view_gives_no_map():
    one = np.repeat(views(1), 24, axis=0)
    psi = np.random.default_rng(0).uniform(0, 2 * np.pi, 24)
    made = first_map(pictures(molecule(), turns(np.outer(psi, [0, 0, 1.0])) @ one), SETTINGS)
    assert made.volume is None and "one view" in made.reason


def test_few_or_empty_averages_give_no_map():
    assert "too few" in first_map(np.ones((5, BOX, BOX)), SETTINGS).reason
    assert "empty" in first_map(np.zeros((9, BOX, BOX)), SETTINGS).reason


def test_starts_that_disagree_are_recognised():
    assert initialchecks.disagree(1, 16) and initialchecks.disagree(1, 4) and not initialchecks.disagree(2, 16)


def test_axes_are_brought_where_the_group_has_them():
    volume = molecule("D3")
    turned = apply(volume, turns(np.array([[0.5, 1.0, 0.2]]))[0], np.array([1.0, -1.0, 0.5]))
    back, likeness = onto_axes(turned, "D3")
    assert likeness > 0.98
    for rotation in group("D3")[1:]:
        copy = apply(back, rotation, np.zeros(3))
        assert np.corrcoef(copy.ravel(), back.ravel())[0, 1] > 0.97
    assert onto_axes(turned, "C1")[1] == 1


def test_evenness_is_one_for_even_views_and_nothing_for_one():
    assert evenness(np.ones(400)) > 0.99
    assert evenness(spread(views(1), np.ones(1))) < 0.15
    side = facing(np.stack([np.cos(np.arange(60)), np.sin(np.arange(60)), np.zeros(60)], axis=1))
    assert 0.5 < evenness(spread(side, np.ones(60))) < 0.95, "views about one axis cover all, the axis too often"
    assert evenness(spread(views(1), np.ones(1), "O")) > 0.6
    assert np.isnan(evenness(np.zeros(400)))


@pytest.mark.parametrize("symmetry", ["C1", "D2"])
def test_views_are_spread_over_equal_directions(symmetry):
    counts = spread(views(20), np.arange(20), symmetry)
    assert counts.sum() == pytest.approx(sum(range(20)))
    assert (counts > 0).sum() >= min(15 * len(group(symmetry)), 60)


@pytest.mark.parametrize(("before", "after"), [(32, 24), (31, 40), (24, 31)])
def test_a_map_in_other_pixels_is_the_same_map(before, after):
    def ball(n):
        along = (np.arange(n) - n // 2) / n
        return np.exp(-((along[:, None, None] - 0.1) ** 2 + along[:, None] ** 2 + along**2) / (2 * 0.07**2))

    np.testing.assert_allclose(project3d.resized(ball(before), after), ball(after), atol=3e-3)
