"""One exposure: pictures, plots, numbers, what went wrong, and what may be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.model import Ctf, Micrograph, Quality
from cryowidgets.store.queries import ExposureRow, Reader
from cryowidgets.widgets import panels, texts
from cryowidgets.widgets.window import box, put, show_if


class ExposureView(W.Box):
    """Shows the exposure that it is told to, in full.

    Parameters
    ----------
    send : callable, optional
        Sends a command to the engine. Without it there is nothing to press, and no traceback to read.
    """

    def __init__(self, send: Callable[..., Any] | None = None) -> None:
        self._head = W.HTML()
        self._trouble = W.HTML()
        self._numbers = W.HTML()
        self.micrograph = panels.MicrographPanel()
        self.ctf = panels.CtfPanel()
        self._controls = _Controls(send) if send else None
        self._with_tracebacks = send is not None
        parts = [self._head, self._trouble, box([self.micrograph, self.ctf], "cw-closely"), self._numbers]
        super().__init__(parts + ([self._controls] if self._controls else []))
        self.add_class("cw-exposure")
        self._nothing()

    def show(self, reader: Reader, id: int | None, held: bool) -> None:
        """Show an exposure as it is now; `held` where a person chose it."""
        if id is None:
            self._nothing()
            return
        try:
            row = reader.exposure(id)
        except CryowidgetsError:
            self._nothing()
            return
        put(self._head, _head(row, held))
        put(self._trouble, panels.troubles(row, self._with_tracebacks))
        micrograph = _first(row, Micrograph)
        ctf = _last(row, Ctf)
        quality = _last(row, Quality)
        put(self._numbers, panels.numbers([item for item in (micrograph, ctf, quality) if item is not None]))
        self.micrograph.show(micrograph)
        self.ctf.show(ctf)
        if self._controls:
            self._controls.show(row)

    def _nothing(self) -> None:
        put(self._head, "<div class='cw-title'>Exposure</div>")
        put(self._trouble, "")
        put(self._numbers, "")
        self.micrograph.show(None)
        self.ctf.show(None)
        if self._controls:
            self._controls.show(None)


class _Controls(W.Box):
    def __init__(self, send: Callable[..., Any]) -> None:
        self._order = send
        self._id: int | None = None
        self._why = W.Text(placeholder="why it is rejected")
        self._reject = W.Button(description="Reject", tooltip="It flows no further and leaves the statistics")
        self._readmit = W.Button(description="Readmit", tooltip="Let it flow again, also past a gate")
        self._retry = W.Button(description="Retry", tooltip="Try again what failed")
        self._said = W.HTML()
        self._reject.on_click(lambda _: self._do("reject", why=self._why.value.strip() or "rejected by hand"))
        self._readmit.on_click(lambda _: self._do("readmit"))
        self._retry.on_click(lambda _: self._do("retry"))
        super().__init__([self._why, self._reject, self._readmit, self._retry, self._said])
        self.add_class("cw-buttons")

    def show(self, row: ExposureRow | None) -> None:
        show_if(self, row is not None)
        if row is None:
            return
        if row.id != self._id:
            self._id = row.id
            self._why.value = self._said.value = ""
        latest = {task.step: task.state for task in row.tasks}
        rejected = bool(row.rejected) or "rejected" in latest.values()
        show_if(self._why, not rejected)
        show_if(self._reject, not rejected)
        show_if(self._readmit, rejected)
        show_if(self._retry, "failed" in latest.values())

    def _do(self, command: str, **args: Any) -> None:
        try:
            self._order(command, exposure=self._id, **args)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
        else:
            put(self._said, "<span class='cw-soft'>sent to the engine</span>")


def _head(row: ExposureRow, held: bool) -> str:
    how = "chosen" if held else "newest"
    hint = "click it again to follow the newest" if held else "click a point or a row to choose one"
    return (
        f"<div class='cw-title' data-exposure='{row.id}' title='{hint}'><em>{how}</em> "
        f"<span>{texts.clock(row.acquired, date=True)}</span> {texts.safe(row.name)}</div>"
    )


def _items(row: ExposureRow, kind: type) -> Sequence[Any]:
    return [item for item in row.items.values() if isinstance(item, kind)]


def _first(row: ExposureRow, kind: type) -> Any:
    """The first step's: a gate behind it hands on the same."""
    found = _items(row, kind)
    return found[0] if found else None


def _last(row: ExposureRow, kind: type) -> Any:
    found = _items(row, kind)
    return found[-1] if found else None
