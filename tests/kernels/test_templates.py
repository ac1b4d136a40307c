"""Particles by templates: found where they are, with scores that mean something, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryowidgets.kernels import noisepower, peaks, templatebank, templatepeaks, templates
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.kernels.templatesearch import Search
from tests.exposures import PLAIN, lens, projections, seen, to_be_found


def find(kind, seed=5, views=True, **options):
    image, truth, diameter = seen(kind, seed)
    given = {"templates": projections(seed), "template_pixel": 5.0} if views else {}
    return templates.find(image, PLAIN.pixel_size, diameter, lens=lens(truth), **given, **options), truth, diameter


@pytest.mark.parametrize(
    ("kind", "views", "recall"), [("plain", True, 0.98), ("plain", False, 0.97), ("hard", True, 0.85)]
)
def test_particles_are_found_and_little_else(kind, views, recall):
    found, truth, diameter = find(kind, views=views)
    near = 0.4 * diameter / PLAIN.pixel_size
    right = pairs(found.places, truth.positions, near)
    assert len(right) >= 0.92 * len(found.places)  # of the 5 % promised
    wanted = to_be_found(truth, diameter)
    assert len(pairs(found.places, wanted, near)) >= recall * len(wanted)
    assert (np.diff(found.scores) <= 0).all() and (found.scores > found.threshold).all()
    off = np.square(found.places[right[:, 0]] - truth.positions[right[:, 1]]).sum(axis=1)
    assert np.sqrt(off.mean()) * PLAIN.pixel_size < (0.12 if views else 0.25) * diameter


def test_the_lens_and_the_views_make_scores_higher():
    """A filter that knows what is to be seen has the better signal: that is what it is for."""
    told, truth, diameter = find("plain")
    image = seen("plain")[0]
    blind = templates.find(image, PLAIN.pixel_size, diameter)
    near = 0.4 * diameter / PLAIN.pixel_size
    both = pairs(told.places, blind.places, near)
    assert len(both) > 20
    assert np.median(told.scores[both[:, 0]]) > 1.2 * np.median(blind.scores[both[:, 1]])


def test_where_nothing_is_nothing_is_found():
    image, truth, _ = seen("ice")
    optics = {"lens": lens(truth), "templates": projections(5), "template_pixel": 5.0}
    assert len(templates.find(image, PLAIN.pixel_size, 160.0, **optics).places) <= 1
    assert len(templates.find(np.full((300, 300), 7.0), 1.0, 60.0).places) == 0


def test_scores_are_deviations_of_the_noise():
    """Every template answers to white noise with deviation 1, and to itself with its length."""
    rng = np.random.default_rng(2)
    bank = templatebank.turned(rng.normal(size=(2, 24, 24)) + 1, 1.0, 20.0)
    search = Search(bank, noisepower.WHITE, 5.0, 100.0, None)
    noise = rng.standard_normal((256, 300), np.float32)
    every = np.tensordot(search.weights, search.fields(noise), 1)
    assert every.std(axis=(1, 2)) == pytest.approx(np.ones(len(bank)), abs=0.1)
    shown = search.shown(noise.shape, np.array([100]), np.array([90]), np.array([3]), np.array([12.0]))
    assert search.weights[3] @ search.fields(shown)[:, 100, 90] == pytest.approx(12.0, rel=0.05)


def test_what_a_particle_does_beside_itself_is_taken_away():
    """Of two particles side by side, two are left, as high as they were; their ends and the place between are none."""
    search = Search(templatebank.spheres(20.0), noisepower.WHITE, 5.0, 100.0, None)
    at = np.array([[100, 90], [100, 112], [60, 40]])
    shown = search.shown((180, 200), *at.T, np.array([1, 1, 0]), np.array([20.0, 16.0, 9.0]))
    fields = search.fields(shown)
    score = templates.highest(fields, search.weights)
    beside = np.array([[100, 101], [100, 83], [91, 90], [52, 40]])
    y, x = np.concatenate([at, beside]).T
    best = (search.weights @ fields[:, y, x]).argmax(axis=0)
    assert score[100, 101] > 7  # it answers there as to a particle
    chosen, heights, scores = templatepeaks.peeled(search, y, x, best, score[y, x], 6.0, 3.0, 0.3)
    assert list(chosen[:3]) == [0, 1, 2]
    np.testing.assert_allclose(heights[:3], [20, 16, 9], rtol=0.1)
    assert scores[0] == heights[0] and (scores[3:] < 3).all()
    assert (scores <= heights).all()


def test_coloured_noise_is_told_by_its_power():
    """Its power is that of the filter that made it, also between gaps; and chance keeps its level."""
    rng = np.random.default_rng(4)
    soft = rng.standard_normal((400, 500)) + 6 * ndimage.gaussian_filter(rng.standard_normal((400, 500)), 3.0)
    free = rng.random((40, 50)).repeat(10, 0).repeat(10, 1) > 0.4
    found = noisepower.noise_power(np.where(free, soft, 50.0).astype(np.float32), free, 20.0, True)
    k = np.array([0.03, 0.06, 0.25, 0.45])
    wave = np.exp(-2 * (np.pi * 3.0 * k) ** 2)
    np.testing.assert_allclose(found.at(k**2, 1.0), 1 + 36 * wave**2, rtol=0.35)
    assert noisepower.noise_power(soft.astype(np.float32), np.zeros(soft.shape, bool), 20.0, True) is noisepower.WHITE


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_principal_pictures_make_up_the_bank(count, seed):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(count, 30, 30)), (0, 4, 4))
    bank = templatebank.turned(smooth, 1.0, 24.0)
    pictures, sums = templatebank.principal(bank)
    assert len(pictures) <= templatebank.MOST
    flat = bank.reshape(len(bank), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    near = np.einsum("mi,mi->m", sums @ pictures.reshape(len(pictures), -1), flat)
    assert near.mean() > 0.97


def test_round_templates_are_not_turned_and_others_are():
    y, x = np.mgrid[:40, :40] - 20
    disc, bar = (np.hypot(y, x) < 12).astype(float), ((np.abs(y) < 4) & (np.abs(x) < 12)).astype(float)
    assert len(templatebank.turned(disc[None], 1.0, 30.0)) == 1
    turns = templatebank.turned(bar[None], 1.0, 30.0, turn=30.0)
    assert len(turns) == 12
    np.testing.assert_allclose(turns[3], np.rot90(turns[0], -1), atol=0.1)
    with pytest.raises(ValueError, match="nothing in the templates"):
        templatebank.turned(np.zeros((2, 20, 20)), 1.0, 15.0)


def test_a_threshold_keeps_its_promise_and_lies_in_the_gap():
    """Many faint particles: few of the places are noise. Bright ones: none is, though more would be allowed."""
    rng = np.random.default_rng(1)
    cells = 3000.0
    t = np.linspace(2, 8, 6001)
    below = peaks.expected_by_chance(t, cells)
    false, lone = [], 0
    for _ in range(20):
        noise = np.interp(rng.uniform(0, below[0], rng.poisson(below[0])), below[::-1], t[::-1])
        faint = rng.normal(5.0, 0.8, 200)
        least = peaks.level(-np.sort(-np.r_[noise, faint]), cells)
        false.append((noise > least).sum() / ((noise > least).sum() + (faint > least).sum()))
        assert (faint > least).mean() > 0.9
        bright = rng.normal(12.0, 1.0, 30)
        least = peaks.level(-np.sort(-np.r_[noise, bright]), cells)
        assert least < bright.min()
        lone += (noise > least).sum()
    assert np.mean(false) < 0.05 and lone <= 9
    assert peaks.expected_by_chance(peaks.level(np.zeros(0), cells), cells) <= peaks.CHANCE


def test_noise_is_expected_only_between_particles():
    use = np.ones((200, 300), bool)
    places = np.stack(np.meshgrid(np.arange(20.0, 200, 40), np.arange(20.0, 300, 40), indexing="ij"), -1).reshape(-1, 2)
    assert peaks.away(use, places.astype(int), 20.0).mean() == pytest.approx(1 - np.pi / 4, abs=0.07)
    scores = np.r_[np.full(len(places), 9.0), np.linspace(4.5, 3.0, 60)]
    where = np.concatenate([places, np.random.default_rng(2).uniform(0, 200, (60, 2))])
    crowded = peaks.threshold(scores, where, use, 0.02, 20.0)
    assert crowded == peaks.level(scores, 0.02 * peaks.away(use, places.astype(int), 20.0).sum())
    assert crowded <= peaks.level(scores, 0.02 * use.sum())
