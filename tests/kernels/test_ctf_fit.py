"""The CTF fit against images of known transfer function, and its honesty where there is nothing to fit."""

import array_api_strict
import numpy as np
import pytest
from scipy import fft, ndimage

from cryowidgets.kernels import ctf, ctffit, ctfpicture
from cryowidgets.kernels.ctffit import Limits, estimate
from cryowidgets.kernels.ctfrefine import refine
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.thon import flatten

OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.1}


def specimen(
    defocus,
    astigmatism=0.0,
    angle=0.0,
    *,
    n=1024,
    pixel_size=1.2,
    strength=0.5,
    decay=60.0,
    seed=0,
    phase=0.0,
    cutoff=0.0,
    shape=None,
    voltage=300.0,
):
    """Counts of a random specimen seen through a lens: white noise, its transfer function, white noise on top."""
    rng = np.random.default_rng(seed)
    shape = shape or (n, n)
    u, v = defocus + astigmatism / 2, defocus - astigmatism / 2
    lens = ctf.ctf_2d(shape, pixel_size, u, v, angle, voltage, 2.7, 0.1, phase)
    k2 = ctf.polar(shape, pixel_size)[0]
    lens = lens * np.exp(-decay * k2 / 4)
    if cutoff:
        lens[k2 > cutoff**-2] = 0
    seen = fft.irfft2(fft.rfft2(rng.standard_normal(shape, np.float32)) * lens, shape)
    return 40 + 6 * (rng.standard_normal(shape, np.float32) + strength * 2 * seen)


def angle_between(a, b):
    return abs((a - b + 90) % 180 - 90)


@pytest.mark.parametrize(
    "defocus, astigmatism, angle, more",
    [
        (7000, 400, 20, {}),
        (12000, 1500, -75, {}),
        (30000, 1000, -30, {}),
        (45000, 500, 10, {"n": 1400}),
        (4000, 350, 50, {}),
        (15000, 600, 60, {"pixel_size": 0.6, "n": 1400}),
        (15000, 600, 60, {"pixel_size": 2.2}),
        (15000, 600, -40, {"voltage": 200.0}),
        (16000, 900, 25, {"shape": (700, 1300)}),
    ],
)
def test_known_defocus_is_found(defocus, astigmatism, angle, more):
    image = specimen(defocus, astigmatism, angle, **more)
    found, _ = estimate(image, more.get("pixel_size", 1.2), more.get("voltage", 300.0), 2.7, 0.1)
    assert found.found, found.reason
    assert found.defocus_u == pytest.approx(defocus + astigmatism / 2, abs=60)
    assert found.defocus_v == pytest.approx(defocus - astigmatism / 2, abs=60)
    assert angle_between(found.angle, angle) < 5
    assert found.phase_shift == 0


@pytest.mark.parametrize("defocus, phase", [(9000, 90), (18000, 35), (14000, 150)])
def test_known_phase_shift_is_found(defocus, phase):
    image = specimen(defocus, 500, 30, phase=phase)
    found, _ = estimate(image, 1.2, **OPTICS, limits=Limits(phase_shift=(0, 180)))
    assert found.phase_shift == pytest.approx(phase, abs=8)
    assert found.defocus_u == pytest.approx(defocus + 250, abs=100)
    assert 0 < found.phase_error < 5


def test_a_phase_shift_that_is_told_is_not_searched():
    image = specimen(15000, 300, 0, phase=70)
    found, _ = estimate(image, 1.2, **OPTICS, limits=Limits(phase_shift=(70, 70)))
    assert found.phase_shift == 70 and found.phase_error == 0
    assert found.defocus_u == pytest.approx(15150, abs=60)


@pytest.fixture(scope="module")
def image():
    return specimen(15000, 900, 25)


@pytest.fixture(scope="module")
def found(image):
    return estimate(image, 1.2, **OPTICS)[0]


@pytest.mark.parametrize(
    "turn, angle",
    [
        (lambda x: np.rot90(x), lambda a: a + 90),
        (lambda x: x.T, lambda a: 90 - a),
        (lambda x: x[::-1], lambda a: -a),
        (lambda x: x[:, ::-1], lambda a: -a),
        (lambda x: x[::-1, ::-1], lambda a: a),
    ],
    ids=["quarter turn", "transpose", "rows", "columns", "half turn"],
)
def test_the_angle_turns_with_the_image(image, found, turn, angle):
    turned, _ = estimate(np.ascontiguousarray(turn(image)), 1.2, **OPTICS)
    assert angle_between(turned.angle, angle(found.angle)) < 0.05
    assert turned.defocus_u == pytest.approx(found.defocus_u, abs=0.5)
    assert turned.defocus_v == pytest.approx(found.defocus_v, abs=0.5)


