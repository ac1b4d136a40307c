"""Projections of a map: equal to those in closed form, their adjoint exact, angles as RELION's, maps put together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels import directions, project3d

RNG = np.random.default_rng(11)
CENTRES, WIDTHS, MASSES = RNG.uniform(-7, 7, (9, 3)), RNG.uniform(1.8, 3.0, 9), RNG.uniform(0.5, 1.5, 9)
ANGLES = RNG.uniform(0, 360, 12), RNG.uniform(0, 180, 12), RNG.uniform(0, 360, 12)


def blobs(n):
    """A map of Gaussians at CENTRES (x, y, z)."""
    z, y, x = np.mgrid[:n, :n, :n] - n // 2
    parts = zip(CENTRES, WIDTHS, MASSES, strict=True)
    volume = sum(m * np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2 + (z - c[2]) ** 2) / (2 * s**2)) for c, s, m in parts)
    return volume.astype(np.float32)


def seen(n, rotation):
    """Its projection along the third row, by the integral of each Gaussian."""
    y, x = np.mgrid[:n, :n] - n // 2
    places = CENTRES @ rotation.T
    parts = zip(places, WIDTHS, MASSES, strict=True)
    return sum(
        m * np.sqrt(2 * np.pi) * s * np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2) / (2 * s**2)) for c, s, m in parts
    )


@pytest.mark.parametrize(("n", "pad", "error"), [(48, 2, 0.015), (49, 2, 0.015), (48, 4, 0.003)])
def test_projections_are_those_in_real_space(n, pad, error):
    rotations = project3d.rotations_of(*ANGLES)
    expected = np.stack([seen(n, rotation) for rotation in rotations])
    found = project3d.project(blobs(n), rotations, pad)
    assert np.linalg.norm(found - expected) < error * np.linalg.norm(expected)


def test_a_rotation_of_nothing_sums_along_z():
    volume = blobs(48)
    found = project3d.project(volume, project3d.rotations_of(0, 0, 0), 4)[0]
    assert np.abs(found - volume.sum(axis=0)).max() < 1e-2 * found.max()


def test_angles_turn_as_relion_says():
    """rot 90° looks along z with the picture's x on the map's y; tilt 90° looks along x; psi turns the picture."""
    (x, y, z) = np.eye(3)
    rotations = project3d.rotations_of([90, 0, 0], [0, 90, 0], [0, 0, 90])
    np.testing.assert_allclose(rotations[0], [y, -x, z], atol=1e-12)
    np.testing.assert_allclose(rotations[1], [-z, y, x], atol=1e-12)
    np.testing.assert_allclose(rotations[2], [y, -x, z], atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.floats(-180, 180), st.floats(0, 180), st.floats(-180, 180))
def test_angles_come_back(rot, tilt, psi):
    rotation = project3d.rotations_of(rot, tilt, psi)
    np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-12)
    again = project3d.rotations_of(*project3d.angles_of(rotation))
    np.testing.assert_allclose(again, rotation, atol=3e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 21), st.integers(1, 5), st.integers(0, 2**31))
def test_to_project_and_to_smear_back_are_adjoint(n, count, seed):
    rng = np.random.default_rng(seed)
    volume = rng.standard_normal((n, n, n), dtype=np.float32)
    pictures = rng.standard_normal((count, n, n), dtype=np.float32)
    rotations = project3d.rotations_of(*rng.uniform(0, 360, (3, count)))
    there = (project3d.project(volume, rotations).astype(float) * pictures).sum()
    back = (project3d.backproject(pictures, rotations).astype(float) * volume).sum()
    assert there == pytest.approx(back, abs=1e-4 * float(np.linalg.norm(volume) * np.linalg.norm(pictures)))


def test_many_projections_make_the_map_again():
    n = 40
    volume = blobs(n)
    rotations = directions.facing(directions.even(600), RNG.uniform(0, 360, 600))
    points, rows, columns = project3d.disc(n, n // 2 - 1)
    sums = project3d.Sums.empty(n, n // 2 - 1)
    sums.insert(rotations, points, project3d.spectra(project3d.project(volume, rotations))[:, rows, columns])
    found = sums.solved(1e-3)
    assert np.linalg.norm(found - volume) < 0.06 * np.linalg.norm(volume)


def test_what_was_never_seen_stays_nothing():
    n = 32
    sums = project3d.Sums.empty(n, n // 2 - 1)
    points, rows, columns = project3d.disc(n, n // 2 - 1)
    one = project3d.rotations_of(0, 0, 0)
    sums.insert(one, points, project3d.spectra(project3d.project(blobs(n), one))[:, rows, columns])
    found = np.abs(np.fft.fftn(sums.solved(0.01)))
    assert found[5, 0, 0] < 0.1 * found[0, 5, 0], "the slice across z says nothing of waves along z"
