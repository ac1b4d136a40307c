"""Tables of particles and picks of a whole session, written row by row: millions of them never are in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError
from cryowidgets.facility.chosen import Chosen
from cryowidgets.io import coordinates, star
from cryowidgets.protocols import relion_files

Row = Mapping[str, Any]
"""A row of `accepted`."""


def particles(
    target: Path,
    folder: Path,
    rows: Iterable[Row],
    stack: Callable[[Row], str],
    micrograph: Callable[[Row], str],
    chosen: Chosen | None = None,
) -> int:
    """Write one star file of the particles of all micrographs; their number.

    Parameters
    ----------
    target : Path
        The file; where there are no particles, one of an export before is taken away.
    folder : Path
        The project, that paths of its star files are relative to.
    rows : iterable
        Accepted `Particles`.
    stack, micrograph : callable
        Under which name stack and micrograph of a row are found from now on.
    chosen : Chosen, optional
        Leave out all other particles.

    Raises
    ------
    InputError
        Particles of different boxes or pixels, which no program takes together.
    """
    table = _Table(target)
    groups: dict[tuple, int] = {}
    optics: list[dict[str, Any]] = []
    for row in rows:
        if not row["count"] or not row["metadata"]:
            continue
        own, found = relion_files.particles(star.read(folder / row["metadata"]), row["metadata"])
        if chosen is not None:
            found = chosen.among(found)
            if not found["rlnImageName"]:
                continue
        numbers = {}
        for values in zip(*own.values(), strict=True):
            group = dict(zip(own, values, strict=True))
            number = group.pop("rlnOpticsGroup", 1)
            key = tuple(sorted(group.items()))
            if key not in groups:
                groups[key] = len(groups) + 1
                optics.append({**group, "rlnOpticsGroup": groups[key]})
            numbers[number] = groups[key]
        named = stack(row)
        found = relion_files.renamed(found, "rlnImageName", lambda _, named=named: named)
        count = len(found["rlnImageName"])
        found["rlnMicrographName"] = [micrograph(row)] * count
        found["rlnOpticsGroup"] = [numbers[number] for number in found["rlnOpticsGroup"]]
        table.add(found)
    sizes = {(group.get("rlnImageSize"), group.get("rlnImagePixelSize")) for group in optics}
    if len(sizes) > 1:
        table.discard()
        said = " and ".join(sorted(f"{box} px of {pixel} Å" for box, pixel in sizes))
        raise InputError(f"Particles of {said} cannot be handed over together: extract all with one box and one scale.")
    return table.finish("particles", unique(optics))


def picks(
    target: Path,
    folder: Path,
    rows: Iterable[Row],
    optics: Sequence[Mapping[str, Any]],
    of: Callable[[Row], Mapping[str, Any]],
) -> int:
    """Write one star file of the coordinates in all micrographs; their number.

    Parameters
    ----------
    rows : iterable
        Accepted `Picks`.
    optics : sequence
        Optics groups, by which the rows of `of` are numbered.
    of : callable
        What each place in a micrograph shares: its name, optics group, defocus.
    """
    table = _Table(target)
    for row in rows:
        found = coordinates.read(folder / row["path"])
        if not len(found):
            continue
        shared = {name: [value] * len(found) for name, value in of(row).items()}
        places = {"rlnCoordinateX": found.places[:, 1].tolist(), "rlnCoordinateY": found.places[:, 0].tolist()}
        scores = [score if score == score else 0.0 for score in found.scores.tolist()]
        table.add({**places, "rlnAutopickFigureOfMerit": scores, **shared})
    return table.finish("particles", optics)


def unique(optics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of one name and different settings get a number: other programs would take them for one."""
    names = [str(group.get("rlnOpticsGroupName", f"opticsGroup{n}")) for n, group in enumerate(optics, 1)]
    numbered = [
        name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}" for i, name in enumerate(names)
    ]
    return [{**group, "rlnOpticsGroupName": name} for group, name in zip(optics, numbered, strict=True)]


class _Table:
    """Rows go to a file beside; the groups that stand above them are known only at the end."""

    def __init__(self, target: Path) -> None:
        self._target, self._rows = target, target.with_name(f".{target.name}.rows")
        self._columns: list[str] = []
        self._file = open(self._rows, "w", encoding="utf-8")
        self._count = 0

    def add(self, table: Mapping[str, Sequence[Any]]) -> None:
        self._columns = self._columns or list(table)
        length = len(next(iter(table.values())))
        columns = [table.get(name, [0] * length) for name in self._columns]
        for values in zip(*columns, strict=True):
            self._file.write(star.row(values))
        self._count += length

    def finish(self, block: str, optics: Sequence[Mapping[str, Any]]) -> int:
        self._file.close()
        if not self._count:
            self._target.unlink(missing_ok=True)
            self._rows.unlink()
            return 0
        names = list(dict.fromkeys(name for group in optics for name in group))
        half = self._target.with_name(f".{self._target.name}.making")
        star.write(half, {"optics": {name: [group.get(name, 0) for group in optics] for name in names}})
        with open(half, "a", encoding="utf-8") as out, open(self._rows, encoding="utf-8") as rows:
            out.write(star.head(block, self._columns))
            while part := rows.read(1 << 20):
                out.write(part)
            out.write(" \n")
        self._rows.unlink()
        os.replace(half, self._target)
        return self._count

    def discard(self) -> None:
        self._file.close()
        self._rows.unlink()
