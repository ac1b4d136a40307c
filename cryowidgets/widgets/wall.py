"""The facility wall: every session below some folders, to be read from across the hall. It commands nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import ipywidgets as W
from traitlets import Dict, Float, Unicode

from cryowidgets.errors import ProjectError
from cryowidgets.facility.glance import Glance, Series
from cryowidgets.facility.watch import AWAY, Seen, Watch
from cryowidgets.widgets import machine, texts
from cryowidgets.widgets.part import HERE, Part, esm
from cryowidgets.widgets.pulse import Pulse
from cryowidgets.widgets.ticker import kernel_loop

log = logging.getLogger(__name__)

PERIOD = 2.0
"""Seconds between two looks at what the watches have seen."""
SOON, WAITING = 0.1, 10.0
"""The same while a folder has not been seen yet by a page that is new, and for how long: a disk may sleep for hours."""
SILENT = 45.0
"""Seconds after which a folder whose watch has not come back is said to sleep."""
LARGEST = 1 << 20
"""Bytes of a picture."""
RESTING = 60
"""Sessions at rest that are shown by name, the newest; the others are only counted."""
ROOTS = "CRYOWIDGETS_ROOTS"
"""Environment variable that names the folders, as `cryowidgets wall` sets it."""

_WORDS = {
    "running": ("●", "good", "running"),
    "waiting": ("○", "good", "waiting for movies"),
    "finishing": ("●", "good", "finishing"),
    "paused": ("‖", "warn", "paused"),
    "engine gone": ("▲", "bad", "engine gone"),
    "no engine": ("△", "warn", "no engine"),
    "finished": ("■", "calm", "finished"),
    "unreadable": ("✕", "bad", "unreadable"),
}
_MARKS = {"alarm": "▲", "warning": "△", "note": "○"}


class Wall(Part):
    """Cards on a page: what `WallView` tells it, drawn and turned over in the browser."""

    _esm = esm("wall.js")
    _css = HERE / "wall.css"

    head = Dict(help="order and number of the sessions, and what is wrong with folders").tag(sync=True)
    title = Unicode().tag(sync=True)
    turn = Float(12.0, help="seconds for which a page of sessions is shown").tag(sync=True)

    def __init__(self, title: str = "") -> None:
        self._cards: dict[str, str] = {}
        self._curves: dict[str, str] = {}
        self._pictures: dict[str, tuple] = {}
        self._newest: dict[str, Glance] = {}
        super().__init__(title=title)

    def show(self, seen: Sequence[Seen], now: float) -> None:
        """Bring the page up to date with what was seen; only what is new is sent."""
        sessions = {_id(g.folder): g for watch in seen for g in watch.sessions.values()}
        order = sorted(sessions, key=lambda id: _place(sessions[id], now))
        large = [id for id in order if sessions[id].active]
        rest = [id for id in order if not sessions[id].active]
        self._newest = {id: sessions[id] for id in (*large, *rest[:RESTING])}
        for store in (self._cards, self._curves, self._pictures):
            for id in store.keys() - self._newest.keys():
                store.pop(id)  # type: ignore[attr-defined]
        for id, session in self._newest.items():
            self._tell(id, session, now)
        told = {
            "now": round(now),
            "zone": texts.zone(),
            "offset": time.localtime(now).tm_gmtoff,
            "large": large,
            "rest": rest[:RESTING],
            "resting": len(rest),
            "coming": sum(watch.left for watch in seen),
            "running": sum(sessions[id].state in ("running", "finishing", "waiting") for id in large),
            "troubles": [sentence for watch in seen if (sentence := _trouble(watch))],
            "looked": any(watch.time for watch in seen),
        }
        if {**told, "now": 0} != {**self.head, "now": 0} or now - self.head.get("now", 0) > 10:
            self.head = told

    def _tell(self, id: str, session: Glance, now: float) -> None:
        card = json.dumps(_card(session, now), allow_nan=False)
        if self._cards.get(id) != card:
            self._cards[id] = card
            self.send({"type": "card", "id": id, "card": json.loads(card)})
        if not session.active:
            return
        curves = json.dumps([_curve(series) for series in session.series], allow_nan=False)
        if self._curves.get(id) != curves:
            self._curves[id] = curves
            self.send({"type": "curves", "id": id, "curves": json.loads(curves)})
        mark = _mark(session.image)
        if mark and self._pictures.get(id) != mark:
            picture = _picture(session.image)
            if picture:
                self._pictures[id] = mark
                self.send({"type": "picture", "id": id}, buffers=[picture])

    def _receive(self, message: dict) -> None:
        """A page that is new knows nothing yet. It has nothing else to say."""
        if message.get("type") == "all":
            for store in (self._cards, self._curves, self._pictures):
                store.clear()  # type: ignore[attr-defined]
            for id, session in self._newest.items():
                self._tell(id, session, time.time())


class WallView(W.Box):
    """The wall, alive: watches look at the folders as long as a page is open.

    Parameters
    ----------
    roots : sequence of Path
        Folders below which projects lie.
    title : str
        Stands at the head of the page.
    depth : int, optional
        How many folders deep projects are looked for.
    """

    def __init__(self, roots: Sequence[Path], title: str = "", **options: Any) -> None:
        self.watches = [Watch(root, **options) for root in roots]
        self.wall = Wall(title)
        self.pulse = Pulse(self._here)
        self._until = 0.0
        self._is_seen = False  # all that there was, once
        self._task: asyncio.Task | None = None
        super().__init__([self.pulse, self.wall])
        self.add_class("cw-root")
        self.add_class("cw-wall-view")

    def refresh(self) -> None:
        """Show what the watches have seen."""
        seen = [watch.look() for watch in self.watches]
        self._is_seen = all(s.time and not s.left for s in seen)
        self.wall.show(seen, time.time())

    def close(self) -> None:
        for watch in getattr(self, "watches", ()):
            watch.close()
        super().close()

    def _here(self) -> None:
        """A page is on somebody's screen."""
        self._until = time.monotonic() + AWAY
        loop = kernel_loop()
        if loop is not None and (self._task is None or self._task.done()):
            self._task = loop.create_task(self._run(), name="cryowidgets wall")

    async def _run(self) -> None:
        hurried = time.monotonic() + WAITING
        while time.monotonic() < self._until:
            try:
                self.refresh()
                trouble = ""
            except Exception as error:  # a wall stays up
                log.exception("the wall cannot be refreshed")
                trouble = f"This wall is not up to date: {type(error).__name__}."
            if self.pulse.trouble != trouble:
                self.pulse.trouble = trouble
            await asyncio.sleep(PERIOD if self._is_seen or time.monotonic() > hurried else SOON)


