"""The size of the particles as the micrographs so far tell it, and the approval that a picker waits for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import ipywidgets as W
import numpy as np

from cryowidgets.model import ParticleSize
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.panels import Picture
from cryowidgets.widgets.picks_orders import SCOPES, Answer
from cryowidgets.widgets.window import box, put, show_if

WIDTH, HEIGHT, EDGE, FOOT = 200, 96, 6, 16
SIZES = (("smallest", "largest"), ("diameter_min", "diameter_max"), ("diameter",))
"""What pickers call the diameters that they look for."""


class SizePanel(W.Box):
    """The curve of sizes, the mean particle, the estimate; with control also what gives it to a picker.

    Parameters
    ----------
    page : Page
    """

    def __init__(self, page: Page) -> None:
        self.diameter = 0.0
        """The estimate, Å; 0 where there is none."""
        self._step = ""
        self._shown: tuple = ()
        self._words, self._curve, self._waits = W.HTML(), W.HTML(), W.HTML()
        self.picture = Picture("Mean of the particles found", "no picture yet")
        parts: list[W.Widget] = [self._words, box([self._curve, self.picture], "cw-picks-size"), self._waits]
        self._answer: Answer | None = None
        if page.control:
            self._answer = Answer(page)
            self._buttons = box([], "cw-buttons")
            self._offered: tuple = ()
            parts += [self._buttons, self._answer]
        super().__init__(parts)
        self.add_class("cw-picks-card")

    def refresh(self, reader: Reader, steps: Mapping[str, Step]) -> None:
        """Show the newest estimate of the last step that makes one; nothing where none does."""
        step = next((step for step in reversed(list(steps.values())) if step.gives == "ParticleSize"), None)
        show_if(self, step is not None)
        if step is None:
            self.diameter = 0.0
            return
        size = reader.result(step.name)
        assert size is None or isinstance(size, ParticleSize)
        self._step = step.name
        if (step.name, size and size.id) != self._shown:
            self._shown = (step.name, size and size.id)
            put(self._words, _words(size))
            put(self._curve, curve(size))
            self.picture.show(size.picture if size else "")
        known = size is not None and math.isfinite(size.diameter)
        self.diameter = float(size.diameter) if size is not None and known else 0.0
        found = pickers(steps)
        waiting = [picker.name for picker in found if picker.hold]
        (self.add_class if waiting else self.remove_class)("cw-picks-first")
        put(self._waits, _waiting(waiting, known, self._answer is not None))
        if self._answer is not None:
            self._offer(found if known else [], size)
            self._answer.hear(reader)

    def _offer(self, found: list[Step], size: ParticleSize | None) -> None:
        several = len(found) > 1
        offers = []
        for picker in found:
            if size is None or _has(picker, size):
                continue
            text = f"Use {say(size)}" + (f" in {picker.name}" if several else "")
            scopes = ("new",) if picker.hold else ("new", "branch")
            offers += [(picker.name, scope, text if scope == "new" else f"{text}, for all") for scope in scopes]
        if tuple(offers) == self._offered:
            return
        self._offered = tuple(offers)
        made = []
        for picker_, scope, text in offers:
            button = W.Button(description=text, tooltip=f"{picker_}: {SCOPES[scope][1]}")
            button.on_click(lambda _, picker=picker_, scope=scope: self._approve(picker, scope))
            made.append(button)
        if made:
            made[0].button_style = "primary"
        self._buttons.children = made

    def _approve(self, picker: str, scope: str) -> None:
        assert self._answer is not None
        self._answer.send("approve_size", step=self._step, picker=picker, scope=scope)


def pickers(steps: Mapping[str, Step]) -> list[Step]:
    """Steps that look for particles of a size in micrographs, rather than take picks of others."""
    found = []
    for step in steps.values():
        sources = [steps[name].gives for name in step.inputs.values() if name in steps]
        sized = any(set(names) <= set(step.params) for names in SIZES)
        if step.gives == "Picks" and sized and "Picks" not in sources:
            found.append(step)
    return found


def say(size: ParticleSize) -> str:
    """``160 Å (140–180)``."""
    return f"{size.diameter:.0f} Å ({size.smallest:.0f}–{size.largest:.0f})"


def curve(size: ParticleSize | None) -> str:
    """How much there is of each diameter as SVG, the range to be picked shaded; empty where no file can be read."""
    try:
        found = np.load(size.curve, allow_pickle=False) if size is not None and size.curve else np.zeros((2, 0))
    except (OSError, ValueError):
        return ""
    if found.ndim != 2 or len(found) != 2:
        return ""
    found = np.asarray(found, np.float64)
    found = found[:, np.isfinite(found).all(axis=0) & (found[0] > 0)]
    if size is None or found.shape[1] < 2:
        return ""
    x, y = found
    low, high, top = float(x.min()), float(x.max()), float(max(y.max(), 1e-12))

    def across(value: float) -> float:
        """By ratios, as pickers look for sizes."""
        share = math.log(min(max(value, low), high) / low) / (math.log(high / low) or 1.0)
        return round(EDGE + (WIDTH - 2 * EDGE) * share, 1)

    floor = HEIGHT - FOOT
    line = " ".join(f"{across(a)},{round(floor - (floor - EDGE) * max(b, 0.0) / top, 1)}" for a, b in found.T)
    parts = []
    if math.isfinite(size.smallest) and math.isfinite(size.largest):
        left, right = across(size.smallest), across(size.largest)
        wide = round(max(right - left, 1.0), 1)
        parts.append(f"<rect class='cw-picks-range' x='{left}' y='0' width='{wide}' height='{floor}'/>")
    if math.isfinite(size.diameter):
        at = across(size.diameter)
        parts.append(f"<line class='cw-picks-best' x1='{at}' x2='{at}' y1='0' y2='{floor}'/>")
    parts.append(f"<polyline points='{line}'/><line x1='0' x2='{WIDTH}' y1='{floor}' y2='{floor}'/>")
    for value, anchor, at in (
        (low, "start", 2),
        (math.sqrt(low * high), "middle", WIDTH / 2),
        (high, "end", WIDTH - 2),
    ):
        unit = " Å" if anchor == "end" else ""
        parts.append(f"<text x='{at}' y='{HEIGHT - 4}' text-anchor='{anchor}'>{value:.0f}{unit}</text>")
    return (
        f"<svg class='cw-picks-curve' viewBox='0 0 {WIDTH} {HEIGHT}' preserveAspectRatio='xMinYMid' role='img' "
        f"aria-label='How much there is of each diameter'>{''.join(parts)}</svg>"
    )


def _words(size: ParticleSize | None) -> str:
    if size is None:
        return "<div class='cw-title'>Size of the particles</div><p class='cw-soft'>no estimate yet</p>"
    many = f"<em>{texts.count(size.micrographs, 'micrograph')}</em>"
    if not math.isfinite(size.diameter):
        why = texts.safe(size.reason or "no size can be told")
        return f"<div class='cw-title'>{many}Size of the particles</div><p class='cw-warn'>{why}</p>"
    error = f" ± {size.diameter_error:.0f}" if math.isfinite(size.diameter_error) else ""
    said = f"<p><b class='cw-picks-diameter'>{size.diameter:.0f}{error} Å</b> across; "
    odd = f"<p class='cw-warn'>{texts.safe(size.reason)}</p>" if size.reason else ""
    return (
        f"<div class='cw-title'>{many}Size of the particles</div>{said}a picker should look from {size.smallest:.0f} "
        f"to {size.largest:.0f} Å</p>{odd}"
    )


def _waiting(steps: list[str], known: bool, control: bool) -> str:
    if not steps:
        return ""
    names = " and ".join(f"<b>{texts.safe(name)}</b>" for name in steps)
    waits = "wait" if len(steps) > 1 else "waits"
    if not known:
        return f"<p class='cw-warn'>▲ {names} {waits} for a size to be told and approved.</p>"
    how = "approve it here" if control else "whoever controls the session can approve it"
    return f"<p class='cw-warn'>▲ {names} {waits} for this size to be approved: {how}.</p>"


def _has(picker: Step, size: ParticleSize) -> bool:
    """Whether a picker goes by this size already and waits for nothing."""
    names = next(names for names in SIZES if set(names) <= set(picker.params))
    wanted = (size.smallest, size.largest) if len(names) == 2 else (size.diameter,)
    return not picker.hold and all(
        abs(float(picker.params[name]) - value) < 0.1 for name, value in zip(names, wanted, strict=True)
    )
