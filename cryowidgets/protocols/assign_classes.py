"""The step that sorts particles into classes that are given."""

from __future__ import annotations

from traitlets import Float, Int, Unicode

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import classify
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import cites, sorting
from cryowidgets.protocols.base import Many
from cryowidgets.protocols.lots import Lot
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.sorted import joined
from cryowidgets.protocols.sorting import Sorts, lens


class AssignClasses(Sorts):
    """Say which of some given averages each particle looks like; the averages stay as they are.

    Each batch takes the same time. The averages may be those that another step of the session has made, or of another
    session of the same sample: then it is known from the first micrograph on which views there are.
    """

    takes = Many(Particles, every="batch", by="count")
    gives = Classes
    cites = (cites.RELION,)

    references = Unicode(
        "", help="Stack of averages, MRC; inside the project such as steps/classes/classes_000300_classes.mrcs"
    )
    pixel_size = Float(0.0, min=0, max=100, help="Pixel size of the averages; 0 for what their file says").tag(
        unit="Å/px"
    )
    batch = Int(1000, min=1, help="Particles of a batch").tag(unit="particles")

    def process(self, items: list[Particles], last: Classes | None, out: Out) -> Classes:
        files = [item for item in items if item.count]
        if not files:
            return last or sorting.nothing(items[-1] if items else None)
        before = last if last and last.path else None
        blocks = joined(star.read(item.metadata) for item in files)

        def begin(lot: Lot) -> tuple[classify.Sorting, classify.Assigned]:
            model = self._references(files[-1], out)
            return model, model.add(lot.pictures, lens(lot), lot.ctf)

        model = classify.Sorting.of(sorting.state(before)) if before else None
        model, found = sorting.batch(model, begin, blocks, files[-1], out)
        return self.kept(out, found, model, files[-1], before)

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
            raise ParameterError("AssignClasses.references is empty: write the path of a stack of averages, MRC.")
        path = out.absolute(self.references)
        with mrc.open_upright(path) as stack:
            pictures, pixel_size = stack.block(0, len(stack)), self.pixel_size or stack.pixel_size
        if pictures.shape[1] != pictures.shape[2]:
            raise InputError(f"{path} has pictures of {pictures.shape[1]}×{pictures.shape[2]} px: averages are square.")
        if not pixel_size > 0:
            raise ParameterError(f"AssignClasses.pixel_size is 0 and {path} has none: write that of the averages.")
        return classify.static(pictures, pixel_size, self.settings(len(pictures), like))
