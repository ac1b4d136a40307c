"""The step that takes picks from files, so that what another program has found flows on from here."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from traitlets import Bool, Enum, Float, Unicode

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import picking
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out

NAME = "{name}"
"""Stands for the name of the micrograph in a pattern."""


class ImportPicks(Protocol):
    """Take the picks of each micrograph from a file: RELION star, EMAN box or json, crYOLO cbox, Topaz text.

    One file for each micrograph, which has its name; or one star file or table of Topaz for all of them, whose rows
    name their micrographs. What a file says in other pixels is scaled.
    """

    takes = Micrograph
    gives = Picks

    files = Unicode(
        "", help="Files, with {name} for the name of the micrograph: /data/picks/{name}*.box; or one file for all"
    )
    diameter = Float(150.0, min=10, max=3000, help="Diameter of the particles").tag(unit="Å")
    pixel_size = Float(
        0.0, min=0, max=100, help="Pixel size of the micrographs that were picked; 0 for that of ours"
    ).tag(unit="Å/px")
    score_min = Float(None, allow_none=True, min=-1e6, max=1e6, help="Least score that is taken; none for all")
    shifts = Bool(True, help="Move places of a star file by the shifts in it, which a classification has found").tag(
        advanced=True
    )
    flip = Bool(False, help="Rows of the files are counted from the other end of the micrograph").tag(advanced=True)
    missing = Enum(
        ["fail", "none"], "fail", help="A micrograph without a file fails, to be tried again, or has no picks"
    )

    def check(self) -> None:
        if self.files and not Path(self.files).expanduser().is_absolute():
            raise ParameterError(
                f"ImportPicks.files {self.files!r} is relative: write the whole path, as workers stand elsewhere."
            )

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        if not self.files:
            raise ParameterError("ImportPicks.files is empty: write for instance /data/picks/{name}*.star.")
        size = picking.pixel_size(micrograph)
        theirs = self.pixel_size or size
        file = self._file(micrograph.name)
        found = Coordinates(np.zeros((0, 2)), np.zeros(0))
        if file is not None:
            whole = NAME not in self.files
            found = coordinates.read(file, micrograph.name if whole else "", theirs if self.shifts else 0.0)
        found = found.scaled(theirs / size)
        if self.flip:
            found = replace(found, places=np.array([micrograph.height - 1, 0]) + found.places * np.array([-1, 1]))
        if self.score_min is not None:
            found = found.kept(~(found.scores < self.score_min))
        return picking.picked(found, micrograph, out, self.diameter)

    def _file(self, name: str) -> str | None:
        """The file of a micrograph; None where it has none and need not have one."""
        pattern = os.path.expanduser(self.files)
        if NAME not in pattern:
            return pattern
        pattern = pattern.replace(NAME, glob.escape(name))
        fitting = [path for path in sorted(glob.glob(pattern)) if coordinates.belongs(path, name)]
        if len(fitting) > 1:
            exact = [path for path in fitting if Path(path).stem == name]
            if len(exact) != 1:
                raise InputError(f"{name} has {len(fitting)} files of picks, {fitting[0]} and {fitting[1]}: which one?")
            fitting = exact
        if not fitting and self.missing == "fail":
            raise InputError(f"{name} has no file of picks: nothing is called {pattern}. Try again when there is.")
        return fitting[0] if fitting else None
