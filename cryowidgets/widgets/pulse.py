"""`Pulse`: whether somebody looks at a view, and whether what they see is alive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
from traitlets import Float, Unicode

_HERE = Path(__file__).parent


class Pulse(anywidget.AnyWidget):
    """A part of every view that is invisible while all is well. It brings our style sheet along.

    Its pages say every few seconds that they are on somebody's screen, and `here` is called. They expect to be
    answered, and show a banner where they are not.
    """

    _esm = _HERE / "pulse.js"
    _css = _HERE / "style.css"

    trouble = Unicode(help="What is wrong, as a sentence; empty while all is well").tag(sync=True)
    every = Float(8.0, help="Seconds between two signs of a page").tag(sync=True)
    patience = Float(20.0, help="Seconds without an answer after which a page says so").tag(sync=True)

    def __init__(self, here: Callable[[], None]) -> None:
        super().__init__()
        self._here = here
        self.on_msg(self._receive)

    def _receive(self, _: Any, message: Any, __: Any) -> None:
        if isinstance(message, dict) and message.get("type") == "here":
            self.send({"type": "beat"})
            self._here()
