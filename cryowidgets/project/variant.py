"""A project that begins where another is, with other parameters: what they do not touch is not computed again."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cryowidgets.engine.inherited import take_over
from cryowidgets.errors import ProjectError
from cryowidgets.project.project import Project
from cryowidgets.protocols import registry
from cryowidgets.store import changes
from cryowidgets.store.database import NAME, Step
from cryowidgets.store.reach import downstream
from cryowidgets.store.store import Store


def variant(source: Project, folder: Path | str, settings: Mapping[str, Mapping[str, Any]]) -> Project:
    """Make a project of the movies, workflow and results of another, with some parameters changed.

    The ledger is copied, and the files of steps that no change reaches are linked into the new project (hard links:
    they take no room, and either project may be deleted; copies where the disks differ). Files are never changed in
    place, so neither project can spoil the other's. Of the steps that changes reach nothing is taken over.

    Where parameters of the import change, nothing of the results would stand: then the new project begins empty.

    Parameters
    ----------
    source : Project
        Its engine may be at work.
    folder : path
        Of the new project; it must not be one yet.
    settings : mapping
        ``{"ctf": {"box": 768}}``.

    Raises
    ------
    ProjectError
        There is a project already, or the folder cannot be written to.
    ParameterError
        A value is refused.
    """
    folder = Path(folder).absolute()
    with source.reader() as reader:
        steps = reader.steps()
    changed = {name: _changed(steps[name], values) for name, values in settings.items()}
    changed = {name: values for name, values in changed.items() if values}
    if any(not steps[name].inputs for name in changed):
        return Project.create(folder, folder.name, source.document(), settings=settings)
    if (folder / NAME).exists():
        raise ProjectError(f"{folder} is a project already. Choose another folder, or open it.")
    touched = {*changed, *downstream(steps, changed)}
    try:
        for part in ("inbox", "steps", "logs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        half = folder / f"{NAME}.making"
        half.unlink(missing_ok=True)
        with closing(sqlite3.connect(half)) as copy:
            with closing(sqlite3.connect(f"file:{source.folder / NAME}?mode=ro", uri=True)) as original:
                original.backup(copy)
        for name in steps:
            if name not in touched:
                _link(source.folder / "steps" / name, folder / "steps" / name)
        half.rename(folder / NAME)  # from here on it is a project
    except OSError as error:
        raise ProjectError(f"Cannot make a project in {folder}: {error}.") from None
    _adapt(folder, source, changed)
    return Project(folder)


def _changed(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not those of the step already, as its protocol has them."""
    protocol = registry.get(step.protocol)
    made = protocol(**{**protocol.known(step.params), **values})
    return {name: getattr(made, name) for name in values if getattr(made, name) != step.params.get(name)}


def _adapt(folder: Path, source: Project, changed: Mapping[str, Mapping[str, Any]]) -> None:
    store = Store(folder)
    try:
        take_over(store)
        with store.transaction():
            store.abandon()
            store.put("name", folder.name)
            store.put("paused", "0")
            said = ", ".join(f"{step}.{name} = {v!r}" for step, values in changed.items() for name, v in values.items())
            store.event("project", f"begun from {source.folder} with {said or 'nothing changed'}")
            for name, values in changed.items():
                store.set_params(name, {**store.steps()[name].params, **values}, scope="new")
            halted = {step.name: step.halted for step in store.steps().values()}
            for name in changed:
                changes.reset(store, name)
            for name in changed:
                changes.halt(store, name, halted[name])  # what goes in the other project goes in this one
            store.put("clearing", "[]")  # files of those steps were not taken over
    finally:
        store.close()


def _link(origin: Path, target: Path) -> None:
    """The files of a step; logs are copied, since those are written to in place."""
    target.mkdir(exist_ok=True)
    if not origin.is_dir():
        return
    for entry in os.scandir(origin):
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                _link(Path(entry.path), target / entry.name)
            continue
        new = target / entry.name
        try:
            if entry.name.endswith(".log"):
                raise OSError
            os.link(entry.path, new)
        except OSError:  # another disk, or one that knows no links
            shutil.copy2(entry.path, new)
