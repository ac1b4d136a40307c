"""The front end of the pages of our own server: what a browser needs to show our widgets, and nothing else.

Voila's is JupyterLab's: 5 MB of programs that know every widget there is, and two seconds until they begin. Ours knows
the few kinds of which our pages are made; at the first other one it hands over to Voila's, see `start.js`. In
JupyterLab, and where Voila serves our notebooks by itself, nothing of this is used.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from cryowidgets.widgets.server import BOKEH_VERSION, File, serving

HERE = Path(__file__).parent
SCRIPTS = ("line.js", "models.js", "views.js", "controls.js", "start.js")
SHEETS = ("share/front/front.css", "style.css", "wall.css")


@cache
def files() -> dict[str, File]:
    """All files by their names in an address; the scripts are made one."""
    scripts = [HERE / "share" / "front" / name for name in SCRIPTS]
    sheets = [HERE / name for name in SHEETS]
    return {
        "front.js": File("text/javascript", lambda: b"".join(script.read_bytes() for script in scripts)),
        **{sheet.name: File("text/css", sheet.read_bytes) for sheet in sheets},
    }


def routes(base_url: str) -> list[tuple]:
    """Tornado routes below a server's base URL."""
    return serving(f"{base_url}cryowidgets/static/front/", files())


def resources(base_url: str) -> dict[str, Any]:
    """What the template of a page has to name: addresses that change with what they hold, so that browsers keep it."""
    where = f"{base_url}cryowidgets/static"
    address = {name: f"{where}/front/{name}?v={file.version}" for name, file in files().items()}
    return {
        "script": address.pop("front.js"),
        "sheet": address.pop("front.css"),
        "sheets": list(address.values()),
        "bokeh": f"{where}/bokeh/bokeh.min.js?v={BOKEH_VERSION}",
        "bokeh_version": BOKEH_VERSION,
    }
