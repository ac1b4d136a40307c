"""The step that sorts particles into classes while they come."""

from __future__ import annotations

from dataclasses import replace

from traitlets import Int

from cryowidgets.io import star
from cryowidgets.kernels import classify
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import cites, sorting
from cryowidgets.protocols.base import Many
from cryowidgets.protocols.lots import Lot
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.sorted import joined
from cryowidgets.protocols.sorting import LEAST, Sorts, lens


class ClassifyParticles(Sorts):
    """Sort particles into classes as they come: each batch refines the averages and is sorted by them.

    It begins when the first particles are together, and goes on from where the batch before has left it: what a batch
    costs does not depend on how many came before. Averages are corrected for the lens. A class that nothing belongs to
    any more begins anew from one that holds too much, and is another class then.
    """

    takes = Many(Particles, every="batch", first="first", by="count")
    gives = Classes
    lasting = ("classes", "first", "diameter", "shift", "finest", "seed")
    cites = (cites.ONLINE_EM, cites.RELION)

    classes = Int(50, min=2, max=500, help="Number of classes")
    first = Int(2000, min=LEAST, help="Particles that it begins with").tag(unit="particles")
    batch = Int(2000, min=LEAST, help="Particles of a batch after that").tag(unit="particles")

    def process(self, items: list[Particles], last: Classes | None, out: Out) -> Classes:
        files = [item for item in items if item.count]
        if not files:
            return last or sorting.nothing(items[-1] if items else None)
        parts = [star.read(item.metadata) for item in files]
        begins = last is None or not last.path
        if begins and last is not None and last.state:
            parts.insert(0, star.read(last.state))  # they were too few to begin with
        blocks = joined(iter(parts))
        count = len(blocks["particles"]["rlnImageName"])
        if begins and count < LEAST:
            star.write(out.file("_waiting.star"), blocks)
            return replace(
                sorting.nothing(files[-1]),
                state=out.name("_waiting.star"),
                reason=f"{count} particles came; {LEAST} are needed to begin with",
            )
        classes = min(self.classes, max(count // sorting.EACH, 2))
        settings = self.settings(classes, files[-1])

        def begin(lot: Lot) -> tuple[classify.Sorting, classify.Assigned]:
            given = (lot.pictures, lens(lot), lot.ctf)
            model = classify.Sorting.begin(settings, *given)
            return model, model.assign(*given)

        model = None if begins or last is None else classify.Sorting.of(sorting.state(last))
        model, found = sorting.batch(model, begin, blocks, files[-1], out)
        result = self.kept(out, found, model, files[-1], None if begins else last)
        few = f"only {count} particles came to begin with: {classes} classes instead of {self.classes}"
        reason = few if begins and classes < self.classes else "" if begins or last is None else last.reason
        return replace(result, reason=reason)
