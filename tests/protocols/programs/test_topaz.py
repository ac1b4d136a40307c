"""Topaz itself, where it is installed: it finds simulated molecules where they are."""

import os
import shutil

import numpy as np
import pytest

from cryowidgets import cpu
from cryowidgets.io import mrc
from cryowidgets.io.coordinates import read
from cryowidgets.model import Micrograph
from cryowidgets.protocols.topaz import Topaz
from cryowidgets.sim.movie import Recipe, simulate

RECIPE = Recipe(
    shape=(512, 512),
    pixel_size=2.0,
    frames=2,
    dose_per_frame=20.0,
    drift=0.0,
    jitter=0.0,
    hot=0.0,
    dead=0.0,
    defocus=30000.0,
    mass=400.0,
    density=1500.0,
)
DIAMETER = 140.0  # Å


@pytest.mark.skipif(
    not (os.environ.get("CRYOWIDGETS_TOPAZ") or shutil.which("topaz")),
    reason="Topaz is not on the PATH, and CRYOWIDGETS_TOPAZ does not name it",
)
def test_molecules_are_found_where_they_are(project, out):
    movie = simulate(RECIPE, 3)
    mrc.write(project / "m001.mrc", (movie.frames * movie.gain).sum(0).astype(np.float32), RECIPE.pixel_size)
    micrograph = Micrograph(
        name="m001",
        path=str(project / "m001.mrc"),
        optics=RECIPE.optics,
        pixel_size=RECIPE.pixel_size,
        height=512,
        width=512,
    )
    cpu.set_threads(2)
    picks = Topaz(diameter=DIAMETER).process(micrograph, out)
    out.commit()
    assert picks.program == "Topaz" and picks.program_version
    found, truth = read(project / picks.path).places, movie.truth.positions
    away = np.linalg.norm(found[:, None] - truth[None], axis=-1) * RECIPE.pixel_size
    precision, recall = (away.min(1) < DIAMETER / 2).mean(), (away.min(0) < DIAMETER / 2).mean()
    assert precision > 0.8 and recall > 0.8
    # not by chance: rows counted from the other end find far fewer
    turned = np.linalg.norm((found * [-1, 1] + [511, 0])[:, None] - truth[None], axis=-1) * RECIPE.pixel_size
    assert (turned.min(1) < DIAMETER / 2).mean() < precision - 0.3
