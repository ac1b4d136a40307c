"""A selection of classes leaves particles out of what is handed over, and says the class of each that stays."""

from __future__ import annotations

import csv

import pytest
import starfile

from cryowidgets.facility import plain, relion
from cryowidgets.facility.chosen import Chosen
from cryowidgets.io import star
from cryowidgets.model import Classes, Particles
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Todo
from tests.facility.test_hand_over import OPTICS, add_particles
from tests.facility.test_relion import fill

STACK = "steps/extract/{}_particles.mrcs"
CHOSEN = {(STACK.format("m1"), 2): (3, 90.0), (STACK.format("m2"), 1): (7, -12.5), ("elsewhere.mrcs", 1): (7, 0.0)}


def select(session, chosen) -> None:
    s = session.store
    folder = s.folder / "steps/select"
    folder.mkdir(parents=True, exist_ok=True)
    if "select" not in s.steps():
        s.add_step("classes", "ClassifyParticles", Classes, {}, {"particles": "extract"}, fold=True)
        s.add_step("select", "SelectClasses", Particles, {}, {"classes": "classes"}, fold=True)
    table = {
        "rlnImageName": [f"{number:06d}@{stack}" for stack, number in chosen],
        "rlnOpticsGroup": [1] * len(chosen),
        "rlnClassNumber": [found for found, _ in chosen.values()],
        "rlnAnglePsi": [psi for _, psi in chosen.values()],
    }
    if chosen:
        star.write(folder / "p.star", {"optics": OPTICS, "particles": table})
    (task,) = s.claim("select", [Todo(None, (1, len(chosen)))])
    named = "steps/select/p.star" if chosen else ""
    s.finish(task, "done", Particles(path="", metadata=named, count=len(chosen), box=16, pixel_size=1.0))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    session = fill(tmp_path_factory.mktemp("chosen"))
    with session.store.transaction():
        add_particles(session, {})
        select(session, CHOSEN)
    yield session
    session.store.close()


def test_only_chosen_particles_are_handed_over_with_their_classes(session, tmp_path):
    done = relion.export(session.store.folder, tmp_path / "relion")
    assert (done.micrographs, done.picked, done.particles) == (4, 3, 2), "picks and micrographs are all there"
    table = starfile.read(tmp_path / "relion/particles.star")["particles"]
    assert table["rlnImageName"].tolist() == ["000002@Extract/m1.mrcs", "000001@Extract/m2.mrcs"]
    assert table["rlnClassNumber"].tolist() == [3, 7] and table["rlnAnglePsi"].tolist() == [90.0, -12.5]
    assert table["rlnDefocusU"].tolist() == [15000.0] * 2, "and all else as it was cut out"
    plain.export(session.store.folder, tmp_path / "csv")
    with open(tmp_path / "csv/particles.csv", newline="") as file:
        assert [(row["name"], row["number"]) for row in csv.DictReader(file)] == [("m1", "2"), ("m2", "1")]


def test_where_no_class_is_chosen_there_are_no_particles(session, tmp_path):
    with Reader(session.store.folder) as reader:
        before = Chosen.of(reader)
    assert len(before.among({"rlnImageName": ["000001@elsewhere.mrcs", "000002@elsewhere.mrcs"]})["rlnImageName"]) == 1
    select(session, {})
    assert relion.export(session.store.folder, tmp_path).particles == 0
    assert not (tmp_path / "particles.star").exists()


def test_without_such_a_step_all_are_handed_over(tmp_path):
    session = fill(tmp_path)
    with session.store.transaction():
        add_particles(session, {})
    with Reader(session.store.folder) as reader:
        assert Chosen.of(reader) is None
    assert relion.export(session.store.folder, tmp_path / "out").particles == 4
    session.store.close()
