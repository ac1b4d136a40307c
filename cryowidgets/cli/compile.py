"""The command that compiles the kernels before the first movie waits for them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click


@click.command(name="compile")
def compile_() -> None:
    """Compile the kernels for this machine now.

    It is done by itself when the first movie comes, which then takes half a minute longer; once for each installation.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _process_something(Path(folder))
    _compare_maps()
    click.echo(f"The kernels are ready, after {time.perf_counter() - began:.0f} s.")


def _process_something(folder: Path) -> None:
    """Take a small movie of each kind from the file to its CTF, and particles to their classes."""
    import dataclasses

    import numpy as np

    from cryowidgets.io import eerwrite, mrc, tiff
    from cryowidgets.model import Movie
    from cryowidgets.protocols.align_movie import AlignMovie
    from cryowidgets.protocols.estimate_ctf import EstimateCtf
    from cryowidgets.protocols.out import Out
    from cryowidgets.sim.movie import simulate
    from cryowidgets.sim.recipe import Recipe

    recipe = Recipe(shape=(512, 512), frames=6, dose_per_frame=4.0, pixel_size=1.5, local=1.0)
    movie = simulate(recipe, 1)
    mrc.write(folder / "gain.mrc", movie.gain, recipe.pixel_size)
    tiff.write(folder / "counts.tif", movie.frames)
    mrc.write(folder / "integers.mrc", movie.frames.astype(np.int16), recipe.pixel_size)
    eerwrite.write(folder / "events.eer", (movie.frames > 0).astype(np.uint8))
    for name, gain in (("counts.tif", "gain.mrc"), ("integers.mrc", "gain.mrc"), ("events.eer", "")):
        item = Movie(
            name=Path(name).stem,
            path=str(folder / name),
            gain=str(folder / gain) if gain else "",
            optics=recipe.optics,
        )
        micrograph = AlignMovie(eer_group=1).process(item, out := Out(folder, ".", item.name))
        out.commit()
        located = dataclasses.replace(micrograph.located(folder), optics=recipe.optics, name=item.name)
        EstimateCtf().process(located, Out(folder, ".", item.name))
    _sort_something()


def _sort_something() -> None:
    """Sort a few particles."""
    from cryowidgets.kernels.classify import Lens, Settings, Sorting
    from cryowidgets.sim.particles import simulate

    stack = simulate(40, box=32, pixel_size=10.0)
    settings = Settings(diameter=stack.diameter, box=32, pixel_size=stack.pixel_size, classes=2, finest=40.0)
    rows = (stack.defocus_u, stack.defocus_v, stack.angle, stack.phase_shift)
    Sorting.begin(settings, stack.pictures, Lens(stack.voltage, stack.cs, stack.amplitude_contrast), rows)


def _compare_maps() -> None:
    """Take a small map to pictures, back, and onto itself."""
    import numpy as np

    from cryowidgets.kernels import alignvolumes, project3d
    from cryowidgets.kernels.initialposes import Pictures, Poses

    volume = np.random.default_rng(0).standard_normal((16, 16, 16), np.float32)
    rotations = project3d.rotations_of([0, 10], [20, 30], [40, 50])
    project3d.backproject(project3d.project(volume, rotations), rotations)
    alignvolumes.align(volume, volume)
    pictures = Pictures.of(project3d.project(volume, rotations), 6.0)
    pictures.polished(volume, Poses(rotations, np.zeros((2, 2)), np.zeros(2)), 6.0, [(1.0, 1.0)])


COMMANDS = (compile_,)
