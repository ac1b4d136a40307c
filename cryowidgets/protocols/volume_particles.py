"""The particles behind the classes of a first map: which were chosen, and how each lies in the map of the averages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cryowidgets.io import star
from cryowidgets.kernels import initialparticles
from cryowidgets.kernels.initialparticles import Refined, Settings
from cryowidgets.kernels.initialvolume import FirstMap
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import lots, relion_files, sorting
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_files import Blocks
from cryowidgets.protocols.sorted import all_particles

_NEEDED = ("rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnDefocusU")


def sorted_particles(classes: Classes, chosen: Particles | None) -> Blocks | None:
    """Those of a selection where there is one, else all that were sorted; None where nobody has written them down.

    Raises
    ------
    InputError
        A file that is named is missing, or none of particles.
    """
    metadata = classes.metadata if chosen is None else chosen.metadata
    if not metadata:
        return None
    blocks = all_particles(metadata) if chosen is None else star.read(metadata)
    optics, table = relion_files.particles(blocks, metadata)
    return {"optics": optics, "particles": table}


def identities(table: Mapping[str, list]) -> np.ndarray:
    """Number of the class of each particle, (n,) int: that which it keeps for life."""
    return np.array(table.get("cwIdentity") or table.get("rlnClassNumber", []), np.int64)


def refined(
    blocks: Blocks, numbers: np.ndarray, most: int, found: FirstMap, box: int, settings: Settings, out: Out
) -> tuple[Refined | None, int]:
    """The map made finer with the newest particles of its classes, and with how many.

    None where they are too few, their file says not how they lie, or phases are flipped, so that what the lens did to
    them is not known: other programs sort such particles too.

    Parameters
    ----------
    blocks : dict
        See `sorted_particles`.
    numbers : (c,) int
        Of the classes, in the order of the averages that the map was made of.
    most : int
        Particles, at most.
    """
    table = blocks["particles"]
    flipped = any(map(int, blocks["optics"].get("rlnCtfDataArePhaseFlipped", ())))
    if found.volume is None or flipped or any(name not in table for name in _NEEDED):
        return None, 0
    named = identities(table)
    rows = np.flatnonzero(np.isin(named, numbers))[-most:]
    order = np.argsort(numbers)
    places = order[np.searchsorted(numbers, named[rows], sorter=order)]
    columns = {name: np.array(table[name], float)[rows] for name in _NEEDED}
    origins = np.stack([columns["rlnOriginXAngst"], columns["rlnOriginYAngst"]], axis=1) / settings.pixel_size
    begun = initialparticles.by_classes(found.rotations, found.shifts, places, columns["rlnAnglePsi"], origins)
    some = {"optics": blocks["optics"], "particles": {name: [x[i] for i in rows] for name, x in table.items()}}

    def read() -> Iterator[tuple]:
        for lot in lots.lots(some, "a file of particles", out.absolute, box):
            yield lot.pictures, sorting.lens(lot), lot.ctf

    return initialparticles.refined(read(), found.volume, begun, settings), len(rows)