def facility(roots: Sequence[Path | str] | str = (), title: str = "") -> W.DOMWidget:
    """The wall of all sessions below some folders.

    Parameters
    ----------
    roots : sequence of paths, or a path, optional
        None or empty takes those that the environment variable ``CRYOWIDGETS_ROOTS`` names, as on a page served by
        ``cryowidgets wall``.
    title : str
        Stands at the head of the page.
    """
    if isinstance(roots, (str, Path)):
        roots = [roots]
    found = [Path(root) for root in roots or os.environ.get(ROOTS, "").split(os.pathsep) if str(root)]
    if not found:
        from cryowidgets.widgets.panels import sentence

        return sentence("No folder is named: write facility(['/data/sessions']).")
    view = WallView(found, title or os.environ.get("CRYOWIDGETS_TITLE", ""))
    if os.environ.get("CRYOWIDGETS_KIOSK"):
        from cryowidgets.widgets.window import shut_in

        shut_in()
    return view


def check(roots: Sequence[Path | str]) -> list[Path]:
    """The folders as absolute paths.

    Raises
    ------
    ProjectError
        There is no such folder.
    """
    found = [Path(root).absolute() for root in roots]
    for root in found:
        if not root.is_dir():
            raise ProjectError(f"{root} is not a folder: name one below which the projects of the sessions lie.")
    return found


