"""Maps by chance have all of a map but its structure."""

import numpy as np

from cryowidgets.kernels.fsc import rfftn, shell_numbers, space_weight
from cryowidgets.kernels.unrelated import ball, unrelated
from cryowidgets.sim import particles


def shells(volume):
    numbers = shell_numbers(volume.shape)
    weight = np.broadcast_to(space_weight(volume.shape), numbers.shape)
    return np.bincount(numbers.ravel(), (weight * np.abs(rfftn(volume)) ** 2).ravel())[: len(volume) // 2]


def test_a_ball_lies_where_it_is_said_to():
    within = ball((20, 20, 20), np.array([2.0, 0, -3]), 6.0)
    assert np.unravel_index(within.argmax(), within.shape) and within[12, 10, 7] == 1
    far = np.sqrt(np.square(np.argwhere(within > 0) - (12, 10, 7)).sum(axis=1))
    assert far.max() < 6.0 and within[np.abs(within - 0.5) < 0.3].size
    assert (within[tuple(np.argwhere(within > 0)[far < 4.4].T)] == 1).all()


def test_power_size_and_densities_are_kept_and_the_structure_is_not():
    molecule = particles.simulate(1, box=24, pixel_size=14.0, seed=5).density[0]
    within = ball(molecule.shape, np.zeros(3), 9.0)
    molecule = molecule * within
    one, other = (unrelated(molecule, within, seed) for seed in (1, 2))
    assert not one[within == 0].any()
    np.testing.assert_allclose(shells(one)[:8], shells(molecule)[:8], rtol=0.25)
    inside = within == 1
    np.testing.assert_allclose(
        *(np.percentile(v[inside], (5, 50, 95)) for v in (one, molecule)), atol=0.15 * np.ptp(molecule)
    )
    for made in (one, other):
        assert np.corrcoef(made[inside], molecule[inside])[0, 1] < 0.6
    assert np.abs(one - other).max() > 0.3 * np.ptp(molecule)
    np.testing.assert_array_equal(one, unrelated(molecule, within, 1))
