"""Templates for a picker: from a stack, from the classes of RELION, or from those of a step that sorts particles."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, star
from cryowidgets.protocols import classfiles
from cryowidgets.protocols.out import Out

MOST = 40
"""Templates that are taken of more, those of the largest classes: further ones look like them."""


def templates(path: str, out: Out) -> tuple[np.ndarray, float] | None:
    """Read templates.

    Parameters
    ----------
    path : str
        An MRC stack; a star file of classes with a table model_classes, as RELION and our sorting write it; or the
        folder of a step that sorts particles, relative to the project, whose newest classes are taken. Of classes those
        that look like particles, where any are told to, else all that have some.

    Returns
    -------
    (n, a, b) array and its pixel size in Å/px (0 where that is not known); None where `path` is a folder of a step that
    has no classes yet.

    Raises
    ------
    InputError
        There is no such file, or nothing in it.
    """
    found = Path(out.absolute(path))
    if found.is_dir():
        models = sorted(found.glob("*_model.star"), key=lambda file: (file.stat().st_mtime, file.name))
        return _classes(models[-1], out) if models else None
    if not found.is_file():
        raise InputError(
            f"{path} does not exist: write the path of a stack of templates, or the folder of a step that sorts "
            "particles, such as steps/classify."
        )
    if found.suffix == ".star":
        return _classes(found, out)
    stack = mrc.read_stack(found)
    if len(stack) > MOST:
        stack = stack[np.linspace(0, len(stack) - 1, MOST).astype(int)]
    return stack.astype(np.float32), 0.0


def _classes(path: Path, out: Out) -> tuple[np.ndarray, float]:
    model = classfiles.read_model(path)
    chosen = model.filled
    if model.good[chosen].any():
        chosen = chosen[model.good[chosen]]
    names = star.read(path).get("model_classes", {}).get("rlnReferenceImage", [])
    name = str(names[0] if isinstance(names, list) and names else names)
    if "@" not in name or not len(chosen):
        raise InputError(f"{path} names no averages in a column rlnReferenceImage, or all of its classes are empty.")
    stack = name.partition("@")[2]
    there = [file for file in (Path(out.absolute(stack)), path.parent / Path(stack).name) if file.is_file()]
    if not there:
        raise InputError(f"{path} names the averages {stack}, which do not exist.")
    averages = mrc.read_stack(there[0])
    if len(averages) < len(model):
        raise InputError(f"{there[0]} has {len(averages)} averages, and {path} tells of {len(model)} classes.")
    size = model.pixel_size if math.isfinite(model.pixel_size) else 0.0
    return averages[chosen[:MOST]].astype(np.float32), size
