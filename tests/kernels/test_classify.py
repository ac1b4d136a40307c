"""Particles sorted while they come: views are told apart, the poses are the true ones, checkpoints are exact."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.kernels.classify import Lens, Settings, Sorting
from cryowidgets.sim.particles import simulate

VIEWS = 4


@pytest.fixture(scope="module")
def stack():
    return simulate(900, box=32, pixel_size=10.0, views=VIEWS, snr=0.4, shift=1.5, seed=11)


@pytest.fixture(scope="module")
def begun(stack):
    return Sorting.begin(told(stack), *some(stack, 0, 400)).arrays()


def told(stack, **more):
    more = {"classes": 8, "finest": 25.0} | more
    return Settings(diameter=stack.diameter, box=stack.pictures.shape[1], pixel_size=stack.pixel_size, **more)


def some(stack, first, end):
    part = slice(first, end)
    rows = [x[part] for x in (stack.defocus_u, stack.defocus_v, stack.angle, stack.phase_shift)]
    return stack.pictures[part], Lens(stack.voltage, stack.cs, stack.amplitude_contrast), rows


def purity(klass, view):
    return sum(np.bincount(view[klass == k]).max() for k in np.unique(klass)) / len(view)


def test_views_are_told_apart_while_particles_come(stack, begun):
    sorting = Sorting.of(begun)
    parts = [sorting.add(*some(stack, first, first + 250)) for first in (400, 650)]
    klass = np.concatenate([part.klass for part in parts])
    assert purity(klass, stack.view[400:900]) > 0.75
    table = sorting.report()
    assert table.particles.sum() <= 900 and abs(table.share.sum() - 1) < 1e-6
    assert table.good[np.bincount(klass, minlength=8) > 20].all()
    assert len(set(table.identity)) == 8 and sorting.averages().shape == (8, 32, 32)


def test_angles_and_shifts_are_the_true_ones_up_to_those_of_the_average(stack, begun):
    found = Sorting.of(begun).assign(*some(stack, 0, 300))
    turn, place = [], []
    for k in np.unique(found.klass):
        mine = np.flatnonzero(
            (found.klass == k) & (stack.view[:300] == np.bincount(stack.view[:300][found.klass == k]).argmax())
        )
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
    sorting.assign(*some(stack, 500, 600))
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
