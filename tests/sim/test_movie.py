"""A simulated movie is what its truth says: moved so, aberrated so, counted so."""

import dataclasses

import numpy as np
import pytest
from scipy import spatial, stats

from cryowidgets.kernels import ctf
from cryowidgets.sim import detector, molecule, specimen, track
from cryowidgets.sim.movie import Recipe, simulate, stream

SMALL = Recipe(shape=(256, 320), frames=6)


def test_the_same_seed_gives_the_same_movie_and_another_seed_another():
    one, again, other = simulate(SMALL, 5), simulate(SMALL, 5), simulate(SMALL, 6)
    np.testing.assert_array_equal(one.frames, again.frames)
    np.testing.assert_array_equal(one.truth.shifts, again.truth.shifts)
    assert one.truth.defocus_u == again.truth.defocus_u != other.truth.defocus_u
    assert np.mean(one.frames != other.frames) > 0.4
    np.testing.assert_array_equal(one.gain, other.gain)  # one session, one camera
    truth, frames = stream(SMALL, 5)
    np.testing.assert_array_equal(list(frames), one.frames)
    assert truth.angle == one.truth.angle


def test_draws_stay_in_their_ranges():
    recipe = dataclasses.replace(SMALL, shape=(64, 64), phase_shift=(20.0, 90.0), density=500.0, drift=(2.0, 15.0))
    truths = [stream(recipe, seed)[0] for seed in range(12)]
    for truth in truths:
        assert 7000 - 500 <= truth.defocus_v <= truth.defocus_u <= 30000 + 500
        assert truth.defocus_u - truth.defocus_v <= 1000
        assert -90 <= truth.angle <= 90
        assert 20 <= truth.phase_shift <= 90
        np.testing.assert_allclose(truth.shifts[0], 0, atol=1e-12)
        assert 1 <= np.linalg.norm(truth.shifts[-1]) <= 16  # jitter comes on top
    assert len({truth.defocus_u for truth in truths}) == 12


def test_counts_are_those_of_the_dose():
    movie = simulate(dataclasses.replace(SMALL, hot=0.0, density=0.0), 1)
    corrected = movie.frames * movie.gain
    sound = movie.gain > 0
    assert movie.frames.dtype == np.uint8
    assert corrected[:, sound].mean() == pytest.approx(1.5 * 1.2**2 * 0.85, rel=0.01)
    assert np.all(movie.frames[:, ~sound] == 0)


def test_contrast_is_realistic():
    """Protein of 500 kDa at 1.2 µm has a contrast of 4 to 6.5 %; thin ice adds some 3 %."""
    one = dataclasses.replace(SMALL, shape=(512, 512), pixel_size=1.0, defocus=12000.0, frames=1)
    protein = stream(dataclasses.replace(one, ice=0.001), 3)[0].contrast
    water = stream(dataclasses.replace(one, density=0.0), 3)[0].contrast
    assert 0.04 < protein < 0.065
    assert 0.02 < water < 0.04
    assert stream(one, 3)[0].contrast == pytest.approx(np.hypot(protein, water), rel=0.02)


# A movie that shows what it does: much signal, no fading worth mention, a clean camera, one straight motion.
CLEAR = Recipe(
    shape=(192, 256), frames=3, dose_per_frame=2.0, density=8000.0, ice=1.0, hot=0.0, dead=0.0, dqe=30.0, jitter=0.0
)


def _faded_less(monkeypatch):
    monkeypatch.setattr(specimen, "critical_exposure", lambda k2, voltage: np.full_like(k2, 1e6))


@pytest.mark.parametrize("seed", [1, 2])
def test_content_moves_by_the_shifts(monkeypatch, seed):
    """I_j(x) = I_0(x − s_j): frame j is frame 0 multiplied by exp(−2πi k·s_j), up to the smear within a frame."""
    _faded_less(monkeypatch)
    movie = simulate(dataclasses.replace(CLEAR, drift=6.0), seed)
    frames = movie.frames * movie.gain
    window = np.hanning(192)[:, None] * np.hanning(256)
    first, last = (np.fft.rfft2((frame - frame.mean()) * window) for frame in (frames[0], frames[-1]))
    cross = last * first.conj()
    y, x = np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(256)
    cross[np.hypot(y, x) > 0.15] = 0
    grid = np.fft.irfft2(cross, s=(192, 256))
    peak = np.array(np.unravel_index(grid.argmax(), grid.shape))
    peak = (peak + [96, 128]) % [192, 256] - [96, 128]
    np.testing.assert_allclose(peak, movie.truth.shifts[-1], atol=0.8)


