"""Two maps of one thing are brought onto each other: rotation, shift and hand as they were made."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import alignvolumes
from cryowidgets.kernels.directions import group, turns


def lumps(n, seed, symmetry="C1"):
    """A map of Gaussians in a box of n px, the same whatever the box."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.mgrid[:n, :n, :n] - n // 2) / n
    volume = np.zeros((n, n, n))
    for centre in rng.uniform(-0.16, 0.16, (8, 3)):
        width, mass = rng.uniform(0.03, 0.05), rng.uniform(0.5, 1.5)
        for c in group(symmetry) @ centre:
            volume += mass * np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) / (2 * width**2))
    return volume.astype(np.float32)


def likeness(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def angle(a, b):
    return np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))


@pytest.mark.parametrize(("n", "mirrored", "noise"), [(40, False, 0.0), (41, True, 0.0), (40, True, 1.0)])
def test_rotation_shift_and_hand_come_back(n, mirrored, noise):
    rng = np.random.default_rng(n + mirrored)
    volume = lumps(n, 3)
    rotation, shift = turns(rng.standard_normal((1, 3)) * 2)[0], rng.uniform(-3, 3, 3)
    fixed = alignvolumes.apply(volume, rotation, shift, mirrored)
    moving = volume + noise * volume.std() * rng.standard_normal(volume.shape)
    fixed = fixed + noise * volume.std() * rng.standard_normal(volume.shape)
    found, moved, hand, correlation = alignvolumes.align(moving, fixed, 5.0)
    assert hand is mirrored
    assert angle(found, rotation) < (3.0 if noise else 0.3)
    np.testing.assert_allclose(moved, shift, atol=0.2 if noise else 0.05)
    assert 0.6 < correlation < 0.99 if noise else correlation > 0.999


def test_the_other_hand_is_left_alone_where_that_is_asked_for():
    volume = lumps(32, 5)
    other = alignvolumes.mirror_image(volume)
    both, one = (alignvolumes.align(other, volume, mirror=mirror) for mirror in (True, False))
    assert both[2] and not one[2]
    assert both[3] > 0.999 > 0.97 > one[3]


def test_a_large_map_is_compared_in_a_smaller_box():
    for n in (72, 75):
        volume, rotation, shift = lumps(n, 8), turns(np.array([[0.4, -1.0, 0.3]]))[0], np.array([2.0, -1.0, 3.0])
        fixed = alignvolumes.apply(volume, rotation, shift)
        found = alignvolumes.align(volume, fixed, 1.0, mirror=False, finest=10.0)
        assert likeness(alignvolumes.apply(volume, *found[:3]), fixed) > 0.998
        np.testing.assert_allclose(found[1], shift, atol=0.15)


def test_of_a_symmetric_map_any_equal_rotation_does():
    volume = lumps(36, 2, "D3")
    fixed = alignvolumes.apply(volume, turns(np.array([[1.0, 0.7, -0.2]]))[0], np.zeros(3))
    found = alignvolumes.align(volume, fixed)
    assert likeness(alignvolumes.apply(volume, *found[:3]), fixed) > 0.995


def test_nothing_and_maps_that_do_not_belong_together():
    nothing = np.zeros((16, 16, 16), np.float32)
    assert alignvolumes.align(nothing, nothing)[3] == 0
    with pytest.raises(ValueError, match="cannot be aligned"):
        alignvolumes.align(nothing, np.zeros((18, 18, 18)))


def test_the_mirror_keeps_the_centre_and_comes_back():
    for n in (6, 7):
        volume = np.random.default_rng(0).standard_normal((n, n, n))
        turned = alignvolumes.mirror_image(volume)
        np.testing.assert_array_equal(turned[n // 2], volume[n // 2])
        np.testing.assert_array_equal(turned[n // 2 + 1], volume[n // 2 - 1])
        np.testing.assert_array_equal(alignvolumes.mirror_image(turned), volume)
