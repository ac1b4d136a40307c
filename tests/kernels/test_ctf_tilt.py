"""Tilt and thickness: on strips of an image that have their own defocus, and on spectra with nodes."""

import array_api_strict
import numpy as np
import pytest
from scipy import fft

from cryowidgets.kernels import ctf, ctffit, ctfpicture, ctftilt
from cryowidgets.kernels.ctffit import estimate, fit
from cryowidgets.kernels.ctftilt import find, level
from cryowidgets.kernels.spectrum import Spectrum, tile_spectra

OPTICS = (300.0, 2.7, 0.1)
PIXEL = 1.4


def tilted(tilt, axis, *, n=1088, strips=16, defocus=15000.0, astigmatism=400.0, angle=30.0, seed=0, strength=1.5):
    """Counts of a random specimen whose defocus follows a plane: bands along the axis, each seen through its lens."""
    rng = np.random.default_rng(seed)
    specimen = fft.rfft2(rng.standard_normal((n, n), np.float32))
    place = np.arange(n) - (n - 1) / 2
    turn = np.radians(axis)
    height = np.tan(np.radians(tilt)) * PIXEL * (place[:, None] * np.cos(turn) - place[None, :] * np.sin(turn))
    edges = np.linspace(height.min(), height.max() + 1e-6, strips + 1)
    k2 = ctf.polar((n, n), PIXEL)[0]
    seen = np.zeros((n, n), np.float32)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        here = defocus + 0.5 * (low + high)
        lens = ctf.ctf_2d((n, n), PIXEL, here + astigmatism / 2, here - astigmatism / 2, angle, *OPTICS)
        inside = (height >= low) & (height < high)
        seen[inside] = fft.irfft2(specimen * lens * np.exp(-60 * k2 / 4), (n, n))[inside]
    return 40 + 6 * (rng.standard_normal((n, n), np.float32) + strength * seen)


def turned(a, b, period):
    return abs((a - b + period / 2) % period - period / 2)


@pytest.fixture(scope="module")
def steep():
    return tilted(35.0, -50.0)


def tilt_of(image):
    return find(tile_spectra(image, PIXEL, 256), PIXEL, *OPTICS, (3000.0, 50000.0), (30.0, 4.0))


def test_tilt_and_axis_are_found_and_their_errors_tell_the_truth(steep):
    for image, tilt, axis in ((steep, 35.0, -50.0), (tilted(22.0, 170.0, seed=1), 22.0, 170.0)):
        found = tilt_of(image)
        assert found.tilt == pytest.approx(tilt, abs=3)
        assert turned(found.axis, axis, 360) < 6
        assert 0.3 < found.tilt_error < 3 and abs(found.tilt - tilt) < 4 * found.tilt_error
        assert 0.5 < found.axis_error < 6 and turned(found.axis, axis, 360) < 4 * found.axis_error
        assert found.defocus == pytest.approx(15000, abs=100)


def test_the_slope_is_what_tilt_and_axis_say(steep):
    found = tilt_of(steep)
    steepness, turn = np.tan(np.radians(found.tilt)) * PIXEL, np.radians(found.axis)
    assert found.slope == pytest.approx((steepness * np.cos(turn), -steepness * np.sin(turn)))


@pytest.mark.parametrize(
    "turn, axis",
    [
        (lambda x: x[::-1, ::-1], lambda a: a + 180),
        (lambda x: x.T, lambda a: -90 - a),
        (lambda x: x[::-1], lambda a: 180 - a),
    ],
    ids=["half turn", "transpose", "rows"],
)
def test_the_axis_turns_with_the_image(steep, turn, axis):
    found, again = tilt_of(steep), tilt_of(np.ascontiguousarray(turn(steep)))
    assert again.tilt == pytest.approx(found.tilt, abs=0.3)
    assert turned(again.axis, axis(found.axis), 360) < 1


def test_levelled_rings_reach_further(steep):
    tiles = tile_spectra(steep, PIXEL, 256)
    found = tilt_of(steep)
    flat, levelled = fit(tiles.mean(), *OPTICS), fit(level(tiles, found, 300.0, 2.7), *OPTICS)
    assert levelled.found and levelled.fit_resolution < 0.9 * (flat.fit_resolution if flat.found else 30)
    assert (levelled.defocus_u + levelled.defocus_v) / 2 == pytest.approx(15000, abs=80)


