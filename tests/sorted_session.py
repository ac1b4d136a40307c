"""A session whose particles are sorted into classes, batch by batch: averages are made up, the rest is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryowidgets.io import mrc, star
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import classfiles, classhistory
from cryowidgets.store.store import Store, Todo

BOX, PIXEL = 48, 5.0
OPTICS = {
    "rlnOpticsGroupName": ["opticsGroup1"],
    "rlnOpticsGroup": [1],
    "rlnVoltage": [300.0],
    "rlnSphericalAberration": [2.7],
    "rlnAmplitudeContrast": [0.1],
    "rlnImagePixelSize": [PIXEL],
    "rlnImageSize": [BOX],
    "rlnImageDimensionality": [2],
}
GOOD = 9
"""Of the classes, the first so many show particles; the others show noise."""


class SortedSession:
    """Writes what a fold over particles would write."""

    def __init__(self, folder: Path, classes: int = 12, name: str = "grid 5", program: str = "") -> None:
        self.folder, self.classes, self.program = folder, classes, program
        self.store = Store.create(folder, name)
        self.store.add_step("extract", "ExtractParticles", Particles, {}, {})
        self.store.add_step("classes", "ClassifyParticles", Classes, {}, {"particles": "extract"}, fold=True)
        self.batches = 0
        self._before = ""
        self.random = np.random.default_rng(11)
        self.views = np.stack([_view(self.random) for _ in range(GOOD)])
        self.identity = np.arange(1, classes + 1)
        self.history = classhistory.History.none(classes)
        for kind in (Particles, Classes):
            self.store.ensure_table(kind)

    def choose(self, **params) -> None:
        """With a step that selects among the classes."""
        values = {"keep": "", "drop": "", "score": 0.0, **params}
        self.store.add_step("select", "SelectClasses", Particles, values, {"classes": "classes"})

    def sort(self, count: int = 1000, reborn: int | None = None) -> Classes:
        """One more batch of particles; a slot named by `reborn` begins anew, out of the first class."""
        self.batches += 1
        n = self.batches
        if reborn is not None:
            self.identity = self.identity.copy()
            self.identity[reborn] = self.identity.max() + 1
        total = count * n
        share = np.r_[np.linspace(2.0, 1.0, GOOD), np.full(self.classes - GOOD, 0.5)]
        share /= share.sum()
        particles = np.rint(share * total).astype(int)
        noise = self.random.normal(0, 2.0 / np.sqrt(n), (self.classes, BOX, BOX))
        averages = noise.astype(np.float32)
        averages[:GOOD] += self.views
        good = np.arange(self.classes) < GOOD
        stem = f"steps/classes/classes_{n:06d}"
        (self.folder / "steps/classes").mkdir(parents=True, exist_ok=True)
        mrc.write(self.folder / f"{stem}.mrcs", averages, PIXEL)
        resolution = np.where(good, 12.0 + 20.0 / n + np.arange(self.classes) / 4, 40.0)
        table = {
            "rlnReferenceImage": [f"{i + 1:06d}@{stem}.mrcs" for i in range(self.classes)],
            "rlnClassDistribution": share,
            "rlnEstimatedResolution": resolution,
        }
        if not self.program:
            table |= {
                "rlnClassScore": np.where(good, 0.9 - np.arange(self.classes) / 40, 0.1),
                "rlnSelected": good.astype(int),
                "cwIdentity": self.identity,
                "cwParent": np.where(self.identity > self.classes, self.identity[0], 0),
                "cwParticles": particles,
                "cwSize": np.full(self.classes, 145.0),
                "cwAge": np.where(self.identity > self.classes, 1, n),
            }
        general = {"rlnPixelSize": PIXEL}
        star.write(self.folder / f"{stem}_model.star", {"model_general": general, "model_classes": table})
        self._members(f"{stem}.star", f"steps/extract/batch_{n:03d}.mrcs")
        if not self.program:
            self.history = self.history.extended(
                n, int(particles.sum()), classfiles.read_model(self.folder / f"{stem}_model.star"), averages
            )
            classhistory.write(self.folder / f"{stem}_history.npz", self.history)
        result = Classes(
            path=f"{stem}.mrcs",
            metadata=f"{stem}.star",
            model=f"{stem}_model.star",
            count=self.classes,
            particles=total if self.program else int(particles.sum()),
            box=BOX,
            pixel_size=PIXEL,
            resolution=float(resolution.min()),
            largest=float(share.max()),
            batches=n,
            good=0 if self.program else GOOD,
            good_particles=0 if self.program else int(particles[:GOOD].sum()),
            rate=540.0,
            program=self.program,
            history="" if self.program else f"{stem}_history.npz",
        )
        (task,) = self.store.claim("classes", [Todo(None, (count * (n - 1), count * n))])
        self.store.finish(task, "done", result, host="node1")
        return result

    def close(self) -> None:
        self.store.close()

    def _members(self, name: str, stack: str, each: int = 4) -> None:
        """Some particles of each class, as pictures and as rows of a star file."""
        klass = np.repeat(np.arange(self.classes), each)
        pictures = self.random.normal(0, 1, (len(klass), BOX, BOX)).astype(np.float32)
        clear = klass < GOOD
        pictures[clear] += self.views[klass[clear]]
        (self.folder / stack).parent.mkdir(parents=True, exist_ok=True)
        mrc.write(self.folder / stack, pictures, PIXEL)
        rows = {
            "rlnImageName": [f"{i + 1:06d}@{stack}" for i in range(len(klass))],
            "rlnMicrographName": ["m1.mrc"] * len(klass),
            "rlnOpticsGroup": [1] * len(klass),
            "rlnClassNumber": klass + 1,
            "rlnMaxValueProbDistribution": self.random.uniform(0.5, 1, len(klass)),
        }
        if self.program:
            star.write(self.folder / name, {"optics": OPTICS, "particles": rows})
        else:
            rows["cwIdentity"] = self.identity[klass]
            classfiles.write_batch(self.folder / name, OPTICS, rows, self.batches, self._before)
            self._before = name


def _view(random: np.random.Generator) -> np.ndarray:
    """A projection of some Gaussian domains."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    at = random.normal(0, BOX / 9, (9, 2))
    found = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * random.uniform(1.6, 3.0) ** 2)) for a, b in at)
    return (2 * found).astype(np.float32)
