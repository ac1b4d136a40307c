"""`Pulse`: whether somebody looks at a view, and whether what they see is alive."""

from __future__ import annotations

from collections.abc import Callable

from traitlets import Float, Unicode

from cryowidgets.widgets.part import Part, esm


class Pulse(Part):
    """A part of every view that is invisible while all is well.

    Its pages say every few seconds that they are on somebody's screen, and `here` is called. They expect to be
    answered, and show a banner where they are not.
    """

    _esm = esm("pulse.js")

    trouble = Unicode(help="What is wrong, as a sentence; empty while all is well").tag(sync=True)
    every = Float(8.0, help="Seconds between two signs of a page").tag(sync=True)
    patience = Float(20.0, help="Seconds without an answer after which a page says so").tag(sync=True)

    def __init__(self, here: Callable[[], None]) -> None:
        self._here = here
        super().__init__()

    def _receive(self, message: dict) -> None:
        if message.get("type") == "here":
            self.send({"type": "beat"})
            self._here()