def test_scale_offset_and_contrast_do_not_matter(image, found):
    for other in (1e-3 * image - 7, -20 * image, image.astype(np.float16)):
        again, _ = estimate(other, 1.2, **OPTICS)
        assert again.defocus_u == pytest.approx(found.defocus_u, abs=2)
        assert again.fit_resolution == pytest.approx(found.fit_resolution, rel=0.03)
        assert again.score == pytest.approx(found.score, abs=0.002)


def test_twice_the_pixel_is_four_times_the_defocus(image):
    """Without spherical aberration the phase knows nothing but λ·d·k²."""
    one, _ = estimate(image, 1.2, 300.0, 0.0, 0.1, limits=Limits(resolution=(30, 5)))
    two, _ = estimate(
        image, 2.4, 300.0, 0.0, 0.1, limits=Limits(defocus=(12000, 200000), astigmatism=12000, resolution=(60, 10))
    )
    assert two.defocus_u == pytest.approx(4 * one.defocus_u, rel=0.01)


def test_an_image_of_another_array_library_gives_the_same():
    image = specimen(15000, 900, 25, n=600).astype(np.float32)
    ours, _ = estimate(image, 1.2, **OPTICS)
    theirs, _ = estimate(array_api_strict.asarray(image), 1.2, **OPTICS)
    assert theirs.defocus_u == pytest.approx(ours.defocus_u, abs=0.1)
    assert theirs.angle == pytest.approx(ours.angle, abs=0.01)


def test_u_is_the_larger_and_the_angle_is_in_range():
    for seed in range(2):
        result, _ = estimate(specimen(14000, 20, 90, seed=seed, n=512), 1.2, **OPTICS)
        assert result.defocus_u >= result.defocus_v
        assert -90 < result.angle <= 90


def test_standard_errors_tell_the_truth():
    errors = []
    rng = np.random.default_rng(5)
    for seed in range(12):
        defocus, astigmatism, angle = rng.uniform(8000, 20000), rng.uniform(500, 1200), rng.uniform(-90, 90)
        result, _ = estimate(specimen(defocus, astigmatism, angle, n=512, seed=seed, strength=0.8), 1.2, **OPTICS)
        errors.append(
            [
                ((result.defocus_u + result.defocus_v) / 2 - defocus) / result.defocus_error,
                (result.defocus_u - result.defocus_v - astigmatism) / result.astigmatism_error,
                ((result.angle - angle + 90) % 180 - 90) / result.angle_error,
            ]
        )
    spread = np.sqrt(np.mean(np.square(errors), axis=0))
    assert ((spread > 0.6) & (spread < 1.5)).all(), spread


@pytest.mark.parametrize("cutoff", [5.0, 8.0])
def test_fit_resolution_is_where_the_rings_end(cutoff):
    result, _ = estimate(specimen(18000, 800, 40, cutoff=cutoff, strength=1.0, decay=0.0), 1.2, **OPTICS)
    assert result.fit_resolution == pytest.approx(cutoff, rel=0.12)


def test_averaging_over_equal_phase_keeps_astigmatic_rings():
    image = specimen(15000, 1500, 0, strength=1.0, decay=20.0)
    result, spectrum = estimate(image, 1.2, **OPTICS)
    k, observed, fitted, agreement = result.curve
    assert result.curve.dtype == np.float32 and (np.diff(k) > 0).all()
    inner = (k > 0.05) & (k < 1 / 4.5)
    assert np.corrcoef(observed[inner], fitted[inner])[0, 1] > 0.8
    assert agreement[inner].min() > 0.7


NOTHING = {
    "noise": lambda r: r.standard_normal((1024, 1024)),
    "vacuum": lambda r: r.poisson(30, (1024, 1024)).astype(float),
    "vacuum under a bad gain": lambda r: r.poisson(30, (1024, 1024)) * r.normal(1, 0.05, (1, 1024)),
    "detector noise": lambda r: ndimage.gaussian_filter(r.poisson(30, (1024, 1024)).astype(float), 0.8),
    "ramp": lambda r: r.standard_normal((1024, 1024)) + np.linspace(0, 40, 1024),
    "edge of the carbon": lambda r: r.standard_normal((1024, 1024)) + 20.0 * (np.arange(1024) > 600),
    "blobs without a lens": lambda r: (
        r.standard_normal((1024, 1024)) + 60 * ndimage.gaussian_filter((r.random((1024, 1024)) < 2e-4).astype(float), 5)
    ),
    "hot pixels": lambda r: r.standard_normal((1024, 1024)) + 900.0 * (r.random((1024, 1024)) < 1e-4),
}


