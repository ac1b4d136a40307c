"""The tab Exposures: all of them as a table or as pictures, and one of them in full."""

from __future__ import annotations

from collections.abc import Mapping

from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.window import box


class ExposuresTab(Tab):
    """A list that is sorted, sifted and marked, what may be done about it, and the exposure in view."""

    title = "Exposures"
    place = 20

    def __init__(self, page: Page) -> None:
        # Imported for whoever looks here, and not for each viewer of any tab.
        from cryowidgets.widgets.closely import Closely
        from cryowidgets.widgets.exposure_list import ExposureList

        self.actions = None
        if page.control:
            from cryowidgets.widgets.acting import Actions

            self.actions = Actions(page)
        self.list = ExposureList(page, self._key)
        self.closely = Closely(page, lambda by: self.list.step(by, False))
        left = [self.list, self.actions] if self.actions is not None else [self.list]
        super().__init__(page, [box(left, "cw-ex-left"), self.closely])
        self.add_class("cw-tab-fill")
        self.add_class("cw-exposures")

    @classmethod
    def fits(cls, steps: Mapping[str, Step]) -> bool:
        return any(step.gives == "Movie" for step in steps.values())

    def refresh(self, reader: Reader) -> None:
        self.list.refresh(reader)
        self.closely.show(reader, self.page.shown, self.page.held)
        if self.actions is not None:
            self.actions.show(reader, self.page.overview)

    def _key(self, key: str) -> None:
        if key in "fF" and self.actions is not None:
            self.actions.toggle_flag()