def test_levelling_a_flat_specimen_changes_nothing():
    tiles = tile_spectra(tilted(0.0, 0.0, n=640, strips=1), PIXEL, 256)
    flat = ctftilt.Tilt(0.0, 0.0, 1.0, 90.0, (0.0, 0.0), 15000.0, 20.0)
    inner = level(tiles, flat, 300.0, 2.7).power[2:100, 2:100]
    np.testing.assert_allclose(inner, tiles.mean().power[2:100, 2:100], rtol=1e-5)


def test_a_flat_specimen_has_no_tilt_beyond_its_error():
    found, _ = estimate(tilted(0.0, 0.0, strips=1), PIXEL, *OPTICS, tilt=True)
    assert found.found and found.tilt < 4 * found.tilt_error and found.tilt_error < 4
    assert found.tilt_axis_error > 10


def test_no_tilt_is_made_up_for_noise_or_few_tiles(steep):
    noise = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    assert tilt_of(noise) is None
    assert find(tile_spectra(steep[:400, :1000], PIXEL, 256), PIXEL, *OPTICS, (3000.0, 50000.0), (30.0, 4.0)) is None
    result, _ = estimate(noise, PIXEL, *OPTICS, tilt=True, thickness=True)
    assert not result.found and np.isnan([result.tilt, result.thickness, result.thickness_limit]).all()


def test_estimate_measures_the_tilt_of_an_image_of_another_library(steep):
    ours, _ = estimate(steep, PIXEL, *OPTICS, tilt=True)
    strict = array_api_strict
    theirs, _ = estimate(strict.asarray(steep, device=strict.Device("device1")), PIXEL, *OPTICS, tilt=True)
    assert ours.tilt == pytest.approx(35, abs=3)
    assert (theirs.tilt, theirs.tilt_axis) == pytest.approx((ours.tilt, ours.tilt_axis), abs=0.01)
    assert theirs.defocus_u == pytest.approx(ours.defocus_u, abs=0.5)


def thick(thickness, *, noise=0.08, ring=0.35, decay=60.0, seed=0, defocus=18000.0):
    """Spectrum of ice of a thickness in Å; 0 for rings without nodes."""
    box = 512
    k2, cos2, _ = ctf.polar((box, box), PIXEL)
    chi = ctf.chi(k2, defocus + 200 * cos2, *OPTICS)
    rings = ring * np.exp(-decay * k2 / 4) * np.sinc(ctf.wavelength(300.0) * k2 * thickness) * np.cos(2 * chi)
    power = (1 + 5 * np.exp(-np.sqrt(k2) * 40)) * (1 - rings)
    power = power * (1 + noise * np.random.default_rng(seed).standard_normal(power.shape))
    return Spectrum(np.maximum(power, 0.01).astype(np.float32), PIXEL, 60)


@pytest.mark.parametrize("thickness", [800.0, 3000.0])
def test_nodes_tell_the_thickness(thickness):
    found = fit(thick(thickness), *OPTICS, thickness=True)
    assert found.thickness == pytest.approx(thickness, abs=50)
    assert 0 < found.thickness_error < 40
    assert np.isnan(found.thickness_limit)
    assert (found.defocus_u + found.defocus_v) / 2 == pytest.approx(18000, abs=20)


def test_a_thickness_lets_the_fit_reach_beyond_its_node():
    spectrum = thick(2500.0)
    without, with_it = fit(spectrum, *OPTICS), fit(spectrum, *OPTICS, thickness=True)
    assert with_it.fit_resolution < 0.8 * without.fit_resolution
    assert with_it.agreement > without.agreement
    drawn = ctfpicture.picture(spectrum, with_it, *OPTICS)
    model, shown = drawn[1:, 1:256], drawn[:0:-1, :256:-1]
    k2 = np.fft.fftshift(ctf.polar((512, 512), PIXEL, layout="fft")[0])[1:, 1:256] * ctf.wavelength(300.0) * 2500
    exchanged = (k2 > 1.2) & (k2 < 1.8)
    assert np.corrcoef(model[exchanged], shown[exchanged])[0, 1] > 0.2


@pytest.mark.parametrize("decay", [60.0, 300.0])
def test_thin_ice_is_said_to_be_thin(decay):
    found = fit(thick(0.0, decay=decay, noise=0.12), *OPTICS, thickness=True)
    assert np.isnan(found.thickness) and np.isnan(found.thickness_error)
    assert found.thickness_limit == pytest.approx(found.fit_resolution**2 / ctf.wavelength(300.0))


def test_what_is_not_asked_for_is_not_measured():
    found = ctffit.fit(thick(2000.0), *OPTICS)
    assert np.isnan([found.tilt, found.thickness, found.thickness_limit]).all()
