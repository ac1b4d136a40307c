"""Which maps belong together: told by curves that are made up, on a scale between chance and agreement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels.mapgroups import together

SHELLS = np.arange(17)
OF = np.array([[0, 1], [1, 2], [2, 0], [0, 2], [1, 0], [2, 1]])
CHANCE = np.stack([1 / (1 + (SHELLS / end) ** 2) for end in (3.0, 3.4, 3.8, 4.2, 4.6, 5.0)])


def falling(end):
    """A curve that is at one half at a shell."""
    return 1 / (1 + (SHELLS / end) ** 4)


def curves(groups, ends=12.0, unlike=4.0):
    """Maps of the same number agree to a shell, `ends` or that of the worse of two; others to `unlike`."""
    ends = np.broadcast_to(ends, len(groups))
    out = np.ones((len(groups), len(groups), len(SHELLS)))
    for i, j in np.ndindex(len(groups), len(groups)):
        if i != j:
            out[i, j] = falling(min(ends[i], ends[j]) if groups[i] == groups[j] else unlike)
    return out


@settings(max_examples=30, deadline=None)
@given(st.permutations([0, 0, 0, 0, 1]), st.integers(3, 5), st.floats(9, 16))
def test_the_map_that_does_not_belong_is_left_out_wherever_it_is(groups, count, end):
    groups = np.array(groups)[:count]
    found = together(curves(groups, end), CHANCE, OF, 0.5)
    if (groups == 0).sum() > 1:
        np.testing.assert_array_equal(found.kept, groups == 0)
        assert found.told and not found.rivals and found.agreement[groups == 0][:, groups == 0].min() > found.chance


def test_maps_that_agree_are_all_kept_and_noisier_ones_too():
    assert together(curves([0] * 4), CHANCE, OF, 0.5).kept.all()
    found = together(curves([0] * 4, [12, 12, 12, 9]), CHANCE, OF, 0.5)
    assert found.kept.all() and found.told
    assert not together(curves([0] * 4, [12, 12, 12, 9]), CHANCE, OF, 0.95).kept[3]


def test_a_copy_of_a_map_does_not_make_the_others_wrong():
    made = curves([0] * 4)
    made[0, 1] = made[1, 0] = 1.0
    assert together(made, CHANCE, OF, 0.5).kept.all()


def test_two_groups_of_one_size_are_rivals_and_a_larger_one_wins():
    found = together(curves([0, 1, 0, 1]), CHANCE, OF, 0.5)
    assert found.kept.all() and found.rivals and not found.told
    found = together(curves([0, 1, 0, 1, 0]), CHANCE, OF, 0.5)
    np.testing.assert_array_equal(found.kept, [True, False, True, False, True])
    assert found.told


@pytest.mark.parametrize(("groups", "end"), [([0, 1, 2, 3], 12.0), ([0, 0, 0, 0], 4.5), ([0, 1], 12.0)])
def test_where_nothing_agrees_beyond_chance_nobody_is_left_out(groups, end):
    found = together(curves(groups, end), CHANCE, OF, 0.5)
    assert found.kept.all() and not found.told and not found.rivals


def test_what_chance_does_is_asked_of_the_maps_in_question():
    """What unrelated maps do on a wrong map says nothing of the good ones."""
    of = np.array([[0, 1], [1, 0], [0, 2], [2, 0], [1, 2], [2, 1]])
    chance = np.where((of == 2).any(axis=1)[:, None], 0.0, CHANCE)
    found = together(curves([0, 0, 1]), chance, of, 0.5)
    np.testing.assert_array_equal(found.kept, [True, True, False])
    assert found.chance == pytest.approx(together(curves([0, 0]), CHANCE[:2], of[:2], 0.5).chance)
