"""A step that gives particles which lie in the project already: importable by workers through PYTHONPATH."""

from __future__ import annotations

from pathlib import Path

from cryowidgets.io import mrc
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
