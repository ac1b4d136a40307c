"""What a person says of particles: picks that are corrected by hand, and the size of particles that is approved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cryowidgets.errors import CommandError
from cryowidgets.io import corrections
from cryowidgets.model import Micrograph, ParticleSize
from cryowidgets.protocols import registry
from cryowidgets.store.database import Step

if TYPE_CHECKING:
    from cryowidgets.engine.engine import Engine

_SIZES = (("smallest", "largest"), ("diameter_min", "diameter_max"), ("diameter",))
"""What pickers call the diameters that they look for."""


def pick(engine: Engine, step: Step, exposure: int, name: str, add: Any, remove: Any) -> str:
    """Add places to the picks of an exposure and take others away; that exposure is done again.

    Raises
    ------
    CommandError
        Nobody can correct the picks of this step, a place is not one of its micrograph, or there are too many.
    """
    micrograph = _micrograph(engine, step, exposure, name)
    added, removed = (_places(said, word, micrograph) for said, word in ((add, "add"), (remove, "remove")))
    if not (len(added) or len(removed)):
        raise CommandError("Nothing is to be added or removed: write add= or remove= with [[y, x], …] in px.")
    file = corrections.path(engine.store.folder, step.name, name)
    before = corrections.read(file).scaled(micrograph.pixel_size)
    then = before.then(added, removed)
    for places, word in ((then.added, "added to"), (then.removed, "taken away from")):
        if len(places) > corrections.MOST:
            raise CommandError(
                f"{len(places)} places would be {word} {name} by hand; at most {corrections.MOST} can be. Forget "
                "some corrections with 'unpick'."
            )
    corrections.write(file, corrections.Corrections(then.added, then.removed, micrograph.pixel_size))
    return f"{step.name}, {name}: {len(added)} added, {len(removed)} removed by hand{_again(engine, step, exposure)}"


def unpick(engine: Engine, step: Step, exposure: int, name: str) -> str:
    """Forget what was corrected of an exposure; it is done again."""
    _check(step)
    file = corrections.path(engine.store.folder, step.name, name)
    there = file.exists()
    file.unlink(missing_ok=True)
    if not there:
        return f"{step.name}, {name}: nothing was corrected"
    return f"{step.name}, {name}: corrections are forgotten{_again(engine, step, exposure)}"


def approved_size(engine: Engine, step: Step, picker: Step) -> dict[str, float]:
    """Parameters of a picker by the newest size of particles.

    Raises
    ------
    CommandError
        The step gives no sizes, has none, or cannot tell; or the picker has no diameter to be set.
    """
    if step.gives != ParticleSize.__name__:
        raise CommandError(f"Step {step.name!r} gives a {step.gives}, not a size of particles.")
    size = engine.store.last_result(ParticleSize, step.name)
    if not isinstance(size, ParticleSize):
        raise CommandError(f"Step {step.name!r} has not told a size yet: it needs more micrographs.")
    if not math.isfinite(size.diameter):
        raise CommandError(f"Step {step.name!r} cannot tell the size: {size.reason}. Set {picker.name} by hand.")
    known = registry.get(picker.protocol).parameters()
    names = next((names for names in _SIZES if set(names) <= set(known)), ())
    if not names:
        raise CommandError(f"Step {picker.name!r}, a {picker.protocol}, looks for no diameter: name the picker.")
    values = (size.smallest, size.largest) if len(names) == 2 else (size.diameter,)
    return {name: round(value, 1) for name, value in zip(names, values, strict=True)}


def _check(step: Step) -> None:
    if not registry.get(step.protocol).by_hand:
        raise CommandError(
            f"Step {step.name!r}, a {step.protocol}, takes no corrections by hand: add a step CorrectPicks behind it, "
            "or PickByHand."
        )


def _micrograph(engine: Engine, step: Step, exposure: int, name: str) -> Micrograph:
    """The micrograph on which a person has seen the picks."""
    _check(step)
    source = engine.store.steps()[step.inputs[Micrograph.word()]]
    found = engine.store.query(
        f"SELECT id FROM {Micrograph.table()} WHERE step = ? AND exposure = ? ORDER BY id DESC LIMIT 1",
        (source.id, exposure),
    )
    item = engine.store.item(Micrograph, found[0][0]) if found else None
    if not isinstance(item, Micrograph):
        raise CommandError(f"{name} has no micrograph of {source.name} yet, so nothing can be picked on it.")
    if not item.pixel_size > 0:
        raise CommandError(f"The micrograph of {name} comes without a pixel size, so that places on it mean nothing.")
    return item


def _places(said: Any, word: str, micrograph: Micrograph) -> np.ndarray:
    """Places (n, 2) as y, x in px, each a pair of numbers on the micrograph."""
    wanted = f"write {word}= as a list of [y, x] in px of the micrograph"
    if not isinstance(said, list | tuple):
        raise CommandError(f"{word}= is a {type(said).__name__}: {wanted}.")
    if len(said) > corrections.MOST:
        raise CommandError(f"{word}= names {len(said)} places; at most {corrections.MOST} can be said at once.")
    for place in said:
        if not isinstance(place, list | tuple) or len(place) != 2:
            raise CommandError(f"{str(place)[:60]!r} is not a place: {wanted}.")
        for value, length in zip(place, (micrograph.height, micrograph.width), strict=True):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 <= value <= length - 1):
                raise CommandError(
                    f"[{', '.join(str(v)[:20] for v in place)}] is not on the micrograph of {micrograph.height} × "
                    f"{micrograph.width} px: {wanted}."
                )
    return np.array(said, float).reshape(-1, 2)


def _again(engine: Engine, step: Step, exposure: int) -> str:
    return "; that exposure is done again" if engine.desk.redo(step.name, exposure) else ""