def test_local_motion_bends_the_frame(monkeypatch):
    """Put back by the true field, each part of the last frame agrees with the first; by the shift alone it does not."""
    _faded_less(monkeypatch)
    movie = simulate(dataclasses.replace(CLEAR, drift=3.0, local=3.0), 4)
    frames = (movie.frames * movie.gain).astype("f8")
    y, x = np.linspace(-1, 1, 192), np.linspace(-1, 1, 256)
    field = movie.truth.track.local(2, y[:, None], x[None, :])
    assert np.sqrt(np.square(field).sum(axis=0).mean()) == pytest.approx(3.0, rel=0.05)
    np.testing.assert_allclose(field.mean(axis=(1, 2)), 0, atol=0.1)
    rows, columns = np.mgrid[20:172, 20:236]
    total = movie.truth.shifts[2][:, None, None] + field[:, 20:172, 20:236]

    def agreement(displacement):
        at = np.rint(rows + displacement[0]).astype(int), np.rint(columns + displacement[1]).astype(int)
        return np.corrcoef(frames[0, 20:172, 20:236].ravel(), frames[2][at].ravel())[0, 1]

    bent, straight = agreement(total), agreement(np.broadcast_to(movie.truth.shifts[2][:, None, None], total.shape))
    assert bent > 1.5 * straight > 0


def test_the_spectrum_has_the_rings_of_the_truth(monkeypatch):
    """Power follows CTF² of the true parameters, and not that of a CTF turned by a right angle."""
    _faded_less(monkeypatch)
    recipe = dataclasses.replace(CLEAR, shape=(512, 512), ice=3000.0, drift=0.0, defocus=15000.0, astigmatism=1500.0)
    movie = simulate(dataclasses.replace(recipe, frames=1), 2)
    image = movie.frames[0] * movie.gain
    power = np.abs(np.fft.rfft2((image - image.mean()) * np.hanning(512)[:, None] * np.hanning(512))) ** 2
    k2 = ctf.polar((512, 512), 1.2)[0]
    ring = (k2 > 1 / 20**2) & (k2 < 1 / 7**2)
    truth = movie.truth

    def agreement(u, v):
        model = ctf.ctf_2d((512, 512), 1.2, u, v, truth.angle, 300, 2.7, 0.1)
        return np.corrcoef(model[ring] ** 2, power[ring])[0, 1]

    right = agreement(truth.defocus_u, truth.defocus_v)
    assert right > 0.4
    assert right > 3 * agreement(truth.defocus_v, truth.defocus_u)
    assert right > 3 * agreement(truth.defocus_u + 1000, truth.defocus_v + 1000)


def test_protein_fades_and_water_forgets():
    k2 = np.array([1 / 20**2, 1 / 5**2], np.float32)
    assert specimen.critical_exposure(k2, 300.0) == pytest.approx([38.72, 6.39], rel=0.01)
    assert specimen.critical_exposure(k2, 200.0) == pytest.approx(0.8 * specimen.critical_exposure(k2, 300.0))
    assert specimen.water_memory(k2, 0.0) == pytest.approx([1, 1])
    assert specimen.water_memory(k2, 3.0) == pytest.approx(specimen.water_memory(k2, 1.0) ** 3, rel=1e-5)
    assert specimen.interaction(300.0) == pytest.approx(6.526e-4, rel=1e-3)
    assert specimen.interaction(200.0) == pytest.approx(7.29e-4, rel=1e-3)


@pytest.mark.parametrize("rate", [0.0, 0.013, 0.4, 1.84, 2.5, 7.9, 8.0, 30.0])
def test_counts_are_poisson(rate):
    rng = np.random.Generator(np.random.SFC64(3))
    counts = detector.count(np.full((500, 400), rate, np.float32), rng)
    assert counts.shape == (500, 400)
    values = np.arange(counts.max() + 1)
    expected = stats.poisson.pmf(values, rate) * counts.size
    observed = np.bincount(counts.ravel())
    common = expected > 5
    expected, observed = expected[common], observed[common]
    assert abs(observed.sum() - counts.size) < 60
    if rate:
        assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4
    assert detector.count(np.full(3, 400, np.float32), rng).max() == 255