def _id(folder: Path) -> str:
    """What a page knows a session by: it learns no paths."""
    return sha256(os.fsencode(folder)).hexdigest()[:16]


def _place(session: Glance, now: float) -> tuple:
    """Sessions that live keep their place, newest first; those at rest by when they ended."""
    if session.active:
        return (0, -_known(session.created, 0.0), session.name)
    return (1, -_known(session.ended, 0.0), session.name)


def _card(session: Glance, now: float) -> dict[str, Any]:
    """What stands on a card, in words wherever it can be."""
    mark, kind, word = _WORDS.get(session.state, ("○", "calm", session.state))
    alerts = sorted(session.alerts, key=lambda a: (a.acknowledged is not None, -a.rank, -a.opened))
    disks = sorted(session.mounts, key=lambda m: (-_RANK[machine.concern(m, now)], "project" not in m.uses))
    return {
        "name": session.name,
        "mark": mark,
        "kind": kind,
        "state": word,
        "reason": session.reason,
        "user": session.user,
        "microscope": session.microscope,
        "rate": texts.number(session.rate, 0),
        "latency": texts.duration(session.latency),
        "found": session.found,
        "done": session.done,
        "waiting": session.waiting,
        "rejected": session.rejected,
        "failed": session.failed,
        "last": _known(session.last_movie),
        "ended": _known(session.ended),
        "alerts": [
            {
                "mark": _MARKS.get(alert.level, "▲"),
                "level": alert.level,
                "text": alert.text[:300],
                "known": alert.acknowledged is not None,
            }
            for alert in alerts[:3]
        ],
        "more": max(0, len(alerts) - 3),
        "disk": _disk(disks[0], now) if disks else None,
    }


_RANK = {"good": 0, "warn": 1, "bad": 2}


def _disk(mount: Any, now: float) -> dict[str, str]:
    kind = machine.concern(mount, now)
    if mount.silent > 30:
        said = f"disk silent for {texts.duration(mount.silent)}"
    else:
        said = machine.full(mount.full, now, zone=False) if kind != "good" else ""
        said = f"{machine.size(mount.free)} free" + (f", {said}" if said else "")
    return {"kind": kind, "mark": "" if kind == "good" else "▲", "text": said}


def _curve(series: Series) -> dict[str, Any]:
    """A small plot: bins as people read them, null where there is none."""
    metric = series.metric
    bands = [
        [None if not math.isfinite(v) else float(f"{v * metric.factor:.4g}") for v in band]
        for band in (series.low, series.mean, series.high)
    ]
    return {
        "label": metric.label.removeprefix("fit "),  # the room is small
        "unit": metric.unit,
        "now": metric.text(series.now, unit=False),
        "digits": metric.digits,
        "hours": round((series.last - series.first) / 3600, 1),
        "bands": bands,
    }


def _trouble(seen: Seen) -> str:
    """What is wrong with a folder; of its path only the last name."""
    ago = time.monotonic() - seen.time
    if seen.time and ago > SILENT:
        return f"{seen.root.name}: no answer for {texts.duration(ago)}; what you see of it is as it was then"
    return f"{seen.root.name}: {seen.trouble}" if seen.trouble else ""


def _mark(path: str) -> tuple:
    try:
        stat = os.stat(path) if path else None
    except OSError:
        stat = None
    return (path, stat.st_mtime_ns, stat.st_size) if stat else ()


def _picture(path: str) -> bytes:
    """A JPEG file of reasonable size; else nothing."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError:
        return b""
    return content if content[:2] == b"\xff\xd8" and len(content) <= LARGEST else b""


def _known(value: float, otherwise: float | None = None) -> Any:
    return value if math.isfinite(value) else otherwise
