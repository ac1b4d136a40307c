"""Which classes go on: those chosen by hand, and of the others those whose score is high enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cryowidgets.protocols.classfiles import counting
from cryowidgets.store.database import Step
from cryowidgets.widgets import texts
from cryowidgets.widgets.class_sheet import Table

SELECT = "SelectClasses"
"""Protocol of the steps that let the particles of chosen classes go on."""
NUMBERS = 2000
"""Identities that a list of them may hold."""


@dataclass(frozen=True)
class Selection:
    """Classes kept and dropped by hand, by their identities, and the least score of the others.

    A least score of 0 takes those that look like particles by themselves. Where a program judges no classes all are
    taken, or those kept alone. It means what the step `SelectClasses` does.
    """

    keep: frozenset[int] = frozenset()
    drop: frozenset[int] = frozenset()
    least: float = 0.0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Selection:
        """As the parameters of a step have it."""
        least = params.get("score", cls.least)
        least = float(least) if isinstance(least, int | float) else cls.least
        return cls(_identities(params.get("keep")), _identities(params.get("drop")), least)

    def values(self) -> dict[str, Any]:
        """The same as parameters of a step."""
        return {"keep": _listed(self.keep), "drop": _listed(self.drop), "score": self.least}

    def accepted(self, table: Table) -> np.ndarray:
        """Which rows go on, as the step has it."""
        return counting(table, self.keep, self.drop, self.least)

    def by_hand(self, table: Table) -> np.ndarray:
        """Rows whose fate a person decided."""
        return np.isin(table.identity, list(self.keep | self.drop))

    def turned(self, table: Table, identity: int) -> Selection:
        """The same with one class taken that was not, or the other way round; what the score says is not by hand."""
        row = np.flatnonzero(table.identity == identity)
        if not len(row) or len(self.keep | self.drop) >= NUMBERS:
            return self
        taken = self.accepted(table)
        now = bool(taken[row[0]])
        if not _judged(table):  # there one that is kept excludes all that are not: all is said by what is dropped
            taken[row[0]] = not now
            return replace(self, keep=frozenset(), drop=frozenset(table.identity[~taken].tolist()))
        free = replace(self, keep=self.keep - {identity}, drop=self.drop - {identity})
        if bool(free.accepted(table)[row[0]]) != now:
            return free
        if now:
            return replace(free, drop=free.drop | {identity})
        return replace(free, keep=free.keep | {identity})

    def everything(self, table: Table) -> Selection:
        """The same with all classes taken by hand."""
        keep = frozenset(table.identity.tolist()) if _judged(table) else frozenset()
        return replace(self, keep=keep, drop=frozenset())

    def nothing(self, table: Table) -> Selection:
        """The same with all classes left out by hand."""
        return replace(self, keep=frozenset(), drop=frozenset(table.identity.tolist()))

    def say(self, table: Table, sorted: int) -> str:
        """How many classes and particles go on, of those that were `sorted`."""
        chosen = self.accepted(table)
        n, m = int(table.particles[chosen].sum()), max(int(table.particles.sum()), sorted)
        share = f" ({100 * n / m:.0f} %)" if m else ""
        return (
            f"{texts.thousands(n)} of {texts.thousands(m)} particles accepted{share}, in {int(chosen.sum())} of "
            f"{texts.count(len(table), 'class', 'classes')}"
        )


def selecting(steps: Mapping[str, Step], classes: str) -> Step | None:
    """The step that chooses among the classes of another one, the last where there are several."""
    found = [s for s in steps.values() if s.protocol == SELECT and classes in s.inputs.values()]
    return found[-1] if found else None


def _judged(table: Table) -> bool:
    return bool(np.isfinite(table.score).any())


def _identities(text: Any) -> frozenset[int]:
    words = str(text or "").replace(",", " ").split()
    return frozenset(int(word) for word in words[:NUMBERS] if word.isascii() and word.isdigit())


def _listed(identities: frozenset[int]) -> str:
    return ",".join(map(str, sorted(identities)))