def test_noise_is_white_and_normal():
    rng = np.random.Generator(np.random.SFC64(3))
    image = np.fft.irfft2(specimen.noise((256, 129), rng), s=(256, 256)) * 256
    assert image.std() == pytest.approx(1, rel=0.01)
    assert stats.kurtosis(image.ravel()) == pytest.approx(0, abs=0.05)
    power = np.abs(np.fft.rfft2(image)) ** 2 / image.size
    assert power[:, 0].mean() == pytest.approx(1, rel=0.3)
    assert power[:, 1:-1].mean() == pytest.approx(1, rel=0.02)


def test_the_camera_has_the_defects_that_it_lists():
    camera = detector.make((300, 400), hot=1e-3, dead=1e-3, seed=1)
    assert camera.sensitivity.mean() == pytest.approx(1, rel=0.01)
    assert 0.03 < camera.sensitivity[camera.sensitivity > 0].std() < 0.05
    assert len(camera.dead) == pytest.approx(120 + 300, abs=5)
    assert len(camera.hot) == pytest.approx(120 + 300, abs=5)
    assert np.all(camera.gain[tuple(camera.dead.T)] == 0)
    assert np.all(camera.gain[tuple(camera.hot.T)] > 0)
    movie = simulate(dataclasses.replace(SMALL, hot=1e-3, dead=0.0), 1)
    lit = dataclasses.replace(SMALL, hot=1e-3, dead=0.0).detector
    assert movie.frames[:, lit.glow > 0].mean() > movie.frames[:, lit.glow == 0].mean() + 0.9
    assert len(dataclasses.replace(SMALL, hot=0.0, dead=0.0).detector.hot) == 0


def test_most_of_the_path_is_early():
    rng = np.random.default_rng(0)
    early = []
    for _ in range(30):
        shifts = track.draw(20, 1.5, drift=10.0, jitter=0.0, local=0.0, rng=rng).shifts
        steps = np.linalg.norm(np.diff(shifts, axis=0), axis=1)
        assert np.linalg.norm(shifts[-1]) == pytest.approx(10)
        early.append(steps[:5].sum() / steps.sum())
    assert np.mean(early) > 0.6
    assert track.draw(1, 1.5, 10.0, 0.1, 1.0, rng).shifts.shape == (1, 2)


def test_the_molecule_looks_like_protein():
    atoms = molecule.build(500.0, 0)
    assert len(atoms) * molecule.DALTON_PER_ATOM == pytest.approx(500e3, rel=0.1)
    np.testing.assert_allclose(atoms.mean(axis=0), 0, atol=1e-3)
    tree = spatial.KDTree(atoms)
    for twofold in ([1, -1, -1], [-1, 1, -1]):  # D2
        np.testing.assert_allclose(tree.query(atoms * np.array(twofold))[0], 0, atol=1e-3)
    heavier = molecule.build(1000.0, 0)
    assert np.square(heavier).sum(1).mean() > np.square(atoms).sum(1).mean()
    turned = molecule.rotations(2000, np.random.default_rng(1))
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turned), 1)
    np.testing.assert_allclose(turned.mean(axis=0), 0, atol=0.05)


def test_particles_are_where_the_truth_says(monkeypatch):
    """The projected density around the true positions is that of a particle, dark, and found nowhere else."""
    _faded_less(monkeypatch)
    recipe = dataclasses.replace(
        CLEAR,
        shape=(512, 512),
        density=800.0,
        drift=0.0,
        frames=1,
        amplitude_contrast=1.0,
        defocus=0.0,
        astigmatism=0.0,
    )
    movie = simulate(recipe, 3)
    image = (movie.frames[0] * movie.gain).astype("f8")
    y, x = np.mgrid[0:512, 0:512]
    near = np.zeros(image.shape, bool)
    for position in movie.truth.positions:
        near |= np.hypot(y - position[0], x - position[1]) < 45
    assert 2 <= len(movie.truth.positions) <= 5
    assert len(movie.truth.rotations) == len(movie.truth.positions)
    assert image[near].mean() < 0.97 * image[~near].mean()
