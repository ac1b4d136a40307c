"""The page of a session, the same in a notebook cell and on a Voila page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.alert_line import AlertLine
from cryowidgets.widgets.header import header
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_row import TabRow
from cryowidgets.widgets.window import Window, put, shut_in

ALERTS = "Alerts"
"""Title of the tab that a click on an alert opens."""


def session(project: Any = None, control: bool = False) -> W.DOMWidget:
    """The page of a session.

    Parameters
    ----------
    project : Project, path or str, optional
        None or empty takes the folder that the environment variable ``CRYOWIDGETS_PROJECT`` names, as on a page
        served by ``cryowidgets serve``, or the address of a page beside the wizard.
    control : bool
        With buttons to control the engine and forms for the parameters; else the page can only be looked at.
    """
    folder = getattr(project, "folder", project) or _asked() or os.environ.get("CRYOWIDGETS_PROJECT", "")
    try:
        if not folder:
            raise CryowidgetsError("No project is named: write session('path of a project').")
        Reader(folder).close()
    except CryowidgetsError as error:
        from cryowidgets.widgets.panels import sentence

        return sentence(str(error))
    view = SessionView(Path(folder), control)
    if os.environ.get("CRYOWIDGETS_WARM"):
        view.warm()
    if os.environ.get("CRYOWIDGETS_KIOSK"):
        shut_in()
    return view


def _asked() -> str:
    """The project in the address of this page, where the server has pages of several; all who see one have a token."""
    if not os.environ.get("CRYOWIDGETS_SESSIONS"):
        return ""
    return parse_qs(os.environ.get("QUERY_STRING", "")).get("project", [""])[0]


class SessionView(Window):
    """Header, what is wrong now, and a row of tabs; the tabs come by the entry point group ``cryowidgets.tabs``."""

    def __init__(self, folder: Path, control: bool = False) -> None:
        self._header = W.HTML()
        self.alerts = AlertLine(lambda: self.tabs.go(ALERTS))
        self.page = Page(
            folder, control, self.wake, lambda title: self.tabs.go(title), lambda title: self.tabs.has(title)
        )
        self.tabs = TabRow(self.page)
        parts: list[W.Widget] = [self._header, self.alerts, self.tabs]
        self._controls = None
        if control:
            from cryowidgets.widgets.controls import Controls  # forms import protocols: not for a page that only shows

            self._controls = Controls(folder, self.wake)
            parts.insert(2, self._controls)
        super().__init__(folder, parts, "cw-session")

    def choose(self, exposure: int) -> None:
        """Hold one exposure in view; the same one again lets go and follows the newest."""
        self.page.choose(exposure)

    def refresh(self, reader: Reader) -> None:
        state = reader.session()
        put(self._header, header(state))
        if self._controls is not None:
            self._controls.refresh(reader, state)
        self.page.refresh(reader)
        self.tabs.refresh(reader)
        self.alerts.show(reader.alerts(), "show all" if self.tabs.has(ALERTS) else "")
