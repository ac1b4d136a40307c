"""What people see of a session, in notebooks and on pages: everything here is an ipywidget.

Each name is imported when it is first asked for: a server that only adds a route needs none of the drawing libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryowidgets.widgets.dashboard import session
    from cryowidgets.widgets.engine_widget import EngineWidget
    from cryowidgets.widgets.form import ParameterForm
    from cryowidgets.widgets.graph import WorkflowGraph
    from cryowidgets.widgets.kiosk import serve, serve_wizard, start, start_wizard
    from cryowidgets.widgets.live_plot import LivePlot
    from cryowidgets.widgets.live_table import LiveTable
    from cryowidgets.widgets.protocol_widget import ProtocolWidget
    from cryowidgets.widgets.wall import facility
    from cryowidgets.widgets.wall_pages import serve_wall, start_wall
    from cryowidgets.widgets.wizard import new_session
    from cryowidgets.widgets.workflow_view import WorkflowWidget

_DOOR = {
    "EngineWidget": "engine_widget",
    "LivePlot": "live_plot",
    "LiveTable": "live_table",
    "ParameterForm": "form",
    "ProtocolWidget": "protocol_widget",
    "WorkflowGraph": "graph",
    "WorkflowWidget": "workflow_view",
    "facility": "wall",
    "new_session": "wizard",
    "serve": "kiosk",
    "serve_wall": "wall_pages",
    "serve_wizard": "kiosk",
    "session": "dashboard",
    "start": "kiosk",
    "start_wall": "wall_pages",
    "start_wizard": "kiosk",
}
__all__ = [
    "EngineWidget",
    "LivePlot",
    "LiveTable",
    "ParameterForm",
    "ProtocolWidget",
    "WorkflowGraph",
    "WorkflowWidget",
    "facility",
    "new_session",
    "serve",
    "serve_wall",
    "serve_wizard",
    "session",
    "start",
    "start_wall",
    "start_wizard",
]


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(f"cryowidgets.widgets has no {name!r}; it has {', '.join(__all__)}.")
    value = globals()[name] = getattr(import_module(f"cryowidgets.widgets.{_DOOR[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
