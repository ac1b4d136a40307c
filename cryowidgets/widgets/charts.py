"""Small charts as SVG, for what is drawn once and looked at: they take the colours of the page, and need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cryowidgets.widgets import texts

HEIGHT = 124
WIDE, NARROW = 420, 230
"""Widths of charts, in the same units: as wide as a column, and as half of one."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 20
_STYLES = ("", "cw-ch-second", "cw-ch-third")
POINTS = 400
"""Of a line that are drawn at most."""


@dataclass(frozen=True)
class Line:
    """A line of a chart; what is not finite is a gap."""

    name: str
    x: np.ndarray
    y: np.ndarray


def lines(
    shown: Sequence[Line],
    say_x: Callable[[float], str],
    say_y: Callable[[float], str],
    label: str,
    zero: bool = True,
    top: float | None = None,
    level: float | None = None,
    flip: bool = False,
    width: int = WIDE,
) -> str:
    """Lines over a common axis, told apart by their dashes and by their names below.

    Parameters
    ----------
    shown : sequence of Line
        Up to three; a chart without any point is an empty text.
    say_x, say_y : callable
        Put a value into words.
    label : str
        What is drawn, for those who hear a page.
    zero : bool
        Whether the vertical axis begins at 0.
    top : float, optional
        Where it ends; else at the largest value.
    level : float, optional
        A value to be marked by a line across.
    flip : bool
        The vertical axis points down, as where smaller is better.
    width : int
        `WIDE` or `NARROW`.
    """
    kept = [_thinned(line) for line in shown]
    x = np.concatenate([line.x for line in kept] or [np.zeros(0)])
    y = np.concatenate([line.y for line in kept] or [np.zeros(0)])
    if not len(x):
        return ""
    low_x, high_x = _range(x.min(), x.max())
    low, high = _range(0.0 if zero else float(y.min()), float(y.max()) if top is None else top)
    across = _scale(low_x, high_x, _LEFT, width - _RIGHT)
    down = _scale(low, high, *((_TOP, HEIGHT - _BOTTOM) if flip else (HEIGHT - _BOTTOM, _TOP)))
    parts = [_axes(low_x, high_x, low, high, across, down, say_x, say_y, width)]
    if level is not None and low <= level <= high:
        parts.append(_rule(down(level), "cw-ch-level", width))
    for line, style in zip(kept, _STYLES, strict=False):
        points = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
        if len(line.x) == 1:
            parts.append(f"<circle class='{style}' cx='{across(line.x[0]):.1f}' cy='{down(line.y[0]):.1f}' r='2.5'/>")
        elif len(line.x):
            parts.append(f"<polyline class='{style}' points='{points}'/>")
    return _framed(parts, label, width) + (_legend([line.name for line in kept]) if len(kept) > 1 else "")


def bars(
    edges: np.ndarray,
    heights: np.ndarray,
    say_x: Callable[[float], str],
    say_y: Callable[[float], str],
    label: str,
    colours: Sequence[str] = (),
    width: int = WIDE,
) -> str:
    """A histogram: n + 1 edges, n heights, and a colour for each bar where they are not all alike."""
    if not len(heights):
        return ""
    low, high = _range(0.0, float(np.max(heights)))
    across = _scale(float(edges[0]), float(edges[-1]), _LEFT, width - _RIGHT)
    down = _scale(low, high, HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(float(edges[0]), float(edges[-1]), low, high, across, down, say_x, say_y, width)]
    for i, height in enumerate(heights):
        left, right, y = across(edges[i]), across(edges[i + 1]), down(height)
        fill = f" style='fill: {colours[i]}'" if len(colours) else ""
        wide = max(right - left - 0.6, 0.4)
        parts.append(f"<rect x='{left:.1f}' y='{y:.1f}' width='{wide:.1f}' height='{HEIGHT - _BOTTOM - y:.1f}'{fill}/>")
    return _framed(parts, label, width)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values from `low` to `high`, about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _axes(
    low_x: float,
    high_x: float,
    low: float,
    high: float,
    across: Callable[[float], float],
    down: Callable[[float], float],
    say_x: Callable[[float], str],
    say_y: Callable[[float], str],
    width: int,
) -> str:
    found = []
    for value in ticks(low, high, 3):
        y = down(value)
        found.append(_rule(y, "cw-ch-grid", width))
        found.append(f"<text x='{_LEFT - 5}' y='{y + 3.5:.1f}' class='cw-ch-y'>{texts.safe(say_y(value))}</text>")
    middle = [((low_x + high_x) / 2, "middle")] if width > NARROW else []
    for place, anchor in ((low_x, "start"), *middle, (high_x, "end")):
        said = texts.safe(say_x(place))
        found.append(f"<text x='{across(place):.1f}' y='{HEIGHT - 5}' text-anchor='{anchor}'>{said}</text>")
    return "".join(found)


def _rule(y: float, name: str, width: int) -> str:
    return f"<line class='{name}' x1='{_LEFT}' x2='{width - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"


def _framed(parts: Sequence[str], label: str, width: int) -> str:
    said = texts.safe(label)
    return f"<svg class='cw-ch' viewBox='0 0 {width} {HEIGHT}' role='img' aria-label='{said}'>{''.join(parts)}</svg>"


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f"<span><svg viewBox='0 0 22 6' aria-hidden='true'><polyline class='{style}' points='0,3 22,3'/></svg>"
        f"{texts.safe(name)}</span>"
        for name, style in zip(names, _STYLES, strict=False)
    )
    return f"<p class='cw-ch-legend'>{items}</p>"


def _range(low: float, high: float) -> tuple[float, float]:
    """Of some length in any case."""
    return (low, high) if high > low else (low, low + max(abs(low), 1.0) * 0.1)


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _thinned(line: Line) -> Line:
    """Its points that are there, no more of them than `POINTS`, the last always among them."""
    x, y = np.asarray(line.x, np.float64), np.asarray(line.y, np.float64)
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(there) > POINTS:
        there = there[np.unique(np.linspace(0, len(there) - 1, POINTS).round().astype(int))]
    return Line(line.name, x[there], y[there])
