"""The tab Overview: how the session gets on in time, and its newest exposure."""

from __future__ import annotations

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import figures
from cryowidgets.widgets.exposure import ExposureView
from cryowidgets.widgets.exposures import ExposureTable
from cryowidgets.widgets.feed import StepRows, SystemRows
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.window import box


class OverviewTab(Tab):
    """Live plots, table of exposures, and one exposure in full."""

    title = "Overview"
    place = 10

    def __init__(self, page: Page) -> None:
        self.drift = figures.drift()
        self.defocus = figures.defocus()
        self.astigmatism = figures.astigmatism()
        self.resolution = figures.resolution()
        self.machine, self.disk, self.tasks = figures.machine(), figures.disk(), figures.tasks()
        self._micrographs: StepRows | None = None
        self._ctfs: StepRows | None = None
        self._system = SystemRows([self.machine, self.disk, self.tasks])
        self._marked: int | None = None
        self.table = ExposureTable(page.wake)
        self.exposure = ExposureView(page.send if page.control else None)
        for part in (self.drift, self.defocus, self.astigmatism, self.resolution, self.table):
            part.on_tap(page.choose)
        data = box([self.drift, self.defocus, self.astigmatism, self.resolution], "cw-plots")
        load = box([self.machine, self.disk, self.tasks], "cw-load")
        left = box([data, load], "cw-left")
        right = box([self.table, self.exposure], "cw-side")
        super().__init__(page, [left, right])
        self.add_class("cw-tab-fill")
        self.add_class("cw-main")

    def refresh(self, reader: Reader) -> None:
        self._find_steps(reader)
        for rows in (self._micrographs, self._ctfs, self._system):
            if rows is not None:
                rows.refresh(reader)
        shown = self.page.shown
        if shown != self._marked:
            self._marked = shown
            for part in (self.drift, self.defocus, self.astigmatism, self.resolution, self.table):
                part.select(shown)
        self.table.follow(reader, reader.session().found)
        self.exposure.show(reader, shown, held=self.page.held)

    def _find_steps(self, reader: Reader) -> None:
        """The first step that makes micrographs (gates behind it hand on the same), the last that makes CTFs."""
        steps = reader.steps().values()
        micrographs = [s.name for s in steps if s.gives == "Micrograph"]
        ctfs = [s.name for s in steps if s.gives == "Ctf"]
        qualities = [s.name for s in steps if s.gives == "Quality"]
        self.table.qualities = qualities[-1] if qualities else None
        if micrographs and (self._micrographs is None or self._micrographs.step != micrographs[0]):
            self._micrographs = StepRows(micrographs[0], [self.drift])
            self.table.micrographs = micrographs[0]
        if ctfs and (self._ctfs is None or self._ctfs.step != ctfs[-1]):
            self._ctfs = StepRows(ctfs[-1], [self.defocus, self.astigmatism, self.resolution])
            self.table.ctfs = ctfs[-1]
