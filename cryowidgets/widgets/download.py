"""`Downloads`: files of the project that a page may have, in pieces, through the kernel.

A page's server does not know the project's folder, and is not to. So a page asks for a file of the list by its name,
and gets it piece by piece, slowly enough for the limit that Jupyter puts on what a kernel may say.
"""

from __future__ import annotations

from pathlib import Path

from traitlets import List, Unicode

from cryowidgets.widgets import texts
from cryowidgets.widgets.part import Part, esm

PIECE = 131_072
"""Bytes of a piece."""
LARGEST = 100_000_000
"""Bytes of a file that is still handed over this way."""


class Downloads(Part):
    """A list of files, each with its size and when it was written, and a button to have it.

    Parameters
    ----------
    folder : Path
        Where the files are.
    names : dict of str to str
        The files that may be had, by name, and what each of them is; no other is ever read.
    empty : str
        What to say while there is none.
    """

    _esm = esm("download.js")

    files = List(help="Name, label, size, time and version of each that is there").tag(sync=True)
    empty = Unicode().tag(sync=True)

    def __init__(self, folder: Path, names: dict[str, str], empty: str) -> None:
        self._folder, self._names = folder, names
        super().__init__(empty=empty)

    def refresh(self) -> None:
        """Look which files there are."""
        self.files = [found for found in map(self._look, self._names) if found]

    def _look(self, name: str) -> dict[str, str | int] | None:
        try:
            stat = (self._folder / name).stat()
        except OSError:
            return None
        return {
            "name": name,
            "label": self._names[name],
            "size": stat.st_size,
            "time": texts.clock(stat.st_mtime, date=True),
            "version": f"{stat.st_mtime_ns}-{stat.st_size}",
            "fits": stat.st_size <= LARGEST,
        }

    def _receive(self, message: dict) -> None:
        name, view, at = message.get("name"), message.get("view"), message.get("at")
        if message.get("type") != "piece" or not isinstance(view, str) or not isinstance(at, int):
            return
        if not isinstance(name, str) or name not in self._names or not 0 <= at <= LARGEST:
            return
        answer = {"type": "gone", "view": view[:64], "name": name}
        found = self._look(name)
        if found is None or found["version"] != message.get("version") or not found["fits"]:
            self.send(answer)
            self.refresh()
            return
        try:
            with open(self._folder / name, "rb") as file:
                file.seek(at)
                content = file.read(PIECE)
        except OSError:
            self.send(answer)
            return
        self.send({**answer, "type": "piece", "at": at}, buffers=[content])
