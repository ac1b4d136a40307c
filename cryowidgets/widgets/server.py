"""Files for the pages that show our widgets, never from the internet: programs and style sheets that browsers keep.

BokehJS for our plots comes from the Bokeh that is installed. A Jupyter server gets the route as a server extension, our
own Voila server adds it itself. Where a page comes from a server that has neither, `LivePlot` fetches the file through
the kernel.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BOKEH_VERSION = version("bokeh")
BOKEH_FILES = Path(str(find_spec("bokeh").submodule_search_locations[0])) / "server" / "static" / "js"  # type: ignore[union-attr,index]
"""Found without importing Bokeh, so that a server starts fast."""
A_YEAR = 365 * 86400


class File:
    """A file as it is sent, read when it is first asked for.

    Parameters
    ----------
    kind : str
        Its media type.
    read : callable
        Returns what it holds, as bytes.
    version : str, optional
        What its address says in ``?v=``, which changes with what it holds; by default a hash of that.
    """

    def __init__(self, kind: str, read: Callable[[], bytes], version: str = "") -> None:
        self.kind = kind
        self._read, self._version = read, version

    @cached_property
    def content(self) -> bytes:
        return self._read()

    @cached_property
    def packed(self) -> bytes:
        """The same, a quarter as long."""
        return gzip.compress(self.content, 6, mtime=0)

    @property
    def version(self) -> str:
        return self._version or hashlib.sha256(self.content).hexdigest()[:16]


def routes(base_url: str) -> list[tuple]:
    """Tornado routes below a server's base URL, for all servers."""
    bokeh = File("text/javascript", (BOKEH_FILES / "bokeh.min.js").read_bytes, BOKEH_VERSION)
    return serving(f"{base_url.rstrip('/')}/cryowidgets/static/bokeh/", {"bokeh.min.js": bokeh})


def serving(where: str, files: Mapping[str, File]) -> list[tuple]:
    """Tornado routes to these files, by their names below an address."""
    from jupyter_server.auth.decorator import allow_unauthenticated
    from tornado.web import HTTPError, RequestHandler

    class Served(RequestHandler):
        """The files are public, and a page of another version must not get one: ``?v=`` says which one it wants."""

        @allow_unauthenticated
        async def get(self, name: str) -> None:
            file = files.get(name)
            if file is None:
                raise HTTPError(404)
            asked = self.get_query_argument("v", "")
            if asked not in ("", file.version):
                raise HTTPError(404, f"{name} is of version {file.version} here")
            self.set_header("Content-Type", file.kind)
            self.set_header("Vary", "Accept-Encoding")
            self.set_header("Cache-Control", f"public, max-age={A_YEAR}, immutable" if asked else "no-cache")
            if "gzip" in self.request.headers.get("Accept-Encoding", ""):
                self.set_header("Content-Encoding", "gzip")
                self.finish(file.packed)
            else:
                self.finish(file.content)

        @allow_unauthenticated
        async def head(self, name: str) -> None:
            await self.get(name)

    return [(f"{where}([a-z.]+)", Served)]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "cryowidgets.widgets.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.add_handlers(".*$", routes(app.web_app.settings["base_url"]))
