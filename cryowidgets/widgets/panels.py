"""One item, to be looked at closely: a micrograph with its trajectory, a spectrum with its fit, numbers, troubles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import ipywidgets as W
import numpy as np

from cryowidgets.model import Ctf, Gain, Item, Micrograph, Movie, Quality
from cryowidgets.store.queries import ExposureRow, TaskRow
from cryowidgets.widgets import figures, texts, tracks
from cryowidgets.widgets.window import box, put, show_if

LARGEST = 4_000_000
"""Bytes of a picture that are still sent to a page."""


class Picture(W.Box):
    """A picture from a file, or a word in its place."""

    def __init__(self, title: str, nothing: str) -> None:
        self._nothing = nothing
        self._title = W.HTML(f"<div class='cw-title'>{texts.safe(title)}</div>")
        self._image = W.Image(format="jpeg")
        self._over = W.HTML()
        self._over.add_class("cw-over")
        self._word = W.HTML(_word(nothing))
        self._shown = ""
        self._frame = box([self._image, self._over], "cw-frame")
        super().__init__([self._title, self._frame, self._word])
        self.add_class("cw-picture")
        self.show("")

    def show(self, path: str, over: str = "") -> None:
        """Show the file; nothing where it is empty or cannot be read. `over` is HTML that lies on it."""
        put(self._over, over)
        if path == self._shown and path:
            return
        self._shown = path
        content, word = b"", self._nothing
        if path:
            try:
                content = Path(path).read_bytes() if Path(path).stat().st_size < LARGEST else b""
            except OSError as error:
                word = f"{Path(path).name}: {error.strerror}"
        self._image.value = content
        show_if(self._frame, bool(content))
        self._word.value = "" if content else _word(word)


class MicrographPanel(W.Box):
    """Picture and trajectory of a micrograph."""

    def __init__(self) -> None:
        self.picture = Picture("Micrograph", "no micrograph yet")
        self.trajectory = figures.trajectory()
        self._shown: tuple | None = None
        super().__init__([self.picture, self.trajectory])
        self.add_class("cw-pair")

    def show(self, micrograph: Micrograph | None) -> None:
        key = (micrograph.id, micrograph.exposure) if micrograph else None
        if key == self._shown:
            return
        self._shown = key
        if micrograph:
            self.picture.show(micrograph.thumbnail, tracks.overlay(micrograph))
        else:
            self.picture.show("")
        shifts = micrograph.shifts if micrograph is not None and micrograph.shifts is not None else np.zeros((0, 2))
        frames = np.arange(1, len(shifts) + 1)
        self.trajectory.replace({"x": shifts[:, 1], "y": shifts[:, 0], "frame": frames})


class CtfPanel(W.Box):
    """Spectrum and one-dimensional fit of a CTF."""

    def __init__(self) -> None:
        self.picture = Picture("Power spectrum and fit", "no CTF yet")
        self.curve = figures.spectrum_curve()
        self._shown: tuple | None = None
        super().__init__([self.picture, self.curve])
        self.add_class("cw-pair")

    def show(self, ctf: Ctf | None) -> None:
        key = (ctf.id, ctf.exposure) if ctf else None
        if key == self._shown:
            return
        self._shown = key
        self.picture.show(ctf.picture if ctf else "")
        names = ["frequency", "observed", "fitted", "agreement"]
        self.curve.replace(dict(zip(names, curve(ctf.curve if ctf else ""), strict=True)))


class QualityPanel(W.HTML):
    """Score of an exposure, a bar for each of its parts, and the worst of them in words."""

    def show(self, quality: Quality | None) -> None:
        self.value = _bars(quality) if quality else _word("no score yet")


class GainPanel(W.Box):
    """Picture of the gain that the movies tell, and what is wrong with the one in use."""

    def __init__(self) -> None:
        self.picture = Picture("Gain by the movies", "no movies added up yet")
        self._said = W.HTML()
        super().__init__([self.picture, self._said])
        self.add_class("cw-gain")

    def show(self, gain: Gain | None) -> None:
        self.picture.show(gain.picture if gain else "")
        words = [("cw-failed", gain.alert), ("cw-soft", gain.reason and f"No gain yet: {gain.reason}")] if gain else []
        put(self._said, "".join(f"<p class='{kind}'>{texts.safe(word)}</p>" for kind, word in words if word))


def numbers(items: Iterable[Item]) -> str:
    """The numbers that people ask for of some items of one exposure, as HTML."""
    found: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, Micrograph):
            found += [
                ("drift", texts.number(item.motion_total, 1, "Å")),
                ("early, late", f"{texts.number(item.motion_early)}, {texts.number(item.motion_late, 1, 'Å')}"),
                ("frames", str(item.frames)),
            ]
        elif isinstance(item, Ctf):
            found += [
                ("defocus U, V", f"{texts.micrometres(item.defocus_u, 3, '')}, {texts.micrometres(item.defocus_v, 3)}"),
                ("astigmatism", texts.nanometres(item.astigmatism) + " at " + texts.number(item.angle, 0, "") + "°"),
                ("fit to", texts.number(item.fit_resolution, 1, "Å")),
                ("CTF score", texts.number(item.score, 2)),
            ]
            if math.isfinite(item.phase_shift) and item.phase_shift:
                found.append(("phase shift", texts.number(item.phase_shift, 0, "°")))
        elif isinstance(item, Quality):
            found.append(("quality", texts.number(item.score, 2)))
        elif isinstance(item, Gain):
            found += [
                ("standard deviation", texts.number(item.deviation, 2, "%", 100)),
                ("p97.5 / p2.5", texts.number(item.width, 3)),
                ("max / p97.5", texts.number(item.peak, 3)),
                ("pattern left over", _with_error(item.residual, item.residual_error, 100, "%")),
                ("expected error", texts.number(item.error, 2, "%", 100)),
                ("counts", f"{texts.number(item.counts, 0)} of {texts.number(item.needed, 0)} e/px"),
                ("movies", f"{item.movies} ({item.left_out} left out)"),
                ("defect pixels", str(item.defects)),
            ]
    cells = "".join(f"<div><span>{texts.safe(name)}</span><b>{texts.safe(value)}</b></div>" for name, value in found)
    return f"<div class='cw-numbers'>{cells}</div>" if cells else ""


def troubles(row: ExposureRow, tracebacks: bool) -> str:
    """Why an exposure did not get on, as HTML; empty where it did. Tracebacks name paths: not for everybody's eyes."""
    parts = []
    if row.rejected:
        parts.append(f"<p class='cw-rejected'>Rejected by hand: {texts.safe(row.rejected)}</p>")
    latest: dict[str, TaskRow] = {task.step: task for task in row.tasks}
    for task in latest.values():
        step, why = texts.safe(task.step), texts.safe(task.error or "")
        if task.state == "rejected":
            parts.append(f"<p class='cw-rejected'>Rejected by {step}: {why}</p>")
        elif task.state in ("failed", "retry"):
            again = " (will be tried again)" if task.state == "retry" else ""
            parts.append(f"<p class='cw-failed'>{step} failed{again}: {why}</p>")
            if tracebacks and task.traceback:
                parts.append(f"<details><summary>traceback</summary><pre>{texts.safe(task.traceback)}</pre></details>")
    warnings = dict.fromkeys(item.warning for item in row.items.values() if isinstance(item, Movie) and item.warning)
    parts += [f"<p class='cw-rejected cw-of-movie'>{texts.safe(warning)}</p>" for warning in warnings]
    # A gate hands on what it was given, and so the same reason again.
    reasons = {
        f"No {'CTF' if isinstance(item, Ctf) else 'motion'}: {item.reason}": None
        for item in row.items.values()
        if isinstance(item, Ctf | Micrograph) and item.reason
    }
    for item in row.items.values():
        if isinstance(item, Quality) and item.score < 0.5 and item.worst and not item.reason.startswith("No CTF"):
            reasons[f"Quality {item.score:.2f}: {item.reason}"] = None
    parts += [f"<p class='cw-rejected'>{texts.safe(reason)}</p>" for reason in reasons]
    return "".join(parts)


