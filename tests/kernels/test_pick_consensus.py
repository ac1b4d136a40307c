"""Pairs of picks, and groups of several pickers': as brute force finds them, whatever the order they come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels.pickconsensus import agree, confirmed, errors, jaccard, pairs, together

PLACES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12).map(
    lambda found: np.array(found, float).reshape(-1, 2)
)


def brute(first, second, radius):
    """All pairs by distance, taken greedily."""
    all_ = sorted(
        (float(np.hypot(*(a - b))), i, j)
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if np.hypot(*(a - b)) <= radius
    )
    taken: list[tuple[int, int]] = []
    for _, i, j in all_:
        if i not in [pair[0] for pair in taken] and j not in [pair[1] for pair in taken]:
            taken.append((i, j))
    return taken


@settings(max_examples=150, deadline=None)
@given(PLACES, PLACES, st.integers(0, 12))
def test_pairs_are_those_of_brute_force(first, second, radius):
    found = pairs(first, second, radius)
    assert [tuple(pair) for pair in found.tolist()] == brute(first, second, radius)
    assert len(set(found[:, 0])) == len(set(found[:, 1])) == len(found)


@settings(max_examples=50, deadline=None)
@given(PLACES, st.integers(1, 12))
def test_a_list_agrees_with_itself(places, radius):
    places = np.unique(places, axis=0)
    assert sorted(map(tuple, pairs(places, places, radius).tolist())) == [(i, i) for i in range(len(places))]


@pytest.mark.parametrize("first, second", [([], [(1, 1)]), ([(1, 1)], []), ([], [])])
def test_nothing_pairs_with_nothing(first, second):
    assert pairs(np.array(first).reshape(-1, 2), np.array(second).reshape(-1, 2), 5).shape == (0, 2)


LISTS = st.lists(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=6).map(
        lambda p: np.array(p, float).reshape(-1, 2)
    ),
    min_size=1,
    max_size=4,
)


def linked_by_brute_force(places, radius):
    """Complete linkage as it is defined: of all pairs of groups the nearest is joined, again and again."""
    groups = [[(float(y), float(x), i, n)] for i, own in enumerate(places) for n, (y, x) in enumerate(own)]
    while True:
        best = None
        for a in groups:
            for b in groups:
                if a is b or {p[2] for p in a} & {p[2] for p in b}:
                    continue
                far = max(np.hypot(p[0] - q[0], p[1] - q[1]) for p in a for q in b)
                first, second = sorted((min(a), min(b)))
                if far <= radius and (best is None or (far, first, second) < best[0]):
                    best = (far, first, second), a, b
        if best is None:
            return groups
        groups = [group for group in groups if group is not best[1] and group is not best[2]] + [best[1] + best[2]]


def as_sets(members, places):
    """Groups as places and their pickers: of equal places of one picker any may stand for the other."""
    return sorted(sorted((*places[i][n].tolist(), i) for i, n in enumerate(row) if n >= 0) for row in members.tolist())


@settings(max_examples=60, deadline=None)
@given(LISTS, st.integers(0, 12))
def test_groups_are_those_of_brute_force(places, radius):
    wanted = sorted(sorted((y, x, i) for y, x, i, _ in group) for group in linked_by_brute_force(places, radius))
    assert as_sets(together(places, radius), places) == wanted


@settings(max_examples=60, deadline=None)
@given(LISTS, st.integers(0, 12))
def test_every_place_is_in_one_group_and_no_picker_votes_twice(places, radius):
    found = agree(places, radius)
    for i, own in enumerate(places):
        named = found.members[:, i][found.members[:, i] >= 0]
        assert sorted(named.tolist()) == list(range(len(own)))  # what stays and what goes are all
    assert (found.votes >= 1).all() and (np.diff(found.votes) <= 0).all()
    for row in found.members:
        group = np.array([places[i][n] for i, n in enumerate(row) if n >= 0])
        assert np.hypot(*(group[:, None] - group[None]).transpose(2, 0, 1)).max() <= radius * (1 + 1e-9)
    for k in range(1, len(places) + 1):  # more votes, fewer particles, all of them among those before
        more, fewer = found.members[found.votes >= k], found.members[found.votes >= k + 1]
        assert set(map(tuple, fewer.tolist())) <= set(map(tuple, more.tolist()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.permutations(range(5)))
def test_nothing_depends_on_the_order(seed, pickers, turn):
    rng = np.random.default_rng(seed)
    places = [rng.uniform(0, 60, (rng.integers(0, 25), 2)) for _ in range(pickers)]
    scores = [rng.normal(size=len(p)) for p in places]
    turn = [i for i in turn if i < pickers]
    shuffles = [rng.permutation(len(places[i])) for i in turn]
    found = agree(places, 8.0, scores)
    turned = agree(
        [places[i][s] for i, s in zip(turn, shuffles, strict=True)],
        8.0,
        [scores[i][s] for i, s in zip(turn, shuffles, strict=True)],
    )
    np.testing.assert_allclose(turned.places, found.places, atol=1e-9)
    np.testing.assert_allclose(turned.scores, found.scores, atol=1e-9)
    assert turned.votes.tolist() == found.votes.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 20))
def test_of_two_pickers_the_groups_are_pairs_and_the_rest(seed, radius):
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(0, 60, (rng.integers(0, 30), 2)), rng.uniform(0, 60, (rng.integers(0, 30), 2))
    both = together([first, second], radius)
    twice = both[(both >= 0).all(axis=1)]
    assert set(map(tuple, twice.tolist())) == set(map(tuple, pairs(first, second, radius).tolist()))
    assert len(both) == len(first) + len(second) - len(twice)


def pickers(seed, spreads=(4.0, 4.0, 4.0), particles=400, recall=0.8, precision=0.8):
    """A field of particles, and what pickers with independent errors say of it: places, scores, whether right."""
    rng = np.random.default_rng(seed)
    side = 60.0 * np.sqrt(particles)
    y, x = np.mgrid[: int(np.sqrt(particles)), : int(np.sqrt(particles))] * 60.0 + 30
    truth = np.stack([y.ravel(), x.ravel()], axis=-1) + rng.uniform(-15, 15, (y.size, 2))
    said = []
    for n, spread in enumerate(spreads):
        hits = truth[rng.random(len(truth)) < recall]
        false = rng.uniform(0, side, (round(len(hits) * (1 / precision - 1)), 2))
        places = np.concatenate([hits + rng.normal(0, spread, hits.shape), false])
        right = np.arange(len(places)) < len(hits)
        scores = (rng.normal(size=len(places)) + 1.5 * right) * 10.0 ** (n - 1) + n  # each in a scale of its own
        turn = rng.permutation(len(places))
        said.append((places[turn], scores[turn], right[turn]))
    return truth, said


def f1(found, truth):
    right = len(pairs(found, truth, 20.0))
    return 2 * right / (len(found) + len(truth))


def test_two_of_three_pickers_are_better_than_the_best_of_them():
    for seed in (81, 82, 83):
        truth, said = pickers(seed)
        found = agree([s[0] for s in said], 24.0, [s[1] for s in said])
        alone = max(f1(s[0], truth) for s in said)
        assert 0.75 < alone < 0.85
        assert f1(found.places[found.votes >= 2], truth) >= alone + 0.05


def test_the_score_tells_particles_better_than_that_of_any_picker():
    def area(scores, right):
        above = scores[right][:, None] - scores[~right][None]
        return float((above > 0).mean() + 0.5 * (above == 0).mean())

    for seed in (84, 85):
        truth, said = pickers(seed)
        found = agree([s[0] for s in said], 24.0, [s[1] for s in said])
        right = np.zeros(len(found.places), bool)
        right[pairs(found.places, truth, 20.0)[:, 0]] = True
        assert area(found.scores, right) > max(area(s[1], s[2]) for s in said) + 0.05
        assert ((found.scores > 0) & (found.scores < 1)).all()
        alike = agree([s[0] for s in said], 24.0, [np.exp(s[1] / np.abs(s[1]).max()) * 7 for s in said])
        np.testing.assert_allclose(alike.scores, found.scores, atol=1e-9)  # only the order of scores counts


def test_precise_pickers_say_where_a_particle_is():
    truth, said = pickers(86, (1.0, 6.0, 6.0))
    places = [s[0] for s in said]
    found = agree(places, 30.0)
    spread = errors(places, found.members)
    assert spread[0] < 0.5 * spread[1] and spread[1] == pytest.approx(6 * np.sqrt(2), rel=0.2)
    paired = pairs(found.places, truth, 20.0)
    thrice = paired[found.votes[paired[:, 0]] == 3]
    plain = np.mean([places[i][found.members[thrice[:, 0], i]] for i in range(3)], axis=0)
    off, before = (np.hypot(*(at - truth[thrice[:, 1]]).T) for at in (found.places[thrice[:, 0]], plain))
    assert np.median(off) < 0.5 * np.median(before)
    assert errors(places[:2], found.members[:, :2]).tolist() == [1, 1]  # of two nobody can tell which is the better


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 40))
def test_chances_never_fall_with_the_score(seed, count):
    rng = np.random.default_rng(seed)
    scores, others = rng.normal(size=count), rng.random(count) < 0.5
    scores[rng.random(count) < 0.1] = np.nan
    chance = confirmed(scores, others)
    known = np.isfinite(scores)
    assert (np.diff(chance[known][np.argsort(scores[known])]) >= -1e-12).all()
    assert ((chance > 0) & (chance < 1)).all()
    if count >= 30 and known.all():
        assert chance.mean() == pytest.approx(others.mean(), abs=0.1)


def test_the_share_of_common_particles():
    members = np.array([[0, 0, -1], [1, -1, -1], [2, 1, -1], [-1, 2, -1]])
    found = jaccard(members)
    assert found[0, 1] == found[1, 0] == 0.5 and found[0, 0] == found[1, 1] == 1
    assert found[0, 2] == 0 and np.isnan(found[2, 2])
    assert jaccard(together([], 5)).shape == (0, 0)
