"""Screening as a step: the stack stays, the star file names who is left, and nobody is counted twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import starfile

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, star
from cryowidgets.model import Particles
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.screen_particles import ScreenParticles

SIDE, COUNT = 48, 80
EMPTY = [3, 40, 41, 79]


@pytest.fixture
def stack(tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    pictures = rng.normal(size=(COUNT, SIDE, SIDE)).astype(np.float32)
    blob = 2 * np.exp(-(y**2 + x**2) / 60)
    for i in set(range(COUNT)) - set(EMPTY):
        pictures[i] += blob - blob.mean()
    mrc.write(tmp_path / "p.mrcs", pictures, 3.0)
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["a"], "rlnImagePixelSize": [3.0], "rlnImageSize": [SIDE]}
    table = {
        "rlnImageName": [f"{i:06d}@p.mrcs" for i in range(1, COUNT + 1)],
        "rlnOpticsGroup": [1] * COUNT,
        "rlnDefocusU": [float(10000 + i) for i in range(COUNT)],
    }
    star.write(tmp_path / "p.star", {"optics": optics, "particles": table})
    return Particles(
        path=str(tmp_path / "p.mrcs"), metadata=str(tmp_path / "p.star"), count=COUNT, box=SIDE, pixel_size=3.0,
        diameter=0.75 * SIDE * 3.0, screened=2, id=7, exposure=9, name="x",
    )  # fmt: skip


def screened(tmp_path, item, **values):
    out = Out(tmp_path, "steps/screen", "m")
    made = ScreenParticles(**values).process(item, out)
    out.commit()
    return made


def test_empty_pictures_are_left_out_of_the_star_file_alone(tmp_path, stack):
    made = screened(tmp_path, stack)
    left = starfile.read(tmp_path / made.metadata)["particles"]
    rows = [int(name.split("@")[0]) - 1 for name in left["rlnImageName"]]
    assert not set(rows) & set(EMPTY) and len(rows) >= COUNT - len(EMPTY) - 3
    assert (made.count, made.screened, made.path) == (len(rows), 2 + COUNT - len(rows), stack.path)
    assert left["rlnDefocusU"].tolist() == [10000.0 + i for i in rows], "each keeps what is its own"
    assert (left["cwSignal"] >= 1.5).all() and (made.id, made.exposure, made.name) == (0, 0, "")


def test_limits_of_zero_leave_nothing_out_and_screening_twice_counts_once(tmp_path, stack):
    assert screened(tmp_path, stack, empty=0.0, odd=0.0).count == COUNT
    once = screened(tmp_path, stack)
    absolute = dataclasses.replace(once, metadata=str(tmp_path / once.metadata))
    twice = screened(tmp_path, absolute, odd=0.0)
    assert twice.count + twice.screened == COUNT + 2


def test_where_nothing_is_left_there_is_no_file(tmp_path, stack):
    made = screened(tmp_path, stack, empty=100.0)
    assert (made.count, made.screened, made.path, made.metadata) == (0, COUNT + 2, "", "")
    assert screened(tmp_path, dataclasses.replace(made, screened=0)).count == 0


def test_a_stack_that_is_too_short_is_said(tmp_path, stack):
    mrc.write(tmp_path / "p.mrcs", np.ones((5, SIDE, SIDE), np.float32), 3.0)
    with pytest.raises(InputError, match="names picture 80 of a stack of 5"):
        screened(tmp_path, stack)
