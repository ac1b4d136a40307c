"""What is worth keeping of a session, in one file that opens again as a project.

::

    NAME/project.sqlite        the ledger, whole: every result, parameter, decision; settings and thresholds
    NAME/steps/…               pictures, trajectories, curves, coordinates, classes, logs; micrographs where asked for
    NAME/star/                 RELION star files of what was accepted
    NAME/logs/, reports        what was printed and what was reported
    NAME/MANIFEST.sha256       a checksum of each, as 'sha256sum -c' takes it

Raw movies stay where they are. What was left out is recorded in the ledger of the archive as cleaned: an unpacked
project says of each file that it is not there, and can make it again as long as the raw movies can be read.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from cryowidgets.errors import InputError, ProjectError
from cryowidgets.facility import relion
from cryowidgets.store import cleaning
from cryowidgets.store.cleaning import RECOMPUTABLE, Cleanable
from cryowidgets.store.database import NAME
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store

MODES: dict[str, Literal["w", "w:gz", "w:xz"]] = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz"}
MANIFEST = "MANIFEST.sha256"
_REPORTS = (
    "*.ipynb",
    "*.html",
    "*.pdf",
    "*.csv",
    "*.parquet",
    "report/**/*",
    "reports/**/*",
    "logs/*",
    "corrections/*/*",
)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Archived:
    """What became of it."""

    files: int
    bytes: int
    """before they were packed"""
    left_out: int
    left_bytes: int
    missing: int
    """files that a result names and that were not there, though nobody had cleaned them"""


def archive(
    project: Path | str,
    out: Path | str,
    micrographs: bool = False,
    everything: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> Archived:
    """Pack a project; when all is written it is read once more, and every checksum compared.

    Parameters
    ----------
    project : path
        Its engine may be at work.
    out : path
        Ends in .tar, .tar.gz or .tar.xz; must not exist.
    micrographs : bool
        With a micrograph of each exposure: the dose-weighted one where there is one.
    everything : bool
        With all files of the project's steps.
    report : callable, optional
        Told how many files of how many are in.

    Raises
    ------
    ProjectError
        It is no project, or `out` cannot be written, is there already, or does not read back as it was written.
    """
    out = Path(out).absolute()
    mode = next((mode for end, mode in MODES.items() if out.name.endswith(end)), None)
    if mode is None:
        raise ProjectError(f"{out.name} has no ending that is known here: write one of {', '.join(MODES)}.")
    if out.exists():
        raise ProjectError(f"{out} is there already: choose another name.")
    half = out.with_name(f".{out.name}.making")
    try:
        with Reader(project) as reader, tempfile.TemporaryDirectory(prefix="cryowidgets-archive-") as staged:
            with tarfile.open(half, mode) as tar:
                done = _Archive(reader, Path(staged), tar, micrographs, everything).write(report)
        check(half)
        half.rename(out)
    except (OSError, tarfile.TarError, sqlite3.Error) as error:
        raise ProjectError(f"Cannot archive to {out}: {error}.") from None
    finally:
        half.unlink(missing_ok=True)
    return done


def check(path: Path | str) -> int:
    """Compare every file of an archive with its checksum; the number of them.

    Raises
    ------
    InputError
        One differs, is missing, or the archive cannot be read to its end.
    """
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                file = tar.extractfile(member)
                assert file is not None
                name = member.name.partition("/")[2]
                if name == MANIFEST:
                    lines = file.read().decode().splitlines()
                    listed = {line[66:]: line[:64] for line in lines}
                else:
                    found[name] = _digest(file)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path} cannot be read to its end: {error}.") from None
    if not listed:
        raise InputError(f"{path} has no {MANIFEST}: it is not an archive of a project, or it was cut off.")
    wrong = [name for name in {**listed, **found} if listed.get(name) != found.get(name)]
    if wrong:
        raise InputError(f"{path}: {wrong[0]} is not what was archived ({len(wrong)} of {len(listed)} files differ).")
    return len(listed)


class _Archive:
    def __init__(self, reader: Reader, staged: Path, tar: tarfile.TarFile, micrographs: bool, all: bool) -> None:
        self._reader, self._staged, self._tar = reader, staged, tar
        self._all, self._micrographs = all, micrographs
        self._root = reader.folder.name
        self._lines: list[str] = []
        self._bytes = self._missing = 0

    def write(self, report: Callable[[int, int], None] | None) -> Archived:
        files = self._files()
        weighted = {one.exposure for one in files if one.category == "weighted"}
        left = [one for one in files if not self._wanted(one, weighted)]
        out = {one.path for one in left}
        taken = [one.path for one in files if one.path not in out]
        ledger, sizes = self._ledger(left)
        for folder in ("inbox", "steps", "logs"):
            self._folder(folder)
        self._add(ledger, NAME)
        taken += self._loose()
        star = self._star()
        for number, path in enumerate(dict.fromkeys(taken), 1):
            if not self._add(self._reader.folder / path, path):
                self._missing += 1
            if report:
                report(number, len(taken))
        for file in star:
            self._add(file, str(file.relative_to(self._staged)))
        manifest = "".join(f"{line}\n" for line in self._lines).encode()
        info = self._info(MANIFEST, len(manifest), time.time())
        self._tar.addfile(info, io.BytesIO(manifest))
        return Archived(len(self._lines), self._bytes, len(sizes), sum(sizes), self._missing)

    def _files(self) -> list[Cleanable]:
        """What results name and is in the project, without what was cleaned before."""
        gone: set[str] = set()
        if "cleaned" in self._reader.tables():
            gone = {path for (path,) in self._reader.query("SELECT path FROM cleaned")}
        return [
            Cleanable(path, step.id, exposure or 0, label)
            for step in self._reader.steps().values()
            for exposure, path, label in cleaning.files(self._reader.query, step)
            if path not in gone and label != cleaning.RAW and not os.path.isabs(path)
        ]

    def _wanted(self, one: Cleanable, weighted: set[int]) -> bool:
        if self._all or one.category not in RECOMPUTABLE or not one.exposure:
            return True
        if not self._micrographs:
            return False
        return one.category == ("weighted" if one.exposure in weighted else "micrographs")

    def _ledger(self, left: list[Cleanable]) -> tuple[Path, list[int]]:
        """A copy of the ledger that says of what is left out that it is not there."""
        folder = self._staged / "ledger"
        folder.mkdir()
        file = folder / NAME
        with closing(sqlite3.connect(file)) as copy:
            with closing(sqlite3.connect(f"file:{self._reader.folder / NAME}?mode=ro", uri=True)) as original:
                original.backup(copy)
        store = Store(folder)
        rows: list[tuple[Any, ...]] = []
        try:
            store.upgrade()
            store.abandon()
            for one in left:
                try:
                    size = os.lstat(self._reader.folder / one.path).st_size
                except OSError:
                    continue
                rows.append((one.path, one.step, one.exposure, size, time.time(), "left out of the archive", 1))
            with store.transaction() as db:
                db.executemany(
                    "INSERT OR REPLACE INTO cleaned (path, step, exposure, size, time, why, gone) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                store.event("project", f"archived from {self._reader.folder}")
            store.query("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        finally:
            store.close()
        return file, [row[3] for row in rows]

    def _loose(self) -> list[str]:
        """Logs of tasks, reports and notebooks."""
        folder = self._reader.folder
        found = [path for pattern in _REPORTS for path in folder.glob(pattern)]
        found += [path for step in self._reader.steps() for path in (folder / "steps" / step).glob("*.log")]
        return [str(path.relative_to(folder)) for path in sorted(found) if path.is_file()]

    def _star(self) -> list[Path]:
        try:
            relion.export(self._reader.folder, self._staged / "star", images=False)
        except ProjectError:
            return []  # nothing was accepted
        return sorted(path for path in (self._staged / "star").rglob("*") if path.is_file())

    def _add(self, path: Path, name: str) -> bool:
        """Put a file in; whether it was there."""
        try:
            file = open(path, "rb")
        except OSError:
            return False
        with file:
            stat = os.fstat(file.fileno())
            hashing = _Hashing(file, stat.st_size)
            self._tar.addfile(self._info(name, stat.st_size, stat.st_mtime), hashing)  # type: ignore[arg-type]
        self._lines.append(f"{hashing.digest()}  {name}")
        self._bytes += stat.st_size
        return True

    def _folder(self, name: str) -> None:
        info = self._info(name, 0, time.time())
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        self._tar.addfile(info)

    def _info(self, name: str, size: int, time: float) -> tarfile.TarInfo:
        info = tarfile.TarInfo(f"{self._root}/{name}")
        info.size, info.mtime, info.mode = size, int(time), 0o644
        return info


class _Hashing:
    """A file as tarfile reads it, and the checksum of what it read; no more than it was long when it was opened."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left, self._hash = file, size, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def _digest(file: Any) -> str:
    found = hashlib.sha256()
    while data := file.read(_BLOCK):
        found.update(data)
    return found.hexdigest()
