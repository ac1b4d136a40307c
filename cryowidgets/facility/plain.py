"""What was accepted of a session as plain tables, for programs that know neither RELION nor CryoSPARC.

::

    OUT/exposures.csv      all numbers of each exposure, see `facility.table`
    OUT/micrographs.csv    micrographs that are there, with their CTF
    OUT/picks.csv          where particles are, px of the micrograph, the first row of its file being 0
    OUT/particles.csv      particles: stack, number in it, and where they were cut out
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.facility import placing, table
from cryowidgets.facility.accepted import Accepted, LeftOut, left_out
from cryowidgets.facility.chosen import Chosen
from cryowidgets.io import coordinates, star
from cryowidgets.model import Ctf, Micrograph, Movie, Particles, Picks
from cryowidgets.protocols import relion_files
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader

_MICROGRAPH = ("name", "movie", "micrograph", "optics_group", "pixel_size_A", "height_px", "width_px")
_CTF = ("defocus_u_A", "defocus_v_A", "angle_deg", "phase_shift_deg", "fit_resolution_A")


@dataclass(frozen=True)
class Written:
    """Rows of each table."""

    exposures: int
    micrographs: int
    picks: int
    particles: int
    left_out: LeftOut


def export(project: Path | str, out: Path | str, thresholds: bool = True) -> Written:
    """Write the tables; a file that would have no rows is not there.

    Raises
    ------
    ProjectError
        It is no project, or `out` cannot be written to.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with Reader(project) as reader:
            overview = Overview()
            overview.refresh(reader)
            good = np.flatnonzero(overview.accepted(reader.thresholds() if thresholds else {}))
            exposures = table.write_csv(out / "exposures.csv", reader, overview, good, None if thresholds else {})
            kinds = (Movie, Micrograph, Ctf, Picks, Particles)
            movies, micrographs, ctfs, picks, particles = map(Accepted(reader, thresholds).of, kinds)
            rows = _micrographs(reader, movies, micrographs, ctfs)
            return Written(
                exposures,
                _write(out / "micrographs.csv", (*_MICROGRAPH, *_CTF), rows),
                _write(out / "picks.csv", ("name", "x_px", "y_px", "score"), _picks(reader, picks)),
                _write(out / "particles.csv", ("name", "stack", "number", "x_px", "y_px"), _cut(reader, particles)),
                left_out(reader, thresholds),
            )
    except OSError as error:
        raise ProjectError(f"Cannot export to {out}: {error}.") from None


def _micrographs(reader: Reader, movies: Mapping, micrographs: Mapping, ctfs: Mapping) -> Iterator[Sequence[Any]]:
    optics = reader.optics()
    for e, m in micrographs.items():
        image = placing.image(reader.folder, m)
        movie = str(reader.folder / movies[e]["path"]) if e in movies else ""
        found = str(reader.folder / image) if image else ""
        ctf = ctfs.get(e, {})
        numbers = [ctf.get(n, math.nan) for n in ("defocus_u", "defocus_v", "angle", "phase_shift", "fit_resolution")]
        shape = (m["height"], m["width"])
        yield m["name"], movie, found, optics[e].name, _text(m["pixel_size"]), *shape, *map(_text, numbers)


def _picks(reader: Reader, picks: Mapping[int, Mapping[str, Any]]) -> Iterator[Sequence[Any]]:
    for row in picks.values():
        if row["count"]:
            found = coordinates.read(reader.folder / row["path"])
            for (y, x), score in zip(found.places.tolist(), found.scores.tolist(), strict=True):
                yield row["name"], _text(x), _text(y), _text(score)


def _cut(reader: Reader, particles: Mapping[int, Mapping[str, Any]]) -> Iterator[Sequence[Any]]:
    chosen = Chosen.of(reader)
    for row in particles.values():
        if not row["count"] or not row["metadata"]:
            continue
        _, found = relion_files.particles(star.read(reader.folder / row["metadata"]), row["metadata"])
        if chosen is not None:
            found = chosen.among(found)
        none = [math.nan] * len(found["rlnImageName"])
        places = zip(found.get("rlnCoordinateX", none), found.get("rlnCoordinateY", none), strict=True)
        for number, (x, y) in zip(relion_files.pictures(found)[0], places, strict=True):
            yield row["name"], str(reader.folder / row["path"]), number, _text(x), _text(y)


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    half = path.with_name(f".{path.name}.making")
    count = 0
    with open(half, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        for row in rows:
            writer.writerow(row)
            count += 1
    if count:
        os.replace(half, path)
    else:
        half.unlink()
        path.unlink(missing_ok=True)
    return count


def _text(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
