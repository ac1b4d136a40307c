"""The tab Map: the particle in three dimensions, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping

from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.page import Page, Tab


class MapTab(Tab):
    """What particles look like from all sides."""

    title = "Map"
    place = 34

    def __init__(self, page: Page) -> None:
        # Imported for whoever looks here, and not for each viewer of any tab.
        from cryowidgets.widgets.maps_view import MapsView

        self.view = MapsView(page)
        super().__init__(page, [self.view])
        self.add_class("cw-tab-fill")

    @classmethod
    def fits(cls, steps: Mapping[str, Step]) -> bool:
        return any(step.gives in ("Volume", "ResolutionMap") for step in steps.values())

    def refresh(self, reader: Reader) -> None:
        self.view.refresh(reader)
