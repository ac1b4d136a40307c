"""The first map of a particle: surface and slices, how far it may be trusted, and from where particles were seen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as W
import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.model import ResolutionMap, Volume
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import charts, orientation_map, ramp, texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.map_view import MapView
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.solid import Solid, coat, solid
from cryowidgets.widgets.window import box, put, show_if

KINDS = ("Volume", "ResolutionMap")
MERGED = "VolumeConsensus"
"""Protocol of the steps that make one map of several."""


@dataclass(frozen=True)
class Shown:
    """What is looked at: a map, its local resolution, or both of the same map."""

    volume: Volume | None
    resolution: ResolutionMap | None
    merged: Mapping[str, str] | None = None
    """Of a map that was made of several, the step behind each input."""

    @property
    def path(self) -> str:
        return self.volume.path if self.volume is not None else self.resolution.map if self.resolution else ""


class MapsView(W.Box):
    """The newest map of a step, and what is known of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.which = Choice([], lambda _: page.wake(), "map of step")
        self.map = MapView("No map yet.")
        self._word, self._words, self._directions, self._resolution = W.HTML(), W.HTML(), W.HTML(), W.HTML()
        self._key: tuple = ()
        self._directions_of: tuple = ()
        self._resolution_of: tuple = ()
        left = box([self.which, self._word, self.map], "cw-mp-main")
        right = box([self._words, self._resolution, self._directions], "cw-mp-right")
        super().__init__([left, right])
        self.add_class("cw-mp")

    def refresh(self, reader: Reader) -> None:
        steps = reader.steps()
        names = [step.name for step in steps.values() if step.gives in KINDS]
        if names != self.which.names:
            chosen = [name for name in self.which.chosen if name in names] or _first(reader, steps, names)
            with self.which.hold_sync():
                self.which.names, self.which.chosen = names, chosen
        show_if(self.which, len(names) > 1)
        shown = _shown(reader, steps, self.which.chosen[0]) if names else Shown(None, None)
        self._draw(shown)
        put(self._words, _words(shown))
        self._tell_directions(shown.volume)
        self._tell_resolution(shown.resolution)

    def _draw(self, shown: Shown) -> None:
        key = _stamps(shown.path, shown.resolution and shown.resolution.path, shown.volume and shown.volume.deviation)
        if key == self._key:
            return
        self._key = key
        said = ""
        found = None
        if shown.path:
            try:
                found = _solid(shown, hashlib.sha256(repr(key).encode()).hexdigest()[:16])
            except InputError:  # its sentence names a folder; the page need not know it
                said = "The file of this map cannot be read, or is no cube of up to 512 voxels a side."
        self.map.show(found)
        put(self._word, f"<p class='cw-warn'>{said}</p>" if said else "")

    def _tell_directions(self, volume: Volume | None) -> None:
        path = volume.orientations if volume is not None else ""
        key = _stamps(path)
        if key == self._directions_of:
            return
        self._directions_of = key
        html = ""
        if volume is not None and path:
            try:
                found = orientation_map.read(path)
                said = texts.safe(orientation_map.said(found, volume.evenness))
                html = f"<div class='cw-title'>Directions</div><p>{said}</p>{orientation_map.drawn(found)}"
            except InputError:
                html = "<p class='cw-soft'>The file of the directions cannot be read.</p>"
        put(self._directions, html)

    def _tell_resolution(self, found: ResolutionMap | None) -> None:
        path = found.histogram if found is not None else ""
        key = _stamps(path)
        if key == self._resolution_of:
            return
        self._resolution_of = key
        put(self._resolution, _local(found) if found is not None and path else "")


def _first(reader: Reader, steps: Mapping[str, Step], names: list[str]) -> list[str]:
    """The last step that has a map already; the last of all where none has."""
    maps = [name for name in names if steps[name].gives == "Volume"] or names
    there = [name for name in maps if reader.result(name) is not None]
    return (there or maps)[-1:]


def _shown(reader: Reader, steps: Mapping[str, Step], name: str) -> Shown:
    """The newest result of a step; with a map its local resolution, if some step has measured just this one."""
    result: Any = reader.result(name)
    if isinstance(result, ResolutionMap):
        maps = [(reader.result(s.name), s) for s in steps.values() if s.gives == "Volume"]
        same = [(v, _merged(s)) for v, s in maps if isinstance(v, Volume) and v.path == result.map]
        return Shown(same[-1][0], result, same[-1][1]) if same else Shown(None, result)
    if not isinstance(result, Volume):
        return Shown(None, None)
    found = [reader.result(s.name) for s in steps.values() if s.gives == "ResolutionMap"]
    same_map = [r for r in found if isinstance(r, ResolutionMap) and r.map == result.path]
    return Shown(result, same_map[-1] if same_map else None, _merged(steps[name]))


def _merged(step: Step) -> Mapping[str, str] | None:
    return step.inputs if step.protocol == MERGED else None


def _solid(shown: Shown, key: str) -> Solid:
    of = shown.volume or shown.resolution
    assert of is not None
    levels = [item.level for item in (shown.volume, shown.resolution) if item is not None]
    level = next((known for known in levels if np.isfinite(known)), float("nan"))
    made = solid(key, shown.path, level, of.pixel_size)
    what = "starts" if shown.merged is None else "maps"
    dense = made.values >= 65535 * 0.5 * (made.level - made.low) / (made.high - made.low)
    coats: list[tuple[str, str, str, str, np.ndarray | None]] = []
    if shown.resolution is not None and shown.resolution.path:
        coats.append((shown.resolution.path, "local resolution", "Å", "low", None))
    if shown.volume is not None and shown.volume.deviation:
        coats.append((shown.volume.deviation, f"where {what} differ", "", "high", dense))
    for path, name, unit, bright, where in coats:
        try:
            worn = coat(path, name, unit, bright, where)
        except InputError:
            continue  # the map is there all the same
        if worn.values.shape == made.values.shape:
            made.coats.append(worn)
    return made


