"""What a page knows of the picks of a step: counts of the newest micrographs, and the worth of each pick of the last.

Rows of the ledger are read once, and so is each file; a new movie costs one of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryowidgets.errors import CryowidgetsError, InputError
from cryowidgets.io import coordinates
from cryowidgets.io.corrections import Corrections
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader

KEEP = 2000
"""Micrographs, the newest, of which counts are kept."""
RECENT = 50
"""Micrographs, the newest, whose picks are looked at one by one."""
AT_ONCE = 10
"""Files that are read in one go: a page that is opened shall not wait for all of them."""
FILTER = "FilterPicks"
"""Protocol of the step that lets pass what the two sliders leave."""
BY_HAND = ("CorrectPicks", "PickByHand")
"""Protocols of the steps that a person's picks go to."""


@dataclass(frozen=True)
class Row:
    """Picks of one micrograph, as the ledger has them."""

    id: int
    exposure: int
    name: str
    acquired: float
    count: int
    path: str
    thumbnail: str
    time: float
    """when they were written, UTC s"""


@dataclass(frozen=True)
class Worth:
    """What the picks of one micrograph are worth."""

    row: int
    """id of their row in the ledger"""
    scores: np.ndarray
    """(n,) float32, NaN where unknown"""
    powers: np.ndarray
    """(n,) float32, NaN where unknown"""


class Picked:
    """The newest micrographs of one step that gives picks, or what comes of them.

    Parameters
    ----------
    step : str
    closely : bool
        Whether the files of the last ones are read, too.

    Attributes
    ----------
    rows : list of Row
        In the order in which they were taken.
    worth : dict of int to Worth
        By exposure, of the last `RECENT` of them as far as they have been read.
    """

    def __init__(self, step: str, closely: bool = True) -> None:
        self.step, self._closely = step, closely
        self.rows: list[Row] = []
        self.worth: dict[int, Worth] = {}
        self.whole = False
        """Whether all the files were read that should be."""
        self._by_exposure: dict[int, Row] = {}
        self._since = 0

    def refresh(self, reader: Reader, fresh: bool = False) -> bool:
        """Read what is new; whether there was anything. With `fresh` all of it is read anew."""
        before = len(self.rows), self._since, self._known()
        if fresh:
            self._by_exposure, self._since = {}, 0
        found = reader.rows(self.step, self._since, limit=KEEP)
        if len(found["id"]) or fresh:
            self._take(found)
        self._read(reader.folder)
        return fresh or before != (len(self.rows), self._since, self._known())

    def row(self, exposure: int | None) -> Row | None:
        """That of an exposure, None where it has none or is long gone."""
        return self._by_exposure.get(exposure) if exposure is not None else None

    def beside(self, exposure: int | None, by: int) -> int | None:
        """The exposure so many further on; None where there is none."""
        ids = [row.exposure for row in self.rows]
        if exposure not in ids:
            return ids[-1] if ids else None
        at = ids.index(exposure) + by
        return ids[at] if 0 <= at < len(ids) else None

    def _take(self, found: dict) -> None:
        names = ("id", "exposure", "name", "acquired", "count", "path", "thumbnail", "time")
        for id, exposure, name, acquired, count, path, thumbnail, time in zip(*(found[n] for n in names), strict=True):
            row = Row(int(id), int(exposure), name, float(acquired), int(count), path, thumbnail, float(time))
            self._by_exposure[row.exposure] = row
            self._since = max(self._since, row.id)
        self.rows = sorted(self._by_exposure.values(), key=lambda row: (row.acquired, row.exposure))[-KEEP:]
        self._by_exposure = {row.exposure: row for row in self.rows}

    def _read(self, folder: Path) -> None:
        last = self.rows[-RECENT:] if self._closely else []
        wanted = {row.exposure: row for row in last}
        for exposure in [id for id, worth in self.worth.items() if id not in wanted or worth.row != wanted[id].id]:
            del self.worth[exposure]
        missing = [row for row in reversed(last) if row.exposure not in self.worth]
        for row in missing[:AT_ONCE]:
            self.worth[row.exposure] = _worth(folder, row)
        self.whole = len(missing) <= AT_ONCE

    def _known(self) -> frozenset[int]:
        return frozenset(worth.row for worth in self.worth.values())


def corrections(reader: Reader, step: Step | None, exposure: int) -> Corrections:
    """What a person has changed of the picks of a step; nothing where nobody can, or the file cannot be read."""
    if step is not None and step.protocol in BY_HAND:
        try:
            return reader.corrections(step.name, exposure)
        except CryowidgetsError:
            pass
    return Corrections(np.zeros((0, 2)), np.zeros((0, 2)))


def steps_with_picks(steps: Mapping[str, Step]) -> list[str]:
    """Names of the steps that give picks, in the order of the workflow."""
    return [step.name for step in steps.values() if step.gives == "Picks"]


def filter_of(steps: Mapping[str, Step], shown: str) -> Step | None:
    """The filter that takes the picks of a step, or is that step itself; else the last one there is."""
    found = [step for step in steps.values() if step.protocol == FILTER]
    near = [step for step in found if step.name == shown or shown in step.inputs.values()]
    return (near or found or [None])[-1]


def first_shown(steps: Mapping[str, Step]) -> str:
    """The step whose picks are shown until a person says otherwise; empty where none gives any.

    The last one, but what a filter takes rather than what it leaves: a slider can then be moved both ways.
    """
    names = steps_with_picks(steps)
    if not names:
        return ""
    step = steps[names[-1]]
    while step.protocol == FILTER:
        source = next((name for name in step.inputs.values() if name in names), None)
        if source is None:
            break
        step = steps[source]
    return step.name


def _worth(folder: Path, row: Row) -> Worth:
    try:
        found = coordinates.read(folder / row.path)
    except InputError:  # cleaned away, or of another program: the picks are counted, and no more is known of them
        nothing = np.zeros(0, np.float32)
        return Worth(row.id, nothing, nothing)
    return Worth(row.id, found.scores.astype(np.float32), found.powers.astype(np.float32))
