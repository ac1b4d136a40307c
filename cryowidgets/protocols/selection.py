"""Particles of chosen classes out of all batches of a sorting, so that each batch costs what is new in it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import star
from cryowidgets.protocols import relion_files
from cryowidgets.protocols.sorted import all_particles

ENDING, STATE = "_particles.star", "_chosen.npz"
"""Of the file of chosen particles, and of what lies beside it for the next batch."""


@dataclass(frozen=True)
class Selection:
    """Particles that were chosen.

    Attributes
    ----------
    optics, table : dict
        Those that come on top of `before`, as blocks of a star file.
    before : str
        File of those that were chosen of earlier batches, in the same way; empty where the table has all.
    identities, taken : (n,) int
        Classes that particles of all batches belong to, and those of them that are chosen and have some.
    count, left : int
        Particles that were chosen, and that were not.
    """

    optics: dict[str, list]
    table: dict[str, list]
    before: str
    identities: np.ndarray
    taken: np.ndarray
    count: int
    left: int
    _stacks: np.ndarray
    _newest: str

    def write(self, path: str | os.PathLike) -> None:
        """Write all that was chosen, and beside it what the next batch goes on from."""
        if self.before:
            star.extend(path, self.before, self.table)
        else:
            star.write(path, {"optics": self.optics, "particles": self.table})
        alike = np.array(_alike(self.optics, self.table))
        values = {"identities": self.identities, "taken": self.taken, "stacks": self._stacks, "alike": alike}
        numbers = {"count": np.array(self.count), "left": np.array(self.left), "newest": np.array(self._newest)}
        np.savez(state(path), **values, **numbers)


def select(metadata: str, chosen: Collection[int], before: str = "") -> Selection:
    """Choose particles by the class that they were sorted into.

    Parameters
    ----------
    metadata : str
        File of the newest batch: `Classes.metadata`.
    chosen : collection of int
        Identities of classes.
    before : str
        File that `Selection.write` has written of earlier batches. It is gone on from where the choice among the
        classes that there were is the same and nothing was sorted or cut out once more; else all batches are read.

    Raises
    ------
    InputError
        A file of a batch cannot be read; see `all_particles`.
    """
    return (before and _more(metadata, chosen, before)) or _of(all_particles(metadata), chosen, metadata)


def state(path: str | os.PathLike) -> Path:
    """What the next batch goes on from, beside a file of chosen particles."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(ENDING) + STATE)


def _of(blocks: relion_files.Blocks, chosen: Collection[int], metadata: str) -> Selection:
    optics, table = relion_files.particles(blocks, "a file of particles")
    identities = np.array(table.get("cwIdentity") or table["rlnClassNumber"], dtype=np.int64)
    keep = np.isin(identities, list(chosen))
    rest = np.flatnonzero(keep)
    return Selection(
        optics,
        {name: [values[i] for i in rest] for name, values in table.items()},
        "",
        np.unique(identities),
        np.unique(identities[keep]),
        len(rest),
        len(identities) - len(rest),
        _hashed(relion_files.pictures(table)[1]),
        Path(metadata).name,
    )


def _more(metadata: str, chosen: Collection[int], before: str) -> Selection | None:
    """The same of what is new alone; None where that is not all that has changed."""
    try:
        with np.load(state(before), allow_pickle=False) as kept:
            known = dict(kept)
        after = Path(metadata).parent / str(known["newest"])
        same = np.isin(known["identities"], list(chosen)) == np.isin(known["identities"], known["taken"])
        if not same.all() or not known["count"] or not Path(before).is_file():
            return None
        new = _of(all_particles(metadata, after), chosen, metadata)
        if _alike(new.optics, new.table) != str(known["alike"]) or np.isin(new._stacks, known["stacks"]).any():
            return None
        return Selection(
            new.optics,
            new.table,
            before,
            np.union1d(known["identities"], new.identities),
            np.union1d(known["taken"], new.taken),
            int(known["count"]) + new.count,
            int(known["left"]) + new.left,
            np.concatenate([known["stacks"], new._stacks]),
            new._newest,
        )
    except (InputError, OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # a file was removed, or the sorting begun anew


def _alike(optics: dict[str, list], table: Iterable[str]) -> str:
    """What must be the same for particles to stand in one file without a change."""
    return repr((sorted(optics.items()), list(table)))


def _hashed(stacks: Iterable[str]) -> np.ndarray:
    """The stacks as numbers: many a name is long, and there is one for each micrograph."""
    digests = [blake2b(name.encode(), digest_size=8).digest() for name in set(stacks)]
    return np.frombuffer(b"".join(digests), np.uint64)
