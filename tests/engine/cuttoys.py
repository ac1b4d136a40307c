"""A step that gives particles which lie in the project already: importable by workers through PYTHONPATH."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from cryowidgets.io import mrc, star
from cryowidgets.model import Movie, Particles
from cryowidgets.protocols.base import Protocol


class Cut(Protocol):
    """Movie ``m00003`` has the particles of ``sim_00003_particles.star``."""

    takes = Movie
    gives = Particles

    def process(self, movie, out):
        path, metadata = (out.absolute(f"sim_{movie.name[1:]}_particles.{kind}") for kind in ("mrcs", "star"))
        header = mrc.read_header(path)
        count, box, _ = header.shape
        assert Path(metadata).is_file()
        return Particles(path=path, metadata=metadata, count=count, box=box, pixel_size=8.0, diameter=170.0)


class CutOwn(Cut):
    """The same with a stack of its own, so that it can be cleaned and made again."""

    def process(self, movie, out):
        found = super().process(movie, out)
        blocks = star.read(found.metadata)
        names = [f"{i:06d}@{out.name('.mrcs')}" for i in range(1, found.count + 1)]
        shutil.copyfile(found.path, out.file(".mrcs"))
        star.write(out.file(".star"), {**blocks, "particles": {**blocks["particles"], "rlnImageName": names}})
        return replace(found, path=out.name(".mrcs"), metadata=out.name(".star"))
