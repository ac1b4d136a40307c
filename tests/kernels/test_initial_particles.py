"""A map made finer with particles: poses are found again, and the halves say how far that went."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from cryowidgets.kernels import ctf, initialparticles, initialposes, initialstages, mask3d, project3d
from cryowidgets.kernels.classifykinds import Lens
from cryowidgets.kernels.directions import even, facing, group, turns
from cryowidgets.kernels.fsc import crossing, fsc
from cryowidgets.kernels.initialposes import Pictures, Poses

BOX, PIXEL, COUNT = 32, 6.0, 240
LENS = Lens(300.0, 2.7, 0.1)


def molecule(seed=7):
    rng = np.random.default_rng(seed)
    z, y, x = (np.mgrid[:BOX, :BOX, :BOX] - BOX // 2) * PIXEL
    volume = np.zeros((BOX, BOX, BOX))
    for _ in range(14):
        centre, width = rng.uniform(-30, 30, 3), rng.uniform(5, 7)
        volume += np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) / (2 * width**2))
    return volume.astype(np.float32)


def orientations(count, seed=2):
    rng = np.random.default_rng(seed)
    return turns(rng.standard_normal((1, 3)))[0][None] @ facing(even(count), rng.uniform(0, 360, count))


def degrees(one, two):
    return np.degrees(np.arccos(np.clip((np.einsum("nij,nij->n", one, two) - 1) / 2, -1, 1)))


def seen(volume, rotations, shifts, rows, snr, seed=1):
    """Particles through the lens, with noise."""
    rng = np.random.default_rng(seed)
    pictures = initialstages.shifted(project3d.project(volume, rotations), -shifts)
    optics = (LENS.voltage, LENS.cs, LENS.amplitude_contrast)
    for i, (u, v, angle, phase) in enumerate(zip(*rows, strict=True)):
        lens = -ctf.ctf_2d((BOX, BOX), PIXEL, u, v, angle, *optics, phase)
        pictures[i] = np.fft.irfft2(np.fft.rfft2(pictures[i]) * lens, s=(BOX, BOX))
    pictures *= np.sqrt(snr / pictures.var(axis=(1, 2)).mean())
    return pictures + rng.standard_normal(pictures.shape, np.float32)


@pytest.fixture(scope="module")
def refined():
    volume, rng = molecule(), np.random.default_rng(4)
    rotations, shifts = orientations(COUNT), rng.uniform(-2, 2, (COUNT, 2))
    defocus = rng.uniform(10000, 20000, COUNT)
    rows = [defocus + 150, defocus - 150, rng.uniform(-90, 90, COUNT), np.zeros(COUNT)]
    pictures = seen(volume, rotations, shifts, rows, 1.0)
    off = turns(rng.standard_normal((COUNT, 3)) * np.radians(5)) @ rotations
    begun = Poses(off, shifts + rng.normal(0, 0.5, (COUNT, 2)), np.zeros(COUNT))
    lots = [(pictures[part], LENS, [row[part] for row in rows]) for part in (slice(0, 100), slice(100, None))]
    settings = initialparticles.Settings(PIXEL, 130.0)
    start = mask3d.low_pass(volume, PIXEL, 30.0)
    return volume, rotations, shifts, begun, initialparticles.refined(lots, start, begun, settings)


def test_particles_bring_detail_and_their_poses_are_found(refined):
    volume, rotations, shifts, begun, made = refined
    truth = crossing(*fsc(made.volume, volume), threshold=0.5, pixel_size=PIXEL)
    assert truth < 15 and made.rounds == 5
    assert np.median(degrees(made.poses.rotations, rotations)) < 0.5 * np.median(degrees(begun.rotations, rotations))
    assert np.abs(made.poses.shifts - shifts).mean() < 0.3
    assert made.resolution > 0.9 * truth, "halves that never met do not agree beyond the truth"
    assert not np.array_equal(made.half1, made.half2)


def test_particles_of_noise_agree_no_finer_than_the_map_that_they_began_with(refined):
    volume, _, _, begun, _ = refined
    noise = np.random.default_rng(3).standard_normal((COUNT, BOX, BOX), np.float32)
    rows = [np.full(COUNT, 15000.0)] * 2 + [np.zeros(COUNT)] * 2
    made = initialparticles.refined([(noise, LENS, rows)], volume, begun, initialparticles.Settings(PIXEL, 130.0))
    assert not made.resolution < 22


def test_few_particles_are_not_tried():
    few = Poses(np.zeros((9, 3, 3)), np.zeros((9, 2)), np.zeros(9))
    assert initialparticles.refined([], molecule(), few, initialparticles.Settings(PIXEL, 130.0)) is None


def test_particles_lie_as_their_classes_do():
    """What is turned by psi and moved back by the origin looks like the average, which lies as it lies."""
    volume, turned, shift = molecule(), orientations(3), np.array([[1.5, -1.0], [0.0, 2.0], [-1.0, 0.5]])
    psi, origins, classes = np.array([35.0, -110.0]), np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([2, 0])
    lie = initialparticles.by_classes(turned, shift, classes, psi, origins)
    rot, tilt, own = project3d.angles_of(turned[classes])
    expected = project3d.rotations_of(rot, tilt, own + psi)
    np.testing.assert_allclose(lie.rotations, expected, atol=1e-9)
    particles = initialstages.shifted(project3d.project(volume, lie.rotations), -lie.shifts)
    averages = initialstages.shifted(project3d.project(volume, turned[classes]), -shift[classes])
    centred = initialstages.shifted(particles, -origins)
    flat = facing(np.array([[0, 0, 1.0]] * 2), psi)  # a turn in the plane alone
    for particle, average, turn in zip(centred, averages, flat, strict=True):
        assert _turned_alike(particle, average, turn) > 0.97


def _turned_alike(particle, average, turn):
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    back = turn[:2, :2].T @ np.stack([x.ravel(), y.ravel()])
    moved = map_coordinates(average, [back[1] + BOX // 2, back[0] + BOX // 2], order=3).reshape(BOX, BOX)
    return np.corrcoef(moved.ravel(), particle.ravel())[0, 1]


def test_the_lens_is_that_of_the_transfer_function():
    points, rows, columns = project3d.disc(BOX, 12.0)
    one = [np.array([value]) for value in (16000.0, 15200.0, 33.0, 20.0)]
    plane = ctf.ctf_2d((BOX, BOX), PIXEL, 16000.0, 15200.0, 33.0, 300.0, 2.7, 0.1, 20.0)
    found = initialparticles.transfer(points, BOX * PIXEL, LENS, one)[0]
    np.testing.assert_allclose(found, -plane[rows, columns], atol=1e-4)


def test_poses_are_found_about_those_that_are_known():
    volume, rotations = molecule(), orientations(12)
    shifts = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    pictures = Pictures.of(initialstages.shifted(project3d.project(volume, rotations), -shifts), 10.0).white(0.5)
    off = turns(np.random.default_rng(1).standard_normal((12, 3)) * np.radians(3)) @ rotations
    steps = [step for step in ((4.0, 0.5), (2.0, 0.25), (1.0, 0.25), (0.5, 0.1)) for _ in range(3)]
    found = pictures.polished(volume, Poses(off, np.zeros((12, 2)), np.zeros(12)), 10.0, steps)
    assert degrees(found.rotations, rotations).max() < 2 < np.median(degrees(off, rotations))
    assert np.abs(found.shifts - shifts).max() < 0.3
    back = pictures.put_together(found, "C1", 10.0).solved()
    assert np.corrcoef(back.ravel(), volume.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("symmetry", ["C1", "D3"])
def test_views_that_look_along_one_line_stay_together(symmetry):
    rng = np.random.default_rng(5)
    beams = turns(rng.standard_normal((1, 3)))[0] @ even(40)[[0, 9, 17, 25, 33]].T
    operations = group(symmetry)
    copies = operations[rng.integers(0, len(operations), 30)]
    each = np.einsum("nji,nj->ni", copies, beams.T[np.arange(30) % 5]) * rng.choice([-1, 1], 30)[:, None]
    parts = initialposes.views(facing(each, rng.uniform(0, 360, 30)), symmetry, 3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(30)) and len(parts) <= 3
    of = np.array([next(i for i, part in enumerate(parts) if n in part) for n in range(30)])
    assert all(len(set(of[np.arange(30) % 5 == view])) == 1 for view in range(5))


def test_nothing_below_nothing_fills_in_what_few_views_do_not_tell():
    volume, rotations = molecule(), orientations(10)
    pictures = Pictures.of(project3d.project(volume, rotations), 12.0)
    sums = pictures.put_together(Poses(rotations, np.zeros((10, 2)), np.zeros(10)), "C1", 12.0)
    mask = initialstages.soft(BOX, 11.0, 3)
    plain, within = np.maximum(sums.solved() * mask, 0), sums.within(mask)
    assert within.min() == 0 and not within[mask == 0].any()
    errors = [1 - np.corrcoef(made.ravel(), volume.ravel())[0, 1] for made in (plain, within)]
    assert errors[1] < 0.6 * errors[0]
