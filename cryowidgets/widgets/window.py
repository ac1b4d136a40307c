"""What can stand alone in a cell and follows a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as W

from cryowidgets.store.queries import Reader
from cryowidgets.widgets.pulse import Pulse
from cryowidgets.widgets.ticker import ticker


class Window(W.Box):
    """A view of a project: its ticker calls `refresh` while somebody looks.

    Parameters
    ----------
    folder : Path
        The project folder.
    parts : sequence of widgets
        What it shows, from top to bottom.
    name : str
        CSS class of its own.
    """

    def __init__(self, folder: Path | str, parts: Sequence[W.Widget], name: str) -> None:
        self.folder = Path(folder).absolute()
        self._ticker = ticker(self.folder)
        self.pulse = Pulse(self._ticker.add(self))
        super().__init__([self.pulse, *parts])
        self.add_class("cw-root")
        self.add_class(name)

    def wake(self) -> None:
        """Have `refresh` called at once: something was clicked."""
        self._ticker.wake(self)

    def warm(self) -> None:
        """Have `refresh` called once before anybody looks, in a kernel that is kept ready for whoever comes."""
        self._ticker.warm(self)

    def refresh(self, reader: Reader) -> None:
        """Show what is new."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"  # not the tree of all its parts

    def close(self) -> None:
        if hasattr(self, "_ticker"):  # a view whose making failed is closed too
            self._ticker.remove(self)
        super().close()


def shut_in() -> None:
    """Whoever looks at a kiosk may talk to the widgets that are there, and may not make others in the kernel."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        shell.kernel.comm_manager.unregister_target("jupyter.widget", W.Widget.handle_comm_opened)


def box(parts: Sequence[W.Widget], *names: str) -> W.Box:
    """A box that the style sheet lays out."""
    made = W.Box(parts)
    for name in names:
        made.add_class(name)
    return made


def show_if(widget: W.DOMWidget, shown: bool) -> None:
    display = None if shown else "none"
    if widget.layout.display != display:
        widget.layout.display = display


def put(widget: W.HTML, html: str) -> None:
    """Set HTML that is safe already; nothing is sent where nothing changed."""
    if widget.value != html:
        widget.value = html
