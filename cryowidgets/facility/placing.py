"""Files of a project where other programs will look for them: linked or copied, and star files that are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryowidgets.io import star


def place(origin: Path, target: Path, copy: bool) -> None:
    """Have a file under another name, as a link or as a copy; nothing is done where it is there already."""
    if copy:
        if target.is_symlink() or not _same(origin, target):
            with whole(target) as half:
                shutil.copy2(origin, half)
    elif not (target.is_symlink() and os.readlink(target) == str(origin)):
        target.unlink(missing_ok=True)
        target.symlink_to(origin)


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Where to write a file that is to be there under its name as a whole or not at all."""
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield half
        os.replace(half, target)
    finally:
        half.unlink(missing_ok=True)


def write_star(target: Path, blocks: Mapping[str, Any]) -> None:
    """Another program may be reading the one of an export before. Without any block there is no file."""
    if not blocks:
        target.unlink(missing_ok=True)
        return
    with whole(target) as half:
        star.write(half, blocks)


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
