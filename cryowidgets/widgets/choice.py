"""`Choice`: names to choose from or to press, for pages without any control. What it means is up to whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from traitlets import Dict, List, Unicode

from cryowidgets.widgets.part import Part, esm


class Choice(Part):
    """A row of names. A person chooses one of them, any of them, or presses one.

    Parameters
    ----------
    names : sequence of str
    changed : callable
        Called with the name that was clicked, after `chosen` has followed.
    label : str
        What the choice is about; shown where it is not empty, and for those who hear a page.
    kind : {"one", "many", "press"}
    chosen : sequence of str, optional
        For "one" the first name by default.
    """

    _esm = esm("choice.js")

    names = List(Unicode()).tag(sync=True)
    chosen = List(Unicode()).tag(sync=True)
    hints = Dict(help="what to say of a name to who points at it").tag(sync=True)
    colours = Dict(help="of a spot beside a name").tag(sync=True)
    label = Unicode().tag(sync=True)
    kind = Unicode().tag(sync=True)

    def __init__(
        self,
        names: Sequence[str],
        changed: Callable[[str], None],
        label: str,
        kind: str = "one",
        chosen: Sequence[str] | None = None,
        **keys: Any,
    ) -> None:
        self._changed = changed
        first = list(names[:1]) if kind == "one" else []
        super().__init__(
            names=list(names), chosen=first if chosen is None else list(chosen), label=label, kind=kind, **keys
        )

    def choose(self, name: str) -> None:
        """Choose or press a name; of a choice of many, also take it back."""
        if name not in self.names:
            return
        if self.kind == "many":
            self.chosen = [n for n in self.names if (n in self.chosen) != (n == name)]
        elif self.kind == "one":
            if self.chosen == [name]:
                return
            self.chosen = [name]
        self._changed(name)

    def _receive(self, message: dict) -> None:
        if message.get("type") == "tap" and isinstance(message.get("name"), str):
            self.choose(message["name"])
