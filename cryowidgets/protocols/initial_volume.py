"""The step that makes a first map of the particle from class averages, and makes it finer with particles."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
from traitlets import Bool, Float, Int, Unicode

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc
from cryowidgets.kernels import initialchecks, initialparticles, mask3d, project3d
from cryowidgets.kernels.directions import even, facing, group
from cryowidgets.kernels.evenness import evenness, spread
from cryowidgets.kernels.initialvolume import FirstMap, Settings, first_map
from cryowidgets.model import NAN, Classes, Particles, Volume
from cryowidgets.protocols import cites
from cryowidgets.protocols.base import Many, Maybe, Protocol
from cryowidgets.protocols.classfiles import ClassModel, read_model
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_files import Blocks
from cryowidgets.protocols.volume_particles import identities, refined, sorted_particles

_COARSE = 20.0  # Å: halves of noise agree about as finely as the map with which both began


class InitialVolume(Protocol):
    """Make a first map from good class averages and their particles, and say whether it is to be believed.

    Many random starts climb to maps of coarse detail; where enough of them come to the same one, it is refined. Where
    they do not, where averages left out do not fit, or all show one view, there is no map but the reason why. Which
    hand it has nobody can tell. Then it is made finer with particles, each looked for about the pose of its class, in
    two halves that go their own ways; where that does not help, the map of averages stays, and that is said.

    The classes that count are those of a selection where one is linked as `chosen`; it is made anew when a person
    chooses others. Else they are those that look like particles.

    The halves of a map of averages alone are maps of different views, both begun from coarse detail of the whole: their
    resolution says how well averages agree, and is no proof of its own.
    """

    takes = Many(Classes, every=1, newest=True, beside={"chosen": Maybe(Particles)})
    gives = Volume
    cites = (cites.SIGNIFICANT, cites.SAMPLING, cites.RELION)

    symmetry = Unicode("C1", help="Point group to impose: C1, C2, …, D2, D3, …, T, O or I")
    starts = Int(16, min=4, max=200, help="Random starts")
    minutes = Float(5.0, min=0.1, max=600, help="After this time no further start is begun").tag(unit="min")
    diameter = Float(
        0.0, min=0, max=4000, help="Diameter of the ball that holds the particle; 0: by the size of the averages"
    ).tag(unit="Å")
    finest = Float(15.0, min=5, max=60, help="Finest detail of the map of averages").tag(unit="Å")
    refine = Int(5000, min=0, max=100_000, help="Particles to make it finer with, the newest; 0: none").tag(
        unit="particles"
    )
    detail = Float(12.0, min=3, max=60, help="Finest detail of the map that is made of particles").tag(
        unit="Å", advanced=True
    )
    averages = Int(100, min=8, max=500, help="Most averages used, those of most particles").tag(advanced=True)
    only_good = Bool(True, help="Without a selection, leave out classes that do not look like particles").tag(
        advanced=True
    )
    growth = Float(
        1.5, min=1, max=100, help="Make it anew when there are so many times the particles; 1: with each batch"
    ).tag(advanced=True)
    seed = Int(0, min=0, help="Other starts for another number").tag(advanced=True)

    def process(self, items: list[Classes], last: Volume | None, out: Out, chosen: Particles | None = None) -> Volume:
        began = time.monotonic()
        try:
            group(self.symmetry)
        except ValueError as error:
            raise ParameterError(f"InitialVolume.symmetry: {error}.") from None
        classes = items[-1]
        if not classes.path:
            return Volume(symmetry=self.symmetry, reason=f"there are no classes yet: {classes.reason}".rstrip(": "))
        model = read_model(classes.model) if classes.model else None
        stack = mrc.read_stack(classes.path)
        blocks = sorted_particles(classes, chosen) if chosen is not None else None
        numbers = None
        if chosen is not None:
            numbers = np.unique(identities(blocks["particles"])) if blocks else np.zeros(0, np.int64)
        used, held = self._used(stack, model, classes, numbers)
        begun = Volume(
            box=classes.box,
            pixel_size=classes.pixel_size,
            symmetry=self.symmetry,
            classes=len(used),
            particles=int(held.sum()),
        )
        if not len(used):
            why = "no class looks like particles yet" if chosen is None else "none of the classes is chosen"
            return dataclasses.replace(begun, reason=why)
        if last is not None and last.path and not last.reason and begun.particles < self.growth * last.particles:
            return dataclasses.replace(last, id=0, exposure=0, name="", optics=None)
        settings = Settings(
            pixel_size=classes.pixel_size,
            diameter=self._diameter(model, used, classes),
            symmetry=self.symmetry,
            starts=self.starts,
            seconds=60 * self.minutes,
            finest=self.finest,
            seed=self.seed,
        )
        if self.refine and chosen is None:
            blocks = sorted_particles(classes, None)
        found = first_map(stack[used], settings, held, self._warm(last, classes))
        told = dataclasses.replace(begun, starts=len(found.scores), agreeing=found.agreeing, agreement=found.agreement)
        if found.volume is not None and self.refine and blocks and model is not None:
            left = max(60 * self.minutes - (time.monotonic() - began), 0)
            found, told = self._finer(found, told, blocks, model.identity[used], settings, left, out)
        told = dataclasses.replace(told, resolution=found.resolution, evenness=found.evenness, reason=found.reason)
        return told if found.volume is None else self._written(told, found, out)

    def _finer(
        self, found: FirstMap, told: Volume, blocks: Blocks, numbers: np.ndarray, settings: Settings, seconds: float,
        out: Out,
    ) -> tuple[FirstMap, Volume]:  # fmt: skip
        """The map made of particles, where that is finer than `_COARSE`."""
        how = initialparticles.Settings(
            settings.pixel_size, settings.diameter, self.symmetry, self.detail, seconds, self.seed
        )
        made, count = refined(blocks, numbers, self.refine, found, told.box, how, out)
        if made is None:
            return found, told
        if not made.resolution < _COARSE:
            told_of = f"maps of two halves of {count} particles"
            how_far = f"agree to {made.resolution:.0f} Å only" if math.isfinite(made.resolution) else "do not agree"
            why = f"{told_of} {how_far}: what is shown is the map of averages, and its detail is not to be trusted"
            return dataclasses.replace(found, reason=found.reason or why), told
        views = spread(made.poses.rotations, np.ones(count), self.symmetry)
        covered = evenness(views)
        found = dataclasses.replace(
            found,
            volume=made.volume,
            half1=made.half1,
            half2=made.half2,
            deviation=None,
            counts=views,
            evenness=covered,
            resolution=made.resolution,
            reason=initialchecks.uneven(covered),
        )
        return found, dataclasses.replace(told, refined=count)

    def _used(
        self, stack: np.ndarray, model: ClassModel | None, classes: Classes, chosen: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slots of the averages used and the particles in each, the largest first; `chosen` are numbers of classes."""
        there = stack.std(axis=(1, 2)) > 0
        if model is None:
            used = np.flatnonzero(there)
            return used[: self.averages], np.full(len(used), classes.particles // max(len(used), 1))[: self.averages]
        if len(model) != len(stack):
            raise InputError(
                f"{classes.path} has {len(stack)} averages where {classes.model} has {len(model)} classes."
            )
        particles = np.where(model.particles > 1, model.particles, np.rint(model.share * classes.particles))
        there &= particles > 0
        if chosen is not None:
            there &= np.isin(model.identity, chosen)
        elif self.only_good and classes.program == "":  # of other programs nobody has judged them
            there &= model.good
        order = np.argsort(-particles, kind="stable")
        used = order[there[order]][: self.averages]
        return used, particles[used].astype(int)

    def _diameter(self, model: ClassModel | None, used: np.ndarray, classes: Classes) -> float:
        whole = classes.box * classes.pixel_size
        if self.diameter > 0:
            return min(self.diameter, 0.95 * whole)
        sizes = model.size[used] if model is not None else np.array([NAN])
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        return 0.75 * whole if not len(sizes) else min(1.2 * float(np.max(sizes)), 0.9 * whole)

    def _warm(self, last: Volume | None, classes: Classes) -> np.ndarray | None:
        """The map before, where it was believed and fits."""
        if last is None or not last.path or last.reason or last.symmetry != self.symmetry:
            return None
        same = last.box == classes.box and math.isclose(last.pixel_size, classes.pixel_size, rel_tol=1e-3)
        return np.asarray(mrc.read(last.path), np.float32) if same else None

    def _written(self, told: Volume, found: FirstMap, out: Out) -> Volume:
        parts = {"path": found.volume, "half1": found.half1, "half2": found.half2, "deviation": found.deviation}
        suffixes = {"path": "_map.mrc", "half1": "_half1.mrc", "half2": "_half2.mrc", "deviation": "_deviation.mrc"}
        files = {}
        for name, density in parts.items():
            if density is not None:
                mrc.write(out.file(suffixes[name]), density, told.pixel_size)
                files[name] = out.name(suffixes[name])
        assert found.volume is not None
        rot, tilt, _ = project3d.angles_of(facing(even(len(found.counts))))
        np.savez(
            out.file("_orientations.npz"),
            directions=np.stack([rot, tilt], axis=1).astype(np.float32),
            counts=found.counts.astype(np.float32),
        )
        write_mosaic(out.file("_map.jpg"), _views(found.volume))
        return dataclasses.replace(
            told,
            **files,
            orientations=out.name("_orientations.npz"),
            thumbnail=out.name("_map.jpg"),
            level=mask3d.automask(found.volume, told.pixel_size).level,
        )


def _views(volume: np.ndarray) -> np.ndarray:
    """Projections along z, y and x, and below them the slices in their middle."""
    middle = len(volume) // 2
    return np.stack([*(volume.sum(axis=i) for i in range(3)), *(np.take(volume, middle, axis=i) for i in range(3))])
