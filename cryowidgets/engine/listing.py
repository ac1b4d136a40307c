"""Find the files of a pattern in a large growing tree without looking at all of it each time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

RACY = 3.0
"""A folder changed less than this many seconds before it was listed may change again within the same time stamp."""
FULL = 600.0
"""Every so many seconds all folders are listed, whatever their time stamps say."""
# Names under which rsync and others write before they rename: '.movie.tiff.BzeGGJ', 'movie.tiff~', 'movie.tiff.part'
TEMPORARY = re.compile(r"^\.|~$|\.(part|partial|tmp|temp|filepart|crdownload|rsync)$", re.IGNORECASE)


class Listing:
    """The files that match a pattern, folder by folder, each folder read again only when it has changed.

    Parameters
    ----------
    pattern : str
        Absolute; ``*``, ``?``, ``[…]`` within a name, ``**`` for any number of folders.
    """

    def __init__(self, pattern: str) -> None:
        parts = Path(pattern).parts
        fixed = next((i for i, part in enumerate(parts) if _is_wild(part)), len(parts) - 1)
        fixed = min(fixed, len(parts) - 1)
        self.root = Path(*parts[:fixed])
        self._wild = parts[fixed:]
        self._prefix = len(str(self.root).rstrip("/")) + 1
        self._match = re.compile(_expression(self._wild)).fullmatch
        self._depth = None if "**" in self._wild else len(self._wild)
        self._folders: dict[str, tuple[int, float, list[str]]] = {}
        self._full = float("-inf")

    def poll(self) -> Iterator[str]:
        """Paths of matching files in the folders that changed since the last call; all of them the first time.

        A folder that is missing, unreadable or vanishes half way simply has no files now; it is asked again.
        """
        now = time.time()
        if now - self._full > FULL:
            self._folders.clear()
            self._full = now
        yield from self._visit(str(self.root), 1, now)

    def _visit(self, folder: str, depth: int, now: float) -> Iterator[str]:
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            self._folders.pop(folder, None)
            return
        known = self._folders.get(folder)
        if known and known[0] == changed and changed / 1e9 < known[1] - RACY:
            subfolders = known[2]
        else:
            subfolders = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if TEMPORARY.search(entry.name):
                            continue
                        if entry.is_dir():
                            subfolders.append(entry.path)
                        elif self._match(entry.path[self._prefix :]):
                            yield entry.path
            except OSError:
                return
            self._folders[folder] = (changed, now, subfolders)
        if self._depth is None or depth < self._depth:
            for subfolder in subfolders:
                yield from self._visit(subfolder, depth + 1, now)


def _is_wild(part: str) -> bool:
    return any(c in part for c in "*?[")


def _expression(parts: tuple[str, ...]) -> str:
    """Regular expression of the path below the root; no wildcard but ``**`` reaches across a slash."""
    pieces = []
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if part == "**":
            pieces.append(".*" if last else "(?:[^/]+/)*")
        else:
            pieces.append(_name(part) + ("" if last else "/"))
    return "".join(pieces)


def _name(part: str) -> str:
    wild = re.compile(r"\*|\?|\[!?[^\]]+\]")
    made, end = "", 0
    for found in wild.finditer(part):
        made += re.escape(part[end : found.start()])
        token = found.group()
        if token == "*":
            made += "[^/]*"
        elif token == "?":
            made += "[^/]"
        else:
            made += "[^" + token[2:] if token[1] == "!" else token
        end = found.end()
    return made + re.escape(part[end:])