def curve(path: str) -> np.ndarray:
    """Rotational average of a spectrum from its file, (4, n); of no values where there is none to be read."""
    if path:
        try:
            curve = np.load(path, allow_pickle=False)
        except (OSError, ValueError):
            curve = None
        if curve is not None and curve.ndim == 2 and len(curve) == 4:
            return curve
    return np.zeros((4, 0))


def _bars(quality: Quality) -> str:
    rows = []
    for name, field in Quality.columns().items():
        value = getattr(quality, name)
        if not isinstance(value, float):
            continue
        width = 100 * value if math.isfinite(value) else 0
        mark = " class='cw-worst'" if name == quality.worst else ""
        rows.append(
            f"<tr{mark} title='{texts.safe(field.metadata['help'])}'><th>{name}</th>"
            f"<td><i style='width: {width:.0f}%'></i></td><td>{texts.number(value, 2)}</td></tr>"
        )
    return f"<table class='cw-bars'>{''.join(rows)}</table><p>{texts.safe(quality.reason)}</p>"


def _with_error(value: float, error: float, scale: float, unit: str) -> str:
    if not math.isfinite(value):
        return texts.NONE
    return f"{texts.number(value, 0, '', scale)} ± {texts.number(error, 0, unit, scale)}"


def _word(word: str) -> str:
    return f"<div class='cw-nothing'>{texts.safe(word)}</div>"


def sentence(text: str) -> W.HTML:
    """A sentence in place of a view that cannot be shown."""
    return W.HTML(f"<p style='font: 16px/1.5 system-ui; margin: 2em'>{texts.safe(text)}</p>")
