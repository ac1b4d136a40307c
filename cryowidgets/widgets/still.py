"""`Still`: a small picture that lies ready, with words for those who cannot see it."""

from __future__ import annotations

from cryowidgets.widgets.part import Part, esm


class Still(Part):
    """Shows a JPEG. It goes to pages as it is, and only to those that show it."""

    _esm = esm("still.js")

    def __init__(self) -> None:
        self._content, self._label, self._watched = b"", "", False
        super().__init__()

    def show(self, content: bytes, label: str) -> None:
        """Show the content of a JPEG file; the same again is not sent again. Empty shows nothing."""
        if (content, label) == (self._content, self._label):
            return
        self._content, self._label = content, label
        if self._watched:
            self._tell()

    def _tell(self) -> None:
        self.send({"type": "picture", "label": self._label}, buffers=[self._content] if self._content else [])

    def _receive(self, message: dict) -> None:
        if message.get("type") == "need":
            self._watched = True
            self._tell()
