"""The tab Picks: where particles are on a micrograph, what a cut would leave of them, and what a person corrects."""

from __future__ import annotations

from collections.abc import Mapping

from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.page import Page, Tab


class PicksTab(Tab):
    """See `PicksSheet`."""

    title = "Picks"
    place = 30

    def __init__(self, page: Page) -> None:
        # Imported for whoever looks here, and not for each viewer of any tab.
        from cryowidgets.widgets.picks_sheet import PicksSheet

        self.sheet = PicksSheet(page)
        super().__init__(page, [self.sheet.left, self.sheet.right])
        self.add_class("cw-tab-fill")
        self.add_class("cw-picks")

    @classmethod
    def fits(cls, steps: Mapping[str, Step]) -> bool:
        return any(step.gives in ("Picks", "ParticleSize") for step in steps.values())

    def refresh(self, reader: Reader) -> None:
        self.sheet.refresh(reader)
