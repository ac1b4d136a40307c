"""RELION itself, where it is installed: its programs take what we write, and find what is there."""

import os
import shutil

import numpy as np
import pytest

from cryowidgets.io import mrc, star
from cryowidgets.io.coordinates import Coordinates, read, write
from cryowidgets.model import Ctf, Micrograph, Movie, Particles, Picks
from cryowidgets.protocols.extract_particles import ExtractParticles
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_autopick import RelionAutopick
from cryowidgets.protocols.relion_class2d import RelionClass2D
from cryowidgets.protocols.relion_extract import RelionExtract
from cryowidgets.protocols.relion_motioncorr import RelionMotioncorr
from cryowidgets.sim import particles
from cryowidgets.sim.movie import Recipe, simulate

DIAMETER = 140.0  # Å
RECIPE = Recipe(
    shape=(512, 512),
    pixel_size=2.0,
    frames=8,
    dose_per_frame=5.0,
    hot=0.0,
    dead=0.0,
    defocus=20000.0,
    mass=400.0,
    density=1500.0,
)


def needs(protocol):
    there = os.environ.get(protocol.variable) or shutil.which(protocol.names[0])
    return pytest.mark.skipif(
        not there, reason=f"{protocol.names[0]} is not on the PATH, and {protocol.variable} does not name it"
    )


@pytest.fixture(scope="module")
def simulated():
    return simulate(RECIPE, 5)


@pytest.fixture
def still(project, simulated):
    """Its sum as a micrograph without motion, and its CTF."""
    path = project / "m001.mrc"
    frames = [np.roll(frame, -np.rint(by).astype(int), (0, 1)) for frame, by in zip(*moved(simulated), strict=True)]
    mrc.write(path, np.sum(frames, axis=0, dtype=np.float32), RECIPE.pixel_size)
    truth = simulated.truth
    ctf = Ctf(micrograph=str(path), defocus_u=truth.defocus_u, defocus_v=truth.defocus_v, angle=truth.angle)
    image = Micrograph(
        name="m001", path=str(path), optics=RECIPE.optics, pixel_size=RECIPE.pixel_size, height=512, width=512
    )
    return image, ctf


def moved(simulated):
    return simulated.frames * simulated.gain, simulated.truth.shifts


@needs(RelionAutopick)
def test_blobs_are_found_where_molecules_are(project, out, still, simulated):
    picks = RelionAutopick(diameter_min=110, diameter_max=170, log_threshold=0.5).process(*still, out)
    out.commit()
    assert picks.program == "RELION" and picks.program_version
    found, truth = read(project / picks.path).places, simulated.truth.positions
    away = np.linalg.norm(found[:, None] - truth[None], axis=-1) * RECIPE.pixel_size
    assert (away.min(1) < DIAMETER / 2).mean() > 0.8 and (away.min(0) < DIAMETER / 2).mean() > 0.7


@needs(RelionAutopick)
def test_none_found_is_an_item_without_picks(out, still):
    assert RelionAutopick(log_threshold=10.0).process(*still, out).count == 0


@needs(RelionExtract)
@pytest.mark.parametrize("told", [{}, {"scale": 50}, {"scale": 64, "invert": False}])
def test_our_particles_are_those_of_relion(project, still, simulated, told):
    at = np.rint(simulated.truth.positions)
    write(project / "picks.star", Coordinates(at, np.ones(len(at))))
    image, ctf = still
    picks = Picks(
        path=str(project / "picks.star"), micrograph=image.path, count=len(at), diameter=DIAMETER, pixel_size=2.0
    )
    found = []
    for name, protocol in (("ours", ExtractParticles), ("theirs", RelionExtract)):
        out = Out(project, f"steps/{name}", "m001")
        made = protocol(box=100, background=150.0, **told).process(image, ctf, picks, out)
        out.commit()
        table = star.read(project / made.metadata)["particles"]
        places = zip(table["rlnCoordinateX"], table["rlnCoordinateY"], strict=True)
        found.append(dict(zip(places, mrc.read_stack(project / made.path), strict=True)))
    ours, theirs = found
    assert len(ours) > 10 and set(ours) <= set(theirs)  # we leave out those that reach far beyond the edge
    assert max(np.abs(ours[place] - theirs[place]).max() for place in ours) < 1e-3


@needs(RelionClass2D)
def test_particles_are_sorted(project):
    stack = particles.simulate(60, box=32, pixel_size=10.0, snr=0.5, views=2, seed=3)
    files = particles.write(stack, project, per=30)
    items = [
        Particles(path=str(a), metadata=str(b), count=30, box=32, pixel_size=10.0, diameter=stack.diameter)
        for a, b in files
    ]
    out = Out(project, "steps/classes", "all")
    step = RelionClass2D(classes=2, method="EM", iterations=4, shift_range=3.0, angular_step=30.0)
    classes = step.process(items, None, out)
    out.commit()
    assert classes.particles == 60 and classes.box == 32 and classes.program == "RELION"
    assert mrc.read_stack(project / classes.path).shape == (2, 32, 32)
    assert len(star.read(project / classes.metadata)["particles"]["rlnImageName"]) == 60


@needs(RelionMotioncorr)
def test_a_movie_is_aligned(project, out, simulated):
    mrc.write(project / "movie.mrc", simulated.frames, RECIPE.pixel_size)
    mrc.write(project / "gain.mrc", simulated.gain)
    movie = Movie(
        name="m001",
        path=str(project / "movie.mrc"),
        optics=RECIPE.optics,
        frames=8,
        gain=str(project / "gain.mrc"),
    )
    made = RelionMotioncorr(patch_x=1, patch_y=1).process(movie, out)
    out.commit()
    truth = simulated.truth.shifts
    assert np.abs((made.shifts - made.shifts.mean(0)) - (truth - truth.mean(0))).max() < 1.0
    assert mrc.read(project / made.path).shape == (512, 512) and made.dose_weighted
