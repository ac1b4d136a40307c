"""Directions that are even, and groups that are groups."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import directions, project3d

ORDERS = {"C1": 1, "C4": 4, "d7": 14, "T": 12, "O": 24, "I": 60}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_a_group_is_closed_and_its_sector_is_one_of_as_many(name, order):
    group = directions.group(name)
    assert len(group) == order
    np.testing.assert_array_equal(group[0], np.eye(3))
    products = np.einsum("aij,bjk->abik", group, group).reshape(-1, 9)
    apart = np.abs(products[:, None] - group.reshape(1, -1, 9)).max(axis=2).min(axis=1)
    assert apart.max() < 1e-9
    assert directions.apart(directions.even(20000), name).mean() == pytest.approx(1 / order, rel=0.01)


@pytest.mark.parametrize("name", ["", "X", "C0", "I5", "C1\n7"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match="no point group"):
        directions.group(name)


def test_directions_are_even_and_rotations_face_them():
    beams = directions.even(500)
    np.testing.assert_allclose(np.linalg.norm(beams, axis=1), 1)
    assert np.abs(beams.mean(axis=0)).max() < 2e-3
    np.testing.assert_allclose(np.cov(beams.T), np.eye(3) / 3, atol=2e-3)
    nearest = np.sort(beams @ beams.T, axis=1)[:, -2]
    spacing = np.degrees(np.arccos(nearest))
    assert spacing.min() > 0.6 * spacing.max()
    turned = directions.facing(beams, 30.0)
    np.testing.assert_allclose(turned[:, 2], beams, atol=1e-12)
    np.testing.assert_allclose(project3d.angles_of(turned)[2], 30.0, atol=1e-6)
