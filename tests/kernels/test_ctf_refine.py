"""Parts of the fit on spectra made to measure."""

import numpy as np
import pytest

from cryowidgets.kernels import ctf, ctfcurve, ctfsearch, thon
from cryowidgets.kernels.ctfcircles import STRENGTHS, Circles, Misfit
from cryowidgets.kernels.ctfrefine import _Fit, refine, roughly
from cryowidgets.kernels.ctfsearch import Candidate
from cryowidgets.kernels.spectrum import Spectrum, attenuation

OPTICS = (300.0, 2.7, 0.1)
RANGE = (30.0, 4.0)


def spectrum(d, a, b, phase=0.0, *, noise=0.2, ring=0.3, decay=100.0, box=512, seed=0, extra=0.0):
    """Power with rings on a falling background, each element with its own noise."""
    k2, cos2, sin2 = ctf.polar((box, box), 1.4)
    chi = ctf.chi(k2, d + a * cos2 + b * sin2, *OPTICS, phase)
    k = np.sqrt(k2)
    power = (1 + 20 * np.exp(-k * 60)) * (1 - ring * np.exp(-decay * k2 / 4) * np.cos(2 * chi) + extra)
    power = power * (1 + noise * np.random.default_rng(seed).standard_normal(power.shape))
    return Spectrum(np.maximum(power, 0.01).astype(np.float32), 1.4, 1)


@pytest.mark.parametrize("truth", [(9000, 100, -300, 0), (21000, -500, 400, 0), (35000, 0, 0, 0), (4500, 200, 100, 0)])
def test_the_search_ends_within_reach_of_the_refinement(truth):
    rings = thon.flatten(spectrum(*truth), *OPTICS, RANGE)
    best = ctfsearch.search(rings, (3000, 50000), 3000)[0]
    # a step of defocus turns the outermost ring by less than a quarter
    assert (best.d, best.a, best.b) == pytest.approx(truth[:3], abs=160)
    assert best.height > 20


def test_the_search_finds_the_phase_with_the_defocus():
    rings = thon.flatten(spectrum(14000, 200, 0, 120), *OPTICS, RANGE)
    best = ctfsearch.search(rings, (3000, 50000), 3000, (0, 180))[0]
    assert best.phase == pytest.approx(120, abs=25)
    assert best.d == pytest.approx(14000, abs=400)


def test_without_rings_all_maxima_are_alike():
    rings = thon.flatten(spectrum(14000, 0, 0, ring=0.0), *OPTICS, RANGE)
    heights = [c.height for c in ctfsearch.search(rings, (3000, 50000), 3000)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] < 6 and heights[0] - heights[1] < 2


def test_the_jacobian_is_the_derivative_of_the_model():
    rings = thon.flatten(spectrum(15000, 300, -200, 30), *OPTICS, RANGE)
    fit = _Fit(rings, Candidate(15000, 300, -200, 30, 100, 0), with_phase=True, thickness=900.0)
    p = np.array([15010, 290, -190, 0.5, 110, 0.28, 900.0, 0.01, 0.02, -0.01, 0.005, 0.003])
    jacobian, rest = fit.jacobian(p)
    np.testing.assert_allclose(rest, rings.y - fit.model(p), atol=1e-12)
    for i, step in enumerate([1.0, 1.0, 1.0, 1e-3, 1.0, 1e-3, 1.0, *[1e-3] * 5]):
        up, down = p.copy(), p.copy()
        up[i], down[i] = p[i] + step, p[i] - step
        slope = (fit.model(up) - fit.model(down)) / (2 * step)
        np.testing.assert_allclose(jacobian[i], slope, atol=2e-4 * np.abs(slope).max(), err_msg=f"parameter {i}")


@pytest.mark.parametrize("weighed", [False, True], ids=["plain", "doubted"])
@pytest.mark.parametrize("phase, thickness", [(True, 900.0), (False, 0.0)])
def test_the_compiled_loop_gives_what_arrays_give(weighed, phase, thickness):
    rings = thon.flatten(spectrum(15000, 300, -200, 30), *OPTICS, RANGE)
    fit = _Fit(rings, Candidate(15000, 300, -200, 30, 100, 0), with_phase=phase, thickness=thickness)
    p = np.array([15010, 290, -190, 0.5, 110, 0.28, thickness, 0.01, 0.02, -0.01, 0.005, 0.003])
    if weighed:
        fit.reconsider(p)
    for compiled, arrays in zip(fit.normal(p), fit.normal_by_arrays(p), strict=True):
        np.testing.assert_allclose(compiled, arrays, rtol=1e-5, atol=1e-5 * np.abs(arrays).max())


