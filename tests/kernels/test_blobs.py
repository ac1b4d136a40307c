"""Particles as blobs: found where they are, nothing where there is nothing, and scores that mean something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels import blobs, discs, ground, peaks
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.sim.movie import Truth
from tests.exposures import PLAIN, seen, to_be_found


def find(kind: str, seed: int = 5, **options) -> tuple[blobs.Found, Truth, float]:
    image, truth, diameter = seen(kind, seed)
    return blobs.find(image, PLAIN.pixel_size, 0.8 * diameter, 1.2 * diameter, **options), truth, diameter


@pytest.mark.parametrize("ratio", [0.0, 1.6])
@pytest.mark.parametrize(("kind", "recall"), [("plain", 0.97), ("hard", 0.85)])
def test_particles_are_found_and_little_else(kind, recall, ratio):
    found, truth, diameter = find(kind, ratio=ratio)
    near = 0.4 * diameter / PLAIN.pixel_size
    right = len(pairs(found.places, truth.positions, near))
    assert right >= 0.92 * len(found.places)  # of the 5 % promised
    wanted = to_be_found(truth, diameter)
    assert len(wanted) >= 20
    assert len(pairs(found.places, wanted, near)) >= recall * len(wanted)
    assert (np.diff(found.scores) <= 0).all() and (found.scores > found.threshold).all()


def test_nothing_is_found_on_film_and_dirt():
    for seed in (5, 6):
        found, truth, _ = find("hard", seed)
        y, x = np.rint(found.places).astype(int).T
        assert (truth.carbon[y, x] > 0.5).sum() == 0
        for a, b, radius in truth.blobs:
            assert (np.hypot(found.places[:, 0] - a, found.places[:, 1] - b) > radius).all()
        assert found.refused > 0.1


@pytest.mark.parametrize("kind", ["ice", "empty"])
def test_where_nothing_is_nothing_is_found(kind):
    for seed in (5, 6):
        found, _, _ = find(kind, seed)
        assert len(found.places) <= 1  # by chance, in one of twenty


def test_scores_are_deviations_of_the_noise():
    """On electrons alone the answer of each filter has mean 0 and deviation 1, whatever the dose."""
    for dose in (4.0, 60.0):
        image = np.random.default_rng(1).poisson(dose, (800, 900)).astype(np.float32)
        signal = ground._relative(image, np.zeros(image.shape, bool), 10.0, 40.0, np.inf)[0]
        sigma = ground.noise_of(signal, np.ones(image.shape, bool), 40.0)
        answer = discs.answers(signal / sigma, 1.0, np.array([12.0, 20.0]), 0.0)[0]
        assert answer.std(axis=(1, 2)) == pytest.approx([1, 1], abs=0.03)
        assert abs(answer.mean()) < 0.01


def test_level_of_chance_is_what_noise_does():
    """Maxima of a smooth random field above a level are as many as the formula says, within its factor."""
    counts = []
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(size=(600, 600))
        answer = discs.answers(noise.astype(np.float32), 1.0, np.array([12.0]), 0.0)[0][0]
        counts.append(len(peaks.maxima(np.where(answer > 3.5, answer, -np.inf), 3.0)[0]))
    expected = peaks.expected_by_chance(3.5, 600 * 600 / 6.0**2)
    assert 0.5 < np.mean(counts) / expected < 2


def test_a_higher_threshold_keeps_the_surest():
    low, *_ = find("plain", threshold=4.0)
    middle = float(np.median(low.scores))
    high, *_ = find("plain", threshold=middle)
    assert 0 < len(high.places) < len(low.places)
    np.testing.assert_array_equal(high.places, low.places[: len(high.places)])
    assert high.scores.min() > middle


def test_bright_particles_are_those_of_the_turned_image():
    image, _, diameter = seen("plain")
    turned = 2 * image.mean() - image
    dark, *_ = find("plain", masked=False)
    bright = blobs.find(turned, PLAIN.pixel_size, 0.8 * diameter, 1.2 * diameter, bright=True, masked=False)
    assert len(pairs(dark.places, bright.places, 20.0)) > 0.9 * len(dark.places)
    assert len(blobs.find(turned, PLAIN.pixel_size, 0.8 * diameter, 1.2 * diameter, threshold=9.0).places) == 0


def test_an_image_that_was_filtered_is_searched_too():
    """Values that are no counts, and nothing left at high frequencies: as pictures that others have made."""
    from scipy.ndimage import gaussian_filter

    image, truth, diameter = seen("plain")
    picture = gaussian_filter(image, 12.0) - gaussian_filter(image, 150.0)
    picture = np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)
    found = blobs.find(picture, PLAIN.pixel_size, 0.8 * diameter, 1.2 * diameter)
    near = 0.4 * diameter / PLAIN.pixel_size
    right = len(pairs(found.places, truth.positions, near))
    assert right > 0.85 * len(found.places)
    assert len(pairs(found.places, to_be_found(truth, diameter), near)) > 0.85 * len(to_be_found(truth, diameter))


def test_images_without_anything_to_see_give_nothing():
    for image in (np.zeros((300, 300), np.float32), *(np.full((n, 500), 7.1, np.float32) for n in (300, 600))):
        assert len(blobs.find(image, 1.0, 60.0, 90.0).places) == 0
    with pytest.raises(ValueError, match="smaller than one particle"):
        blobs.find(np.ones((3, 3), np.float32), 1.0, 100.0, 120.0)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(2, 30))
def test_places_keep_apart_and_none_that_is_free_is_left_out(seed, radius):
    score = np.random.default_rng(seed).normal(size=(60, 70))
    y, x = peaks.maxima(score, radius)
    places = np.stack([y, x], axis=-1)
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > radius or len(places) == 1
    assert (np.diff(score[y, x]) <= 0).all()
    assert score[y[0], x[0]] == score.max()


@pytest.mark.parametrize("shape", [discs.laplacian, lambda k2, d: discs.difference(k2, d, 1.6)])
def test_a_filter_answers_most_to_discs_of_its_diameter(shape):
    """The best of a series of filters for a disc is the one made for its size, to within a fifth."""
    size = 256
    y, x = np.mgrid[:size, :size] - size // 2
    k2 = (np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size) ** 2).astype(np.float32)
    for diameter in (30.0, 48.0):
        half = np.fft.rfft2(np.fft.ifftshift(np.hypot(y, x) <= diameter / 2))
        tried = np.linspace(0.5, 2.0, 31) * diameter
        answers = [np.fft.irfft2(half * shape(k2, d))[0, 0] for d in tried]
        assert tried[int(np.argmax(answers))] == pytest.approx(diameter, rel=0.2)
