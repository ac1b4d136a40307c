"""Make room: what may go and how much that is, have it done by whoever may write the project, and take it back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryowidgets.engine import inbox
from cryowidgets.engine.inherited import take_over
from cryowidgets.errors import EngineRunning, ParameterError, ProjectError
from cryowidgets.facility import sizes
from cryowidgets.facility.accepted import rejected
from cryowidgets.store import cleaning
from cryowidgets.store.cleaning import RECOMPUTABLE
from cryowidgets.store.lock import WriterLock, holder
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

WHOSE = ("all", "rejected", "outside")
"""Of all exposures; of those that a person or a gate rejected; of those and of what lies outside the thresholds."""


@dataclass
class Offer:
    """What would go."""

    categories: dict[str, tuple[int, int]] = field(default_factory=dict)
    """files and bytes"""
    exposures: int = 0
    """whose files they are"""
    kept: list[str] = field(default_factory=list)
    """sentences about what stays, and why"""

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.categories.values())


def offer(
    project: Path | str,
    what: Collection[str] = tuple(RECOMPUTABLE),
    whose: str = "all",
    orphaned: bool = False,
    raw_of_rejected: bool = False,
) -> Offer:
    """What `clean` with the same words would take away; nothing is changed.

    Raises
    ------
    ParameterError
        There is no such category.
    """
    _check(what, whose)
    with Reader(project) as reader:
        chosen, kept = cleaning.plan(reader.query, reader.steps(), what, _exposures(reader, whose))
        if raw_of_rejected:
            chosen += cleaning.raw_of_rejected(reader.query, reader.steps())
        found = Offer(kept=kept, exposures=len({one.exposure for one in chosen}))
        for one in chosen:
            try:
                size = os.lstat(reader.folder / one.path).st_size
            except OSError:
                continue
            files, before = found.categories.get(one.category, (0, 0))
            found.categories[one.category] = files + 1, before + size
        if orphaned:
            loose = {"orphaned": sizes.orphaned(reader), "half-written": sizes.half_written(reader.folder)}
            for name, parts in {name: list(some) for name, some in loose.items()}.items():
                if parts:
                    found.categories[name] = len(parts), sum(size for _, size in parts)
    return found


def clean(
    project: Path | str,
    what: Collection[str] = tuple(RECOMPUTABLE),
    whose: str = "all",
    orphaned: bool = False,
    raw_of_rejected: str = "",
) -> str:
    """Take files away: by the engine where one works, else here; the ledger knows of each. Returns what was said.

    Parameters
    ----------
    what : collection of str
        Categories of `RECOMPUTABLE`.
    whose : str
        One of `WHOSE`.
    orphaned : bool
        Also files that no result names and what dead workers left; only while no engine works.
    raw_of_rejected : str
        The name of the session, to have the raw movies that a person rejected deleted too: these never come back.

    Raises
    ------
    ParameterError
        A word that is none, or another name than that of the session.
    EngineRunning
        `orphaned` while an engine works.
    ProjectError
        It is no project, or the engine does not answer.
    """
    _check(what, whose)
    with Reader(project) as reader:
        folder, name = reader.folder, reader.settings()["name"]
        exposures = _exposures(reader, whose)
    if raw_of_rejected and raw_of_rejected != name:
        raise ParameterError(
            f"Raw movies are deleted for good: to say that you mean it, write the session's name, {name!r}, not "
            f"{raw_of_rejected!r}."
        )
    why = {"all": "cleaned by hand", "rejected": "rejected", "outside": "rejected or outside the thresholds"}[whose]
    args = {"what": list(what), "exposures": exposures, "why": why, "raw_of_rejected": raw_of_rejected}
    if _working(folder):
        if orphaned:
            raise EngineRunning(
                f"An engine works on {folder}: which files are orphaned cannot be told while it writes. "
                f"'cryowidgets stop {folder} --now' ends it for as long."
            )
        return _ask(folder, "clean", args)
    with _Writing(folder) as store:
        chosen, kept = cleaning.plan(store.query, store.steps(), what, exposures)
        if raw_of_rejected:
            chosen += cleaning.raw_of_rejected(store.query, store.steps())
        count, size = cleaning.mark(store, chosen, why)
        while not cleaning.take_away(store, 10.0):
            pass
        if orphaned:
            more, freed = _sweep(folder)
            count, size = count + more, size + freed
        said = cleaning.said(count, size, why, kept)
        store.event("command", said)
    return said


def restore(project: Path | str, exposures: Sequence[int] | None = None, step: str | None = None) -> tuple[str, bool]:
    """Have files that were cleaned made again; what was said, and whether an engine is there that does it."""
    with Reader(project) as reader:
        folder, steps = reader.folder, reader.steps()
    if step is not None and step not in steps:
        raise ParameterError(f"{folder} has no step {step!r}; it has {', '.join(steps)}.")
    if _working(folder):
        return _ask(folder, "restore", {"exposures": exposures, "step": step}), True
    with _Writing(folder) as store:
        count = cleaning.want(store, exposures, step)
        said = f"cleaned files of {count} result{'s' * (count > 1)} are to be made again"
        said = said if count else "nothing was cleaned there"
        store.event("command", said)
    return said, False


class _Writing:
    """The ledger for writing, while no engine works."""

    def __init__(self, folder: Path) -> None:
        self._lock = WriterLock(folder)
        self._store: Store | None = None
        try:
            self._store = Store(folder)
            take_over(self._store)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Store:
        assert self._store is not None
        return self._store

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()
        self._lock.release()


def _sweep(folder: Path) -> tuple[int, int]:
    """Take away what no result names, under the lock of the project."""
    with Reader(folder) as reader:
        loose = [*sizes.orphaned(reader), *sizes.half_written(folder)]
    for path, _ in loose:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(loose), sum(size for _, size in loose)


def _exposures(reader: Reader, whose: str) -> list[int] | None:
    if whose == "all":
        return None
    out = rejected(reader)
    cut = reader.thresholds()
    if whose == "outside":
        if not cut:
            raise ParameterError(
                f"{reader.folder} has no thresholds saved, so nothing lies outside: set them on its page first."
            )
        overview = Overview()
        overview.refresh(reader)
        within = overview.accepted(cut)
        done = overview.accepted({})
        out = out.union(overview.id[done & ~within].tolist())
    return sorted(out)


def _check(what: Collection[str], whose: str) -> None:
    unknown = [name for name in what if name not in RECOMPUTABLE]
    if unknown:
        raise ParameterError(f"{unknown[0]!r} cannot be cleaned: write some of {', '.join(RECOMPUTABLE)}.")
    if whose not in WHOSE:
        raise ParameterError(f"{whose!r} is not whose files go: write one of {', '.join(WHOSE)}.")


def _working(folder: Path) -> bool:
    found = holder(folder)
    return bool(found and found.alive)


def _ask(folder: Path, command: str, args: dict, patience: float = 60.0) -> str:
    ref = inbox.send(folder, command, **args)
    until = time.monotonic() + patience
    with Reader(folder) as reader:
        while time.monotonic() < until:
            answer = reader.answer(ref)
            if answer is not None:
                if answer.kind == "command":
                    return answer.text
                raise ProjectError(answer.text)
            time.sleep(0.02)
    return "The engine is asked to do it, and is busy: it says so in its log when it has."
