"""`ClassGallery`: class averages side by side, to be chosen from, and how they became what they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from traitlets import Bool, Unicode

from cryowidgets.widgets.class_sheet import Sheet
from cryowidgets.widgets.part import Part, esm, finite


@dataclass(frozen=True)
class Tile:
    """One class in the gallery."""

    id: int
    place: int
    """of its average on the sheet"""
    lines: Sequence[str]
    """what stands below it"""
    label: str
    """the same for those who hear a page"""
    mark: str = ""
    """good, junk, or empty where nobody judged"""


class ClassGallery(Part):
    """Shows a `Sheet`. A person chooses classes by click or key, and moves two sliders: back in time, and the score.

    Nothing is decided here: what a page says goes to whoever made the gallery, which then calls `mark`.

    Parameters
    ----------
    tap : callable
        Called with the identity of a class that is to be chosen, or not any more.
    look : callable
        Called with the identity of a class to be looked at more closely.
    least : callable
        Called with the score from which on classes are to be taken.
    frame : callable
        Called with the number of the moment that is to be shown, of those that `play` named.
    """

    _esm = esm("slider.js", "class_gallery.js")

    empty = Unicode().tag(sync=True)
    scored = Bool(help="whether there are scores to choose by").tag(sync=True)

    def __init__(
        self,
        tap: Callable[[int], None],
        look: Callable[[int], None],
        least: Callable[[float], None],
        frame: Callable[[int], None],
        empty: str = "",
    ) -> None:
        self._calls: dict[str, Callable[[Any], None]] = {"tap": tap, "look": look, "least": least, "frame": frame}
        self._sheet: Sheet | None = None
        self._shown: dict | None = None
        self._moments: dict = {"type": "moments", "names": [], "at": -1}
        self._state: dict = {"type": "state", "accepted": [], "byhand": [], "looked": None, "least": 0.0}
        self._watched = self._asked = False
        super().__init__(empty=empty)

    def show(self, sheet: Sheet | None, tiles: Sequence[Tile] = ()) -> None:
        """Show classes in this order; the same ones again are not sent again."""
        message = None
        if sheet is not None:
            items = [vars(tile) | {"lines": list(tile.lines)} for tile in tiles]
            message = {
                "type": "classes",
                "key": sheet.key,
                "side": sheet.side,
                "across": sheet.across,
                "classes": items,
            }
        if message == self._shown:
            return
        same = sheet is not None and self._sheet is not None and sheet.key == self._sheet.key
        self._shown, self._sheet = message, sheet
        if self._watched:
            self._tell(picture=not same)

    def play(self, names: Sequence[str], at: int) -> None:
        """The moments that can be gone back to, oldest first, and the one that is shown."""
        message = {"type": "moments", "names": list(names), "at": at}
        if message != self._moments or self._asked:
            self._moments, self._asked = message, False
            if self._watched:
                self.send(message)

    def mark(self, accepted: Collection[int], byhand: Collection[int], looked: int | None, least: float) -> None:
        """Say which classes go on, which of them were chosen by hand, which is looked at, and the least score."""
        message = {
            "type": "state",
            "accepted": sorted(accepted),
            "byhand": sorted(byhand),
            "looked": looked,
            "least": least,
        }
        if message != self._state:
            self._state = message
            if self._watched:
                self.send(message)

    def _tell(self, picture: bool = True) -> None:
        if self._shown is None or self._sheet is None:
            self.send({"type": "none"})
            return
        self.send(self._shown | {"fresh": picture}, buffers=[self._sheet.picture] if picture else [])

    def _receive(self, message: dict) -> None:
        kind = message.get("type")
        if kind == "need":
            self._watched = True
            for known in (self._state, self._moments):
                self.send(known)
            self._tell()
        elif kind in ("tap", "look"):
            id = message.get("id")
            if type(id) is int and 0 <= id < 2**31:
                self._calls[kind](id)
        elif kind == "least":
            if finite(message.get("value")) and 0 <= message["value"] <= 1:
                self._calls["least"](float(message["value"]))
        elif kind == "frame":
            at = message.get("at")
            if type(at) is int and 0 <= at < len(self._moments["names"]):
                self._asked = True
                self._calls["frame"](at)
