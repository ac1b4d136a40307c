"""Particles sorted while they come: views are told apart, the poses are the true ones, checkpoints are exact."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.kernels import classifyscore, ctf
from cryowidgets.kernels.classify import Assigned, Lens, Settings, Sorting, again, static
from cryowidgets.kernels.classifyrings import Rings
from cryowidgets.kernels.classifysearch import Model, Search, grid
from cryowidgets.kernels.classifysums import add_up, probabilities
from cryowidgets.kernels.xp import asnumpy
from cryowidgets.sim.particles import simulate
from tests.libraries import LIBRARIES

VIEWS, FIRST = 5, 350


@pytest.fixture(scope="module")
def stack():
    """Particles whose last view is seen among the first ones by nobody."""
    made = simulate(950, box=32, pixel_size=10.0, views=VIEWS, snr=0.4, shift=1.5, seed=12)
    old = np.flatnonzero(made.view < VIEWS - 1)[:FIRST]
    order = np.concatenate([old, np.setdiff1d(np.arange(950), old)])
    each = {f.name: getattr(made, f.name) for f in dataclasses.fields(made) if f.name != "density"}
    return dataclasses.replace(made, **{k: v[order] for k, v in each.items() if np.ndim(v)})


@pytest.fixture(scope="module")
def begun(stack):
    return Sorting.begin(told(stack), *some(stack, 0, FIRST)).arrays()


def told(stack, **more):
    more = {"classes": 8, "finest": 30.0} | more
    return Settings(diameter=stack.diameter, box=stack.pictures.shape[1], pixel_size=stack.pixel_size, **more)


def some(stack, first, end):
    part = slice(first, end)
    rows = [x[part] for x in (stack.defocus_u, stack.defocus_v, stack.angle, stack.phase_shift)]
    return stack.pictures[part], Lens(stack.voltage, stack.cs, stack.amplitude_contrast), rows


def purity(klass, view):
    return sum(np.bincount(view[klass == k]).max() for k in np.unique(klass)) / len(view)


def test_views_are_told_apart_and_one_that_comes_late_gets_a_class(stack, begun):
    sorting = Sorting.of(begun)
    first = sorting.assign(*some(stack, 0, FIRST))
    assert purity(first.klass, stack.view[:FIRST]) > 0.97
    for start in range(FIRST, 950, 100):
        sorting.add(*some(stack, start, start + 100))
    found = sorting.assign(*some(stack, 0, 950))
    assert purity(found.klass, stack.view) > 0.97
    table = sorting.report()
    home = np.bincount(found.klass[stack.view == VIEWS - 1]).argmax()
    assert table.age[home] < sorting.report().age.max() and table.parent[home] >= 0
    assert table.particles.sum() <= 950 and abs(table.share.sum() - 1) < 1e-6
    assert table.good[np.bincount(found.klass, minlength=8) > 30].all()
    assert len(set(table.identity)) == 8 and sorting.averages().shape == (8, 32, 32)
    assert np.median(found.score) > 5


def test_angles_and_shifts_are_the_true_ones_up_to_those_of_the_average(stack, begun):
    found = Sorting.of(begun).assign(*some(stack, 0, 300))
    seen = stack.view[:300]
    turn, place = [], []
    for k in np.unique(found.klass):
        view = np.bincount(seen[found.klass == k]).argmax()
        mine = np.flatnonzero((found.klass == k) & (seen == view))
        rotation = stack.rotations[mine] @ stack.rotations[mine[0]].T
        true = np.degrees(np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]))
        off = np.exp(1j * np.deg2rad(-found.psi[mine] - true))
        turn.append(np.degrees(np.angle(off / (off.mean() / abs(off.mean())))))
        # what is left of the place is that of the average's own centre, which turns with it
        rest = -found.shift[mine] - stack.shifts[mine]
        c, s = (f(np.deg2rad(-found.psi[mine])) for f in (np.cos, np.sin))
        own = np.stack([-s * rest[:, 1] + c * rest[:, 0], c * rest[:, 1] + s * rest[:, 0]], axis=1)
        place.append(own - own.mean(axis=0))
    assert np.median(np.abs(np.concatenate(turn))) < 4
    assert np.median(np.abs(np.concatenate(place))) < 0.3


def test_a_checkpoint_goes_on_as_if_nothing_had_been(stack, begun):
    one, two = Sorting.of(begun), Sorting.of(begun)
    one.add(*some(stack, 500, 700))
    two.add(*some(stack, 500, 700))
    two = Sorting.of({name: np.array(value) for name, value in two.arrays().items()})
    first, second = one.add(*some(stack, 700, 900)), two.add(*some(stack, 700, 900))
    for name in ("klass", "identity", "psi", "shift", "probability", "score"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(one.averages(), two.averages())
    size = {name: value.nbytes for name, value in begun.items()}
    assert {name: value.nbytes for name, value in one.arrays().items()} == size


def test_assigning_changes_nothing(stack, begun):
    sorting = Sorting.of(begun)
    assert len(sorting.assign(*some(stack, 500, 600)).klass) == 100
    assert len(sorting.assign(*some(stack, 500, 500)).klass) == 0
    for name, value in sorting.arrays().items():
        np.testing.assert_array_equal(value, begun[name])


def test_what_cannot_be_sorted_is_refused(stack, begun):
    with pytest.raises(InputError, match="too few"):
        Sorting.begin(told(stack), *some(stack, 0, 5))
    pictures, lens, rows = some(stack, 0, 40)
    with pytest.raises(InputError, match=r"\(16, 16\) px"):
        Sorting.of(begun).add(pictures[:, :16, :16], lens, rows)
    with pytest.raises(InputError, match="40 particles need"):
        Sorting.of(begun).add(pictures, lens, [row[:7] for row in rows])
    with pytest.raises(InputError, match="checkpoint"):
        Sorting.of({name: value for name, value in begun.items() if name != "sums_waves"})


def test_ordinary_classification_is_no_worse(stack):
    def batches():
        for first in range(0, 400, 200):
            yield some(stack, first, first + 200)

    sorting, parts = again(told(stack, classes=6), batches, passes=1)
    klass = Assigned.together(parts).klass
    assert purity(klass, stack.view[:400]) > 0.97
    np.testing.assert_array_equal(sorting.report().particles, np.bincount(klass, minlength=6))


def test_given_classes_find_their_particles_whatever_their_scale_and_pixels(stack):
    first = [stack.rotations[np.flatnonzero(stack.view == view)[0]] for view in range(VIEWS)]
    averages = [projected(stack.density[0], rotation, 10.0, 48, 8.0) for rotation in first]
    sorting = static(np.array([*averages, np.zeros((48, 48))]) * 40.0, 8.0, told(stack))
    before = sorting.averages()
    found = sorting.add(*some(stack, 400, 600))
    assert np.mean(found.klass == stack.view[400:600]) > 0.97
    assert list(sorting.report().particles) == [*np.bincount(found.klass, minlength=VIEWS), 0]
    assert list(sorting.identities) == [0, 1, 2, 3, 4, -1] and not sorting.averages()[VIEWS].any()
    after = sorting.averages()[:VIEWS]
    assert all(np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.999 for a, b in zip(before, after, strict=False))
    np.testing.assert_array_equal(sorting.assign(*some(stack, 400, 600)).klass, found.klass)


def projected(density, rotation, pixel, side, wanted):
    """Projection of a map (z, y, x) turned by `rotation`, at another pixel size."""
    from scipy.ndimage import map_coordinates

    place = (np.arange(side) - side // 2) * wanted
    z, y, x = (g.ravel() for g in np.meshgrid(place, place, place, indexing="ij"))
    at = rotation.T @ np.stack([x, y, z]) / pixel + len(density) // 2
    return map_coordinates(density, at[::-1], order=1).reshape(side, side, side).sum(axis=0).astype(np.float32)


def test_rings_are_the_transform_and_averages_come_back(stack):
    rings = told(stack, finest=30.0).rings()
    picture = np.zeros((1, 32, 32), np.float32)
    picture[0] = projected(stack.density[0], np.eye(3), 10.0, 32, 10.0)
    picture += 0.3  # a level that is not of the particle
    halves = rings.sampled(picture)
    window = rings._windows(picture)[0]
    side = rings.side
    y, x = (np.mgrid[:side, :side] - side // 2).astype(float)
    expected = np.empty(halves.shape[1:], complex)
    for i, r in enumerate(rings.numbers):
        for j, (dy, dx) in enumerate(zip(*rings.directions, strict=True)):
            expected[i, j] = np.sum(window * np.exp(-2j * np.pi * r / side * (dy * y + dx * x)))
    assert np.abs(halves[0] - expected).max() < 0.03 * np.abs(expected).max()
    waves = rings.to_harmonics(halves)
    np.testing.assert_allclose(rings.to_halves(waves), halves, atol=0.02 * np.abs(halves).max())
    drawn = rings.drawn(rings.masked(waves * rings.inside))[0]
    inside = np.hypot(y, x) < 0.8 * rings.radius
    assert np.corrcoef(drawn[inside], window[inside])[0, 1] > 0.98
    assert np.abs(drawn[np.hypot(y, x) > rings.radius + 4]).max() < 0.05 * drawn.max()


def test_fine_pictures_are_reduced_to_what_is_asked_for(stack):
    coarse, fine = (Rings(box, pixel, 150.0, 20.0, 20.0) for box, pixel in ((64, 5.0), (256, 1.25)))
    assert fine.scaled < 64 and fine.numbers[-1] == coarse.numbers[-1] and fine.pixel == coarse.pixel
    picture = np.zeros((1, 256, 256), np.float32)
    y, x = (np.mgrid[:256, :256] - 128) * 1.25
    picture[0] = np.exp(-((y - 20) ** 2 + (x + 10) ** 2) / (2 * 25.0**2))
    drawn = fine.enlarged(fine.drawn(fine.to_harmonics(fine.sampled(picture)) * fine.inside))
    near = np.hypot(y, x) < 70
    assert np.corrcoef(drawn[0][near], picture[0][near])[0, 1] > 0.99


def test_transfer_is_that_of_the_lens(stack):
    rings = told(stack).rings()
    optics = (300.0, 2.7, 0.1)
    row = (np.array([15000.0]), np.array([12000.0]), np.array([30.0]), np.array([20.0]))
    found = rings.transfer(optics, row)[0]
    y, x = rings.directions
    for i, r in enumerate(rings.numbers):
        azimuth = np.degrees(np.arctan2(y, x))
        defocus = ctf.defocus_at(azimuth, 15000.0, 12000.0, 30.0)
        k = np.full(len(y), r / (rings.side * rings.pixel))
        np.testing.assert_allclose(found[i], -ctf.ctf_1d(k, defocus, *optics, 20.0), atol=1e-4)


@LIBRARIES
def test_other_array_libraries_give_the_same(stack, begun, library):
    sorting = Sorting.of(begun)
    rings, learning = sorting._rings, sorting._learning
    pictures, lens, rows = some(stack, 0, 12)
    transfer = rings.transfer((lens.voltage, lens.cs, lens.amplitude_contrast), rows)
    found, sums = [], []
    for bring in (np.asarray, library):
        here = bring(pictures)
        halves, function = rings.sampled(here), bring(transfer)
        model = learning.model().beside(here)
        assert isinstance(model, Model)
        best = Search(rings, model, grid(rings, learning.coarse))(halves, function).on_host()
        found.append(best)
        weights = probabilities(found[0].likelihood)
        sums.append(add_up(rings, halves, function, model, found[0], weights, np.arange(12) % 2))
    # on the host a compiled loop takes averages from a table
    np.testing.assert_array_equal(found[0].slot[:, 0], found[1].slot[:, 0])
    for name, near in (("psi", 0.02), ("shift", 0.08), ("likelihood", 1.0), ("product", 1.0), ("opposite", 0.01)):
        np.testing.assert_allclose(getattr(found[0], name)[:, 0], getattr(found[1], name)[:, 0], atol=near)
    np.testing.assert_allclose(asnumpy(sums[0].waves), sums[1].waves, atol=2e-3 * np.abs(sums[0].waves).max())
    np.testing.assert_allclose(sums[0].rest, sums[1].rest, rtol=2e-3)


def test_junk_comes_into_classes_that_are_told_to_be_bad(stack, begun):
    rng = np.random.default_rng(3)
    pictures, lens, rows = some(stack, 0, FIRST)
    nothing = rng.standard_normal((90, 32, 32), dtype=np.float32)
    mixed = np.concatenate([pictures[:260], nothing])
    sorting = Sorting.begin(told(stack, classes=6, seed=1), mixed, lens, rows)
    found = sorting.assign(mixed, lens, rows)
    good = sorting.report().good[found.klass]
    assert good[:260].mean() > 0.9 and good[260:].mean() < 0.2
    assert np.median(found.score[:260]) > np.quantile(found.score[260:], 0.99)


def test_dirt_of_one_shape_is_told_from_a_view():
    stack = simulate(400, box=32, pixel_size=10.0, views=3, snr=0.4, shift=1.5, dirt=0.3, kinds=("ice",), seed=2)
    sorting = Sorting.begin(told(stack, classes=8), *some(stack, 0, 400))
    good = sorting.report().good[sorting.assign(*some(stack, 0, 400)).klass]
    assert good[stack.view >= 0].all() and good[stack.view < 0].mean() < 0.1


def test_a_class_of_another_mass_is_odd_unless_there_are_many(stack, begun):
    sorting = Sorting.of(begun)
    learning, before = sorting._learning, sorting.report()
    assert before.good[before.particles > 0].all()
    few, many = np.argsort(before.share)[:1], np.argsort(before.share)[4:]
    for heavy, good in ((few, False), (many, True)):
        waves = learning.sums.waves
        factor = np.ones(len(before.share), np.float32)
        factor[heavy] = 2
        learning.sums = dataclasses.replace(learning.sums, waves=waves * factor[:, None, None])
        after = sorting.report()
        learning.sums = dataclasses.replace(learning.sums, waves=waves)
        assert (after.good[heavy] == good).all()
        rest = np.setdiff1d(np.arange(len(factor)), heavy)
        assert after.good[rest].all() or good


def test_the_score_does_not_depend_on_how_an_average_is_turned(stack, begun):
    sorting = Sorting.of(begun)
    learning, before = sorting._learning, sorting.report()
    turn = np.exp(0.7j * np.arange(sorting._rings.harmonics)).astype(np.complex64)
    learning.sums = dataclasses.replace(learning.sums, waves=learning.sums.waves * turn)
    np.testing.assert_allclose(sorting.report().score, before.score, atol=0.02)


def test_where_most_classes_have_nothing_of_something_none_is_odd():
    assert (classifyscore._over(np.array([0.0, 0.0, 2.0]), np.ones(3)) == 0).all()
    np.testing.assert_allclose(classifyscore._over(np.array([1.0, 2.0, 4.0]), np.ones(3)), np.log([0.5, 1, 2]))
