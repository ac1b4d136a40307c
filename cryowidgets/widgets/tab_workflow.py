"""The tab Workflow: the graph of the steps, and the one that was chosen in it."""

from __future__ import annotations

from cryowidgets.store.queries import Reader
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.workflow_view import WorkflowView


class WorkflowTab(Tab):
    """Steps, links, counts and results of a project; with control also the forms that change them."""

    title = "Workflow"
    place = 40

    def __init__(self, page: Page) -> None:
        self.view = WorkflowView(page.folder, page.wake, page.control, fill=True)
        super().__init__(page, [self.view])
        self.add_class("cw-tab-fill")

    def refresh(self, reader: Reader) -> None:
        self.view.refresh(reader)
