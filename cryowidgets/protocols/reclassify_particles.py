"""The step that sorts all particles so far once more, from the beginning, when a person asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from traitlets import Int

from cryowidgets.errors import InputError
from cryowidgets.io import star
from cryowidgets.kernels import classify
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import cites, lots, relion_files, sorting
from cryowidgets.protocols.base import Many
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_files import Blocks
from cryowidgets.protocols.sorted import joined
from cryowidgets.protocols.sorting import LEAST, Sorted, Sorts, lens


class ReclassifyParticles(Sorts):
    """Sort all particles so far into classes, in several passes: the ordinary 2-D classification.

    It takes longer than to refine classes as particles come, and forgets how those came about. It is done once whenever
    a person releases the step, with all particles that there are by then: all that a selection has accepted where it
    takes those, else all that were extracted.
    """

    takes = Many(Particles, newest=True)
    gives = Classes
    on_demand = True
    cites = (cites.ONLINE_EM, cites.RELION)

    classes = Int(50, min=2, max=500, help="Number of classes")

    def process(self, items: list[Particles], last: Classes | None, out: Out) -> Classes:
        files = [item for item in items if item.count]
        blocks = self.gathered(files, last)
        count = len(blocks["particles"]["rlnImageName"])
        if count < LEAST:
            raise InputError(f"{count} particles are too few to be sorted: at least {LEAST} are needed.")
        classes, like = min(self.classes, max(count // sorting.EACH, 2)), files[-1]
        begun = time.perf_counter()

        def batches() -> Iterator[tuple]:
            for lot in lots.lots(blocks, "a file of particles", out.absolute, like.box):
                yield lot.pictures, lens(lot), lot.ctf

        model, assigned = classify.again(self.settings(classes, like), batches)
        optics, table = relion_files.particles(blocks, "a file of particles")
        found = Sorted(optics, table, classify.Assigned.together(assigned), time.perf_counter() - begun)
        result = self.written(out, found, model, like)
        few = f"only {count} particles: {classes} classes instead of {self.classes}"
        return replace(result, reason=few if classes < self.classes else "")

    def gathered(self, files: list[Particles], last: Classes | None) -> Blocks:
        """All particles so far, free of what an earlier sorting said of them.

        What belongs to no exposure, a selection, has all of them each time; else these are added to those of the last.
        """
        parts = [star.read(item.metadata) for item in files]
        if files and files[-1].exposure and last is not None:
            parts.insert(0, star.read(last.metadata))
        return joined(map(sorting.plain, parts))
