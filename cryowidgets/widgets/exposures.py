"""The table of exposures: newest first, with what became of each."""

from __future__ import annotations

from collections.abc import Callable

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.feed import metrics
from cryowidgets.widgets.figures import WAITING
from cryowidgets.widgets.live_table import Column, LiveTable, Row

COLUMNS = [
    Column("acquired", width="8ch"),
    Column("movie", width="minmax(56px, 1fr)"),
    Column("drift", "Å", "right", "6ch"),
    Column("defocus", "µm", "right", "10.5ch"),
    Column("fit", "Å", "right", "5ch"),
    Column("quality", "", "right", "6.5ch"),
    Column("state", width="8ch"),
]


class ExposureTable(LiveTable):
    """Every exposure of a session; a page holds only those on the screen.

    `micrographs`, `ctfs` and `qualities` name the steps whose numbers are shown; None where there is none.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.micrographs: str | None = None
        self.ctfs: str | None = None
        self.qualities: str | None = None
        self.total = 0
        self._reader: Reader | None = None
        super().__init__(COLUMNS, self._fetch_rows, wake, WAITING)

    def follow(self, reader: Reader, total: int) -> None:
        """Fetch anew what is on the screens."""
        self._reader, self.total = reader, total
        self.refresh()

    def _fetch_rows(self, first: int, count: int) -> tuple[int, list[Row]]:
        assert self._reader is not None
        found = self._reader.exposures(limit=count, skip=first)
        ids = found["id"].tolist()
        drifts = metrics(self._reader, self.micrographs, ids)
        ctfs = metrics(self._reader, self.ctfs, ids)
        qualities = metrics(self._reader, self.qualities, ids)
        names = texts.distinct(found["name"])
        rows = []
        for i in reversed(range(len(ids))):
            drift, ctf = drifts.get(ids[i], {}), ctfs.get(ids[i], {})
            defocus = (ctf["defocus_u"] + ctf["defocus_v"]) / 2 if ctf else None
            cells = [
                texts.clock(found["acquired"][i]),
                names[i],
                texts.number(drift.get("motion_total")),
                texts.micrometres(defocus, unit=""),
                texts.number(ctf.get("fit_resolution")),
                texts.number(qualities.get(ids[i], {}).get("score"), 2),
                found["state"][i],
            ]
            hint = ": ".join(filter(None, [found["name"][i], found["reason"][i]]))
            rows.append(Row(ids[i], found["state"][i], cells, hint))
        return self.total, rows
