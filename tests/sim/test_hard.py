"""The hard options of the simulator do to a movie what the truth says, and nothing when they are off."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from cryowidgets.kernels import ctf
from cryowidgets.sim import film, lens, specimen, track
from cryowidgets.sim.band import Band
from cryowidgets.sim.movie import Recipe, simulate, still, stream
from cryowidgets.sim.recipe import empty, hard
from cryowidgets.sim.warp import warp

SMALL = Recipe(shape=(192, 256), frames=6)
# Much signal, hardly any water, a clean camera: see test_movie.py
CLEAR = dataclasses.replace(SMALL, density=8000.0, ice=1.0, hot=0.0, dead=0.0, dqe=20.0, jitter=0.0)


def test_what_is_left_out_changes_nothing_else():
    usual, other = stream(SMALL, 5)[0], stream(dataclasses.replace(SMALL, tilt=20.0, ice_gradient=300.0), 5)[0]
    np.testing.assert_array_equal(usual.positions, other.positions)
    np.testing.assert_array_equal(usual.shifts, other.shifts)
    assert (usual.defocus_u, usual.angle) == (other.defocus_u, other.angle)
    assert (other.tilt, other.ice_gradient) == (20.0, 300.0)
    ranged = dataclasses.replace(SMALL, tilt=(10.0, 40.0), tilt_axis=(-90.0, 90.0), thickness=(500.0, 3000.0))
    drawn = [stream(ranged, seed)[0] for seed in (1, 2)]
    assert drawn[0].tilt != drawn[1].tilt
    for truth in drawn:
        assert 10 <= truth.tilt <= 40
        assert 500 <= truth.thickness <= 3000
        assert np.abs(truth.heights).max() <= truth.thickness / 2 + 50


def _lens(tilt, axis, field=(96, 128), pixel_size=3.0, defocus=9000.0):
    band = Band(field, pixel_size, limit=0.12)
    chi, u = lens.phases(band, pixel_size, (defocus, defocus, 0.0), (300.0, 2.7, 0.1), 0.0)
    sine, cosine = (-wave(chi).astype(np.float32) for wave in (np.sin, np.cos))
    return band, lens.Lens(band, sine, cosine, u, lens.slope(tilt, axis, pixel_size))


@pytest.mark.parametrize("axis", [0.0, 90.0, -30.0])
def test_every_place_of_a_tilted_specimen_has_its_own_defocus(axis):
    """Where the defocus is that of another lens, the image is as that lens makes it."""
    band, tilted = _lens(tilt=60.0, axis=axis)
    content = specimen.noise(band.shape, np.random.Generator(np.random.SFC64(1)))
    image = tilted.image(tilted.content(content))
    for y, x in ((5, 9), (48, 64), (90, 20), (12, 120)):
        along = -(x - 63.5) * np.sin(np.deg2rad(axis)) + (y - 47.5) * np.cos(np.deg2rad(axis))
        flat = _lens(0.0, 0.0, defocus=9000.0 + np.tan(np.deg2rad(60)) * 3.0 * along)[1]
        expected = flat.image(flat.content(content))
        assert image[y, x] == pytest.approx(expected[y, x], abs=0.01 * float(expected.std()))


def test_the_truth_tells_the_defocus_of_every_place():
    """Power spectra of the two halves of a tilted specimen have the rings of their own mean defocus."""
    recipe = dataclasses.replace(
        SMALL,
        shape=(512, 512),
        pixel_size=2.0,
        tilt=50.0,
        tilt_axis=30.0,
        defocus=15000.0,
        astigmatism=0.0,
        b_factor=50.0,
    )
    truth, image = stream(recipe, 3)[0], still(recipe, 3)
    window = np.hanning(256)[:, None] * np.hanning(256)
    k2 = ctf.polar((256, 256), 2.0)[0]
    ring = (k2 > 1 / 25**2) & (k2 < 1 / 7**2)
    defocus = {}
    for y, x in ((0, 0), (256, 0), (0, 256), (256, 256)):
        part = image[y : y + 256, x : x + 256]
        power = np.abs(np.fft.rfft2((part - part.mean()) * window)) ** 2
        tried = np.arange(11000.0, 19001.0, 50.0)
        scores = [np.corrcoef(ctf.ctf_1d(np.sqrt(k2[ring]), d, 300, 2.7, 0.1) ** 2, power[ring])[0, 1] for d in tried]
        expected = float(truth.defocus_at(y + 127.5, x + 127.5))
        assert tried[np.argmax(scores)] == pytest.approx(expected, abs=150)
        defocus[y, x] = expected
    assert max(defocus.values()) - min(defocus.values()) > 600


@pytest.mark.parametrize("tilt", [0.0, 40.0])
def test_thick_water_has_the_power_of_its_formula(tilt):
    band, thick = _lens(tilt, 10.0)
    amplitude = np.full(band.shape, 2.0, np.float32)
    power = np.square(thick.water(amplitude, 1500.0)).sum(axis=1)[0]
    k2, t = band.k2.astype(float), 1500.0
    x = np.pi * ctf.wavelength(300.0) * k2 * t
    chi = ctf.chi(k2, 9000.0, 300.0, 2.7, 0.1)
    formula = 4 * 0.5 * (1 - np.sinc(x / np.pi) * np.cos(2 * chi))
    np.testing.assert_allclose(power, formula, atol=2e-3)
    thin = np.square(thick.water(amplitude, 1e-3)).sum(axis=1)[0]
    np.testing.assert_allclose(thin, 4 * np.sin(chi) ** 2, atol=2e-3)


def test_rings_of_thick_protein_die_at_the_node():
    """Molecules spread in depth lose their rings where λk²t = 1, and thin ones do not."""
    thick = dataclasses.replace(
        CLEAR, shape=(512, 512), pixel_size=1.5, mass=150.0, defocus=20000.0, astigmatism=0.0, b_factor=20.0, ice=0.0
    )
    node = 1 / (ctf.wavelength(300.0) * 2000.0)
    k2 = ctf.polar((512, 512), 1.5)[0]
    ring = (k2 > 0.85 * node) & (k2 < 1.15 * node)
    model = ctf.ctf_1d(np.sqrt(k2[ring]), 20000.0, 300, 2.7, 0.1) ** 2

    def rings(recipe):
        image = still(recipe, 2)
        power = np.abs(np.fft.rfft2((image - image.mean()) * np.hanning(512)[:, None] * np.hanning(512))) ** 2
        return np.corrcoef(model, power[ring])[0, 1]

    assert rings(thick) > 0.35
    assert abs(rings(dataclasses.replace(thick, thickness=2000.0))) < 0.1


def test_ripples_are_no_polynomial_and_leave_the_whole_where_it_is():
    rng = np.random.default_rng(0)
    y, x = np.linspace(-1, 1, 25)[:, None], np.linspace(-1, 1, 31)
    for _ in range(5):
        plain = track.draw(30, 1.0, 8.0, 0.1, 2.0, rng)
        found = track.ripple(plain, 1.0, local=2.0, waves=8, blur=1.0, rng=rng)
        np.testing.assert_array_equal(found.shifts, plain.shifts)
        field = np.stack([found.local(j, y, x) for j in range(30)])  # frames, 2, y, x
        np.testing.assert_allclose(field[0], 0, atol=1e-12)
        # the grid of all pixels says the same
        np.testing.assert_allclose(found.grid(29, (25, 31)), field[29], atol=1e-4)
        fine = np.linspace(-1, 1, 401)
        last = found.local(29, fine[:, None], fine)
        assert np.sqrt(np.square(last).sum(axis=0).mean()) == pytest.approx(2.0, rel=0.05)
        np.testing.assert_allclose(last.mean(axis=(1, 2)), 0, atol=0.02)
        # RELION's model: t, t², t³ times 1, x, x², y, y², xy
        t = np.arange(30.0)
        space = np.stack(np.broadcast_arrays(np.ones_like(x), x, x * x, y, y * y, x * y)).reshape(6, -1)
        model = np.einsum("pt,qs->tspq", np.stack([t, t**2, t**3]) / 30, space).reshape(-1, 18)
        values = field.reshape(30, 2, -1).transpose(0, 2, 1).reshape(-1, 2)
        rest = values - model @ np.linalg.lstsq(model, values, rcond=None)[0]
        assert np.sqrt(np.square(rest).sum(axis=1).mean()) > 0.15
        assert np.abs(found.path).max() <= found.reach
        assert np.abs(last).max() <= found.reach
    quadratic = track.draw(30, 1.0, 8.0, 0.1, 2.0, rng)
    np.testing.assert_allclose(quadratic.grid(20, (25, 31)), quadratic.local(20, y, x), atol=1e-5)


def test_blur_is_motion_within_frames():
    plain = track.draw(10, 1.5, 8.0, 0.1, 0.0, np.random.default_rng(1))
    found = track.ripple(plain, 1.5, 0.0, 0, 3.0, np.random.default_rng(1))
    np.testing.assert_allclose(found.shifts, plain.shifts, atol=1e-12)
    np.testing.assert_allclose(np.ptp(found.path, axis=1), 3 * np.ptp(plain.path, axis=1))


@pytest.mark.parametrize("ripples", [0, 6])
def test_content_is_where_the_displacement_says(monkeypatch, ripples):
    """Put back by the true displacement, the last frame agrees with the first; by the whole shift alone it does not."""
    monkeypatch.setattr(specimen, "critical_exposure", lambda k2, voltage: np.full_like(k2, 1e6))
    movie = simulate(dataclasses.replace(CLEAR, drift=5.0, local=4.0, ripples=ripples, frames=3), 4)
    frames = movie.frames * movie.gain
    y, x = np.mgrid[20:172, 20:236]
    total = movie.truth.displacement(2, y, x)
    assert total.shape == (2, 152, 216)
    np.testing.assert_allclose(movie.truth.displacement(0, y, x), 0, atol=1e-9)
    assert movie.truth.displacement(2, 30, 40).shape == (2,)

    def agreement(displacement):
        back = [np.rint(place - d).astype(int) for place, d in zip((y, x), displacement, strict=True)]
        return np.corrcoef(frames[2, 20:172, 20:236].ravel(), frames[0][tuple(back)].ravel())[0, 1]

    whole = np.broadcast_to(movie.truth.shifts[2][:, None, None], total.shape)
    assert agreement(total) > 1.4 * agreement(whole) > 0


def test_the_compiled_warp_is_a_cubic_spline():
    rng = np.random.default_rng(3)
    field = rng.standard_normal((40, 50)).astype(np.float32)
    displacement = rng.uniform(-7, 7, (2, 30, 36)).astype(np.float32)
    y, x = np.mgrid[0:30, 0:36].astype(np.float32)
    source = np.stack([y + 4 - displacement[0], x + 6 - displacement[1]])
    expected = map_coordinates(field, source, order=3, mode="grid-wrap", prefilter=False)
    np.testing.assert_allclose(warp(field, displacement, (4, 6)), expected, atol=1e-5)


def test_carbon_covers_its_part_and_moves_with_the_specimen():
    recipe = dataclasses.replace(CLEAR, density=0.0, carbon=0.4, drift=6.0, dqe=60.0)
    movie = simulate(recipe, 2)
    cover = movie.truth.carbon
    assert cover.shape == (192, 256)
    assert cover.mean() == pytest.approx(0.4, abs=0.02)
    frames = (movie.frames * movie.gain).astype(float)
    assert frames[:, cover].var() > 1.2 * frames[:, ~cover].var()
    assert frames[:, cover].mean() < frames[:, ~cover].mean()
    y, x = np.nonzero(cover[20:172, 20:236])
    y, x = y + 20, x + 20
    shift = movie.truth.shifts[-1]
    here = frames[0][y, x]
    there = frames[-1][np.rint(y + shift[0]).astype(int), np.rint(x + shift[1]).astype(int)]
    assert np.corrcoef(here, there)[0, 1] > 0.25 > 0.1 > abs(np.corrcoef(here, frames[-1][y, x])[0, 1])


def test_drops_are_dark_where_the_truth_says():
    recipe = dataclasses.replace(CLEAR, shape=(256, 256), pixel_size=4.0, density=0.0, blobs=200.0, frames=1, drift=0.0)
    truth, image = stream(recipe, 1)[0], still(recipe, 1)
    assert len(truth.blobs) >= 3
    y, x = np.mgrid[0:256, 0:256]
    inside = np.zeros(image.shape, bool)
    for cy, cx, radius in truth.blobs:
        inside |= np.hypot(y - cy, x - cx) < 0.7 * radius
        assert 100 <= 4 * radius <= 300
    assert image[inside].mean() < image[~inside].mean() - 0.1


def test_thick_ice_is_dark():
    light = film.light(film.slope((64, 96), 500.0, np.random.default_rng(2)))
    assert light.mean() == pytest.approx(1, abs=0.01)
    steepest = np.hypot(*(np.log(light[tuple(end)] / light[0, 0]) for end in ([-1, 0], [0, -1])))
    assert steepest == pytest.approx(500 / 3950, rel=0.01)
    movie = simulate(dataclasses.replace(CLEAR, density=0.0, ice=0.0, dqe=1.0, ice_gradient=3000.0), 3)
    seen = (movie.frames * movie.gain).mean(axis=0)
    halves = (
        [seen[:96].mean(), seen[96:].mean()],
        [seen[:, :128].mean(), seen[:, 128:].mean()],
    )
    assert max(abs(np.log(a / b)) for a, b in halves) > 0.2


def test_thick_ice_is_grainy_where_it_is_asked_for():
    """Variance of the image goes with the thickness, and the dark half is the grainy one."""
    slope = film.slope((64, 96), 500.0, np.random.default_rng(2))
    np.testing.assert_allclose(film.grain(slope, 400.0) ** 2, 1 + slope / 400, rtol=1e-5)
    thick = dataclasses.replace(CLEAR, density=0.0, ice=2000.0, dqe=1e4, ice_gradient=3000.0, shape=(256, 256))
    ratios = []
    for grain in (False, True):
        movie = simulate(dataclasses.replace(thick, frames=1, dose_per_frame=0.005, ice_grain=grain), 3)
        image = (movie.frames[0] * movie.gain).reshape(128, 2, 128, 2).mean(axis=(1, 3))
        cells = image.reshape(8, 16, 8, 16).swapaxes(1, 2).reshape(64, -1)
        order = np.argsort(cells.mean(axis=1))
        spread = cells.std(axis=1) / cells.mean(axis=1)
        ratios.append(spread[order[:16]].mean() / spread[order[-16:]].mean())
    assert ratios[1] > 1.25 * ratios[0]  # by the formula 1.5 in the grain, of which electrons blur a part


def test_coincident_electrons_are_lost():
    bare = dataclasses.replace(empty(SMALL), hot=0.0, dead=0.0)
    rate = 1.5 * 1.2**2 * 0.85
    for loss in (0.0, 0.1):
        movie = simulate(dataclasses.replace(bare, coincidence=loss), 1)
        assert (movie.frames * movie.gain).mean() == pytest.approx(rate * (1 - loss * rate), rel=0.003)


def test_empty_is_shot_noise_alone():
    recipe = dataclasses.replace(empty(hard()), shape=(256, 256), frames=8, hot=0.0, dead=0.0, coincidence=0.0)
    movie = simulate(recipe, 1)
    assert movie.truth.contrast == 0
    np.testing.assert_array_equal(still(recipe, 1), 1)
    rate = 1.5 * 1.2**2 * 0.85 * recipe.detector.sensitivity
    z = (movie.frames.sum(axis=0) - 8 * rate) / np.sqrt(8 * rate)
    assert z.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(movie.frames[0].ravel() / rate.ravel(), movie.frames[1].ravel() / rate.ravel())[0, 1] < 0.02


def test_still_is_what_many_electrons_would_show():
    recipe = dataclasses.replace(CLEAR, dqe=60.0, drift=0.0, frames=1, carbon=0.2, tilt=30.0, density=2000.0)
    movie, image = simulate(recipe, 6), still(recipe, 6)
    electrons = 1.5 * 1.2**2 * 60
    rest = movie.frames[0] * movie.gain / electrons - image
    assert rest.std() == pytest.approx(1 / np.sqrt(electrons), rel=0.05)
    assert image.std() > rest.std()
    moved = dataclasses.replace(recipe, local=3.0, ripples=5, diffusion=2.0, blur=3.0)
    again = still(moved, 6)  # another size of field, the same kind of picture: content is drawn anew
    assert again.std() == pytest.approx(image.std(), rel=0.4)
    np.testing.assert_array_equal(again, still(moved, 6))


def test_hard_has_it_all():
    recipe = hard(SMALL)
    truth = stream(recipe, 1)[0]
    assert 0.08 < truth.carbon.mean() < 0.37
    assert truth.track.waves is not None
    assert 100 <= truth.ice_gradient <= 400
    assert hard(dataclasses.replace(SMALL, local=0.5)).local == 0.5
    assert simulate(recipe, 1).frames.shape == (6, 192, 256)
