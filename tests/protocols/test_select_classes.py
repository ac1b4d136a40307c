"""Choosing classes: what a person said holds for all batches, what nobody spoke of is judged by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import starfile

from cryowidgets.errors import ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.model import Classes
from cryowidgets.protocols import classfiles, classhistory
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.select_classes import SelectClasses

SLOTS = np.array([11, 12, 13, 14])  # class 9 had slot 3 before 14
BATCHES = [[11, 11, 12, 9, 9], [12, 13, 14, 14, 11]]


def model(identity, good, score):
    k = len(identity)
    return ClassModel(
        identity=np.array(identity), parent=np.zeros(k, int), share=np.full(k, 1 / k), particles=np.full(k, 3),
        resolution=np.full(k, 10.0), size=np.full(k, 100.0), score=np.array(score), good=np.array(good),
        age=np.ones(k, int),
    )  # fmt: skip


@pytest.fixture
def classes(tmp_path):
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["a"], "rlnImagePixelSize": [4.0], "rlnImageSize": [64]}
    before = ""
    for number, identities in enumerate(BATCHES, 1):
        count = len(identities)
        table = {
            "rlnImageName": [f"{i:06d}@b{number}.mrcs" for i in range(1, count + 1)],
            "rlnOpticsGroup": [1] * count,
            "rlnClassNumber": [1] * count,
            "cwIdentity": identities,
        }
        classfiles.write_batch(tmp_path / f"{number}.star", optics, table, number, before)
        before = str(tmp_path / f"{number}.star")
    now = model(SLOTS, [True, False, True, False], [0.9, 0.2, 0.7, 0.4])
    classfiles.write_model(tmp_path / "model.star", now, "a.mrcs", 8.0, 32)
    averages = np.random.default_rng(0).normal(size=(4, 32, 32)).astype(np.float32)
    mrc.write(tmp_path / "a.mrcs", averages, 8.0)
    past = model([11, 12, 9, 13], [True, False, True, True], [0.8, 0.3, 0.6, 0.7])
    history = classhistory.History.none(4).extended(1, 5, past, averages).extended(2, 10, now, averages)
    classhistory.write(tmp_path / "history.npz", history)
    return Classes(
        path=str(tmp_path / "a.mrcs"), metadata=before, model=str(tmp_path / "model.star"), count=4, particles=10,
        box=32, pixel_size=8.0, history=str(tmp_path / "history.npz"),
    )  # fmt: skip


def selected(tmp_path, classes, last=None, stem="all", **values):
    out = Out(tmp_path, "steps/select", stem)
    made = SelectClasses(**values).process([classes], last and last.located(tmp_path), out)
    out.commit()
    found = starfile.read(tmp_path / made.metadata)["particles"] if made.metadata else None
    return made, [] if found is None else sorted(found["cwIdentity"].tolist())


@pytest.mark.parametrize(
    ("values", "identities"),
    [
        ({}, [9, 9, 11, 11, 11, 13]),
        ({"drop": "11"}, [9, 9, 13]),
        ({"keep": "12, 14"}, [9, 9, 11, 11, 11, 12, 12, 13, 14, 14]),
        ({"score": 0.65}, [11, 11, 11, 13]),
        ({"score": 0.3, "drop": "9 11"}, [13, 14, 14]),
        ({"score": 1.0, "keep": "12"}, [12, 12]),
        ({"drop": "9,11,13"}, []),
    ],
)
def test_what_a_person_chose_holds_and_the_rest_is_judged(tmp_path, classes, values, identities):
    made, found = selected(tmp_path, classes, **values)
    assert found == identities
    assert (made.count, made.screened) == (len(identities), 10 - len(identities)), "all are accounted for"
    if identities:
        assert (made.box, made.pixel_size) == (64, 4.0), "of the pictures, not of the averages"
        assert (tmp_path / made.thumbnail).stat().st_size > 300


def test_classes_of_a_program_that_judges_none_all_count_until_some_are_chosen(tmp_path, classes):
    numbers = [1, 1, 2, 3, 3, 3]
    optics = {"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [64]}
    table = {"rlnImageName": [f"{i}@a" for i in range(1, 7)], "rlnOpticsGroup": [1] * 6, "rlnClassNumber": numbers}
    star.write(tmp_path / "data.star", {"optics": optics, "particles": table})
    shares = {"rlnClassDistribution": [0.3, 0.2, 0.5, 0.0], "rlnEstimatedResolution": [9.0] * 4}
    star.write(tmp_path / "relion.star", {"model_general": {"rlnPixelSize": 4.0}, "model_classes": shares})
    files = {"metadata": str(tmp_path / "data.star"), "model": str(tmp_path / "relion.star"), "history": ""}
    theirs = dataclasses.replace(classes, program="RELION", **files)

    def count(**values):
        out = Out(tmp_path, "steps/select", "relion")
        made = SelectClasses(**values).process([theirs], None, out)
        out.commit()
        return made.count

    assert (count(), count(drop="3"), count(keep="3"), count(keep="2,3", drop="1")) == (6, 3, 3, 4)


def one_more(tmp_path, classes, identities, stack):
    """A further batch, with the same classes."""
    blocks = star.read(classes.metadata)
    number = classfiles.link(blocks)[0] + 1
    table = {
        "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, len(identities) + 1)],
        "rlnOpticsGroup": [1] * len(identities),
        "rlnClassNumber": [1] * len(identities),
        "cwIdentity": identities,
    }
    path = tmp_path / f"{number}.star"
    classfiles.write_batch(path, blocks["optics"], table, number, classes.metadata)
    return dataclasses.replace(classes, metadata=str(path))


@pytest.mark.parametrize("stack", ["b3.mrcs", "b1.mrcs"])
def test_a_batch_more_gives_what_all_batches_give_and_is_read_alone(tmp_path, classes, monkeypatch, stack):
    """But all are read where a stack of before was cut out once more, another choice is made, or a file is gone."""
    read = []
    monkeypatch.setattr(star, "read", lambda path, real=star.read: read.append(str(path)) or real(path))
    first, _ = selected(tmp_path, classes, stem="first")
    before = (tmp_path / first.metadata).read_bytes()
    more = one_more(tmp_path, classes, [11, 12, 13, 13, 9], stack)

    def batches(last, **values):
        read.clear()
        made, found = selected(tmp_path, more, last=last, stem="then", **values)
        text = (tmp_path / made.metadata).read_text() if made.metadata else ""
        whole = selected(tmp_path, more, stem="whole", **values)[0]
        assert (made.count, made.screened) == (whole.count, whole.screened)
        assert text == ((tmp_path / whole.metadata).read_text() if whole.metadata else "")
        files = [name for name in read if name.endswith(("1.star", "2.star", "3.star"))]
        return len(files) - 3, found

    again = stack == "b1.mrcs"
    took, found = batches(first)
    assert found == ([9, 11, 11, 13, 13, 13] if again else [9, 9, 9, 11, 11, 11, 11, 13, 13, 13])
    assert took == (1 + 3 if again else 1)
    assert (tmp_path / first.metadata).read_bytes() == before
    assert batches(first, keep="12")[0] == 3
    then = selected(tmp_path, more, last=first, stem="then")[0]
    assert (
        not (tmp_path / "steps/select/all_chosen.npz").exists() and (tmp_path / "steps/select/then_chosen.npz").exists()
    )
    (tmp_path / "steps/select/first_chosen.npz").unlink()
    assert batches(first)[0] == 3
    assert then.count == selected(tmp_path, more)[0].count


def test_no_classes_yet_is_no_particles(tmp_path):
    made, found = selected(tmp_path, Classes(path="", count=0, particles=0, box=32, pixel_size=8.0, reason="too few"))
    assert made.count == 0 and found == []


@pytest.mark.parametrize("values", [{"keep": "3,x"}, {"drop": "-1"}, {"keep": "3", "drop": "2,3"}])
def test_what_is_no_choice_is_refused(values):
    with pytest.raises(ParameterError, match="such as 3,7|Take it out"):
        SelectClasses(**values).check()
