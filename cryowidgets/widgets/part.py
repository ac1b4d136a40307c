"""What our own widgets have in common: one file of JavaScript each, and a connection that does not go deaf."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, ClassVar

import anywidget
from traitlets import Unicode

HERE = Path(__file__).parent


class Part(anywidget.AnyWidget):
    """Base of our widgets in JavaScript.

    anywidget 0.11 gives a page two seconds to load a widget's code; where it takes longer, as on a small computer with
    a large page, every later message to that widget is refused. `listen.js` in front of each of our modules takes the
    messages past that, and what a page may have missed meanwhile is sent to it again.
    """

    _css = HERE / "style.css"
    _model = Unicode(help="the widget's own id, by which its page finds it").tag(sync=True)
    _fixed: ClassVar[tuple[str, ...]] = ("_esm", "_css", "_model")
    """Traits that never change, and need not be sent again."""

    dressed: ClassVar[bool] = "CRYOWIDGETS_DRAWINGS" in os.environ
    """Whether the page has our style sheets already, as those of our own server: 60 kB that no widget has to bring."""

    def __init__(self, **keys: Any) -> None:
        id = uuid.uuid4().hex
        if self.dressed:
            keys.setdefault("_css", "")
        super().__init__(model_id=id, _model=id, **keys)
        self.on_msg(self._hear)

    def set_state(self, sync_data: dict) -> None:
        """Nothing that a page would set is set: it speaks by messages alone, and what it shows is said from here."""

    def _hear(self, _: Any, message: Any, __: Any) -> None:
        """A page speaks. What it says is not trusted."""
        if not isinstance(message, dict):
            return
        if message.get("type") == "new":
            self.send_state([key for key in self.keys if key not in self._fixed])
        self._receive(message)

    def _receive(self, message: dict) -> None:
        """A message from a page, of any content."""
        raise NotImplementedError


def finite(value: Any, most: float = 1e300) -> bool:
    """Whether what a page sent is a number to reckon with; JSON has whole numbers of any length, and true and false."""
    return type(value) in (int, float) and -most < value < most


def esm(*names: str) -> str:
    """The JavaScript module of a widget: the files that it is made of, the last of which draws it."""
    return "".join((HERE / name).read_text() for name in ("listen.js", *names))