def test_series_are_the_functions_of_the_library():
    from cryowidgets.kernels.ctfloops import waves

    twice = np.concatenate([np.arange(-8, 9) * np.pi / 4, np.linspace(-2000, 2000, 9973)])
    power = np.linspace(-100, 10, len(twice))
    cosine, sine, falls = (np.empty(len(twice)) for _ in range(3))
    waves(twice, power, cosine, sine, falls)
    np.testing.assert_allclose(cosine, np.cos(twice), rtol=0, atol=1e-10)
    np.testing.assert_allclose(sine, np.sin(twice), rtol=0, atol=1e-10)
    np.testing.assert_allclose(falls, np.exp(power), rtol=3e-8)


def test_refinement_ends_at_the_truth():
    truth = (17000.0, -350.0, 420.0)
    rings = thon.flatten(spectrum(*truth, noise=0.01), *OPTICS, RANGE)
    result = refine(rings, Candidate(17060, -300, 380, 0, 200, 0))
    # this spectrum was not seen through a window, whose attenuation the model divides out: a smooth change of envelope
    assert (result.d, result.a, result.b) == pytest.approx(truth, abs=3)
    assert result.scale > 0 and result.phase == 0


def test_circles_that_no_lens_made_do_not_pull():
    """Particles make circles of their own at low resolution; what the model misses nearby tells to doubt them."""
    k = np.sqrt(ctf.polar((512, 512), 1.4)[0])
    form = 0.3 * np.cos(2 * np.pi * k * 40) * np.exp(-((k / 0.06) ** 2))
    start = Candidate(15030, 180, 130, 0, 200, 0)
    trusting, careful = [], []
    for extra in (0.0, form):
        rings = thon.flatten(spectrum(15000, 200, 100, extra=extra, noise=0.1), *OPTICS, RANGE)
        fit = _Fit(rings, start, False)
        trusting.append(fit.descend(fit.first(start), 30)[0])
        careful.append(refine(rings, start).d)
    assert abs(trusting[1] - trusting[0]) > 3
    assert abs(careful[1] - careful[0]) < 1


def molecular(rng, strength=0.4, length=35.0, decay=300.0, box=512):
    """A random form factor by radius, as of particles of finite size: 1 + ε of each element."""
    k = np.arange(box) / (box * 1.4)
    lower = np.linalg.cholesky(Misfit(strength, length, decay).covariance(k) + 1e-9 * np.eye(box))
    k2 = ctf.polar((box, box), 1.4)[0]
    return np.maximum(1 + lower @ rng.standard_normal(box), 0.0)[np.rint(np.sqrt(k2) * box * 1.4).astype(int)]


def seen(truth, phase, seed, noise=0.15):
    """Power of a specimen with a form factor: light that the lens modulates, over what it does not."""
    rng = np.random.default_rng(seed)
    k2, cos2, sin2 = ctf.polar((512, 512), 1.4)
    twice = 2 * ctf.chi(k2, truth[0] + truth[1] * cos2 + truth[2] * sin2, *OPTICS, phase)
    power = 1 + 0.4 * np.exp(-25 * k2) * molecular(rng) * (1 - np.cos(twice))
    power *= 1 + noise * rng.standard_normal(power.shape)
    return thon.flatten(Spectrum(np.maximum(power, 0.01).astype(np.float32), 1.4, 1), *OPTICS, RANGE)


def test_told_errors_of_defocus_astigmatism_and_phase_are_true():
    """Light that no smooth envelope describes must be in the errors, the more so where the phase is free."""
    truth, pulls = (15000.0, 500.0, 200.0), []
    for seed in range(10):
        result = refine(seen(truth, 90.0, seed), Candidate(15030, 480, 220, 92, 100, 0), with_phase=True)
        errors = np.array([result.d, result.a, result.b, result.phase]) - (*truth, 90.0)
        pulls.append(errors / np.sqrt(np.diag(result.covariance)[:4]))
    spread = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert (spread > 0.45).all() and (spread < 1.55).all(), spread


def test_light_that_fades_otherwise_does_not_pull_at_astigmatism():
    """Rings of an astigmatic lens wash each other out along a circle by an amount that looks like an envelope."""
    truth, errors = (15000.0, 600.0, 0.0), []
    for seed in range(6):
        rings = seen(truth, 0.0, 100 + seed, noise=0.03)
        errors.append(refine(rings, Candidate(15010, 590, 10, 0, 100, 0)).a - truth[1])
    assert np.sqrt(np.mean(np.square(errors))) < 5


