"""`MicrographView`: a picture to be looked at closely, with particles and motion drawn over it.

A page first gets the small picture that lies ready. Where a person zooms in it asks for the part in view, which is read
from the micrograph itself, no finer than the screen can show. Contrast, low-pass and zoom are the page's own affair.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from traitlets import Bool, Unicode

from cryowidgets.errors import InputError
from cryowidgets.io import cutout, jpeg
from cryowidgets.widgets.part import Part, esm

LARGEST = 4_000_000
"""Bytes of a picture that are still sent to a page."""
KEEP = 24
"""Parts of micrographs that are kept ready, up to 1 MB each."""


@dataclass(frozen=True)
class Circles:
    """Particles of a micrograph."""

    name: str
    """of the step that found them"""
    places: np.ndarray
    """(n, 2) y and x in px of the picture's own size"""
    scores: np.ndarray
    """(n,), NaN where there is none"""
    radius: float
    """px"""
    powers: np.ndarray | None = None
    """(n,) local power, NaN where it is unknown; None where nobody asks"""
    by_hand: np.ndarray | None = None
    """(n,) whether a person has added it; None where nobody asks"""


@dataclass(frozen=True)
class Ways:
    """How parts of the frame moved beside it."""

    centres: np.ndarray
    """(parts, 2) y and x in px of the picture's own size"""
    tracks: np.ndarray
    """(parts, frames, 2) in the same px"""
    times: float
    """by how much motion is magnified"""
    words: str


@dataclass(frozen=True)
class Shot:
    """What is to be seen.

    `key` is another for another picture. `height` and `width` are those of the whole, in its own px of `pixel` Å; of a
    spectrum `pixel` is that of the image it was made of. `fine` is an MRC file with the whole, `note` what to say
    beside the picture, `exposure` the id of the one that it is of.
    """

    key: str
    label: str
    picture: Path | None
    height: int
    width: int
    pixel: float = 0.0
    fine: Path | None = None
    circles: Circles | None = None
    ways: Ways | None = None
    note: str = ""
    exposure: int = 0


class MicrographView(Part):
    """Shows a `Shot`.

    Parameters
    ----------
    nothing : str
        What to say where there is nothing to show.
    wake : callable
        Called when a page asks for something; it is to see to it that `refresh` is called soon.
    step : callable, optional
        Called with +1 or −1 where a person wants the next or the previous one.
    plain : bool
        Greys as they are: else the contrast goes by the spread of the values.
    reciprocal : bool
        A spectrum: says the resolution under the mouse.
    """

    _esm = esm("slider.js", "picture.js", "micrograph.js", "micrograph_view.js")

    plain = Bool().tag(sync=True)
    reciprocal = Bool().tag(sync=True)
    motion = Bool(help="whether local motion is drawn, until a person says otherwise").tag(sync=True)
    empty = Unicode().tag(sync=True)

    def __init__(
        self,
        nothing: str,
        wake: Callable[[], None],
        step: Callable[[int], None] = lambda by: None,
        plain: bool = False,
        reciprocal: bool = False,
    ) -> None:
        self._wake, self._step = wake, step
        self.shot: Shot | None = None
        """What is shown."""
        self._wanted: dict[str, tuple[str, tuple[int, int, int, int], int]] = {}
        self._ready: OrderedDict[tuple, bytes] = OrderedDict()
        self._watched = False
        super().__init__(empty=nothing, plain=plain, reciprocal=reciprocal)

    def show(self, shot: Shot | None) -> None:
        """Show another one; the same again is not sent again."""
        if (shot and shot.key) == (self.shot and self.shot.key):
            return
        self.shot = shot
        self._wanted.clear()
        if self._watched:
            self._tell()

    def refresh(self) -> None:
        """Send the parts that pages have asked for."""
        wanted, self._wanted = self._wanted, {}
        for view, (key, box, binning) in wanted.items():
            shot = self.shot
            if shot is None or shot.key != key or shot.fine is None:
                continue
            try:
                content, word = self._part(shot.fine, box, binning), ""
            except InputError:  # its sentence names the folder; the page need not know it
                content, word = b"", "the micrograph itself cannot be read"
            answer = {"type": "fine", "view": view, "key": key, "box": list(box), "binning": binning, "word": word}
            self.send(answer, buffers=[content])

    def _part(self, path: Path, box: tuple[int, int, int, int], binning: int) -> bytes:
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            raise InputError(f"{path} does not exist.") from None
        known = (path, written, box, binning)
        if known not in self._ready:
            self._ready[known] = jpeg.encoded(cutout.grey(cutout.read(path, box, binning)))
            while len(self._ready) > KEEP:
                self._ready.popitem(last=False)
        self._ready.move_to_end(known)
        return self._ready[known]

    def _tell(self) -> None:
        shot = self.shot
        if shot is None:
            self.send({"type": "none", "word": self.empty})
            return
        content, word = _content(shot, self.empty)
        buffers = [content]
        message = {
            "type": "shot",
            "key": shot.key,
            "label": shot.label,
            "height": shot.height,
            "width": shot.width,
            "pixel": shot.pixel,
            "fine": shot.fine is not None,
            "word": word,
            "note": shot.note,
            "exposure": shot.exposure,
        }
        if shot.circles is not None:
            scores = shot.circles.scores[np.isfinite(shot.circles.scores)]
            several = len(scores) > 1 and scores.min() < scores.max()
            message["picks"] = {
                "name": shot.circles.name,
                "radius": shot.circles.radius,
                "range": [float(scores.min()), float(scores.max())] if several else None,
            }
            columns = [shot.circles.places, shot.circles.scores, shot.circles.powers, shot.circles.by_hand]
            parts = [as_floats(column) for column in columns if column is not None]
            message["picks"]["at"] = [len(buffers) + i for i in range(len(parts))]
            buffers += parts
        if shot.ways is not None:
            message["tracks"] = {
                "words": shot.ways.words,
                "times": shot.ways.times,
                "frames": shot.ways.tracks.shape[1],
                "at": [len(buffers), len(buffers) + 1],
            }
            buffers += [as_floats(shot.ways.centres), as_floats(shot.ways.tracks)]
        self.send(message, buffers=buffers)

    def _receive(self, message: dict) -> None:
        kind = message.get("type")
        if kind == "need":
            self._watched = True
            self._tell()
        elif kind == "step" and message.get("by") in (1, -1):
            self._step(int(message["by"]))
        elif kind == "fine" and self.shot is not None and message.get("key") == self.shot.key:
            view, box, binning = message.get("view"), message.get("box"), message.get("binning")
            whole = isinstance(box, list) and len(box) == 4 and all(type(n) is int for n in box)
            if not (isinstance(view, str) and whole and type(binning) is int and 1 <= binning <= 64):
                return
            top, left, bottom, right = box
            if not (0 <= top < bottom <= self.shot.height and 0 <= left < right <= self.shot.width):
                return
            self._wanted.pop(view[:64], None)
            self._wanted[view[:64]] = (self.shot.key, (top, left, bottom, right), binning)
            while len(self._wanted) > 4:
                del self._wanted[next(iter(self._wanted))]
            self._wake()


def _content(shot: Shot, nothing: str) -> tuple[bytes, str]:
    """The file of the small picture, or a word in its place."""
    if shot.picture is None:
        return b"", nothing
    try:
        if shot.picture.stat().st_size < LARGEST:
            return shot.picture.read_bytes(), ""
    except OSError:
        pass
    return b"", "the picture is gone"


def as_floats(values: np.ndarray) -> bytes:
    """Numbers as a page takes them in a buffer."""
    return np.ascontiguousarray(values, np.float32).tobytes()
