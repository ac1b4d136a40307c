"""Files of a project where other programs will look for them: linked or copied, and star files that are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryowidgets.io import star


def place(origin: Path, target: Path, copy: bool) -> None:
    """Have a file under another name, as a link or as a copy; nothing is done where it is there already."""
    if copy:
        if target.is_symlink() or not _same(origin, target):
            half = target.with_name(f".{target.name}.copying")
            shutil.copy2(origin, half)
            os.replace(half, target)
    elif not (target.is_symlink() and os.readlink(target) == str(origin)):
        target.unlink(missing_ok=True)
        target.symlink_to(origin)


def write_star(target: Path, blocks: Mapping[str, Any]) -> None:
    """Written beside and moved into place, since another program may be reading the one of an export before.

    Without any block there is no file.
    """
    if not blocks:
        target.unlink(missing_ok=True)
        return
    half = target.with_name(f".{target.name}.making")
    star.write(half, blocks)
    os.replace(half, target)


def there(folder: Path, path: str) -> bool:
    """Whether a project has a file that a result names: it may have been cleaned, or none was made."""
    return bool(path) and (folder / path).is_file()


def image(folder: Path, micrograph: Mapping[str, Any]) -> str:
    """The image of a micrograph that others work with; empty where it was cleaned."""
    paths = (micrograph["dose_weighted"], micrograph["path"])
    return next((path for path in paths if there(folder, path)), "")


def _same(origin: Path, target: Path) -> bool:
    try:
        a, b = origin.stat(), target.stat()
    except FileNotFoundError:
        return False
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)
