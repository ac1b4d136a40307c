"""Where sessions are: the projects below a folder, found again and again at little cost."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryowidgets.store.database import NAME

DEPTH = 4
"""How many folders deep projects are looked for: ROOT/group/user/project/ is 3."""
MOST = 20_000
"""Folders that are looked at in all."""
OFTEN, SELDOM = 10.0, 300.0
"""Seconds between two looks at a folder: where projects are, and where nothing has changed for long."""
FRESH = 2.0
"""Seconds: some disks write times no finer, so what has just changed is read again."""


@dataclass
class _Folder:
    """What was in a folder when it was last read."""

    changed: int = -1
    due: float = 0.0
    project: bool = False
    inner: list[str] = field(default_factory=list)


class Search:
    """The projects below a folder.

    A folder is read again only where its time has changed, and those without projects that have been quiet for long
    are asked for their time every few minutes. Links are not followed, hidden folders and projects not entered.

    Parameters
    ----------
    root : Path or str
    depth, most : int
        How deep, and how many folders.
    """

    def __init__(self, root: Path | str, depth: int = DEPTH, most: int = MOST) -> None:
        self.root = Path(root).absolute()
        self.trouble = ""
        """What is wrong with the search as a whole, as a sentence without paths; empty while all is well."""
        self.read = 0
        """How many folders have been read so far."""
        self._depth, self._most = depth, most
        self._known: dict[str, _Folder] = {}

    def projects(self, now: float | None = None) -> list[Path]:
        """Folders of the projects that there are now; `now` is this host's clock, UTC s."""
        now = time.time() if now is None else now
        before, self._known = self._known, {}
        self.trouble = ""
        found: list[Path] = []
        above = [(str(self.root), 0)]
        while above:
            path, depth = above.pop()
            if len(self._known) >= self._most:
                self.trouble = f"more than {self._most:,} folders: only those are looked at"
                break
            folder = self._look(path, before.get(path) or _Folder(), now)
            if folder is None:
                if depth == 0:
                    self.trouble = "the folder is not there, or may not be read"
                continue
            self._known[path] = folder
            if folder.project:
                found.append(Path(path))
            elif depth < self._depth:
                above += [(f"{path}/{name}", depth + 1) for name in reversed(folder.inner)]
        for project in found:  # beside a project is where the next one will be
            for above in project.parents:
                folder = self._known.get(str(above))
                if folder is None:
                    break
                folder.due = min(folder.due, now + OFTEN)
        return sorted(found)

    def _look(self, path: str, folder: _Folder, now: float) -> _Folder | None:
        """The folder as it is now; None where it is gone or closed to us."""
        if now < folder.due:
            return folder
        try:
            changed = os.stat(path).st_mtime_ns
            if changed != folder.changed:
                folder = self._read(path)
                folder.changed = changed if now - changed / 1e9 > FRESH else -1
        except OSError:
            return None
        quiet = now - changed / 1e9
        folder.due = now + (OFTEN if folder.project else min(max(quiet / 20, OFTEN), SELDOM))
        return folder

    def _read(self, path: str) -> _Folder:
        self.read += 1
        folder = _Folder()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name == NAME:
                    return _Folder(project=True)
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    folder.inner.append(entry.name)
        folder.inner.sort()
        return folder
