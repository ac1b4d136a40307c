"""BokehJS for our plots, from the Bokeh that is installed: one file that browsers keep, never from the internet.

A Jupyter server gets the route as a server extension, our own Voila server adds it itself. Where a page comes from a
server that has neither, `LivePlot` fetches the file through the kernel.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BOKEH_VERSION = version("bokeh")
BOKEH_FILES = Path(str(find_spec("bokeh").submodule_search_locations[0])) / "server" / "static" / "js"  # type: ignore[union-attr,index]
"""Found without importing Bokeh, so that a server starts fast."""


def routes(base_url: str) -> list[tuple]:
    """Tornado routes below a server's base URL."""
    from jupyter_server.auth.decorator import allow_unauthenticated
    from tornado.web import HTTPError, StaticFileHandler

    class BokehFile(StaticFileHandler):
        """The file is public, and a page of another Bokeh must not get it: it says in ``?v=`` which one it wants."""

        @allow_unauthenticated
        async def get(self, path: str, include_body: bool = True) -> None:
            if self.get_query_argument("v", BOKEH_VERSION) != BOKEH_VERSION:
                raise HTTPError(404, f"Bokeh {BOKEH_VERSION} is installed here")
            await super().get(path, include_body)

        @allow_unauthenticated
        async def head(self, path: str) -> None:
            await super().get(path, include_body=False)

    pattern = f"{base_url.rstrip('/')}/cryowidgets/static/bokeh/(bokeh\\.min\\.js)"
    return [(pattern, BokehFile, {"path": str(BOKEH_FILES)})]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "cryowidgets.widgets.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.add_handlers(".*$", routes(app.web_app.settings["base_url"]))
