"""Corrections: what is said in several parts comes to the same as at once, and files give back what was written."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.io import corrections
from cryowidgets.io.corrections import Corrections

NONE = Corrections(np.zeros((0, 2)), np.zeros((0, 2)))
places = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6, unique=True)


@given(places, places, st.floats(0.3, 5))
def test_files_give_back_what_was_written(tmp_path_factory, added, removed, size):
    file = corrections.path(tmp_path_factory.getbasetemp(), "step", "m")
    said = Corrections(np.array(added, float).reshape(-1, 2), np.array(removed, float).reshape(-1, 2), size)
    corrections.write(file, said)
    back = corrections.read(file)
    assert file.exists() == bool(said) == bool(back)
    assert back.added.tolist() == said.added.tolist() and back.removed.tolist() == said.removed.tolist()
    assert not said or back.pixel_size == size
    np.testing.assert_allclose(back.scaled(size * 2).added, said.added / 2)


@given(places, places, places)
def test_order_of_parts_that_do_not_touch_does_not_matter(first, second, third):
    first = [place for place in first if place not in second]
    at_once = NONE.then(first, second)
    in_parts = NONE.then([], second).then(first, [])
    assert at_once.added.tolist() == in_parts.added.tolist() and at_once.removed.tolist() == in_parts.removed.tolist()
    assert set(map(tuple, at_once.added.tolist())) == {(float(y), float(x)) for y, x in first}
    again = at_once.then(first, [])
    assert again.added.tolist() == at_once.added.tolist()  # what was said twice was said once
    gone = at_once.then([], first)
    assert not len(gone.added) and gone.removed.tolist() == at_once.removed.tolist()


def test_a_pick_that_was_taken_away_comes_back_where_it_is_added():
    said = NONE.then([], [(5, 5), (9, 9)]).then([(5.2, 5)], [])
    assert said.removed.tolist() == [[9, 9]] and not len(said.added)
