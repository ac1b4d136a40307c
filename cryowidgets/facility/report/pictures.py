"""Pictures of a report: the best and the worst exposures, classes and particles, copied beside the page once."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.facility.placing import whole
from cryowidgets.facility.report.trouble import public
from cryowidgets.model import (
    Classes,
    Ctf,
    Item,
    Micrograph,
    Particles,
    ParticleSize,
    Picks,
    Quality,
    ResolutionMap,
    Volume,
)
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut, say

BEST, WORST = 3, 6
LARGEST = 4_000_000
"""Bytes of a picture that is still taken along."""
SHOWN = ("resolution", "drift", "defocus", "astigmatism", "ice", "particles", "picks")
"""Numbers under a picture, the first four that there are."""


_PLAIN = re.compile(r"[^\w-]")


class Album:
    """Pictures in a folder, each copied once.

    Parameters
    ----------
    folder : Path
        Where they lie, beside the page.
    inside : bool
        Have them inside of the page instead.
    """

    def __init__(self, folder: Path, inside: bool) -> None:
        self._folder, self._inside = folder, inside
        self._used: set[str] = set()

    def begin(self) -> None:
        """A page is made: what it does not take is not needed any more."""
        self._used = set()

    def take(self, path: str, name: str) -> str:
        """Address of a picture for the page; empty where there is none that can be shown.

        Parameters
        ----------
        path : str
            The file.
        name : str
            That it gets; another picture has another name.
        """
        if not path or not path.lower().endswith((".jpg", ".jpeg", ".png")):
            return ""
        try:
            if self._inside:
                content = _read(path)
                kind = "png" if path.lower().endswith(".png") else "jpeg"
                return f"data:image/{kind};base64,{base64.b64encode(content).decode()}" if content else ""
            file = self._folder / (_PLAIN.sub("_", name) + os.path.splitext(path)[1].lower())
            if not file.exists():
                content = _read(path)
                if not content:
                    return ""
                self._folder.mkdir(parents=True, exist_ok=True)
                with whole(file) as half:
                    half.write_bytes(content)
        except OSError:
            return ""  # taken away meanwhile, or not to be read
        self._used.add(file.name)
        return f"{self._folder.name}/{file.name}"

    def tidy(self) -> None:
        """Take away what the page that is there now does not show."""
        for file in self._folder.iterdir() if self._folder.is_dir() else ():
            if file.name not in self._used and file.suffix in (".jpg", ".jpeg", ".png"):
                file.unlink(missing_ok=True)


class Extremes:
    """The best and the worst exposures; what is known of one is asked for again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, Any]] = {}

    def forget(self, exposures: Iterable[int] | None) -> None:
        """Some exposures have changed, or all."""
        if exposures is None:
            self._known.clear()
            return
        for id in exposures:
            self._known.pop(id, None)

    def choose(self, reader: Reader, overview: Overview, cut: Cut, album: Album) -> dict[str, Any]:
        """Cards of both, and by which number they were chosen."""
        key = next(
            (k for k in ("quality", "resolution", "drift") if k in overview.values and _some(overview.values[k])), ""
        )
        if not key:
            return {}
        metric = overview.metrics[key]
        high = metric.better == "high"
        has = np.isfinite(overview.values[key])
        best = overview.order(key, descending=high, where=has & overview.accepted(cut))[:BEST]
        worst = [row for row in overview.order(key, descending=not high, where=has)[: WORST + BEST] if row not in best]
        cards = [
            [self._card(reader, overview, int(row), cut, album, good) for row in rows]
            for rows, good in ((best, True), (worst[:WORST], False))
        ]
        kept = {int(overview.id[row]) for row in (*best, *worst[:WORST])}
        self._known = {id: card for id, card in self._known.items() if id in kept}
        return {"by": metric.label, "best": cards[0], "worst": cards[1]}

    def _card(self, reader: Reader, overview: Overview, row: int, cut: Cut, album: Album, good: bool) -> dict[str, Any]:
        id = int(overview.id[row])
        if id not in self._known:
            self._known[id] = self._ask(reader, id)
        known = self._known[id]
        numbers = []
        for key in ("quality", *SHOWN):
            if key in overview.values and overview.values[key][row] == overview.values[key][row]:
                metric = overview.metrics[key]
                numbers.append((metric.label, metric.text(float(overview.values[key][row]))))
        state = STATES[overview.state[row]]
        return {
            "id": id,
            "name": overview.names[row],
            "state": state,
            "micrograph": album.take(known["micrograph"], f"{id}-{known['version']}"),
            "spectrum": album.take(known["spectrum"], f"{id}-{known['version']}-ctf"),
            "numbers": numbers[:5],
            "reason": known["reason"] or _broken(overview, row, cut) or ("" if good else known["word"]),
            "note": overview.notes.get(row, ""),
        }

    def _ask(self, reader: Reader, id: int) -> dict[str, Any]:
        found: dict[str, Any] = {"micrograph": "", "spectrum": "", "reason": "", "word": "", "version": 0}
        items = reader.exposure(id).items.values()
        for item in items:
            if isinstance(item, Micrograph) and not found["micrograph"]:
                found["micrograph"] = item.thumbnail
            elif isinstance(item, Ctf):
                found["spectrum"] = item.picture or found["spectrum"]
                found["word"] = found["word"] or (f"no CTF: {item.reason}" if item.reason else "")
            elif isinstance(item, Quality):
                found["word"] = item.reason or found["word"]
        found["version"] = max((item.id for item in items), default=0)
        table = reader.exposures(ids=[id])
        found["reason"] = public(table["reason"][0]) if table["reason"] else ""
        return found


