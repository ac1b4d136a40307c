"""How much room a session takes: by what the files are, and by the step that wrote them.

Each folder is listed once. What was counted of a folder is kept in the project (``.sizes.json``) until something in
the folder or in the results of its step changes, so that asking again of a session at rest costs nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.facility.placing import whole
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.store import cleaning
from cryowidgets.store.database import NAME, Step
from cryowidgets.store.queries import Reader

CATEGORIES = {
    "raw": "raw movies, as the ledger knows them; they lie where the microscope put them",
    **cleaning.RECOMPUTABLE,
    "thumbnails": "pictures for people",
    "tables": "star files, trajectories, curves",
    "picks": "coordinates of particles",
    "classes": "class averages and which particle belongs to which",
    "gains": "gain references",
    "results": "results of other kinds",
    "logs": "logs of programs and of the engine",
    "reports": "reports and notebooks",
    "database": "the ledger",
    "half-written": "what was being written when its worker died, or is being written now",
    "orphaned": "files of steps that no result names any more",
    "other": "everything else in the project",
}
"""In the order in which they are shown."""
_CACHE = ".sizes.json"
_REPORTS = (".ipynb", ".html", ".pdf", ".csv", ".parquet")
Counted = dict[str, list[int]]
"""Files and bytes by category."""


@dataclass
class Sizes:
    """Files and bytes."""

    folder: Path
    categories: dict[str, tuple[int, int]]
    """those of `CATEGORIES` that there are"""
    steps: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """the same of each step; a gate has none of its own"""
    cleaned: tuple[int, int] = (0, 0)
    """what is gone and can be made again"""

    @property
    def inside(self) -> int:
        """Bytes in the project folder, raw movies that lie elsewhere left out."""
        return sum(size for name, (_, size) in self.categories.items() if name != "raw")


def sizes(project: Path | str, fresh: bool = False) -> Sizes:
    """Count the files of a project; `fresh` without regard to what was counted before.

    Raises
    ------
    ProjectError
        It is no project.
    """
    with Reader(project) as reader:
        known = {} if fresh else _known(reader.folder)
        kept: dict[str, Any] = {}
        total: Counted = {}
        steps: dict[str, Counted] = {}
        raw = _raw(reader)
        for name, count in raw.outside.items():
            _add(total, name, *count)
        for folder, step in _folders(reader):
            where = os.path.relpath(folder, reader.folder)
            stamp = [os.stat(folder).st_mtime_ns, _newest(reader, step)]
            if where in known and known[where][0] == stamp and step is not None:
                counted = known[where][1]
            else:
                counted = _step(reader, folder, step) if step else _others(reader, folder, raw.inside)
            if step:
                kept[where] = [stamp, counted]
                mine = steps.setdefault(step.name, {})
                for name, count in counted.items():
                    _add(mine, name, *count)
            for name, count in counted.items():
                _add(total, name, *count)
        gone = (0, 0)
        if "cleaned" in reader.tables():
            gone = reader.query("SELECT count(*), coalesce(sum(size), 0) FROM cleaned")[0]
        _keep(reader.folder, kept)
        return Sizes(reader.folder, _ordered(total), {n: _ordered(c) for n, c in steps.items() if c}, gone)


def orphaned(reader: Reader) -> Iterator[tuple[Path, int]]:
    """Files, and their bytes, that no result of their step names; of steps of our own kinds, as others may keep some.

    Only while no engine works is that the whole truth.
    """
    for folder, step in _folders(reader):
        if step is not None:
            for entry, name in _labelled(reader, folder, step):
                if name == "orphaned":
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_size


def half_written(folder: Path) -> Iterator[tuple[Path, int]]:
    """Folders that a dead worker or a killed engine has left, and their bytes."""
    for pattern in ("steps/*/.tmp-*", "steps/.gone-*"):
        for path in folder.glob(pattern):
            yield path, sum(entry.stat(follow_symlinks=False).st_size for entry in _walk(path))


@dataclass
class _Raw:
    outside: Counted
    inside: set[str]


def _raw(reader: Reader) -> _Raw:
    """Movies that lie elsewhere, by the sizes that the ledger has; and those in the project, to be known by name."""
    if "movie" not in reader.tables():
        return _Raw({}, set())
    gone = set()
    if "cleaned" in reader.tables():
        gone = {path for (path,) in reader.query("SELECT path FROM cleaned WHERE substr(path, 1, 1) = '/'")}
    root = f"{reader.folder}/"
    outside, inside = [0, 0], set()
    for path, size in reader.query("SELECT path, size FROM movie"):
        if path in gone:
            continue
        if os.path.isabs(path) and not path.startswith(root):
            outside[0] += 1
            outside[1] += size
        else:
            inside.add(path if os.path.isabs(path) else root + path)
    return _Raw({"raw": outside} if outside[0] else {}, inside)


def _folders(reader: Reader) -> Iterator[tuple[Path, Step | None]]:
    """The folders of the steps, and the project's own without them."""
    yield reader.folder, None
    for step in reader.steps().values():
        folder = reader.folder / "steps" / step.name
        if folder.is_dir():
            yield folder, step


