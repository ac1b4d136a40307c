"""The page of a session, the same in a notebook cell and on a Voila page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as W

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import figures
from cryowidgets.widgets.exposure import ExposureView
from cryowidgets.widgets.exposures import ExposureTable
from cryowidgets.widgets.feed import StepRows, SystemRows
from cryowidgets.widgets.header import header
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import Window, box, put, show_if
from cryowidgets.widgets.workflow_view import WorkflowView


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
    if os.environ.get("CRYOWIDGETS_KIOSK"):
        _shut_in()
    return view


def _asked() -> str:
    """The project in the address of this page, where the server has pages of several; all who see one have a token."""
    if not os.environ.get("CRYOWIDGETS_SESSIONS"):
        return ""
    return parse_qs(os.environ.get("QUERY_STRING", "")).get("project", [""])[0]


def _shut_in() -> None:
    """Whoever looks at a kiosk may talk to the widgets that are there, and may not make others in the kernel."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        shell.kernel.comm_manager.unregister_target("jupyter.widget", W.Widget.handle_comm_opened)


class SessionView(Window):
    """Header; behind one tab live plots, table of exposures and one exposure in full, behind another the workflow."""

    def __init__(self, folder: Path, control: bool = False) -> None:
        self._header = W.HTML()
        self.drift = figures.drift()
        self.defocus = figures.defocus()
        self.astigmatism = figures.astigmatism()
        self.resolution = figures.resolution()
        self.machine, self.disk, self.tasks = figures.machine(), figures.disk(), figures.tasks()
        self._micrographs: StepRows | None = None
        self._ctfs: StepRows | None = None
        self._system = SystemRows([self.machine, self.disk, self.tasks])
        self._chosen: int | None = None
        self._shown: int | None = None
        self.table = ExposureTable(self.wake)
        self.exposure = ExposureView(self._order if control else None)
        for part in (self.drift, self.defocus, self.astigmatism, self.resolution, self.table):
            part.on_tap(self.choose)
        data = box([self.drift, self.defocus, self.astigmatism, self.resolution], "cw-plots")
        load = box([self.machine, self.disk, self.tasks], "cw-load")
        left = box([data, load], "cw-left")
        right = box([self.table, self.exposure], "cw-side")
        self.tabs = Tabs(["Session", "Workflow"], lambda _: self._open(), "What is shown of the session")
        self._main = box([left, right], "cw-main")
        self.workflow: WorkflowView | None = None
        """Made when it is first looked at."""
        self._workflow_place = box([], "cw-workflow-place")
        top: W.Widget = self.tabs
        self._controls = None
        if control:
            from cryowidgets.widgets.controls import Controls  # forms import protocols: not for a page that only shows

            top = self._controls = Controls(folder, self.wake, first=[self.tabs])
        self._control = control
        super().__init__(folder, [self._header, top, self._main, self._workflow_place], "cw-session")
        self._open()

    def choose(self, exposure: int) -> None:
        """Hold one exposure in view; the same one again lets go and follows the newest."""
        self._chosen = None if exposure == self._chosen else exposure
        self.wake()

    def refresh(self, reader: Reader) -> None:
        state = reader.session()
        put(self._header, header(state, reader.alerts()))
        if self._controls is not None:
            self._controls.refresh(reader, state)
        if self.tabs.shown == "Workflow":
            self._show_workflow(reader)
            return
        self._find_steps(reader)
        for rows in (self._micrographs, self._ctfs, self._system):
            if rows is not None:
                rows.refresh(reader)
        self._mark(self._chosen if self._chosen is not None else self._newest(reader))
        self.table.follow(reader, state.found)
        self.exposure.show(reader, self._shown, held=self._chosen is not None)

    def _open(self) -> None:
        show_if(self._main, self.tabs.shown == "Session")
        show_if(self._workflow_place, self.tabs.shown == "Workflow")
        self.wake()

    def _show_workflow(self, reader: Reader) -> None:
        if self.workflow is None:
            self.workflow = WorkflowView(self.folder, self.wake, self._control, fill=True)
            self._workflow_place.children = [self.workflow]
        self.workflow.refresh(reader)

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

    def _newest(self, reader: Reader) -> int | None:
        for rows in (self._ctfs, self._micrographs):
            if rows is not None and rows.newest is not None:
                return rows.newest
        found = reader.exposures(limit=1)["id"]
        return int(found[0]) if len(found) else None

    def _mark(self, exposure: int | None) -> None:
        if exposure != self._shown:
            self._shown = exposure
            for part in (self.drift, self.defocus, self.astigmatism, self.resolution, self.table):
                part.select(exposure)

    def _order(self, command: str, **args: Any) -> None:
        inbox.send(self.folder, command, **args)