def particles(reader: Reader, overview: Overview, album: Album) -> dict[str, Any]:
    """Picks, particles, classes and maps, as far as the workflow has them."""
    found: dict[str, Any] = {"counts": [], "pictures": []}
    for kind in (Picks, Particles):
        values = overview.values.get(kind.__name__.lower())
        if values is None or not _some(values):
            continue
        known = values[np.isfinite(values)]
        found["counts"].append((kind.__name__.lower(), int(known.sum()), float(np.median(known)), int(known.size)))
    for step in reader.steps().values():
        kind = next((kind for kind in _SHOWN if kind.__name__ == step.gives), None)
        item = reader.result(step.name) if kind else None
        if kind is None or not isinstance(item, kind):
            continue
        address = album.take(getattr(item, _SHOWN[kind]), f"{step.name}-{item.id}")
        if address or isinstance(item, Classes | Volume):
            text = _words(item, step.fold)
            found["pictures"].append({"step": step.name, "address": address, "text": text, "kind": item.word()})
    order = [kind.word() for kind in _SHOWN]
    found["pictures"].sort(key=lambda picture: order.index(picture["kind"]))
    return found if found["counts"] or found["pictures"] else {}


_SHOWN: dict[type[Item], str] = {
    Volume: "thumbnail", ResolutionMap: "thumbnail", Classes: "thumbnail", Particles: "thumbnail", Picks: "thumbnail",
    ParticleSize: "picture",
}  # fmt: skip
"""Kinds that are shown, the last results first, and their field with the picture."""


def _words(item: Item, fold: bool) -> str:
    if isinstance(item, Volume):
        parts = [f"map of {item.particles} particles in {item.classes} classes"] if item.classes else ["map"]
        parts += [f"{item.resolution:.1f} Å between halves"] if np.isfinite(item.resolution) else []
        parts += [f"{item.agreeing} of {item.starts} starts agree"] if item.starts else []
        return ", ".join(parts) + (f". {item.reason}" if item.reason else "; its hand is arbitrary")
    if isinstance(item, ResolutionMap):
        if not np.isfinite(item.median):
            return f"local resolution: {item.reason}"
        return f"local resolution: median {item.median:.1f} Å, {item.finest:.1f} to {item.coarsest:.1f} Å"
    if isinstance(item, Classes):
        parts = [f"{item.count} classes of {item.particles} particles"]
        parts += [f"{item.good} of them good, with {item.good_particles} particles"] if item.good else []
        parts += [f"the largest has {100 * item.largest:.0f} %"] if item.largest == item.largest else []
        parts += [f"finest resolution {item.resolution:.1f} Å"] if item.resolution == item.resolution else []
        return ", ".join(parts)
    if isinstance(item, ParticleSize):
        return f"size of the particles: {item.diameter:.0f} ± {item.diameter_error:.0f} Å"
    if isinstance(item, Particles):
        if fold:
            return f"{item.count} particles of the chosen classes, {item.screened} of others"
        return f"particles of the newest micrograph, box of {item.box} px of {item.pixel_size:.3g} Å"
    return "picks on the newest micrograph"


def _broken(overview: Overview, row: int, cut: Cut) -> str:
    """Which thresholds an exposure is beyond."""
    beyond: Cut = {}
    for key, (low, high) in cut.items():
        value = overview.values[key][row] if key in overview.values else np.nan
        if (low is not None and value < low) or (high is not None and value > high):
            beyond[key] = (low, high)
    return f"not within {say(beyond)}" if beyond else ""


def _some(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _read(path: str) -> bytes:
    if os.path.getsize(path) > LARGEST:
        return b""
    with open(path, "rb") as file:
        return file.read()
