"""Star files that RELION's programs read, and what they write back. RELION 3.1 and later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryowidgets.errors import InputError
from cryowidgets.model import Ctf, Micrograph, Movie, Optics

Blocks = dict[str, dict[str, Any]]

WORST_RESOLUTION = 25.0
"""Å; where RELION caps rlnCtfMaxResolution."""


def movies(movie: Movie, optics: Optics, name: str) -> Blocks:
    """Blocks of a file with one movie that is called `name`."""
    group = {**_optics(optics), "rlnMicrographOriginalPixelSize": [float(optics.pixel_size)]}
    return {"optics": group, "movies": {"rlnMicrographMovieName": [name], "rlnOpticsGroup": [1]}}


def micrographs(micrograph: Micrograph, ctf: Ctf | None, name: str) -> Blocks:
    """Blocks of a file with one micrograph that is called `name`, and its CTF where there is one.

    Raises
    ------
    InputError
        There are no optics, or the CTF has no defocus.
    """
    if micrograph.optics is None:
        raise InputError(f"{micrograph.path} comes without optics, which RELION needs.")
    optics = micrograph.optics
    group = {
        **_optics(optics),
        "rlnMicrographPixelSize": [float(micrograph.pixel_size)],
        "rlnMicrographOriginalPixelSize": [float(optics.pixel_size)],
    }
    row: dict[str, Any] = {"rlnMicrographName": name, "rlnOpticsGroup": 1}
    if ctf is not None:
        if not math.isfinite(ctf.defocus_u):
            raise InputError(f"{micrograph.path} has no defocus: {ctf.reason or 'its CTF was not fitted.'}")
        resolution = ctf.fit_resolution if math.isfinite(ctf.fit_resolution) else WORST_RESOLUTION
        row |= {
            "rlnDefocusU": float(ctf.defocus_u),
            "rlnDefocusV": float(ctf.defocus_v),
            "rlnDefocusAngle": float(ctf.angle),
            "rlnPhaseShift": float(ctf.phase_shift),
            "rlnCtfFigureOfMerit": float(ctf.score) if math.isfinite(ctf.score) else 0.0,
            "rlnCtfMaxResolution": min(float(resolution), WORST_RESOLUTION),
        }
    return {"optics": group, "micrographs": {key: [value] for key, value in row.items()}}


def particles(blocks: Blocks, what: str) -> tuple[dict[str, list], dict[str, list]]:
    """Optics and particles of a file, every column a list; `what` is what errors call it.

    Raises
    ------
    InputError
        One of them is missing.
    """
    found = []
    for name in ("optics", "particles"):
        if name not in blocks:
            raise InputError(f"{what} has no table data_{name}.")
        found.append({key: value if isinstance(value, list) else [value] for key, value in blocks[name].items()})
    for column in ("rlnImageName", "rlnOpticsGroup"):
        if column not in found[1]:
            raise InputError(f"{what} has no column {column}.")
    return found[0], found[1]


def merged(parts: Iterable[Blocks]) -> Blocks:
    """Particles of several files as one: optics groups of one name and the same values become one.

    Columns that a file lacks are filled with zeros.

    Raises
    ------
    InputError
        Particles of different sizes of box or of pixels, which RELION does not take together.
    """
    groups: dict[tuple, int] = {}
    optics_rows: list[Mapping[str, Any]] = []
    rows: list[Mapping[str, Any]] = []
    for blocks in parts:
        optics, table = particles(blocks, "a file of particles")
        numbers = {}
        for row in _rows(optics):
            own = row["rlnOpticsGroup"]
            key = tuple((k, v) for k, v in row.items() if k != "rlnOpticsGroup")
            if key not in groups:
                groups[key] = len(groups) + 1
                name = row.get("rlnOpticsGroupName", f"opticsGroup{own}")
                taken = sum(r.get("rlnOpticsGroupName", "").partition("/")[0] == name for r in optics_rows)
                named = f"{name}/{taken + 1}" if taken else name
                optics_rows.append({**row, "rlnOpticsGroup": groups[key], "rlnOpticsGroupName": named})
            numbers[own] = groups[key]
        rows += [{**row, "rlnOpticsGroup": numbers[row["rlnOpticsGroup"]]} for row in _rows(table)]
    sizes = {(row.get("rlnImageSize"), row.get("rlnImagePixelSize")) for row in optics_rows}
    if len(sizes) > 1:
        said = " and ".join(sorted(f"{box} px of {pixel} Å" for box, pixel in sizes))
        raise InputError(f"Particles of {said} cannot be sorted together: extract all with one box and one scale.")
    return {"optics": _columns(optics_rows), "particles": _columns(rows)}


def renamed(table: Mapping[str, list], column: str, change) -> dict[str, list]:
    """A table whose names of images, ``000001@stack``, have their files changed."""
    names = []
    for name in table[column]:
        number, at, file = str(name).rpartition("@")
        names.append(f"{number}{at}{change(file)}")
    return {**table, column: names}


def pictures(table: Mapping[str, list]) -> tuple[list[int], list[str]]:
    """Of each particle, the number of its picture in its stack, from 1, and the stack.

    Raises
    ------
    InputError
        A name is not as ``000001@stack``.
    """
    numbers, stacks = [], []
    for name in table["rlnImageName"]:
        number, _, stack = str(name).rpartition("@")
        if not number.isdecimal():
            raise InputError(f"{name} names no picture: write a number and a stack, as 000001@stack.mrcs.")
        numbers.append(int(number))
        stacks.append(stack)
    return numbers, stacks


def _optics(optics: Optics) -> dict[str, list]:
    return {
        "rlnOpticsGroupName": [optics.name],
        "rlnOpticsGroup": [1],
        "rlnVoltage": [float(optics.voltage)],
        "rlnSphericalAberration": [float(optics.cs)],
        "rlnAmplitudeContrast": [float(optics.amplitude_contrast)],
    }


def _rows(table: Mapping[str, list]) -> list[dict[str, Any]]:
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name, 0) for row in rows] for name in names}
