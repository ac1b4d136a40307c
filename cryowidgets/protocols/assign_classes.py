"""The step that sorts particles into classes that are given."""

from __future__ import annotations

import numpy as np
from traitlets import Float, Int, Unicode

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import classify
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import cites, classfiles, sorting
from cryowidgets.protocols.base import Many, Maybe
from cryowidgets.protocols.lots import Lot
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.sorted import joined
from cryowidgets.protocols.sorting import Sorts, lens


class AssignClasses(Sorts):
    """Say which of some given averages each particle looks like; the averages stay as they are.

    Each batch takes the same time. The averages may be those of another step of the session, linked as `averages`: the
    newest that there are when the first batch begins, until this step is restarted; classes keep the numbers that they
    have there. Or they are a file, of another session of the same sample for instance: then it is known from the first
    micrograph on which views there are.
    """

    takes = Many(Particles, every="batch", by="count", beside={"averages": Maybe(Classes)})
    gives = Classes
    lasting = ("references", "pixel_size", "diameter", "shift", "finest", "seed")
    cites = (cites.RELION,)

    references = Unicode(
        "", help="Stack of averages, MRC, where no step is linked that gives them; its path may begin in the project"
    )
    pixel_size = Float(0.0, min=0, max=100, help="Pixel size of that stack; 0 for what it says itself").tag(unit="Å/px")
    batch = Int(1000, min=1, help="Particles of a batch").tag(unit="particles")

    def process(
        self, items: list[Particles], last: Classes | None, out: Out, averages: Classes | None = None
    ) -> Classes:
        files = [item for item in items if item.count]
        if not files:
            return last or sorting.nothing(items[-1] if items else None)
        before = last if last and last.path else None
        blocks = joined(star.read(item.metadata) for item in files)

        def begin(lot: Lot) -> tuple[classify.Sorting, classify.Assigned]:
            model = self._linked(averages, files[-1]) if averages else self._references(files[-1], out)
            return model, model.add(lot.pictures, lens(lot), lot.ctf)

        model = classify.Sorting.of(sorting.state(before)) if before else None
        model, found = sorting.batch(model, begin, blocks, files[-1], out)
        return self.kept(out, found, model, files[-1], before)

    def _linked(self, averages: Classes, like: Particles) -> classify.Sorting:
        """Classes of another step, with the numbers that they have there.

        Raises
        ------
        InputError
            There are none.
        """
        if not averages.path:
            raise InputError(
                f"The step that is to give averages has no classes: {averages.reason or 'no particles came'}. Retry "
                "when it has some, or link another one."
            )
        pictures = mrc.read_stack(averages.path)
        model = classify.static(pictures, averages.pixel_size, self.settings(len(pictures), like))
        arrays, numbers = model.arrays(), classfiles.read_model(averages.model).identity - 1
        arrays["identity"] = np.where(arrays["identity"] >= 0, numbers, -1)
        return classify.Sorting.of(arrays)

    def _references(self, like: Particles, out: Out) -> classify.Sorting:
        """The averages that are given.

        Raises
        ------
        ParameterError
            None are given, or their pixel size is not known.
        InputError
            The file cannot be read, or holds no square pictures.
        """
        if not self.references:
            raise ParameterError(
                "AssignClasses.references is empty and no step is linked as averages: link one that sorts particles, "
                "or write the path of a stack of averages, MRC."
            )
        path = out.absolute(self.references)
        with mrc.open_upright(path) as stack:
            pictures, pixel_size = stack.block(0, len(stack)), self.pixel_size or stack.pixel_size
        if pictures.shape[1] != pictures.shape[2]:
            raise InputError(f"{path} has pictures of {pictures.shape[1]}×{pictures.shape[2]} px: averages are square.")
        if not pixel_size > 0:
            raise ParameterError(f"AssignClasses.pixel_size is 0 and {path} has none: write that of the averages.")
        return classify.static(pictures, pixel_size, self.settings(len(pictures), like))