def _words(shown: Shown) -> str:
    """Whether the map is to be trusted, and what it was made of."""
    volume, found = shown.volume, shown.resolution
    title = "<div class='cw-title'>Map</div>"
    if volume is None and found is None:
        return title + "<p class='cw-soft'>There is no map yet: it comes once there are enough good classes.</p>"
    said = []
    reasons = [item.reason for item in (volume, found) if item is not None and item.reason]
    said += [f"<p class='cw-mp-reason' role='alert'>▲ {texts.safe(reason)}</p>" for reason in reasons]
    if volume is not None:
        said.append(f"<p>{texts.safe(agreement(volume, shown.merged))}</p>")
        if volume.path:
            hand = "Its hand is arbitrary: projections look alike from a map and from its mirror image."
            if shown.merged is not None and volume.deviation:
                hand += " Where maps differ, the average is uncertain: the colours show how far."
            said.append(f"<p class='cw-soft'>{hand}</p>")
    rows: list[tuple[str, str]] = []
    if volume is not None:
        rows += [
            ("symmetry", volume.symmetry),
            ("class averages", str(volume.classes or "")),
            ("particles", texts.thousands(volume.particles) if volume.particles else ""),
            ("between halves", texts.number(volume.resolution, 1, "Å")),
        ]
    of = volume or found
    assert of is not None
    if of.box:
        rows.append(("box", f"{of.box}³ of {texts.number(of.pixel_size, 2, 'Å')}"))
    if found is not None:
        rows.append(("local resolution", texts.number(found.median, 1, "Å")))
        ends = f"{texts.number(found.finest, 1)} to {texts.number(found.coarsest, 1, 'Å')}"
        rows.append(("range", ends if np.isfinite(found.finest) else ""))
    known = [(name, texts.safe(value)) for name, value in rows if value not in ("", texts.NONE)]
    told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in known)
    return f"{title}{''.join(said)}<dl>{told}</dl>"


def agreement(volume: Volume, merged: Mapping[str, str] | None = None) -> str:
    """Whether random starts came to the same map, or maps of the steps that were `merged` agree, as sentences."""
    n, m = volume.agreeing, volume.starts
    to = texts.number(volume.agreement, 0, "Å") if np.isfinite(volume.agreement) else ""
    if merged is not None:
        if volume.reason and not volume.left_out:
            return f"The average is of {n} map{'' if n == 1 else 's'}."
        how = f"All {m} maps" if n == m else f"{n} of {m} maps"
        out = [merged.get(name, name) for name in volume.left_out.split(", ") if name]
        which = f"That of {out[0]} is" if len(out) == 1 else f"Those of {' and '.join(out)} are"
        left = f" {which} left out: on them it would lie no better than a map of another particle." if out else ""
        return f"{how} agree{f', to {to}' if to else ''}.{left}"
    if not m:
        return "Nothing is known of other starts: whether another one would come to the same map has not been tried."
    if n <= 1:
        return f"None of {m} random starts came to the same map as another: this one is a guess."
    how = f"All {m}" if n == m else f"{n} of {m}"
    doubt = "" if 2 * n > m else " The others found something else: look at it with care."
    return f"{how} random starts came to the same map{f', alike to {to}' if to else ''}.{doubt}"


def _local(found: ResolutionMap) -> str:
    """How much of the map is how fine, and what that says."""
    said = "Finer detail cannot be told from noise at its place. Next to a finer part, a coarser one may read too fine."
    finest = 2 * found.pixel_size
    if found.finest < 1.02 * finest:
        limit, pixel = (texts.number(x, 1, "Å") for x in (finest, found.pixel_size))
        said += f" Pixels of {pixel} hold nothing finer than {limit}: what reads so may be better."
    title = "<div class='cw-title'>Local resolution <span>share of the map</span></div>"
    return f"{title}{_histogram(found.histogram)}<p class='cw-soft'>{said}</p>"


def _histogram(path: str) -> str:
    """How much of the map is how fine, in the colours that the surface wears."""
    try:
        values, shares = np.asarray(np.load(Path(path), allow_pickle=False), float)
    except (OSError, ValueError):
        return "<p class='cw-soft'>The file of the histogram cannot be read.</p>"
    if len(values) < 2 or not (np.isfinite(values).all() and np.isfinite(shares).all()):
        return ""
    half = np.diff(values) / 2
    edges = np.r_[values[0] - half[0], values[:-1] + half, values[-1] + half[-1]]
    total = np.cumsum(shares) / max(shares.sum(), 1e-12)
    low, high = (float(np.interp(part, total, values)) for part in (0.02, 0.98))
    colours = [ramp.colour(1 - (v - low) / max(high - low, 1e-6)) for v in values]
    chart = charts.bars(
        edges,
        100 * shares / max(shares.sum(), 1e-12),
        lambda v: f"{v:.1f} Å",
        lambda v: f"{v:g} %",
        "how much of the map has which local resolution",
        colours,
    )
    return f"<figure>{chart}</figure>"


def _stamps(*paths: str | None) -> tuple:
    """Other ones where a file was written anew."""
    found: list = []
    for path in paths:
        try:
            found.append((path, os.stat(path).st_mtime_ns) if path else None)
        except OSError:
            found.append((path, 0))
    return tuple(found)
