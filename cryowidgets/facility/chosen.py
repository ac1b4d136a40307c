"""The particles that a selection of classes has left, and what their sorting said of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cryowidgets.io import star
from cryowidgets.model import Particles
from cryowidgets.protocols import relion_files
from cryowidgets.store.queries import Reader

SORTED = ("rlnClassNumber", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnMaxValueProbDistribution")
"""What a table of particles gets from their sorting."""


class Chosen:
    """Which particles were chosen, found by the names of their pictures.

    Parameters
    ----------
    table : mapping
        Columns of the particles that were chosen.
    """

    def __init__(self, table: Mapping[str, list]) -> None:
        self._columns = [name for name in SORTED if name in table]
        named, files = relion_files.pictures(table)
        numbers = np.array(named, np.int64)
        stacks: dict[str, list[int]] = {}
        for row, stack in enumerate(files):
            stacks.setdefault(stack, []).append(row)
        values = np.array([table[name] for name in self._columns], float).reshape(len(self._columns), len(numbers)).T
        self._found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for stack, rows in stacks.items():
            order = np.array(rows)[np.argsort(numbers[rows], kind="stable")]
            self._found[stack] = numbers[order], values[order]

    @classmethod
    def of(cls, reader: Reader) -> Chosen | None:
        """By the last step of a workflow that chooses among all particles; None where it has none, or no result."""
        giving = [step.name for step in reader.steps().values() if step.gives == Particles.__name__ and step.fold]
        item = reader.result(giving[-1]) if giving else None
        if not isinstance(item, Particles):
            return None
        if not item.metadata:
            return cls({"rlnImageName": []})
        return cls(relion_files.particles(star.read(item.metadata), item.metadata)[1])

    def among(self, table: Mapping[str, list]) -> dict[str, list[Any]]:
        """Those rows of a table of particles that were chosen, with the columns of their sorting."""
        rows: list[int] = []
        said: list[np.ndarray] = []
        for row, (number, stack) in enumerate(zip(*relion_files.pictures(table), strict=True)):
            if stack not in self._found:
                continue
            numbers, values = self._found[stack]
            place = int(np.searchsorted(numbers, number))
            if place < len(numbers) and numbers[place] == number:
                rows.append(row)
                said.append(values[place])
        kept = {name: [values[row] for row in rows] for name, values in table.items()}
        for column, name in enumerate(self._columns):
            found = [float(values[column]) for values in said]
            kept[name] = [int(value) for value in found] if name == "rlnClassNumber" else found
        return kept
