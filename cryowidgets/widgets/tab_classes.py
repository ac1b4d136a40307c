"""The tab Classes: averages that grow sharper, which of them go on, one of them in full, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping

from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.page import Page, Tab


class ClassesTab(Tab):
    """What particles look like, sorted, while they come."""

    title = "Classes"
    place = 32

    def __init__(self, page: Page) -> None:
        # Imported for whoever looks here, and not for each viewer of any tab.
        from cryowidgets.widgets.classes_view import ClassesView

        self.view = ClassesView(page)
        super().__init__(page, [self.view])
        self.add_class("cw-tab-fill")

    @classmethod
    def fits(cls, steps: Mapping[str, Step]) -> bool:
        return any(step.gives == "Classes" for step in steps.values())

    def refresh(self, reader: Reader) -> None:
        self.view.refresh(reader)
