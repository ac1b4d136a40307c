"""The spectrum of a micrograph and that of groups of its frames, used together."""

from dataclasses import replace

import numpy as np
import pytest

from cryowidgets.kernels import ctf
from cryowidgets.kernels.ctffit import estimate, fit, fit_both
from cryowidgets.kernels.spectrum import Spectrum, average, power_spectrum
from cryowidgets.sim.movie import stream
from cryowidgets.sim.recipe import Recipe

OPTICS = (300.0, 2.7, 0.1)


def seen(ring, decay, noise, seed):
    k2, cos2, _ = ctf.polar((512, 512), 1.4)
    chi = ctf.chi(k2, 15000 + 200 * cos2, *OPTICS)
    power = (1 + 5 * np.exp(-np.sqrt(k2) * 40)) * (1 - ring * np.exp(-decay * k2 / 4) * np.cos(2 * chi))
    power = power * (1 + noise * np.random.default_rng(seed).standard_normal(power.shape))
    return Spectrum(np.maximum(power, 0.01).astype(np.float32), 1.4, 4)


def test_two_of_a_kind_are_better_by_the_root_of_two():
    """As large as each other, both with their own noise: what is told of the error falls by that, and it is true."""
    told, pulls = [], []
    for seed in range(2):
        one, other = seen(0.3, 150, 0.5, seed), seen(0.3, 150, 0.5, 100 + seed)
        alone, (both, _) = fit(one, *OPTICS), fit_both(one, other, *OPTICS)
        told.append(both.defocus_error / alone.defocus_error)
        pulls.append(((both.defocus_u + both.defocus_v) / 2 - 15000) / both.defocus_error)
    assert np.median(told) == pytest.approx(0.5**0.5, rel=0.12)
    assert np.abs(pulls).max() < 3


def test_each_counts_where_it_is_good():
    """One has strong inner rings that fade, the other weak ones that reach far; merged, they have both."""
    near, far = seen(0.5, 300, 0.3, 1), seen(0.08, 50, 0.3, 2)
    both, merged = fit_both(near, far, *OPTICS)
    single = [fit(s, *OPTICS) for s in (near, far)]
    assert both.defocus_error < 0.95 * min(s.defocus_error for s in single)
    assert both.fit_resolution < 0.8 * max(s.fit_resolution for s in single)
    assert merged.precision.shape[0] >= 245 and (merged.precision > 0).all()


def test_one_without_rings_does_no_harm():
    one, nothing = seen(0.3, 150, 0.3, 3), seen(0.0, 150, 0.3, 4)
    alone, (both, _) = fit(one, *OPTICS), fit_both(one, nothing, *OPTICS)
    assert both.found and both.defocus_u == pytest.approx(alone.defocus_u, abs=30)
    assert both.defocus_error < 1.15 * alone.defocus_error
    assert not fit_both(nothing, seen(0.0, 150, 0.3, 5), *OPTICS)[0].found


def test_spectra_of_other_boxes_are_not_mixed_up():
    with pytest.raises(ValueError, match="merged"):
        fit_both(seen(0.3, 150, 0.3, 3), replace(seen(0.3, 150, 0.3, 3), pixel_size=1.5), *OPTICS)


def test_groups_of_frames_of_a_movie_sharpen_its_errors():
    recipe = Recipe(shape=(768, 768), frames=8, dose_per_frame=5.0, drift=0.0, jitter=0.0, hot=0.0, dead=0.0)
    truth, frames = stream(recipe, 5)
    frames = [frame * recipe.detector.gain for frame in frames]
    image = np.sum(frames, axis=0)
    groups = average(power_spectrum(frame, recipe.pixel_size) for frame in frames)
    alone, _ = estimate(image, recipe.pixel_size, *OPTICS)
    both, spectrum = estimate(image, recipe.pixel_size, *OPTICS, groups=groups)
    assert both.defocus_error < alone.defocus_error and spectrum.precision is not None
    for found in (alone, both):
        assert found.defocus_u == pytest.approx(truth.defocus_u, abs=120)
    other, spectrum = estimate(image, recipe.pixel_size, *OPTICS, groups=replace(groups, pixel_size=9.0))
    assert spectrum.precision is None and other.defocus_u == alone.defocus_u