def test_doubt_is_the_inverse_of_the_covariance():
    """What is left of a weight matrix is the inverse of noise and misfit together, and `likeliest` finds the misfit."""
    rng = np.random.default_rng(5)
    radius = np.repeat(np.arange(20, 60), 7)
    weight, light = rng.uniform(0.5, 2, len(radius)), rng.uniform(0.1, 0.6, len(radius))
    circles = Circles(radius, weight, light)
    k, variance, misfit = circles.radius / 700.0, 0.01, Misfit(0.5, 20.0, 300.0)
    circles.believe(misfit, k, variance)
    each = radius[:, None] == circles.radius
    together = np.diag(variance / weight) + (light[:, None] * each) @ misfit.covariance(k) @ (light[:, None] * each).T
    values = rng.standard_normal((3, len(radius)))
    means = circles.mean(values)
    got = (values * weight) @ values.T - means @ circles.lost @ means.T
    np.testing.assert_allclose(got, variance * values @ np.linalg.inv(together) @ values.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(circles.mean(circles.spread(means)), means)

    many = Circles(np.repeat(np.arange(20, 200), 50), np.ones(9000), np.full(9000, 0.4))
    k = many.radius / 700.0
    noise = 0.1 / np.sqrt(many.total) * rng.standard_normal(180)
    left = np.linalg.cholesky(misfit.covariance(k) + 1e-10 * np.eye(180)) @ rng.standard_normal(180) + noise
    found = many.likeliest(k, 0.01, np.ones((180, 1)), left, np.eye(1))
    assert found.length == 20 and found.decay < 1000 and 0.25 <= found.strength <= 1
    assert many.likeliest(k, 0.01, np.ones((180, 1)), noise, np.eye(1)).strength == min(STRENGTHS)


def test_a_rough_look_ranks_the_true_defocus_first():
    rings = thon.flatten(spectrum(15000, 200, 100), *OPTICS, RANGE)
    quick = thon.coarse(rings, 36)
    right = roughly(quick, Candidate(15050, 150, 150, 0, 100, 0))
    wrong = roughly(quick, Candidate(16800, 150, 150, 0, 100, 0))
    assert right.height > wrong.height + 5
    assert right.d == pytest.approx(15000, abs=60)


def test_averaging_cells_keeps_sums():
    rings = thon.flatten(spectrum(15000, 200, 100), *OPTICS, RANGE)
    quick = thon.coarse(rings, 18)
    assert quick.weight.sum() == rings.weight.sum()
    assert quick.weight @ quick.y == pytest.approx(rings.weight @ rings.y)
    assert len(quick.y) <= 18 * rings.radii


def test_lines_of_equal_phase_are_mapped_onto_the_mean_defocus():
    """Without noise, the average over equal phase has the contrast of the rings, however strong the astigmatism."""
    rings = thon.flatten(spectrum(15000, 900, -400, noise=0.0, decay=0.0), *OPTICS, RANGE)
    k, observed, fitted, agreement = ctfcurve.curve(rings, 15000, 900, -400, 0)
    seen = (k > 1 / 20) & (k < 1 / 5)
    model = -np.cos(2 * ctf.chi(k * k, 15000, *OPTICS))
    assert np.polyfit(model[seen], observed[seen], 1)[0] == pytest.approx(0.3, rel=0.1)
    assert np.polyfit(fitted[seen], observed[seen], 1)[0] == pytest.approx(1, rel=0.1)
    assert agreement[seen].min() > 0.9
    circles = ctfcurve.plain(rings)[1]
    assert np.std(circles[seen]) < 0.75 * np.std(observed[seen])


def test_the_mapping_holds_beyond_the_turning_point_of_a_small_defocus():
    rings = thon.flatten(spectrum(1500, 200, 0, noise=0.0), *OPTICS, (30, 2.9))
    k2 = ctfcurve._equivalent_k2(rings, 1500, 200, 0)
    there = ctf.chi(k2, 1500, *OPTICS)
    here = rings.phase(1500, 200, 0, 0)
    reached = there < ctf.chi(np.array(1500 / (ctf.wavelength(300) ** 2 * 2.7e7)), 1500, *OPTICS) - 1e-6
    np.testing.assert_allclose(there[reached], here[reached], atol=1e-6)


def test_fit_resolution_counts_from_where_agreement_begins():
    k = np.linspace(0.03, 0.33, 200)
    curve = np.zeros((4, 200))
    curve[0] = k
    curve[3] = np.where(k < 0.05, 0.3, np.where(k < 0.2, 0.9, 0.1))
    assert ctfcurve.fit_resolution(curve) == pytest.approx(1 / 0.2, rel=0.01)
    curve[3] = 0.4
    assert np.isnan(ctfcurve.fit_resolution(curve))
    curve[3] = 0.9
    assert ctfcurve.fit_resolution(curve) == pytest.approx(1 / 0.33)


def test_the_background_follows_a_steep_fall():
    rings = thon.flatten(spectrum(15000, 0, 0, noise=0.05, ring=0.0), *OPTICS, RANGE)
    radial = np.bincount(rings.radius, rings.y)[rings.radius.min() :] / np.bincount(rings.radius)[rings.radius.min() :]
    assert np.abs(radial).max() < 0.03


def test_attenuation_of_a_ring_depends_on_its_spacing():
    rings = thon.flatten(spectrum(15000, 0, 0), *OPTICS, RANGE)
    near, far = attenuation(*rings.lag(8000)), attenuation(*rings.lag(30000))
    assert (far < near).all() and near.max() <= 1
