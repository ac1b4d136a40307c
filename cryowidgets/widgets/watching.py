"""What each monitor watches now: its newest values against its limits, as small pictures and in words."""

from __future__ import annotations

import math

import ipywidgets as W
import numpy as np

from cryowidgets.monitors.base import Watched
from cryowidgets.monitors.watch import Watch
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.window import put

EVERY = 2.0
"""Seconds between two looks."""
WIDTH, HEIGHT, EDGE = 150, 34, 4


class Watching(W.HTML):
    """The monitors of a project as its engine has them, looked at by this page for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.add_class("cw-al-watching")
        self._watch = Watch()
        self._due = 0.0

    def refresh(self, reader: Reader, now: float) -> None:
        if now < self._due:
            return
        self._due = now + EVERY
        self._watch.look(reader, now)
        wrong = {(alert.monitor, alert.key) for alert in reader.alerts()}
        watching = self._watch.watched()
        parts = [_monitor(name, watched, wrong) for name, watched in watching.items()]
        still = [one.reading.label for watched in watching.values() for one in watched if not one.values.size]
        parts += [f"<p class='cw-soft'>No value yet of: {texts.safe(', '.join(still))}</p>"] if still else []
        off = self._watch.off()
        parts += [f"<p class='cw-soft'>Switched off: {texts.safe(', '.join(off))}</p>"] if off else []
        put(self, "<h3>What is watched</h3>" + "".join(parts))


def _monitor(name: str, watched: list[Watched], wrong: set[tuple[str, str]]) -> str:
    shown = [one for one in watched if one.values.size or (name, one.reading.key) in wrong]
    rows = "".join(_row(one, (name, one.reading.key) in wrong) for one in shown)
    return f"<section><h4>{texts.safe(name)}</h4>{rows}</section>" if rows else ""


def _row(watched: Watched, alert: bool) -> str:
    reading = watched.reading
    label = f"{reading.label[:1].upper()}{reading.label[1:]}"
    return (
        f"<div class='cw-al-row'><div>{texts.safe(label)}<br><span class='cw-soft'>{_allowed(watched)}</span></div>"
        f"{picture(watched)}<div>{texts.safe(_present(watched))}<br>{_word(watched, alert)}</div></div>"
    )


def _allowed(watched: Watched) -> str:
    reading = watched.reading
    if reading.word:
        return "nothing is to be said"
    low, high = math.isfinite(reading.low), math.isfinite(reading.high)
    if low and high:
        return f"{reading.spell(reading.low)} to {reading.spell(reading.high)}"
    if low:
        return f"at least {reading.spell(reading.low)}"
    return f"at most {reading.spell(reading.high)}" if high else ""


def _present(watched: Watched) -> str:
    if not watched.values.size or watched.reading.word:
        return texts.NONE
    return watched.reading.spell(watched.middle)


def _word(watched: Watched, alert: bool) -> str:
    n, out = watched.values.size, int(watched.out.sum())
    if alert:
        return f"<b class='cw-bad'>✕ alert{f', {out} of {n} out' if n > 1 else ''}</b>"
    if n < watched.needed:
        return f"<span class='cw-soft'>{f'{n} of {watched.needed} values' if n else 'no value yet'}</span>"
    if out:
        return f"<span class='cw-warn'>! {out} of {n} out</span>"
    return "<span class='cw-good'>✓ in range</span>"


def picture(watched: Watched) -> str:
    """The newest values as an SVG: dots in range, crosses out of it, the limits as lines."""
    reading, values = watched.reading, watched.values
    known = np.isfinite(values)
    limits = [limit for limit in (reading.low, reading.high) if math.isfinite(limit)]
    shown = [*values[known].tolist(), *limits]
    if not known.any():
        return f"<svg width='{WIDTH}' height='{HEIGHT}' aria-hidden='true'></svg>"
    low, high = min(shown), max(shown)
    span = high - low or abs(high) or 1.0

    def y(value: float) -> float:
        return round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / span, 1)

    step = (WIDTH - 2 * EDGE) / max(values.size - 1, 1)
    parts = [f"<line x1='0' x2='{WIDTH}' y1='{y(limit)}' y2='{y(limit)}' class='cw-al-limit'/>" for limit in limits]
    for n in np.flatnonzero(known)[-60:]:
        x = round(EDGE + step * n, 1) if values.size > 1 else WIDTH / 2
        at = y(values[n])
        if watched.out[n]:
            cross = f"M{x - 3} {at - 3}l6 6M{x + 3} {at - 3}l-6 6"
            parts.append(f"<path d='{cross}' class='cw-al-out'/>")
        else:
            parts.append(f"<circle cx='{x}' cy='{at}' r='2' class='cw-al-dot'/>")
    said = f"{values.size} newest values of {texts.safe(reading.label)}"
    return f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{said}'>{''.join(parts)}</svg>"