def _step(reader: Reader, folder: Path, step: Step) -> Counted:
    counted: Counted = {}
    for entry, name in _labelled(reader, folder, step):
        _add(counted, name, 1, entry.stat(follow_symlinks=False).st_size)
    return counted


def _labelled(reader: Reader, folder: Path, step: Step) -> Iterator[tuple[os.DirEntry, str]]:
    """Files of a step with their categories."""
    start = f"steps/{step.name}/"
    names = {path[len(start) :]: name for _, path, name in cleaning.files(reader.query, step) if path.startswith(start)}
    unnamed = "orphaned" if _ours(step) else "results"
    for entry in _walk(folder):
        name = entry.path[len(str(folder)) + 1 :]
        if name in names:
            yield entry, names[name]
        elif name.startswith(".tmp-"):
            yield entry, "half-written"
        elif name.endswith(".log"):
            yield entry, "logs"
        else:
            yield entry, unnamed


def _ours(step: Step) -> bool:
    """Whether all files of a step are named by its results: we know that of our own, and imports keep gains."""
    kind = Item.kinds.get(step.gives)
    try:
        own = registry.get(step.protocol)
    except CryowidgetsError:
        return False  # of a plug-in that is not here
    packages = {cls.__module__.partition(".")[0] for cls in (kind, own) if cls is not None}
    return bool(step.inputs) and kind is not None and packages == {"cryowidgets"}


def _others(reader: Reader, folder: Path, raw: set[str]) -> Counted:
    """What lies in a project beside the files of its steps."""
    counted: Counted = {}
    known = {*reader.steps()}
    for entry in _walk(folder, without={str(folder / "steps" / name) for name in known}):
        name = entry.path[len(str(folder)) + 1 :]
        top = name.partition("/")[0]
        if entry.path in raw:
            label = "raw"
        elif name.startswith(NAME):
            label = "database"
        elif name.startswith("steps/.gone-"):
            label = "half-written"
        elif top == "logs":
            label = "logs"
        elif top in ("report", "reports") or ("/" not in name and name.endswith(_REPORTS)):
            label = "reports"
        else:
            label = "other"
        _add(counted, label, 1, entry.stat(follow_symlinks=False).st_size)
    return counted


def _walk(folder: Path | str, without: set[str] = frozenset()) -> Iterator[os.DirEntry]:  # type: ignore[assignment]
    """All files below a folder; links to folders are not followed, and what vanishes meanwhile is passed over."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.path not in without:
                        yield from _walk(entry.path, without)
                else:
                    yield entry
    except FileNotFoundError:
        return


def _newest(reader: Reader, step: Step | None) -> int:
    """Changes when the results of a step do."""
    if step is None or step.gives.lower() not in reader.tables():
        return 0
    found = reader.query(f'SELECT max(id) FROM "{step.gives.lower()}" WHERE step = ?', (step.id,))
    return found[0][0] or 0


def _add(counted: Counted, name: str, files: int, size: int) -> None:
    count = counted.setdefault(name, [0, 0])
    count[0] += files
    count[1] += size


def _ordered(counted: Counted) -> dict[str, tuple[int, int]]:
    return {name: (counted[name][0], counted[name][1]) for name in CATEGORIES if name in counted}


def _known(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / _CACHE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _keep(folder: Path, counted: dict[str, Any]) -> None:
    try:
        with whole(folder / _CACHE) as half:
            half.write_text(json.dumps(counted), encoding="utf-8")
    except OSError:
        pass  # somebody else's project
