"""Live cryo-EM processing in Jupyter.

What most people need is here; each name is imported when it is first asked for, so that ``import cryowidgets`` costs
nothing in a worker or at the command line.

>>> import cryowidgets
>>> project = cryowidgets.Project.create("session", movies="raw/**/*.tiff", pixel_size=0.83)   # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryowidgets.errors import CryowidgetsError
    from cryowidgets.io.movie import open_movie
    from cryowidgets.project import Project
    from cryowidgets.protocols.base import Many, Protocol
    from cryowidgets.protocols.registry import register
    from cryowidgets.sim.movie import Recipe, simulate

_DOOR = {
    "CryowidgetsError": "cryowidgets.errors",
    "Many": "cryowidgets.protocols.base",
    "Project": "cryowidgets.project",
    "Protocol": "cryowidgets.protocols.base",
    "Recipe": "cryowidgets.sim.movie",
    "open_movie": "cryowidgets.io.movie",
    "register": "cryowidgets.protocols.registry",
    "simulate": "cryowidgets.sim.movie",
}
__all__ = [
    "CryowidgetsError",
    "Many",
    "Project",
    "Protocol",
    "Recipe",
    "open_movie",
    "register",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cryowidgets")
    if name not in _DOOR:
        raise AttributeError(f"cryowidgets has no {name!r}; it has {', '.join(__all__)}.")
    value = globals()[name] = getattr(import_module(_DOOR[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
