"""The tiled power spectrum: what white noise, echoes, edges and odd shapes must give."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import spectrum
from cryowidgets.kernels.spectrum import attenuation, average, correlation, power_spectrum, tile_spectra
from cryowidgets.kernels.xp import asnumpy


def white(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def inner(power):
    """Without the cross and the Nyquist lines."""
    return power[2:-2, 2:-2]


def test_white_noise_has_its_variance_as_power():
    spectrum = power_spectrum(5 + 3 * white((1024, 1100)), 1.4)
    assert inner(spectrum.power).mean() == pytest.approx(9, rel=0.02)
    assert spectrum.power.shape == (512, 257) and spectrum.power.dtype == np.float32


@pytest.mark.parametrize("pixel_size", [0.4, 0.85, 1.39, 1.4, 2.0])
def test_elements_lie_where_extent_says(pixel_size):
    """A plane wave shows up at its spatial frequency, whatever the pixel size."""
    n, period = 1400, 11.3  # Å
    x = np.arange(n) * pixel_size
    image = white((n, n)) + 3 * np.cos(2 * np.pi * x / period)[None, :] * np.ones((n, 1), np.float32)
    spectrum = power_spectrum(image, pixel_size)
    row = spectrum.power[0]
    k = np.arange(len(row)) / spectrum.extent
    assert k[5 + np.argmax(row[5:])] == pytest.approx(1 / period, abs=0.6 / spectrum.extent)
    assert spectrum.pixel_size >= min(1.39, pixel_size)
    assert spectrum.extent == pytest.approx(min(512 * max(pixel_size, 1.4), n * pixel_size), rel=0.06)


def test_small_and_narrow_micrographs_have_a_spectrum():
    assert power_spectrum(white((200, 300)), 1.4).power.shape == (200, 101)
    assert power_spectrum(white((201, 2000)), 1.4).tiles >= 13
    assert power_spectrum(white((300, 300)), 0.7).box == 150


def test_half_precision_is_enough():
    image = 40 + 6 * white((700, 700))
    whole, half = power_spectrum(image, 1.2).power, power_spectrum(image.astype(np.float16), 1.2).power
    np.testing.assert_allclose(inner(half), inner(whole), rtol=4e-2)


def test_scale_and_offset_change_nothing_but_the_scale():
    image = white((640, 640))
    np.testing.assert_allclose(
        inner(power_spectrum(7 * image + 300, 1.4).power), 49 * inner(power_spectrum(image, 1.4).power), rtol=1e-3
    )


def test_a_gold_edge_spoils_its_tiles_only():
    image = white((2048, 2048))
    clean = power_spectrum(image, 1.4)
    image[:200, :300] -= 50
    spectrum = power_spectrum(image, 1.4)
    assert 0 < spectrum.tiles < clean.tiles
    assert inner(spectrum.power).mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("lag", [(0, 30), (90, 0), (80, 110), (0, 250)])
def test_an_echo_is_attenuated_as_told(lag):
    """An image plus itself moved has a power of 2 + 2 cos(2π k·lag), of which the window leaves a known share."""
    box = 512
    seen = []
    for seed in range(4):
        noise = white((1500, 1500), seed)
        image = noise + np.roll(noise, lag, (0, 1))
        power = power_spectrum(image, 1.4, box).power
        ky, kx = np.fft.fftfreq(box)[:, None], np.fft.rfftfreq(box)[None]
        wave = np.cos(2 * np.pi * (ky * lag[0] + kx * lag[1]))
        seen.append(np.polyfit(inner(wave).ravel(), inner(power).ravel(), 1)[0] / 2)
    assert np.mean(seen) == pytest.approx(attenuation(lag[1] / box, lag[0] / box), abs=0.02)


def test_attenuation_falls_from_one_to_nothing():
    lags = np.linspace(0, 1, 40)
    values = attenuation(lags, 0 * lags)
    assert values[0] == pytest.approx(1) and values[-1] == pytest.approx(0, abs=1e-9)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("lag", [0.0, 0.2])
def test_correlation_predicts_the_spread_of_a_sum(lag):
    box, sums = 128, []
    kx = np.fft.rfftfreq(box)[None]
    wave = np.cos(2 * np.pi * kx * lag * box) * np.ones((box, 1))
    for seed in range(300):
        power = power_spectrum(white((box, box), seed), 1.4, box).power
        sums.append(inner((power - 1) * wave).sum())
    independent = inner(wave**2).sum()
    assert np.var(sums) / independent == pytest.approx(correlation(lag, 0.0), rel=0.25)


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_other_array_libraries_and_devices_agree(device):
    image = white((500, 640))
    ours = power_spectrum(image, 1.1, 256)
    theirs = power_spectrum(array_api_strict.asarray(image, device=array_api_strict.Device(device)), 1.1, 256)
    np.testing.assert_allclose(inner(ours.power), inner(asnumpy(theirs.power)), rtol=1e-3)
    assert (ours.tiles, ours.pixel_size) == (theirs.tiles, theirs.pixel_size)
    both = average([theirs, theirs])
    assert both.power.device == theirs.power.device
    np.testing.assert_allclose(asnumpy(both.power), asnumpy(theirs.power), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, ">f4"])
def test_compiled_loops_give_what_arrays_give(dtype):
    image = (40 + 6 * white((500, 640))).astype(dtype)
    edge, corners = spectrum._window(300), [(0, 0), (200, 340), (31, 7)]
    compiled, arrays = (way(image, corners, edge, 256, 0.01) for way in (spectrum._on_host, spectrum._anywhere))
    for ours, theirs in zip(compiled, arrays, strict=True):
        np.testing.assert_allclose(inner(ours), inner(theirs), rtol=1e-5, atol=1e-5 * theirs.mean())


@pytest.mark.gpu
def test_the_gpu_agrees():
    cupy = pytest.importorskip("cupy")
    image = white((1000, 1100))
    ours, theirs = power_spectrum(image, 1.1), power_spectrum(cupy.asarray(image), 1.1)
    np.testing.assert_allclose(inner(ours.power), inner(asnumpy(theirs.power)), rtol=1e-3)


def test_spectra_of_groups_are_averaged_one_by_one():
    images = [white((600, 600), seed) * (1 + seed) for seed in range(3)]
    mean = average(power_spectrum(image, 1.4, 256) for image in images)
    each = [power_spectrum(image, 1.4, 256) for image in images]
    np.testing.assert_allclose(mean.power, np.mean([s.power for s in each], axis=0), rtol=1e-5)
    assert (mean.pixel_size, mean.tiles) == (each[0].pixel_size, each[0].tiles)
    np.testing.assert_array_equal(each[0].power, power_spectrum(images[0], 1.4, 256).power)


def test_spectra_that_do_not_match_are_not_averaged():
    with pytest.raises(ValueError, match="one shape"):
        average([power_spectrum(white((600, 600)), 1.4, 256), power_spectrum(white((600, 600)), 1.4, 128)])
    with pytest.raises(ValueError, match="no spectra"):
        average([])


def test_tiles_know_where_they_lie():
    image = np.zeros((1024, 1300), np.float32)
    image[:300, 1000:] = white((300, 300))  # the only tile with content
    image += 0.05 * white(image.shape, 1)
    tiles = tile_spectra(image, 1.4, 256)
    strongest = int(np.argmax([power.sum() for power in tiles.powers]))
    assert tiles.places[strongest] == pytest.approx([-512 + 128, 650 - 128], abs=30)
    assert np.abs(tiles.places.mean(axis=0)).max() < 1
    few = tiles.mean(np.arange(len(tiles.powers)) < 3)
    assert few.tiles == 3
