"""The step that makes one sorting of several."""

from __future__ import annotations

import numpy as np
from traitlets import Int

from cryowidgets.io import mrc
from cryowidgets.kernels import classconsensus
from cryowidgets.model import NAN, Classes
from cryowidgets.protocols import classfiles
from cryowidgets.protocols.base import Maybe, Protocol
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.sorted import all_particles


class ClassConsensus(Protocol):
    """Keep together the particles that two to four sortings have together.

    Particles that all of the sortings have are laid into groups that none of them divides; small groups are dropped,
    and the others joined again as long as they were mostly together. Of three or more sortings, one that has no
    more in common with the others than by chance is left out. A common class is shown by that average, of all
    sortings with the box of the first that counts, whose particles are most nearly its own. How far a particle was with
    its class is in the column cwConsistency.
    """

    takes = {"first": Classes, "second": Classes, "third": Maybe(Classes), "fourth": Maybe(Classes)}
    gives = Classes

    classes = Int(0, min=0, max=500, help="Number of common classes; 0 to have it found")
    least = Int(
        10, min=1, max=100_000, help="Least particles of a group that no sorting divides; smaller ones are dropped"
    ).tag(unit="particles")

    def process(
        self, first: Classes, second: Classes, out: Out, third: Classes | None = None, fourth: Classes | None = None
    ) -> Classes:
        given = [classes for classes in (first, second, third, fourth) if classes is not None]
        nothing = Classes(path="", count=0, particles=0, box=first.box, pixel_size=first.pixel_size)
        there = [classes for classes in given if classes.metadata]
        if len(there) < len(given):
            return _because(nothing, "not all of the sortings have classes yet")
        sorted_ = [_sorting(classes) for classes in there]
        names = sorted_[0][0]
        common = set(names).intersection(*(own for own, _, _ in sorted_[1:]))
        rows = [i for i, name in enumerate(names) if name in common]
        labels = []
        for own, classes, _ in sorted_:
            place = {name: i for i, name in enumerate(own)}
            labels.append(classes[[place[names[i]] for i in rows]])
        if not rows:
            return _because(nothing, "the sortings have no particle in common")
        found = classconsensus.consensus(labels, least=self.least, classes=self.classes)
        if not found.count:
            return _because(nothing, f"no {self.least} particles are together in all sortings: lower 'least'")
        counted = np.flatnonzero(found.kept)  # pictures, box and particles are theirs alone
        first = there[counted[0]]
        place = {name: i for i, name in enumerate(sorted_[counted[0]][0])}
        rows, blocks = [place[names[i]] for i in rows], all_particles(first.metadata)
        averages, model = self._shown(
            found, [labels[i] for i in counted], [there[i] for i in counted], [sorted_[i][2] for i in counted]
        )
        mrc.write(out.file("_classes.mrcs"), averages, first.pixel_size)
        write_mosaic(out.file("_classes.jpg"), averages)
        stack = out.name("_classes.mrcs")
        classfiles.write_model(out.file("_model.star"), model, stack, first.pixel_size, first.box)
        kept = np.flatnonzero(found.labels >= 0)
        table = {name: [values[rows[i]] for i in kept] for name, values in blocks["particles"].items()}
        table["rlnClassNumber"] = (found.labels[kept] + 1).tolist()
        table["cwIdentity"] = table["rlnClassNumber"]
        table["cwConsistency"] = np.round(found.consistency[kept], 4).tolist()
        classfiles.write_batch(out.file("_classes.star"), blocks["optics"], table, 1)
        finite = model.resolution[np.isfinite(model.resolution)]
        return Classes(
            path=stack,
            metadata=out.name("_classes.star"),
            model=out.name("_model.star"),
            thumbnail=out.name("_classes.jpg"),
            count=found.count,
            particles=len(kept),
            box=first.box,
            pixel_size=first.pixel_size,
            resolution=float(finite.min()) if len(finite) else NAN,
            largest=float(model.share.max()),
            batches=1,
            good=int(model.good.sum()),
            good_particles=int(model.particles[model.good].sum()),
            reason=_doubt(found),
        )

    def _shown(
        self, found: classconsensus.Consensus, labels: list[np.ndarray], sortings: list[Classes], stacks: list
    ) -> tuple[np.ndarray, ClassModel]:
        """Averages of the common classes, and what is known of them: of the class that is most nearly the same."""
        models = [classfiles.read_model(classes.model) for classes in sortings]
        first = sortings[0]
        fit = [
            (classes.box, round(classes.pixel_size, 3)) == (first.box, round(first.pixel_size, 3))
            for classes in sortings
        ]
        counts = np.bincount(found.labels[found.labels >= 0], minlength=found.count)
        fit[0] = True
        sources = []
        for k in range(found.count):
            here = found.labels == k
            best = (0.0, 0, -1)
            for number, own in enumerate(labels):
                for klass in np.unique(own[here]) if fit[number] else ():
                    slots = np.flatnonzero(models[number].identity == klass)  # none, where the class has died since
                    shared = float((here & (own == klass)).sum() / (here | (own == klass)).sum())
                    if len(slots) and shared > best[0]:
                        best = (shared, number, int(slots[0]))
            sources.append(best[1:])
        empty = np.zeros((first.box, first.box), np.float32)
        averages = np.stack([stacks[number][slot] if slot >= 0 else empty for number, slot in sources])

        def of(name: str, unknown: float) -> np.ndarray:
            return np.array([getattr(models[number], name)[s] if s >= 0 else unknown for number, s in sources])

        size = len(counts)
        model = ClassModel(
            identity=np.arange(1, size + 1),
            parent=np.zeros(size, int),
            share=counts / counts.sum(),
            particles=counts,
            resolution=of("resolution", NAN),
            size=of("size", NAN),
            score=of("score", NAN),
            good=of("good", False),
            age=np.ones(size, int),
            pixel_size=first.pixel_size,
        )
        return averages.astype(np.float32), model


def _sorting(classes: Classes) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the particles, number of the class of each, and the averages."""
    table = all_particles(classes.metadata)["particles"]
    named = table.get("cwIdentity") or table["rlnClassNumber"]
    return list(table["rlnImageName"]), np.array(named, int), mrc.read_stack(classes.path)


def _because(nothing: Classes, reason: str) -> Classes:
    return Classes(path="", count=0, particles=0, box=nothing.box, pixel_size=nothing.pixel_size, reason=reason)


def _doubt(found: classconsensus.Consensus) -> str:
    """What is odd about sortings that agree no better than by chance."""
    out = [str(i + 1) for i in np.flatnonzero(~found.kept)]
    if out:
        which = f"sorting {out[0]} has" if len(out) == 1 else f"sortings {' and '.join(out)} have"
        return (
            f"{which} no more in common with the others than by chance and {'is' if len(out) == 1 else 'are'} left out"
        )
    above = np.triu_indices(len(found.rand), 1)
    worst = int(np.argmax(found.significance[above]))
    if found.significance[above][worst] <= 0.05:
        return ""
    one, two = above[0][worst] + 1, above[1][worst] + 1
    return (
        f"sortings {one} and {two} agree no better than by chance (adjusted Rand index {found.rand[above][worst]:.2f})"
    )
