"""Particles by their texture: found in clean and in hard micrographs alike, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import texture
from cryowidgets.kernels.pickconsensus import pairs
from tests.exposures import PLAIN, seen, to_be_found


@pytest.mark.parametrize(("kind", "recall", "rough"), [("plain", 0.9, 1.0), ("plain", 0.85, 0.8), ("hard", 0.75, 1.0)])
def test_particles_are_found_and_little_else(kind, recall, rough):
    image, truth, diameter = seen(kind)
    found = texture.find(image, PLAIN.pixel_size, rough * diameter)
    near = 0.4 * diameter / PLAIN.pixel_size
    assert len(pairs(found.places, truth.positions, near)) >= 0.9 * len(found.places)
    wanted = to_be_found(truth, diameter)
    assert len(pairs(found.places, wanted, near)) >= recall * len(wanted)
    assert (np.diff(found.scores) <= 0).all() and (found.scores > found.threshold).all()


@pytest.mark.parametrize("kind", ["ice", "empty"])
def test_where_nothing_is_nothing_is_found(kind):
    assert len(texture.find(seen(kind)[0], PLAIN.pixel_size, 160.0).places) <= 1
    assert len(texture.find(np.full((300, 300), 7.0), 1.0, 60.0).places) == 0


@pytest.mark.parametrize("size", [12.0, 16.0, 24.0])
def test_features_of_noise_are_normal(size):
    looks = texture.features(np.random.default_rng(1).standard_normal((500, 600), np.float32), size)[:, 40:-40, 40:-40]
    assert looks.mean(axis=(1, 2)) == pytest.approx([0, 0], abs=0.15)
    assert looks.std(axis=(1, 2)) == pytest.approx([1, 1], abs=0.15)


def test_two_kinds_are_learnt_from_their_extremes():
    """The border follows from what few and many references answered to, and from what lies between."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(900, 2))
    kind = rng.multivariate_normal([6, 4], [[2, 1], [1, 2]], 100)
    looks = np.concatenate([noise, kind])
    answered = np.concatenate([rng.normal(0, 1, 900), rng.normal(3, 1, 100)])
    learnt = texture.learn(looks, answered, 1.0)
    assert learnt[0][0] == pytest.approx([0, 0], abs=0.2)
    assert learnt[1][0] == pytest.approx([6, 4], abs=0.6)


def test_a_higher_threshold_keeps_the_surest():
    image, _, diameter = seen("plain")
    low = texture.find(image, PLAIN.pixel_size, diameter, threshold=5.0)
    middle = float(np.median(low.scores))
    high = texture.find(image, PLAIN.pixel_size, diameter, threshold=middle)
    assert 0 < len(high.places) < len(low.places)
    assert high.scores.min() > middle
