"""Hand a session over to CryoSPARC: folders and star files as its import jobs take them.

::

    OUT/movies/GROUP/          links to the accepted raw movies, a folder for each optics group
    OUT/micrographs/GROUP/     the accepted micrographs, dose weighted where there are such
    OUT/gain/                  gain references
    OUT/micrographs.star       micrographs with their CTF
    OUT/picks.star             coordinates in all micrographs, with their CTF
    OUT/particles.star         particles; their stacks lie in OUT/particles/
    OUT/exposures.csv          optics group, beam shift, and target defocus of each
    OUT/README.txt             which of these goes into which field

Import jobs for movies and micrographs take a path with wildcards, and give all that they find one exposure group:
therefore a folder for each group, with only what was accepted. Star files have the columns and the layout of RELION
3.1, every path in them relative to OUT. CryoSPARC links files and does not copy them, so OUT has to stay.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import ProjectError
from cryowidgets.facility import particles
from cryowidgets.facility.accepted import Accepted, LeftOut, left_out
from cryowidgets.facility.chosen import Chosen
from cryowidgets.facility.placing import image, place, there, write_star
from cryowidgets.facility.relion import blocks, ctf
from cryowidgets.model import Ctf, Micrograph, Movie, Particles, Picks
from cryowidgets.store.queries import Reader


@dataclass(frozen=True)
class HandedOver:
    """How much of each kind."""

    movies: int
    micrographs: int
    ctfs: int
    picks: int
    particles: int
    groups: int
    cleaned: int
    """micrographs left out since their images were cleaned"""
    left_out: LeftOut


def export(project: Path | str, out: Path | str, copy: bool = False, thresholds: bool = True) -> HandedOver:
    """Write the accepted part of a project; into the same folder again brings it up to date.

    Parameters
    ----------
    copy : bool
        Copy micrographs and particles instead of linking them. Movies are linked in any case.
    thresholds : bool
        Leave out what does not lie within the thresholds that are saved with the project.

    Raises
    ------
    ProjectError
        `project` is no project, has nothing to export yet, or `out` cannot be written to.
    """
    target = Path(os.path.abspath(out))
    with Reader(project) as reader:
        try:
            return _Export(reader, target, copy, thresholds).write()
        except OSError as error:
            raise ProjectError(f"Cannot export to {target}: {error}.") from None


class _Export:
    def __init__(self, reader: Reader, out: Path, copy: bool, thresholds: bool) -> None:
        self._reader, self._out, self._copy, self._thresholds = reader, out, copy, thresholds
        self._optics = reader.optics()
        self._groups = _names([self._optics[e] for e in self._optics])
        self._accepted = Accepted(reader, thresholds)

    def write(self) -> HandedOver:
        movies = self._accepted.of(Movie)
        if not movies:
            raise ProjectError(f"{self._reader.folder} has no movies to export yet.")
        self._out.mkdir(parents=True, exist_ok=True)
        found = self._accepted.of(Micrograph)
        micrographs = {e: m for e, m in found.items() if self._image(m)}
        ctfs = {e: c for e, c in self._accepted.of(Ctf).items() if math.isfinite(c["defocus_u"]) and e in micrographs}
        placed: set[Path] = set()
        raw = {}
        for e, m in movies.items():
            name = f"movies/{self._group(e)}/{m['name']}{Path(m['path']).suffix}"
            raw[e] = self._place(m["path"], name, placed, link=True)
        for path in dict.fromkeys(m["gain"] for m in movies.values() if m["gain"]):
            self._place(path, f"gain/{Path(path).name}", placed)
        images = {}
        for e, m in micrographs.items():
            images[e] = self._place(self._image(m), f"micrographs/{self._group(e)}/{m['name']}.mrc", placed)
        pixels = {e: m["pixel_size"] for e, m in micrographs.items()}
        rows = {e: {"rlnMicrographName": images[e], **(_ctf(ctfs[e]) if e in ctfs else {})} for e in images}
        fitted = {e: row for e, row in rows.items() if e in ctfs}
        tables = blocks("micrographs", fitted or rows, self._optics, pixels) if rows else {}
        write_star(self._out / "micrographs.star", tables)
        picks = self._picks(fitted, tables)
        count = self._particles(images, placed)
        self._table(movies, raw, images)
        self._sweep(placed)
        (self._out / "README.txt").write_text(_README, encoding="utf-8")
        return HandedOver(
            len(raw),
            len(images),
            len(ctfs),
            picks,
            count,
            len({self._group(e) for e in raw}),
            len(found) - len(micrographs),
            left_out(self._reader, self._thresholds),
        )

    def _group(self, exposure: int) -> str:
        return self._groups[self._optics[exposure]]

    def _image(self, m: Mapping[str, Any]) -> str:
        return image(self._reader.folder, m)

    def _picks(self, fitted: Mapping[int, dict[str, Any]], tables: Mapping[str, Any]) -> int:
        numbers = dict(zip(fitted, tables["micrographs"]["rlnOpticsGroup"], strict=True)) if fitted else {}
        columns = tables.get("optics", {})  # of no micrograph that is there, no optics
        optics = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        rows = [row for e, row in self._accepted.of(Picks).items() if e in fitted and row["count"]]
        return particles.picks(
            self._out / "picks.star",
            self._reader.folder,
            rows,
            optics,
            lambda row: {**fitted[row["exposure"]], "rlnOpticsGroup": numbers[row["exposure"]]},
        )

    def _particles(self, images: Mapping[int, str], placed: set[Path]) -> int:
        rows = [
            row
            for e, row in self._accepted.of(Particles).items()
            if e in images and there(self._reader.folder, row["path"])
        ]
        return particles.particles(
            self._out / "particles.star",
            self._reader.folder,
            rows,
            lambda row: self._place(row["path"], f"particles/{row['name']}.mrcs", placed),
            lambda row: images[row["exposure"]],
            Chosen.of(self._reader),
        )

    def _table(self, movies: Mapping[int, Mapping], raw: Mapping[int, str], images: Mapping[int, str]) -> None:
        with open(self._out / "exposures.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["movie", "micrograph", "optics_group", "beam_shift_x", "beam_shift_y", "target_defocus_um"]
            )
            for e, m in movies.items():
                target = m["target_defocus"] / 1e4
                numbers = [m["beam_shift_x"], m["beam_shift_y"], target]
                texts = [f"{n:.6g}" if math.isfinite(n) else "" for n in numbers]
                writer.writerow([raw[e], images.get(e, ""), self._group(e), *texts])

    def _place(self, source: str, name: str, placed: set[Path], link: bool = False) -> str:
        target = self._out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        placed.add(target)
        place(self._reader.folder / source, target, self._copy and not link)
        return name

    def _sweep(self, placed: set[Path]) -> None:
        """Take away what an export before has placed and is accepted no more: wildcards would find it."""
        for folder in ("movies", "micrographs", "particles", "gain"):
            for path in (self._out / folder).rglob("*"):
                if (path.is_file() or path.is_symlink()) and path not in placed:
                    path.unlink()


def _ctf(c: Mapping[str, Any]) -> dict[str, float]:
    columns = ctf(c)
    return {name: columns[name] for name in _CTF}


_CTF = (
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnPhaseShift",
    "rlnCtfFigureOfMerit",
    "rlnCtfMaxResolution",
)
"""What CryoSPARC reads of a CTF."""


def _names(optics: list[Any]) -> dict[Any, str]:
    """A folder's name for each optics group; those of one name and other settings are numbered."""
    found: dict[Any, str] = {}
    for group in dict.fromkeys(optics):
        name = re.sub(r"[^\w.+-]", "_", group.name) or "opticsGroup"
        taken = [*found.values()]
        number = 1 + sum(other == name or other.startswith(f"{name}_") for other in taken)
        found[group] = name if number == 1 else f"{name}_{number}"
    return found


_README = """A session handed over by cryowidgets. Only accepted exposures are here.

Import Movies, once for each folder in movies/
    Movies data path            movies/GROUP/*
    Gain reference path         gain/...            (where there is one)
Import Micrographs, once for each folder in micrographs/
    Micrographs data path       micrographs/GROUP/*.mrc
Import Particle Stack
    Particle meta path          particles.star
    Particle data path          this folder: names in the star file are relative to it
    To link particles to micrographs, give the imported micrographs as source exposures: names agree.
Import Particle Stack, for coordinates alone
    Particle meta path          picks.star
    Source exposures            the imported micrographs

micrographs.star has defocus and fit resolution of each micrograph; exposures.csv its optics group and beam shift.
CryoSPARC links these files and does not copy them: keep this folder where it is.
"""
