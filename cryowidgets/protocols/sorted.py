"""All particles that a sorting into classes has sorted, from the files of its batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryowidgets.errors import InputError
from cryowidgets.io import star
from cryowidgets.protocols import classfiles, relion_files
from cryowidgets.protocols.relion_files import Blocks


def all_particles(metadata: str | os.PathLike, after: str | os.PathLike = "") -> Blocks:
    """Particles of all batches up to one, the oldest first, as the blocks of one star file.

    Each row has the class of its particle when it was sorted: rlnClassNumber is the slot, counted from 1, and
    cwIdentity the class itself, since a slot whose class died holds another one later. Particles that were cut out of a
    micrograph once more, since somebody corrected its picks, take the place of those before.

    Parameters
    ----------
    metadata : path
        The file of the newest of them: `Classes.metadata`. A file of RELION's holds all by itself.
    after : path, optional
        The file of a batch; only what came after it is given.

    Raises
    ------
    InputError
        A file is missing, the pictures of batches differ in box or pixel size, or `after` is of another sorting.
    """
    later: set[str] = set()
    parts = [_first_seen(blocks, later) for _, blocks in _back(Path(metadata), after)]
    return joined(reversed(parts))


def batch_files(metadata: str | os.PathLike, after: str | os.PathLike = "") -> list[Path]:
    """The files of the batches alone, the oldest first; see `all_particles`."""
    return [path for path, _ in _back(Path(metadata), after)][::-1]


def joined(parts: Iterable[Blocks]) -> Blocks:
    """Particles of several files as one: as `relion_files.merged`, but quick where their optics and columns agree."""
    alike: dict[str, Blocks] = {}
    for blocks in parts:
        optics, table = relion_files.particles(blocks, "a file of particles")
        key = repr((sorted(optics.items()), list(table)))
        if key not in alike:
            alike[key] = {"optics": optics, "particles": {name: list(values) for name, values in table.items()}}
        else:
            for name, values in table.items():
                alike[key]["particles"][name] += values
    if not alike:
        return {"optics": {"rlnOpticsGroup": []}, "particles": {"rlnImageName": [], "rlnOpticsGroup": []}}
    return next(iter(alike.values())) if len(alike) == 1 else relion_files.merged(alike.values())


def _first_seen(blocks: Blocks, later: set[str]) -> Blocks:
    """A batch without the particles of stacks that a later one has; its own stacks are added to `later`."""
    optics, table = relion_files.particles(blocks, "a file of particles")
    stacks = relion_files.pictures(table)[1]
    own = set(stacks)
    if not own.isdisjoint(later):
        rows = [row for row, stack in enumerate(stacks) if stack not in later]
        table = {name: [values[row] for row in rows] for name, values in table.items()}
    later |= own
    return {"optics": optics, "particles": table}


def _back(path: Path, after: str | os.PathLike) -> Iterator[tuple[Path, Blocks]]:
    end = Path(after) if os.fspath(after) else None
    number: int | None = None
    while path != end:
        blocks = star.read(path)
        own, before = classfiles.link(blocks)
        if number is not None and own != number - 1:
            raise InputError(f"{path} holds batch {own} where {number - 1} was expected: it was written anew since.")
        yield path, blocks
        if not before and end is not None:
            raise InputError(f"{end} is not among the batches up to {path}: that sorting was begun anew since.")
        if not before:
            return
        number, path = own, path.parent / before
