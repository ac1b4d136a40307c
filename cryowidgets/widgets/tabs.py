"""`Tabs`: which of a few views is shown. It commands nothing, so a page that only shows may have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from traitlets import List, Unicode

from cryowidgets.widgets.part import Part, esm


class Tabs(Part):
    """Names to choose from, by click or arrow key.

    Parameters
    ----------
    names : sequence of str
    changed : callable
        Called with the name that a person chose.
    label : str
        What the choice is about, for those who hear a page.
    """

    _esm = esm("tabs.js")

    names = List(Unicode()).tag(sync=True)
    shown = Unicode().tag(sync=True)
    label = Unicode().tag(sync=True)

    def __init__(self, names: Sequence[str], changed: Callable[[str], None], label: str) -> None:
        self._changed = changed
        super().__init__(names=list(names), shown=names[0], label=label)

    def choose(self, name: str) -> None:
        """Show one of the names."""
        if name in self.names and name != self.shown:
            self.shown = name
            self._changed(name)

    def _receive(self, message: dict) -> None:
        if message.get("type") == "tap" and isinstance(message.get("name"), str):
            self.choose(message["name"])
