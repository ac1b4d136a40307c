"""The fold that sums raw movies: what it keeps, when it gives a gain, and what it says of the one in use."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.io import mrc
from cryowidgets.model import Movie, Optics
from cryowidgets.project import Project
from cryowidgets.protocols.estimate_gain import EstimateGain
from cryowidgets.protocols.out import Out
from cryowidgets.sim import detector

SHAPE = (192, 256)
CAMERA = detector.make(SHAPE, 2e-4, 2e-4, 5)


def write(path, number, frames=3, counts=60.0, edge=False, shape=SHAPE):
    light = np.where(np.arange(shape[1]) > 120, 0.3 if edge else 1.0, 1.0)
    rate = counts * light * (CAMERA.sensitivity + CAMERA.glow if shape == SHAPE else np.ones(shape))
    mrc.write(path, np.random.default_rng(number).poisson(rate, (frames, *shape)).astype(np.uint8), 1.0)
    return path


class Session:
    """Batches of movies given to the protocol as the engine gives them."""

    def __init__(self, folder):
        self.folder, self.last, self.count = folder, None, 0
        (folder / "steps" / "gain").mkdir(parents=True)
        self.gain = folder / "used.mrc"
        mrc.write(self.gain, CAMERA.gain)

    def movies(self, number, gain=None, **kinds):
        made = []
        for _ in range(number):
            self.count += 1
            path = write(self.folder / f"m{self.count}.mrc", self.count, **kinds)
            gain_path = str(self.gain if gain is None else gain)
            made.append(Movie(path=str(path), gain=gain_path, optics=Optics(pixel_size=1.0), id=self.count))
        return made

    def batch(self, items, **params):
        out = Out(self.folder, "steps/gain", f"gain_{self.count:06d}")
        result = EstimateGain(**{"stride": 1, **params}).process(items, self.last, out)
        out.commit()
        self.last = result.located(self.folder)
        return self.last


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def test_a_gain_comes_when_there_are_counts_enough_and_is_that_of_the_camera(session):
    first = session.batch(session.movies(2))
    assert (first.movies, first.left_out, first.path) == (2, 0, "")
    assert first.counts == pytest.approx(2 * 180, rel=0.1)
    assert "counts per pixel: about" in first.reason
    last = session.batch(session.movies(18))
    assert (last.movies, last.reason) == (20, "") and last.counts > last.needed
    sound = (CAMERA.sensitivity > 0) & (CAMERA.glow == 0)
    found = mrc.read(last.path)
    ratio = found[sound & (found > 0)] * CAMERA.sensitivity[sound & (found > 0)]
    assert np.std(ratio / ratio.mean()) < 0.025, "of 3.9 % before"
    again = session.batch(session.movies(2))
    assert again.path == last.path, "it is not much better than that"
    assert len(list((session.folder / "steps" / "gain").glob("*_total.npz"))) == 2  # this one and the last


def test_the_sum_is_that_of_all_movies_however_they_came(session, tmp_path):
    items = session.movies(6)
    whole = session.batch(items)
    parts = Session(tmp_path / "again")
    parts.count = 6
    for pair in (items[:2], items[2:4], items[4:]):
        parts.count += 1
        last = parts.batch(pair)
    for name in ("movies", "counts", "needed", "spread", "defects"):
        assert getattr(last, name) == pytest.approx(getattr(whole, name)), name


def test_the_gain_in_use_is_tested(session, tmp_path):
    right = session.batch(session.movies(3))
    assert right.alert == "" and abs(right.residual) < 6 * right.residual_error
    assert right.width < 1.2 and right.deviation < 0.05
    mrc.write(tmp_path / "wrong.mrc", CAMERA.gain[::-1])
    wrong = session.batch(session.movies(3, gain=tmp_path / "wrong.mrc"))
    assert wrong.residual == pytest.approx(-1, abs=0.1)
    assert "wrong way round" in wrong.alert
    aged = np.where(CAMERA.gain > 0, 1 + 0.6 * (CAMERA.gain - 1), 0).astype("f4")
    mrc.write(tmp_path / "aged.mrc", aged)
    old = session.batch(session.movies(3, gain=tmp_path / "aged.mrc"))
    assert "leaves 6" in old.alert and "% of its pattern" in old.alert
    none = session.batch(session.movies(2, gain=""))
    assert np.isnan(none.residual) and none.alert == ""


def test_edges_other_sizes_and_broken_files_are_left_out(session, tmp_path):
    session.batch(session.movies(6))
    items = session.movies(2) + session.movies(1, edge=True) + session.movies(1, shape=(64, 64))
    broken = tmp_path / "broken.mrc"
    broken.write_bytes(b"nothing")
    items.append(Movie(path=str(broken)))
    last = session.batch(items)
    assert (last.movies, last.left_out) == (8, 3)


def test_one_of_so_many_is_read(session):
    assert session.batch(session.movies(9), stride=4).movies == 3


def test_a_batch_of_nothing_readable_is_said_and_the_next_goes_on(session, tmp_path):
    nothing = session.batch([Movie(path=str(tmp_path / "none.mrc"))])
    assert (nothing.movies, nothing.left_out, nothing.total) == (0, 1, "")
    assert "no movie" in nothing.reason
    session.count += 1
    assert session.batch(session.movies(2)).movies == 2
    (session.folder / session.last.total).unlink()
    session.count += 1
    assert session.batch(session.movies(3)).movies == 3, "a sum that was removed is begun again"


def test_in_a_workflow(tmp_path):
    folder = tmp_path / "movies"
    folder.mkdir()
    for number in range(24):
        write(folder / f"m{number:02d}.mrc", number)
    gain = tmp_path / "gain.mrc"
    mrc.write(gain, CAMERA.gain)
    project = Project.create(
        tmp_path / "p", template=None, movies=str(folder / "*.mrc"), pixel_size=1.0, gain=str(gain), poll="0.02s",
        file_timeout="0s", timeout="0.5s",
    )  # fmt: skip
    project.workflow.add("EstimateGain", name="gain", movies="movies", stride=2)
    assert Engine(project.folder, "inline").run().failed == 0
    with project.reader() as reader:
        rows = reader.rows("gain")
    assert rows["movies"].tolist() == [10, 12] and list(rows["alert"]) == ["", ""]
