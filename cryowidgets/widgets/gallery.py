"""`Gallery`: pictures of any number of exposures, of which a page holds those on the screen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from traitlets import Float, Int

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg
from cryowidgets.widgets.live_table import MOST, LiveTable, Row
from cryowidgets.widgets.part import esm

SIDE = 256
"""Longer side of the pictures that are sent, px: what a screen shows of them."""
KEEP = 400
"""Pictures that are kept ready, 10 kB each."""


class Gallery(LiveTable):
    """As a table, but each row is a picture with two lines of text below it.

    Parameters
    ----------
    fetch : callable
        As that of a table; rows name their picture in `image`.
    find : callable
        ``find(ids)`` returns for each row its name of the picture and its file, or None where there is none.
    wake, empty
        As those of a table.
    width : int
        px that a picture has at least: as many stand side by side as there is room for.
    most : int
        And no more than these; 0 for any number.
    """

    _esm = esm("rolling.js", "gallery.js")

    aspect = Float(1.0, help="height of the pictures over their width").tag(sync=True)
    width = Int().tag(sync=True)
    most = Int().tag(sync=True)

    def __init__(
        self,
        fetch: Callable[[int, int], tuple[int, Sequence[Row]]],
        find: Callable[[Sequence[int]], dict[int, tuple[str, Path]]],
        wake: Callable[[], None],
        empty: str = "",
        width: int = 140,
        most: int = 0,
    ) -> None:
        self._find = find
        self._wanted: dict[int, None] = {}
        self._ready: OrderedDict[str, bytes] = OrderedDict()
        super().__init__([], fetch, wake, empty, many=True)
        self.width, self.most = width, most

    def refresh(self) -> None:
        """Fetch again what the pages show, and the pictures that they asked for."""
        super().refresh()
        wanted, self._wanted = list(self._wanted), {}
        if not wanted:
            return
        found = self._find(wanted)
        pictures = {name: self._picture(name, file) for name, file in found.values()}
        if pictures:
            self.send({"type": "pictures", "names": list(pictures)}, buffers=list(pictures.values()))

    def _picture(self, name: str, file: Path) -> bytes:
        """Empty where there is none to be read."""
        if name in self._ready:
            self._ready.move_to_end(name)
            return self._ready[name]
        try:
            content = jpeg.shrunk(file, SIDE)
        except InputError:
            return b""  # it may come yet: nothing is remembered
        self._ready[name] = content
        while len(self._ready) > KEEP:
            self._ready.popitem(last=False)
        return content

    def _receive(self, message: dict) -> None:
        ids = message.get("ids")
        if message.get("type") == "pictures" and isinstance(ids, list):
            asked = [id for id in ids[:MOST] if type(id) is int and 0 <= id < 2**53]
            self._wanted |= dict.fromkeys(asked)
            while len(self._wanted) > 2 * MOST:
                del self._wanted[next(iter(self._wanted))]
            if asked:
                self._wake()
            return
        super()._receive(message)
