"""Simulated particles: projections of their map, noise as promised, symmetry that is there, files as of extraction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from cryowidgets.errors import ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import ctf
from cryowidgets.sim.particles import DIRT, simulate, write


def turned(volume, rotation):
    """The volume (z, y, x) turned by a rotation of x, y, z, about pixel n // 2."""
    swap = np.eye(3)[::-1]
    matrix, centre = swap @ rotation.T @ swap, np.full(3, len(volume) // 2)
    return affine_transform(volume, matrix, centre - matrix @ centre, order=3)


def seen(stack, n):
    """Picture `n`, from the map."""
    flat = np.fft.rfft2(turned(stack.density[stack.conformation[n]], stack.rotations[n]).sum(axis=0))
    box = len(stack.pictures[n])
    ky, kx = np.fft.fftfreq(box)[:, None], np.fft.rfftfreq(box)
    flat *= np.exp(-2j * np.pi * (ky * stack.shifts[n, 0] + kx * stack.shifts[n, 1]))
    lens = (stack.voltage, stack.cs, stack.amplitude_contrast, stack.phase_shift[n])
    flat *= -ctf.ctf_2d((box, box), stack.pixel_size, stack.defocus_u[n], stack.defocus_v[n], stack.angle[n], *lens)
    flat *= np.exp(-25 * (ky**2 + kx**2) / stack.pixel_size**2)
    return np.fft.irfft2(flat)


def test_pictures_are_projections_of_the_map():
    stack = simulate(3, box=48, pixel_size=6.0, snr=1e6, views=None, conformations=2, phase_shift=40.0, seed=5)
    for n in range(3):
        assert np.corrcoef(seen(stack, n).ravel(), stack.pictures[n].ravel())[0, 1] > 0.999
    assert np.ptp(stack.conformation) <= 1 and not stack.view.any()


def test_noise_and_shares_are_as_promised():
    stack = simulate(2000, box=32, pixel_size=10.0, snr=0.2, junk=0.2, dirt=0.1, seed=1)
    assert abs(np.mean(stack.view == -1) - 0.3) < 0.03 and set(stack.view) == set(range(-1, 12))
    assert np.array_equal(stack.view == -1, stack.conformation == -1)
    good = stack.pictures[stack.view >= 0]
    assert abs(good.var(axis=(1, 2)).mean() - 1.2) < 0.02
    np.testing.assert_array_equal(
        simulate(2000, box=32, pixel_size=10.0, snr=0.2, junk=0.2, dirt=0.1, seed=1).view, stack.view
    )
    first = stack.rotations[stack.view == 3]
    assert np.ptp(first[:, 2], axis=0).max() < 1e-9  # one direction, turned in the plane


def test_dirt_is_of_the_kinds_that_are_asked_for():
    stack = simulate(300, box=32, pixel_size=10.0, snr=50.0, junk=0.1, dirt=0.7, kinds=DIRT, phase_shift=80.0, seed=4)
    assert set(stack.shows) == {"particle", "nothing", *DIRT}
    assert np.array_equal(stack.shows == "particle", stack.view >= 0)
    y, x = np.mgrid[:32, :32] - 16
    inner = stack.pictures[:, np.hypot(y, x) < 8].sum(axis=1)
    mass = {kind: np.median(inner[stack.shows == kind]) for kind in set(stack.shows)}
    assert abs(mass["nothing"]) < 0.1 * mass["broken"] and mass["broken"] < 0.8 * mass["particle"]
    assert mass["bead"] > mass["particle"] < mass["ice"]
    with pytest.raises(ParameterError, match="snow"):
        simulate(3, dirt=0.5, kinds=("ice", "snow"))


@pytest.mark.parametrize("symmetry", ["C4", "D2"])
def test_a_symmetric_map_is_the_same_when_turned(symmetry):
    density = simulate(1, symmetry=symmetry, seed=2).density[0]
    about_z = 2 * np.pi / int(symmetry[1])
    c, s = np.cos(about_z), np.sin(about_z)
    turns = [np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])]
    turns += [np.diag([1.0, -1, -1])] if symmetry[0] == "D" else []
    for turn in turns:
        assert np.corrcoef(turned(density, turn).ravel(), density.ravel())[0, 1] > 0.99
    half = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]) if symmetry == "D2" else np.diag([1.0, -1, -1])
    assert np.corrcoef(turned(density, half).ravel(), density.ravel())[0, 1] < 0.9
    with pytest.raises(ParameterError, match="symmetry 'O'"):
        simulate(1, symmetry="O")


def test_files_are_as_of_extraction(tmp_path):
    stack = simulate(7, box=32, pixel_size=8.0, seed=3)
    files = write(stack, tmp_path / "out", per=5)
    assert [len(mrc.read(pictures)) for pictures, _ in files] == [5, 2]
    np.testing.assert_array_equal(np.concatenate([mrc.read(pictures) for pictures, _ in files]), stack.pictures)
    tables = [star.read(table) for _, table in files]
    np.testing.assert_allclose(sum((t["particles"]["rlnDefocusU"] for t in tables), []), stack.defocus_u, atol=0.01)
    assert tables[0]["optics"]["rlnImagePixelSize"] == [8.0]
    assert tables[1]["particles"]["rlnImageName"][1] == "000002@sim_00001_particles.mrcs"
