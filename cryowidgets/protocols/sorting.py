"""What steps that sort particles into classes have in common: parameters, and how the outcome of a batch is written."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from traitlets import Float, Int

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.kernels import classify
from cryowidgets.model import NAN, Classes, Particles
from cryowidgets.protocols import classfiles, classhistory, lots, relion_files
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.classhistory import History
from cryowidgets.protocols.lots import Lot
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_files import Blocks

LEAST = 100
"""Particles that a sorting may begin with."""
EACH = 20
"""Particles for each class, at least, to begin with: where they are fewer there are fewer classes."""

Begin = Callable[[Lot], tuple[classify.Sorting, classify.Assigned]]

_MEMORY = 256e6  # bytes of pictures at once


class Sorts(Protocol):
    """Base of such a step."""

    diameter = Float(
        0.0, min=0, max=4000, help="Diameter of the particles; 0 for that of the circle that extraction left them"
    ).tag(unit="Å")
    shift = Float(
        0.0, min=0, max=400, help="How far a particle may be off the centre of its picture; 0 for 15 % of its diameter"
    ).tag(unit="Å", advanced=True)
    finest = Float(12.0, min=2, max=60, help="Finest detail that is compared").tag(unit="Å", advanced=True)
    seed = Int(0, min=0, help="Another seed begins with other classes").tag(advanced=True)

    def settings(self, classes: int, particles: Particles) -> classify.Settings:
        """How these particles are sorted."""
        told = particles.diameter if particles.diameter > 0 else 0.75 * particles.box * particles.pixel_size
        return classify.Settings(
            classes=classes,
            box=particles.box,
            pixel_size=particles.pixel_size,
            diameter=self.diameter or told,
            shift=self.shift,
            finest=self.finest,
            seed=self.seed,
        )

    def written(
        self, out: Out, found: Sorted, sorting: classify.Sorting, particles: Particles, last: Classes | None = None
    ) -> Classes:
        """Write the files of a sorting and of the batch that was sorted last.

        Parameters
        ----------
        found : Sorted
            That batch.
        particles : Particles
            One of them, for what all have in common.
        last : Classes, optional
            The result that this one goes on from.
        """
        model, averages = _numbered(sorting.report()), sorting.averages()
        box, pixel_size = particles.box, particles.pixel_size
        number, total = (last.batches if last else 0) + 1, (last.particles if last else 0) + len(found)
        mrc.write(out.file("_classes.mrcs"), averages.astype(np.float32), pixel_size)
        classfiles.write_model(out.file("_model.star"), model, out.name("_classes.mrcs"), pixel_size, box)
        before = last.metadata if last else ""
        classfiles.write_batch(out.file("_particles.star"), found.optics, found.columns(pixel_size), number, before)
        history = _history(last, len(averages))
        classhistory.write(out.file("_history.npz"), history.extended(number, total, model, averages))
        filled = _filled(model)
        write_mosaic(out.file("_classes.jpg"), averages[filled] if len(filled) else averages[:1])
        good = np.asarray(model.good, bool) & (np.asarray(model.particles) > 0)
        resolution = np.asarray(model.resolution, float)[filled]
        known = resolution[np.isfinite(resolution)]
        return Classes(
            path=out.name("_classes.mrcs"),
            metadata=out.name("_particles.star"),
            model=out.name("_model.star"),
            thumbnail=out.name("_classes.jpg"),
            history=out.name("_history.npz"),
            count=len(filled),
            particles=total,
            box=box,
            pixel_size=pixel_size,
            resolution=float(known.min()) if len(known) else NAN,
            largest=float(np.max(model.share)),
            batches=number,
            good=int(good.sum()),
            good_particles=int(np.asarray(model.particles)[good].sum()),
            rate=len(found) / max(found.seconds, 1e-3),
        )

    def kept(
        self, out: Out, found: Sorted, model: classify.Sorting, particles: Particles, last: Classes | None
    ) -> Classes:
        """As `written`, with what the next batch goes on from; what batches before the last went on from is removed."""
        result = self.written(out, found, model, particles, last)
        with open(out.file("_state.npz"), "wb") as file:
            np.savez(file, **model.arrays())  # type: ignore[arg-type]
        remove_older(last, "_state.npz")
        remove_older(last, "_history.npz", spare=4)  # some step may be reading one
        return replace(result, state=out.name("_state.npz"))


@dataclass(frozen=True)
class Sorted:
    """Particles and the classes that they were found to belong to."""

    optics: dict[str, list]
    table: dict[str, list]
    assigned: classify.Assigned
    seconds: float

    def __len__(self) -> int:
        return len(self.table["rlnImageName"])

    def columns(self, pixel_size: float) -> dict[str, Any]:
        """The particles with what RELION writes of their classes, and cwIdentity: which class had that slot."""
        said, kept = self.assigned, {name: values for name, values in self.table.items() if name not in _SORTED}
        return {
            **kept,
            "rlnClassNumber": said.klass.astype(int) + 1,
            "rlnAnglePsi": said.psi.astype(float),
            "rlnOriginXAngst": said.shift[:, 1] * float(pixel_size),
            "rlnOriginYAngst": said.shift[:, 0] * float(pixel_size),
            "rlnMaxValueProbDistribution": said.probability.astype(float),
            "cwIdentity": said.identity.astype(int) + 1,
        }


_SORTED = {
    "rlnClassNumber",
    "rlnAnglePsi",
    "rlnOriginXAngst",
    "rlnOriginYAngst",
    "rlnMaxValueProbDistribution",
    "cwIdentity",
}


def plain(blocks: Blocks) -> Blocks:
    """Particles without what an earlier sorting said of them."""
    optics, table = relion_files.particles(blocks, "a file of particles")
    kept = {name: values for name, values in table.items() if name not in _SORTED}
    return {"optics": optics, "particles": {**kept, "rlnClassNumber": [0] * len(table["rlnImageName"])}}


def lens(lot: Lot) -> classify.Lens:
    return classify.Lens(voltage=lot.voltage, cs=lot.cs, amplitude_contrast=lot.amplitude_contrast)


def batch(
    model: classify.Sorting | None, begin: Begin, blocks: Blocks, like: Particles, out: Out
) -> tuple[classify.Sorting, Sorted]:
    """Sort a batch and learn from it; `begin` gives a model, and where particles belong, where there is none yet."""
    begun = time.perf_counter()
    parts: list[classify.Assigned] = []
    # As many at once as there is room for, usually all: the age of a class is counted in what is added at once.
    at_once = max(lots.AT_ONCE, int(_MEMORY // (4 * like.box**2)))
    for lot in lots.lots(blocks, "a file of particles", out.absolute, like.box, at_once):
        if model is None:
            model, assigned = begin(lot)
        else:
            assigned = model.add(lot.pictures, lens(lot), lot.ctf)
        parts.append(assigned)
    assert model is not None
    together = classify.Assigned.together(parts)
    return model, Sorted(blocks["optics"], blocks["particles"], together, time.perf_counter() - begun)


def nothing(like: Particles | None) -> Classes:
    """What there is before any particle came."""
    box, pixel_size = (like.box, like.pixel_size) if like else (0, NAN)
    return Classes(path="", count=0, particles=0, box=box, pixel_size=pixel_size, reason="no particles came yet")


def state(last: Classes) -> dict[str, np.ndarray]:
    """What a batch goes on from.

    Raises
    ------
    InputError
        It is gone: then particles would be lost, and the step has to begin again.
    """
    try:
        with np.load(last.state, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{last.state or 'The state of the sorting so far'} cannot be read ({error}), and the next batch goes on "
            "from it: restart the step, which sorts all particles anew."
        ) from error


def remove_older(last: Classes | None, ending: str, spare: int = 0) -> None:
    """Take away files of batches before the last but `spare` ones; the last one's stay, for this batch may be repeated.

    Only those of smaller numbers: a worker that was thought dead may be at an earlier batch still.
    """
    newest = _number(Path(last.state).name) if last and last.state else None
    if last is None or newest is None:
        return
    older = [(number, file) for file in Path(last.state).parent.glob(f"*{ending}") if (number := _number(file.name))]
    for _, file in sorted(pair for pair in older if pair[0] < newest)[: -spare or None]:
        file.unlink(missing_ok=True)


def _number(name: str) -> int | None:
    """The row after which a batch's files are called, ``classes_000120_state.npz``."""
    digits = name.rpartition("_")[0].rpartition("_")[2]
    return int(digits) if digits.isdecimal() else None


def _numbered(table: classify.ClassTable) -> classify.ClassTable:
    """As people count: from 1, and 0 where there is none."""
    return replace(table, identity=np.asarray(table.identity) + 1, parent=np.asarray(table.parent) + 1)


def _history(last: Classes | None, classes: int) -> History:
    """How classes came about so far; where the file is gone, it begins with this batch."""
    try:
        return classhistory.read(last.history) if last and last.history else History.none(classes)
    except InputError:
        return History.none(classes)


def _filled(model: Any) -> np.ndarray:
    """Slots with particles, the largest first."""
    order = np.argsort(-np.asarray(model.share), kind="stable")
    return order[np.asarray(model.particles)[order] > 0]
