"""How classes became what they are: their averages after some of the batches, and their figures after more of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.model import NAN, Classes
from cryowidgets.protocols import classhistory
from cryowidgets.widgets import texts
from cryowidgets.widgets.class_closely import NOTHING, Course
from cryowidgets.widgets.class_sheet import Sheet, Table, spread


@dataclass(frozen=True)
class Moment:
    """The state after a batch."""

    batch: int
    particles: int

    @property
    def name(self) -> str:
        return f"{self.batch}, {texts.thousands(self.particles)} particles"


class History:
    """What a result knows of its own past; nothing where its program keeps none, or its file is gone."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        """Batches whose averages are kept, oldest first; the last is the result itself."""
        self._known: tuple = ()
        self._kept: classhistory.History | None = None

    def refresh(self, classes: Classes | None) -> None:
        """Read the past of a result, once."""
        path = classes.history if classes is not None else ""
        try:
            key = (path, os.stat(path).st_mtime_ns) if path else ()
        except OSError:
            key = ()
        if key == self._known:
            return
        self._known, self._kept, self.moments = key, None, []
        if not key:
            return
        try:
            kept = self._kept = classhistory.read(path)
        except InputError:  # the newest classes are there all the same
            return
        total = dict(zip(kept.batches.tolist(), kept.sorted.tolist(), strict=True))
        self.moments = [Moment(batch, total[batch]) for batch in kept.frames.tolist() if batch in total]

    def sheet(self, at: int) -> Sheet:
        """The classes at a moment."""
        kept = self._kept
        assert kept is not None
        moment = self.moments[at]
        row = int(np.flatnonzero(kept.batches == moment.batch)[0])
        tiles = kept.averages[int(np.flatnonzero(kept.frames == moment.batch)[0])]
        share, count = kept.share[row].astype(np.float64), kept.share.shape[1]
        unknown = np.full(count, NAN)
        table = Table(
            identity=kept.identity[row].astype(np.int64),
            slot=np.arange(count),
            parent=np.zeros(count, np.int64),
            share=share,
            particles=np.rint(np.nan_to_num(share) * moment.particles).astype(np.int64),
            resolution=kept.resolution[row].astype(np.float64),
            size=unknown,
            score=kept.score[row].astype(np.float64),
            good=unknown,
            age=unknown,
        )
        there = np.flatnonzero((share > 0) & (table.identity > 0))
        return spread(f"{self._known[1]}:{moment.batch}", table.rows(there), tiles)

    def course(self, identity: int) -> Course:
        """What became of a class; batches at which it was not there are left out."""
        if self._kept is None:
            return NOTHING
        rows, slots = np.nonzero(self._kept.identity == identity)
        share = self._kept.share[rows, slots].astype(np.float64)
        lived = share > 0
        resolution = self._kept.resolution[rows, slots].astype(np.float64)
        return Course(self._kept.batches[rows][lived], share[lived], resolution[lived])
