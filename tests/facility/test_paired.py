"""Paired comparison: the interval holds the truth as often as it says; who changed sides is told with the reason."""

from __future__ import annotations

import math
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from cryowidgets.errors import ProjectError
from cryowidgets.facility import paired
from cryowidgets.store.queries import Reader
from tests.filled import FilledSession


def test_the_interval_of_the_sign_test_is_known_for_few():
    values = np.array([3.0, -1.0, 2.0, 8.0, 5.0, 4.0])
    assert paired.interval(values) == (-1.0, 8.0)  # 1 - 2/64 is just over 95 %
    assert paired.interval(np.arange(9.0)) == (1.0, 7.0)  # the table of Conover: second and second last
    assert all(map(math.isnan, paired.interval(values[:5])))


def test_the_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(5)
    draws = rng.standard_cauchy((2000, 40)) + 3.0
    inside = np.mean([low <= 3.0 <= high for low, high in map(paired.interval, draws)])
    assert 0.95 <= inside < 0.98
    ninety = np.mean([low <= 3.0 <= high for low, high in (paired.interval(row, 0.9) for row in draws)])
    assert 0.90 <= ninety < inside


def test_the_sign_test_is_that_of_the_coin():
    assert paired.sign_test(np.array([1.0] * 5)) == pytest.approx(2 / 32)
    assert paired.sign_test(np.array([1.0, -1.0, 0.0, 0.0])) == 1.0
    assert paired.sign_test(np.zeros(9)) == 1.0
    assert paired.sign_test(np.array([1.0] * 9 + [-1.0])) == pytest.approx(2 * 11 / 1024)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A session, and the same with a fit that reaches 0.5 Å further in all but each tenth exposure."""
    folder = tmp_path_factory.mktemp("paired")
    session = FilledSession(folder / "a")
    with session.store.transaction():
        session.arrive(60)
        session.process(pictures=False)
    session.close()
    shutil.copytree(folder / "a", folder / "b")
    with closing(sqlite3.connect(folder / "b" / "project.sqlite")) as db:
        db.execute("UPDATE ctf SET fit_resolution = fit_resolution - 0.5 WHERE exposure % 10 <> 0")
        db.execute("UPDATE ctf SET angle = angle + 178")
        db.execute("UPDATE params SET json = '{\"box\": 768}' WHERE step = (SELECT id FROM step WHERE name = 'ctf')")
        db.execute("UPDATE exposure SET rejected = 'by me' WHERE id = 7")
        db.commit()
    return folder / "a", folder / "b"


def compared(two, **options) -> paired.Compared:
    with Reader(two[0]) as first, Reader(two[1]) as second:
        return paired.compare(first, second, **options)


def test_differences_are_those_of_pairs(two):
    found = compared(two)
    assert found.pairs == 60
    assert found.alone == (0, 0)
    resolution = found.differences["resolution"]
    assert (resolution.median, resolution.low, resolution.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert resolution.verdict == "better"
    tenth = sum(int(name.split("_")[1]) % 10 == 0 for name in resolution.names)
    assert resolution.better == len(resolution.names) - tenth
    assert resolution.worse == 0
    assert resolution.p < 1e-6
    np.testing.assert_allclose(found.differences["angle"].differences, -2.0, err_msg="angles turn")
    assert found.differences["drift"].verdict == "no difference"
    assert found.settings == {"ctf": {"box": (None, 768)}}


def test_who_changed_sides_and_why(two):
    with Reader(two[0]) as reader:
        resolution = reader.rows("ctf")["fit_resolution"]
    bound = float(np.median(resolution))
    found = compared(two, cut={"resolution": (None, bound)})
    gained = [c for c in found.changed if c.second]
    assert gained
    assert all("fit resolution" in c.why for c in gained)
    lost = [c for c in found.changed if c.first]
    assert {c.why.split(",")[0] for c in lost} <= {"done → rejected"}
    assert found.accepted[1] - found.accepted[0] == len(gained) - len(lost)


def test_sessions_without_a_common_movie_are_refused(two, tmp_path):
    other = FilledSession(tmp_path / "c")
    other.close()
    with pytest.raises(ProjectError, match="no movie in common"):
        compared((two[0], tmp_path / "c"))