@pytest.mark.parametrize("what", NOTHING)
def test_nothing_is_found_where_nothing_is(what):
    result, spectrum = estimate(NOTHING[what](np.random.default_rng(1)).astype(np.float32), 1.2, **OPTICS)
    assert not result.found and result.reason.endswith(".")
    assert np.isnan([result.defocus_u, result.defocus_v, result.angle, result.fit_resolution, result.score]).all()
    assert np.isfinite(result.curve[:2]).all() and np.isnan(result.curve[2:]).all()
    assert spectrum is not None


@pytest.mark.parametrize(
    "image, words",
    [
        (np.full((512, 512), 7.0, np.float32), "empty"),
        (np.zeros((90, 512), np.float32), "512 × 90 px"),
        (np.where(np.eye(512) > 0, np.nan, 1).astype(np.float32), "not numbers"),
        (np.random.default_rng(0).standard_normal((128, 128)).astype(np.float32), "25 elements between 30 and 4 Å"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_words(image, words):
    assert words in estimate(image, 0.9, **OPTICS)[0].reason


def test_defocus_outside_the_range_is_not_reported_at_its_limit():
    for low, high in ((18000, 50000), (3000, 12000)):
        result, _ = estimate(specimen(15000, 300, 0), 1.2, **OPTICS, limits=Limits(defocus=(low, high)))
        assert not result.found, (result.defocus_u, low, high)


def test_the_right_ring_wins_clearly(found):
    assert found.gap > 5 and found.significance > 15


def test_spectrum_that_is_not_finite_is_refused(image):
    _, spectrum = estimate(image, 1.2, **OPTICS)
    power = spectrum.power.copy()
    power[10, 10] = np.inf
    broken = type(spectrum)(power, spectrum.pixel_size, spectrum.tiles)
    assert "not numbers" in ctffit.fit(broken, **OPTICS).reason


def test_ice_shows_in_the_ice_density():
    def frozen(share):
        noise = np.random.default_rng(3).standard_normal((768, 768))
        k = np.sqrt(ctf.polar(noise.shape, 1.2)[0])
        ring = share * np.exp(-0.5 * ((k - 1 / 3.67) / 0.004) ** 2)
        return estimate(fft.irfft2(fft.rfft2(noise) * (1 + ring)).astype(np.float32), 1.2, **OPTICS)[0].ice

    none, some, much = frozen(0), frozen(0.5), frozen(2)
    assert none < 0.3 < 10 * none < some < much
    assert np.isnan(estimate(specimen(15000, pixel_size=2.2), 2.2, **OPTICS)[0].ice)


def test_the_picture_shows_fit_and_spectrum(image, found):
    _, spectrum = estimate(image, 1.2, **OPTICS)
    drawn = ctfpicture.picture(spectrum, found, **OPTICS)
    box = spectrum.box
    assert drawn.shape == (box, box) and drawn.dtype == np.float32
    assert np.abs(drawn).max() <= 1
    # a model mirrored through the origin looks like the half with the spectrum
    left = drawn[1:, 1 : box // 2]
    right = drawn[:0:-1, : box // 2 : -1]
    k2 = np.fft.fftshift(ctf.polar((box, box), spectrum.pixel_size, layout="fft")[0])[1:, 1 : box // 2]
    rings = (k2 > 1 / 28**2) & (k2 < 1 / 9**2)
    assert np.corrcoef(left[rings], right[rings])[0, 1] > 0.5
    assert (left[k2 > found.fit_resolution**-2 * 1.05] == 0).all()


def test_the_picture_without_a_fit_is_symmetric():
    noise = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
    result, spectrum = estimate(noise, 1.4, **OPTICS)
    drawn = ctfpicture.picture(spectrum, result, **OPTICS)
    np.testing.assert_allclose(drawn[1:, 1:], drawn[:0:-1, :0:-1], atol=1e-5)


def test_a_rival_that_ends_where_the_best_ends_is_none():
    """A start beside the best may look as good after a rough fit; only another end is another answer."""
    k2, cos2, sin2 = ctf.polar((512, 512), 1.4)
    twice = 2 * ctf.chi(k2, 30000 + 100 * cos2 - 150 * sin2, 300.0, 2.7, 0.1)
    power = 1 - 0.3 * np.exp(-50 * k2) * np.cos(twice)
    power *= 1 + 0.2 * np.random.default_rng(3).standard_normal(power.shape)
    rings = flatten(Spectrum(np.maximum(power, 0.01).astype(np.float32), 1.4, 1), 300.0, 2.7, 0.1, (30.0, 4.0))
    best = Candidate(30010, 90, -140, 0, 200, 20.0)
    beside, elsewhere = (Candidate(d, 90, -140, 0, 200, 19.5) for d in (30260, 37000))
    result = refine(rings, best)
    assert ctffit._gap(rings, [best, beside], result, Limits()) == 20.0
    assert ctffit._gap(rings, [best, beside, elsewhere], result, Limits()) == 0.5
