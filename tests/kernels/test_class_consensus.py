"""Laws of common classes, and measures of how far classifications agree beside slow ones."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cryowidgets.kernels.classconsensus import adjusted_rand, chance, consensus, elbow, mutual_information

LABELS = st.integers(2, 30).flatmap(
    lambda n: st.lists(arrays(np.int64, n, elements=st.integers(-1, 4)), min_size=2, max_size=4)
)
PAIRS = st.integers(2, 20).flatmap(lambda n: st.tuples(*[arrays(np.int64, n, elements=st.integers(0, 3))] * 2))


def same(one, two):
    """Whether two arrays of classes say the same."""
    left = (one < 0) == (two < 0)
    together = (one[:, None] == one) == (two[:, None] == two)
    return bool(left.all() and together[np.ix_(one >= 0, one >= 0)].all())


def noisy(truth, share, seed, classes):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth)) < share, rng.integers(0, classes, len(truth)), truth)


@given(LABELS, st.permutations(range(5)))
@settings(max_examples=25, deadline=None)
def test_the_numbers_of_classes_mean_nothing(labels, numbers):
    renamed = [np.where(x < 0, -1, 10 * np.array(numbers)[x]) for x in labels[:1]] + labels[1:]
    plain, other = consensus(labels, draws=2), consensus(renamed, draws=2)
    np.testing.assert_array_equal(plain.labels, other.labels)
    np.testing.assert_array_equal(plain.consistency, other.consistency)
    np.testing.assert_allclose(plain.rand, other.rand)
    np.testing.assert_allclose(plain.information, other.information, atol=1e-12)
    np.testing.assert_allclose(plain.costs, other.costs)


@given(LABELS)
@settings(max_examples=25, deadline=None)
def test_no_particle_is_lost_or_won(labels):
    found = consensus(labels, draws=2)
    whole = np.all([x >= 0 for x in labels], axis=0)
    np.testing.assert_array_equal(found.labels >= 0, whole)
    np.testing.assert_array_equal(np.isfinite(found.consistency), whole)
    counts = np.bincount(found.labels[whole])
    assert counts.sum() == whole.sum() and (counts > 0).all() and (np.diff(counts) <= 0).all()
    assert ((found.consistency[whole] > 0) & (found.consistency[whole] <= 1)).all()
    assert (np.diff(found.costs) >= -1e-12).all()


@given(arrays(np.int64, st.integers(1, 30), elements=st.integers(-1, 4)), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_a_classification_agrees_with_itself(labels, times):
    found = consensus([labels] * times, draws=2)
    assert same(found.labels, labels)
    assert (found.consistency[labels >= 0] == 1).all()
    np.testing.assert_allclose(found.rand, 1)
    np.testing.assert_allclose(found.information, 1)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_measures_are_those_of_counting_pairs(pair):
    one, two = pair
    together = [(one[i] == one[j], two[i] == two[j]) for i, j in itertools.combinations(range(len(one)), 2)]
    both, first, second = (sum(x) for x in ([a and b for a, b in together], *zip(*together, strict=True)))
    expected, most = first * second / len(together), (first + second) / 2
    slow = 1.0 if most <= expected else (both - expected) / (most - expected)
    assert adjusted_rand(one, two) == pytest.approx(slow, abs=1e-9)
    assert adjusted_rand(one, two) == pytest.approx(adjusted_rand(two, one), abs=1e-12)
    n = len(one)
    information = 0.0
    for a, b in set(zip(one.tolist(), two.tolist(), strict=True)):
        p, q, r = np.mean((one == a) & (two == b)), np.mean(one == a), np.mean(two == b)
        information += p * math.log(p / (q * r))
    entropies = [-sum(c / n * math.log(c / n) for c in np.bincount(x) if c) for x in pair]
    if min(entropies) > 0:
        assert mutual_information(one, two) == pytest.approx(information / math.sqrt(math.prod(entropies)), abs=1e-9)


@pytest.mark.parametrize("given_", [2, 3, 5])
def test_the_truth_behind_noisy_classifications_is_found(given_):
    truth = np.repeat(np.arange(5), [150, 120, 100, 80, 50])
    labels = [noisy(truth, 0.15, seed, 5) for seed in range(given_)]
    found = consensus(labels)
    assert found.count == 5
    best = max(adjusted_rand(x, truth) for x in labels)
    if given_ > 2:
        assert adjusted_rand(found.labels, truth) > best  # of two that differ, neither is known to be right
    wrong = np.mean([x != truth for x in labels], axis=0) > 0
    assert np.mean(found.consistency[wrong]) < np.mean(found.consistency[~wrong])
    assert found.significance[0, 1] < 0.01


def test_small_groups_are_dropped():
    truth = np.repeat(np.arange(3), 100)
    labels = [noisy(truth, 0.1, seed, 3) for seed in (1, 2)]
    found = consensus(labels, least=20)
    dropped = found.labels < 0
    np.testing.assert_array_equal(dropped, labels[0] != labels[1])
    assert found.count == 3 and adjusted_rand(found.labels[~dropped], truth[~dropped]) > 0.97


def test_a_number_of_classes_may_be_asked_for():
    fine = np.repeat(np.arange(6), 20)
    for classes in (1, 2, 3, 6, 60):
        assert consensus([fine, fine // 2], classes=classes, draws=2).count == min(classes, 6)
    assert same(consensus([fine, fine // 2], classes=3).labels, fine // 2)


def test_classifications_by_lot_agree_by_chance():
    rng = np.random.default_rng(4)
    pairs = [rng.integers(0, 4, (2, 60)) for _ in range(30)]
    shares = np.array([np.mean(chance(*pair, rng, 50) >= adjusted_rand(*pair)) for pair in pairs])
    assert 0.3 < np.mean(shares) < 0.7 and np.mean(shares < 0.1) < 0.3
    one = np.repeat(np.arange(4), 15)
    by_lot = chance(one, one, rng, 100)
    assert by_lot.max() < 0.5 and abs(by_lot.mean()) < 0.02
    assert consensus([one, one], draws=50).significance[0, 1] == pytest.approx(1 / 51)
    assert consensus([one, one, rng.permutation(one)], draws=0).kept.all()  # chance is not known


def test_the_elbow_is_before_the_largest_rise():
    assert elbow(np.array([0.3, 0.35, 0.4, 0.9, 0.95])) == 3
    assert elbow(np.array([1.0, 1.0])) == 0
    assert elbow(np.array([0.5, 0.5])) == 2  # one class remains
    assert elbow(np.zeros(0)) == 0


@pytest.mark.parametrize("labels", [[], [np.zeros(3, int), np.zeros(4, int)], [np.zeros((2, 2), int)]])
def test_what_is_not_of_the_same_particles_is_refused(labels):
    with pytest.raises(ValueError, match="give"):
        consensus(labels)


@pytest.mark.parametrize("place", range(4))
def test_a_classification_by_lot_is_left_out_and_takes_no_particle_with_it(place):
    truth = np.repeat(np.arange(5), [80, 60, 50, 40, 30])
    rng = np.random.default_rng(place)
    labels = [noisy(truth, 0.3, seed, 5) for seed in range(3)]
    labels.insert(place, rng.integers(-1, 5, len(truth)))
    found = consensus(labels)
    np.testing.assert_array_equal(found.kept, np.arange(4) != place)
    np.testing.assert_array_equal(found.labels, consensus([x for i, x in enumerate(labels) if i != place]).labels)
    assert (found.labels >= 0).all() and adjusted_rand(found.labels, truth) > 0.5


def test_finer_and_coarser_classifications_are_kept_and_of_chance_all():
    fine = np.repeat(np.arange(24), 20)
    assert consensus([fine, fine // 2, fine // 12]).kept.all()
    rng = np.random.default_rng(3)
    assert consensus([rng.integers(0, 5, 200) for _ in range(4)]).kept.all()
