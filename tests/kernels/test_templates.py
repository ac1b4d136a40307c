"""Particles by templates: found where they are, with scores that mean something, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryowidgets.kernels import noisepower, peaks, templatebank, templates
from cryowidgets.kernels.pickconsensus import pairs
from tests.exposures import PLAIN, lens, projections, seen, to_be_found


def find(kind, seed=5, views=True, **options):
    image, truth, diameter = seen(kind, seed)
    given = {"templates": projections(seed), "template_pixel": 5.0} if views else {}
    return templates.find(image, PLAIN.pixel_size, diameter, lens=lens(truth), **given, **options), truth, diameter


@pytest.mark.parametrize(
    ("kind", "views", "recall"), [("plain", True, 0.98), ("plain", False, 0.9), ("hard", True, 0.8)]
)
def test_particles_are_found_and_little_else(kind, views, recall):
    found, truth, diameter = find(kind, views=views)
    near = 0.4 * diameter / PLAIN.pixel_size
    right = pairs(found.places, truth.positions, near)
    assert len(right) >= (0.9 if views else 0.8) * len(found.places)
    wanted = to_be_found(truth, diameter)
    assert len(pairs(found.places, wanted, near)) >= recall * len(wanted)
    assert (np.diff(found.scores) <= 0).all() and (found.scores > found.threshold).all()
    off = np.square(found.places[right[:, 0]] - truth.positions[right[:, 1]]).sum(axis=1)
    assert np.sqrt(off.mean()) * PLAIN.pixel_size < (0.12 if views else 0.2) * diameter


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
    search = templates._Search(bank, noisepower.WHITE, 5.0, 100.0, None)
    noise = rng.standard_normal((256, 300), np.float32)
    fields, weights = search.fields(noise)
    every = np.tensordot(weights, fields, 1)
    assert every.std(axis=(1, 2)) == pytest.approx(np.ones(len(bank)), abs=0.1)
    shown = search.shown(noise.shape, np.array([100]), np.array([90]), np.array([3]), np.array([12.0]))
    fields, _ = search.fields(shown)
    assert weights[3] @ fields[:, 100, 90] == pytest.approx(12.0, rel=0.05)


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


def test_a_valley_lies_between_two_kinds_of_scores():
    rng = np.random.default_rng(1)
    low, high = 3.5 + rng.exponential(0.7, 200), rng.normal(12, 1.5, 100)
    assert 6 < peaks.valley(np.r_[low, high]) < 9
    assert peaks.valley(low) < 6
    assert peaks.valley(rng.normal(9, 1.0, 100).clip(3.6)) < 7
    assert peaks.valley(high[:5]) == 0
