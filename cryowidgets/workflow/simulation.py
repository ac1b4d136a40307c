"""The simulated microscope that a workflow document may ask for, so that a template can be tried without a real one.

A document says ``"simulate": {"movies": 24, "every": 5, "voltage": 200}``: a project that is made of it has a
microscope of its own, whose movies its import watches.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitlets import Enum, Float, Int, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.model import Movie
from cryowidgets.protocols.base import Protocol

if TYPE_CHECKING:
    from cryowidgets.sim.microscope import Microscope


class Simulation(Protocol):
    """What the simulated microscope records; see `sim.microscope.Microscope` and `sim.recipe.Recipe`."""

    takes = None
    gives = Movie

    movies = Int(24, min=1, max=100_000, help="How many movies")
    every = Float(5.0, min=0, max=86400, help="Time from one movie to the next; 0 for as fast as they can be made").tag(
        unit="s"
    )
    size = Unicode("1024", help="Side of a frame, or y and x as 4092x5760").tag(unit="px")
    frames = Int(20, min=1, max=2000, help="Frames of a movie")
    seed = Int(1, min=0, help="Another seed, another session")
    format = Enum(["tiff", "mrc", "eer"], "tiff", help="Of the movie files")
    tree = Enum(["epu", "flat"], "epu", help="Folders and names as of EPU, or one folder as of SerialEM")
    write_seconds = Float(2.0, min=0, max=3600, help="How long a file takes to grow").tag(unit="s")
    preset = Enum(["usual", "hard", "empty"], "usual", help="hard: carbon, dirt, rippling motion; empty: no specimen")
    voltage = Float(300.0, min=60, max=1500, help="Acceleration voltage").tag(unit="kV")
    pixel_size = Float(1.2, min=0.1, max=20, help="Pixel size of the movies").tag(unit="Å/px")
    dose_per_frame = Float(1.5, min=0.01, max=20, help="Exposure of one frame").tag(unit="e/Å²")
    cs = Float(2.7, min=0, max=20, help="Spherical aberration").tag(unit="mm")
    defocus = Unicode("7000:30000", help="Defocus, one value or low:high").tag(unit="Å")
    drift = Unicode("2:15", help="Motion of the frame from the first to the last, one value or low:high").tag(unit="px")
    local = Unicode("0.8:2", help="How far parts of the specimen move beside the whole, one value or low:high").tag(
        unit="px"
    )

    def check(self) -> None:
        height, width = self._sides()
        if not all(16 <= side <= 16384 for side in (height, width)):
            raise ParameterError(
                f"Simulation.size {self.size!r} is no size: write 16 to 16384 px, as 1024 or 4092x5760."
            )
        for name in _RANGES:
            if not re.fullmatch(rf"{_NUMBER}(:{_NUMBER})?", getattr(self, name)):
                raise ParameterError(
                    f"Simulation.{name} does not take {getattr(self, name)!r}: write a number, or a range as low:high."
                )

    def microscope(self, out: Path) -> Microscope:
        """The microscope, which writes its gain reference to `out` at once and its movies when `command` is run."""
        from dataclasses import replace

        from cryowidgets.sim.microscope import Microscope
        from cryowidgets.sim.recipe import Recipe

        recipe = replace(
            Recipe(molecule=self.seed, camera=self.seed), **{name: getattr(self, name) for name in _OPTICS}
        )
        return Microscope(
            out,
            size=self._sides(),
            recipe=recipe,
            **{name: getattr(self, name) for name in (*_NUMBERS, "format", "tree", "write_seconds")},
        )

    def command(self, out: Path) -> list[str]:
        """The process that records the movies."""
        height, width = self._sides()
        command = [sys.executable, "-m", "cryowidgets", "sim", str(out), "--size", f"{height}x{width}"]
        for name in (*_NUMBERS, "format", "tree", "preset", "write_seconds"):
            command += ["--" + name.replace("_", "-"), str(getattr(self, name))]
        for name in (*_OPTICS, *_RANGES):
            command += ["--recipe", f"{name}={getattr(self, name)}"]
        return command

    def _sides(self) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", self.size.strip().lower())
        return (int(found[1]), int(found[2] or found[1])) if found else (0, 0)


_NUMBERS = ("movies", "every", "frames", "seed")
_OPTICS = ("voltage", "pixel_size", "dose_per_frame", "cs")
_RANGES = ("defocus", "drift", "local")
_NUMBER = r"\d+(?:\.\d+)?"
