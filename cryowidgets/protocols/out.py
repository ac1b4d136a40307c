"""Where one task may write: its files get their names only once the task has succeeded."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from cryowidgets.io import corrections


class Out:
    """Files of one task, ``<project>/<folder>/<stem><suffix>``.

    Until `commit` they lie in a hidden folder beside, so that nobody ever sees a half-written one.

    Parameters
    ----------
    project : Path
        The project folder.
    folder : str
        Where the step keeps its files, relative to the project.
    stem : str
        Begin of every file name; the exposure's name.
    """

    def __init__(self, project: Path, folder: str, stem: str) -> None:
        self._project, self._folder, self._stem = Path(project), folder, stem
        self._hidden = self._project / folder / f".tmp-{uuid.uuid4().hex}"
        self._suffixes: list[str] = []
        self._begun = False

    def file(self, suffix: str) -> Path:
        """A path to write to now; `suffix` begins with ``.`` or ``_``, for instance ``_aligned.mrc``."""
        self._begin()
        if suffix not in self._suffixes:
            self._suffixes.append(suffix)
        return self._hidden / (self._stem + suffix)

    def scratch(self) -> Path:
        """An empty folder for what a task needs on its way; gone with the task."""
        self._begin()
        scratch = self._hidden / f"scratch-{uuid.uuid4().hex[:8]}"
        scratch.mkdir()
        return scratch

    def log(self) -> Path:
        """The log of the task, empty: it has its name at once and stays, also where the task fails."""
        path = self._project / self.name(".log")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return path

    def name(self, suffix: str) -> str:
        """The path that the file will have, relative to the project: what a result records."""
        return f"{self._folder}/{self._stem}{suffix}"

    def corrections(self) -> Path:
        """Where it stands what a person has corrected of this exposure at this step; see `io.corrections`."""
        return corrections.path(self._project, Path(self._folder).name, self._stem)

    def relative(self, path: str) -> str:
        """A path inside the project relative to it, as star files that a project keeps name others; else as it is."""
        return path.removeprefix(f"{self._project}/")

    def absolute(self, path: str) -> str:
        """The inverse of `relative`."""
        return str(self._project / path)

    def commit(self) -> None:
        for suffix in self._suffixes:
            os.replace(self._hidden / (self._stem + suffix), self._project / self.name(suffix))
        self.discard()

    def discard(self) -> None:
        if self._begun:
            shutil.rmtree(self._hidden, ignore_errors=True)

    def _begin(self) -> None:
        if not self._begun:
            self._hidden.mkdir(parents=True)
            self._begun = True


def keep_alone(path: str, pattern: str) -> None:
    """Remove what lies beside a file and is called like it, but not the file: what a fold has kept of older batches.

    The last one's stays, should the batch after it be done again.
    """
    for file in Path(path).parent.glob(pattern):
        if file != Path(path):
            file.unlink(missing_ok=True)
