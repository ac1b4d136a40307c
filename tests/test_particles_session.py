"""From simulated movies to classes and what is handed over, by the template that needs no other program."""

from __future__ import annotations

import numpy as np
import pytest
import starfile

from cryowidgets.facility import relion
from cryowidgets.io import mrc
from cryowidgets.project import Project
from cryowidgets.protocols import classfiles
from cryowidgets.sim.microscope import run
from cryowidgets.sim.recipe import Recipe

RECIPE = Recipe(
    dose_per_frame=12.0,
    mass=150.0,
    density=6000.0,
    defocus=(15000.0, 20000.0),
    drift=2.0,
    molecule=3,
)
ANSWERS = {"diameter": "110", "classes": "4", "first": "100", "batch": "100"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("particles")
    scope = run(root / "raw", movies=4, size=1024, frames=3, tree="flat", format="mrc", recipe=RECIPE)
    made = Project.create(
        root / "s", template="live_to_2d", movies=scope.pattern, gain=str(scope.gain), answers=ANSWERS,
        settings={"align": {"local": "none"}}, **scope.optics,
    )  # fmt: skip
    ending = made.run(until_idle="0.2s", executor="inline")
    assert ending.finished and not ending.failed
    return made


def test_every_particle_is_accounted_for_from_pick_to_class(project):
    with project.reader() as reader:
        counts = {name: int(reader.rows(name)["count"].sum()) for name in ("picks", "limits", "particles", "screened")}
        left_out = int(reader.rows("screened")["screened"].sum())
        classes, chosen = reader.result("classes"), reader.result("chosen")
        truth = 6000e-8 * (1024 * RECIPE.pixel_size) ** 2 * 4
        assert 0.7 * truth < counts["picks"] < 1.05 * truth
        assert counts["limits"] == counts["picks"], "there are no limits yet"
        assert 0.8 * counts["limits"] < counts["particles"] <= counts["limits"], "some boxes reach beyond the edge"
        assert counts["screened"] + left_out == counts["particles"]
        assert classes.particles == counts["screened"] and classes.batches == 2
        assert chosen.count + chosen.screened == classes.particles and chosen.count > 0.5 * classes.particles
        model = classfiles.read_model(classes.model)
        assert int(model.particles.sum()) == classes.particles and mrc.read(classes.path).shape[0] == len(model) == 4
        assert all(step.state == "finished" for step in reader.steps().values())


def test_what_was_chosen_opens_in_relion(project, tmp_path):
    done = relion.export(project.folder, tmp_path)
    with project.reader() as reader:
        chosen = reader.result("chosen")
    table = starfile.read(tmp_path / "particles.star")["particles"]
    assert done.particles == len(table) == chosen.count
    assert table["rlnImageName"].is_unique and set(table["rlnClassNumber"]) <= {1, 2, 3, 4}
    for stack, rows in table.groupby(table["rlnImageName"].str.partition("@")[2]):
        numbers = rows["rlnImageName"].str.partition("@")[0].astype(int)
        assert 1 <= numbers.min() and numbers.max() <= mrc.read_header(tmp_path / stack).shape[0]
    assert np.isfinite(table[["rlnDefocusU", "rlnAnglePsi", "rlnOriginXAngst"]].to_numpy()).all()


def test_a_class_that_is_dropped_leaves_and_comes_back(project):
    with project.reader() as reader:
        before, classes = reader.result("chosen"), reader.result("classes")
    model = classfiles.read_model(classes.model)
    largest = int(model.identity[model.filled[0]])
    project.send("set", step="chosen", values={"drop": str(largest)}, scope="branch")
    project.run(until_idle="0.2s", executor="inline")
    with project.reader() as reader:
        fewer = reader.result("chosen")
    assert fewer.count == before.count - int(model.particles[model.filled[0]])
    project.send("set", step="chosen", values={"drop": ""}, scope="branch")
    project.run(until_idle="0.2s", executor="inline")
    with project.reader() as reader:
        assert reader.result("chosen").count == before.count
