"""Charts as SVG: for pages that live without scripts, and for print.

Each returns one ``<svg>`` with a title and a description for those who hear a page. Everything is told by attributes,
as a renderer for print does not apply the page's style sheet inside of SVG. Colours are those of Okabe and Ito, which
everybody can tell apart; what is out of bounds is an outline besides, so that it stays visible in black and white.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from cryowidgets.facility.report.axes import Axis

INK, SOFT, GRID, RING = "#1b2026", "#56606b", "#dfe4e9", "#a9b3bd"
BLUE, BAND, PALE, BOUND = "#0072b2", "#a9cfe6", "#dcebf4", "#b34700"
LINES = ("#0072b2", "#b34700", "#007a5a", "#7a3e7e")
DASHES = ("", "5 3", "1.5 2.5", "8 3 2 3")
LEFT, RIGHT, TOP, BOTTOM = 48.0, 10.0, 6.0, 32.0
WIDE, SMALL, WHOLE = (560.0, 124.0), (260.0, 124.0), (832.0, 124.0)
"""Width and height of charts against time, of those beside them, and of those with nothing beside them."""
SCATTERED = 1500
"""Points up to which a polar chart draws each; of more it draws how dense they are."""
Bounds = tuple[float | None, float | None]


def trend(
    name: str,
    x: Axis,
    y: Axis,
    time: np.ndarray,
    low: np.ndarray,
    mean: np.ndarray,
    high: np.ndarray,
    gap: float,
    bounds: Bounds = (None, None),
    size: tuple[float, float] = WIDE,
) -> Markup:
    """Mean of a value against time as a line, least to largest as a band.

    Parameters
    ----------
    name : str
        What the chart shows, said to those who cannot see it.
    x, y : Axis
    time, low, mean, high : (n,) float
        Of each bin, in the axes' units; bins without a value are NaN or left out.
    gap : float
        Seconds without a value over which no line is drawn.
    bounds : (float or None, float or None)
        Thresholds.
    """
    frame = _Frame(x, y, size)
    there = np.isfinite(mean)
    time, low, mean, high = (np.asarray(v, dtype=np.float64)[there] for v in (time, low, mean, high))
    parts = [frame.grid()]
    pieces = np.split(np.arange(time.size), np.nonzero(np.diff(time) > gap)[0] + 1) if time.size else []
    for piece in pieces:
        px = frame.x(time[piece])
        top, middle, bottom = (frame.y(v[piece]) for v in (high, mean, low))
        if piece.size == 1:
            parts.append(f'<path d="M{px[0]:.1f} {top[0]:.1f}V{bottom[0]:.1f}" stroke="{BAND}" stroke-width="3"/>')
            parts.append(f'<circle cx="{px[0]:.1f}" cy="{middle[0]:.1f}" r="1.6" fill="{BLUE}"/>')
            continue
        edge = _line(np.concatenate([px, px[::-1]]), np.concatenate([top, bottom[::-1]]))
        parts.append(f'<path d="{edge}Z" fill="{BAND}"/>')
        parts.append(f'<path d="{_line(px, middle)}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>')
    parts += [frame.bound(bound) for bound in bounds]
    told = _told(y, mean, "") + (f", in {len(pieces)} pieces between gaps" if len(pieces) > 1 else "")
    return _svg(name, told, size, [*parts, frame.edges()])


def lines(name: str, x: Axis, y: Axis, curves: dict[str, tuple[np.ndarray, np.ndarray]], gap: float) -> Markup:
    """Several values against time, each with its name above the chart; told apart by colour and by dashes."""
    size = WHOLE
    frame = _Frame(x, y, size, top=22.0)
    parts, at = [frame.grid()], LEFT
    for number, (label, (time, value)) in enumerate(curves.items()):
        colour, dash = LINES[number % len(LINES)], DASHES[number % len(DASHES)]
        look = f'fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash or "none"}"'
        there = np.isfinite(value)
        t, v = time[there], value[there]
        pieces = np.split(np.arange(t.size), np.nonzero(np.diff(t) > gap)[0] + 1) if t.size else []
        parts += [f'<path d="{_line(frame.x(t[p]), frame.y(v[p]))}" {look}/>' for p in pieces]
        parts.append(f'<path d="M{at:.0f} 10h22" {look}/>{_text(at + 27, 14, label, "start", colour)}')
        at += 45 + 6.6 * len(label)
    told = "; ".join(f"{label}: {_told(y, value, '')}" for label, (_, value) in curves.items())
    return _svg(name, told, size, [*parts, frame.edges()])


def histogram(
    name: str,
    x: Axis,
    edges: np.ndarray,
    counts: np.ndarray,
    bounds: Bounds = (None, None),
    size: tuple[float, float] = SMALL,
    of: str = "exposures",
) -> Markup:
    """How often which value occurs; what thresholds leave out is pale with an outline.

    Parameters
    ----------
    edges : (n + 1,) float
        In the axis's unit.
    counts : (n,) int
    of : str
        What is counted.
    """
    most = float(counts.max()) if counts.size else 0.0
    frame = _Frame(x, Axis.counts(of, most), size)
    parts = [frame.grid(upright=False)]
    middles = (edges[1:] + edges[:-1]) / 2
    out = np.zeros(middles.size, dtype=bool)
    for bound, side in zip(bounds, (-1, 1), strict=True):
        out |= side * (middles - bound) > 0 if bound is not None else False
    left, right = frame.x(edges[:-1]), frame.x(edges[1:])
    tops = frame.y(counts)
    for i in np.nonzero(counts)[0]:
        look = f'fill="{PALE}" stroke="{BLUE}" stroke-width="0.6"' if out[i] else f'fill="{BLUE}"'
        width = max(0.6, right[i] - left[i] - 0.6)
        parts.append(_column(left[i], tops[i], width, frame.bottom, look))
    parts += [frame.bound(bound, upright=True) for bound in bounds]
    total = int(counts.sum())
    told = f"{total} {of}" + (f", most of them near {middles[counts.argmax()]:.3g} {x.unit}" if total else "")
    return _svg(name, told, size, [*parts, frame.edges()])


def rate(name: str, x: Axis, edges: np.ndarray, counts: np.ndarray, label: str) -> Markup:
    """Columns of a rate per hour against time.

    Parameters
    ----------
    edges : (n + 1,) float
        UTC s.
    counts : (n,) int
        In each span; the columns are counts by the length of the span.
    """
    size = WHOLE
    per_hour = counts / np.maximum(np.diff(edges), 1e-9) * 3600.0
    y = Axis.counts(label, float(per_hour.max()) if per_hour.size else 0.0)
    frame = _Frame(x, y, size)
    left, right, tops = frame.x(edges[:-1]), frame.x(edges[1:]), frame.y(per_hour)
    parts = [frame.grid()]
    for i in np.nonzero(counts)[0]:
        width = max(0.8, right[i] - left[i] - 0.8)
        parts.append(_column(left[i], tops[i], width, frame.bottom, f'fill="{BLUE}"'))
    return _svg(name, _told(y, per_hour[counts > 0], ""), size, [*parts, frame.edges()])


def polar(name: str, radius: Axis, values: np.ndarray, angle: np.ndarray, bound: float | None = None) -> Markup:
    """Values by direction, as of astigmatism: the distance from the middle is the value.

    A direction is an axis: each value stands at its angle and opposite to it.

    Parameters
    ----------
    radius : Axis
        From zero.
    values : (n,) float
        In the axis's unit.
    angle : (n,) float
        Degrees from x towards y, y downwards as in an image.
    bound : float, optional
        Threshold, drawn as a circle.
    """
    side, middle, reach = 260.0, 130.0, 98.0
    there = np.isfinite(values) & np.isfinite(angle) & (values <= radius.high)
    r = values[there] / radius.high * reach
    turn = np.deg2rad(angle[there])
    px, py = r * np.cos(turn), r * np.sin(turn)
    px, py = np.concatenate([px, -px]), np.concatenate([py, -py])
    parts = [
        f'<path d="M{middle - reach} {middle}h{2 * reach}M{middle} {middle - reach}v{2 * reach}" stroke="{GRID}"/>'
    ]
    rings = [(value, text) for value, text in radius.ticks(4) if 0 < value <= radius.high]
    parts += [_circle(middle, value / radius.high * reach, RING) for value, _ in rings]
    parts += _dots(px, py, middle) if r.size <= SCATTERED else _dense(px, py, middle, reach)
    if bound is not None and 0 < bound <= radius.high:
        parts.append(_circle(middle, bound / radius.high * reach, BOUND, "4 3", 1.4))
    for value, text in rings:
        away = value / radius.high * reach * math.sqrt(0.5)
        x, y = middle + away, middle - away
        width = 6.6 * len(text) + 4
        parts.append(f'<rect x="{x - 2:.1f}" y="{y - 11:.1f}" width="{width:.1f}" height="14" fill="#fff" rx="2"/>')
        parts.append(_text(x, y, text, "start", INK))
    for degrees, dx, dy, anchor in (
        (0, 1, 0, "start"),
        (90, 0, 1, "middle"),
        (180, -1, 0, "end"),
        (270, 0, -1, "middle"),
    ):
        x, y = middle + dx * (reach + 6), middle + dy * (reach + (15 if dy > 0 else 8)) + (4 if not dy else 0)
        parts.append(_text(x, y, f"{degrees}°", anchor, SOFT))
    parts.append(_text(side - 4, side - 4, radius.title, "end", SOFT))
    told = f"{r.size} exposures; {_told(radius, values[there], '')}"
    return _svg(name, told, (side, side), parts)


def shares(name: str, parts: Sequence[tuple[str, int, str]]) -> Markup:
    """Parts of a whole as one bar.

    Parameters
    ----------
    parts : sequence of (label, count, colour)
        From left to right; those without any are left out.
    """
    size, whole = (960.0, 20.0), sum(count for _, count, _ in parts)
    drawn, at = [], 0.0
    for _, count, colour in parts:
        if count:
            width = size[0] * count / whole
            drawn.append(
                f'<rect x="{at:.1f}" y="0" width="{max(width - 1.5, 1):.1f}" height="{size[1]:.0f}" fill="{colour}"/>'
            )
            at += width
    told = ", ".join(f"{label} {count} ({100 * count / whole:.1f} %)" for label, count, _ in parts if count)
    return _svg(name, told, size, drawn, stretch=True)


class _Frame:
    """Where values of two axes stand in a chart."""

    def __init__(self, x: Axis, y: Axis, size: tuple[float, float], top: float = TOP) -> None:
        self._x, self._y = x, y
        self.left, self.right, self.top, self.bottom = LEFT, size[0] - RIGHT, top, size[1] - BOTTOM

    def x(self, values: np.ndarray) -> np.ndarray:
        return self._place(self._x, values, self.left, self.right)

    def y(self, values: np.ndarray) -> np.ndarray:
        return self._place(self._y, values, self.bottom, self.top)

    @staticmethod
    def _place(axis: Axis, values: np.ndarray, start: float, end: float) -> np.ndarray:
        share = (np.clip(values, axis.low, axis.high) - axis.low) / (axis.high - axis.low)
        return start + share * (end - start)

    def grid(self, upright: bool = True) -> str:
        """Lines at the ticks, with what is written there, and the titles of the axes."""
        room = self.right - self.left
        across = self._x.ticks(max(2, int(room / (66 if self._x.clock else 44))))
        up = self._y.ticks(4)
        px = self.x(np.array([value for value, _ in across]))
        py = self.y(np.array([value for value, _ in up]))
        ways = "".join(f"M{self.left:.1f} {y:.1f}H{self.right:.1f}" for y in py)
        ways += "".join(f"M{x:.1f} {self.top:.1f}V{self.bottom:.1f}" for x in px) if upright else ""
        written = [_text(self.left - 5, y + 3.5, text, "end", SOFT) for y, (_, text) in zip(py, up, strict=True)]
        for x, (_, text) in zip(px, across, strict=True):
            room = 3.3 * len(text)  # half of its width: what would reach over the edge stands before it
            at, anchor = (self.right + RIGHT, "end") if x + room > self.right + RIGHT else (x, "middle")
            written.append(_text(at, self.bottom + 13, text, anchor, SOFT))
        middle = (self.left + self.right) / 2
        written.append(_text(middle, self.bottom + 28, _timed(self._x), "middle", SOFT))
        height = (self.top + self.bottom) / 2
        written.append(
            f'<g transform="translate(10 {height:.1f}) rotate(-90)">{_text(0, 0, self._y.title, "middle", SOFT)}</g>'
        )
        return f'<path d="{ways}" stroke="{GRID}" fill="none"/>{"".join(written)}'

    def edges(self) -> str:
        way = f"M{self.left:.1f} {self.top:.1f}V{self.bottom:.1f}H{self.right:.1f}"
        return f'<path d="{way}" stroke="{SOFT}" fill="none"/>'

    def bound(self, value: float | None, upright: bool = False) -> str:
        """A threshold as a dashed line; nothing where it is open or far off."""
        axis = self._x if upright else self._y
        if value is None or not axis.low <= value <= axis.high:
            return ""
        if upright:
            way = f"M{float(self.x(np.array(value))):.1f} {self.top:.1f}V{self.bottom:.1f}"
        else:
            way = f"M{self.left:.1f} {float(self.y(np.array(value))):.1f}H{self.right:.1f}"
        return f'<path d="{way}" stroke="{BOUND}" stroke-width="1.4" stroke-dasharray="4 3" fill="none"/>'


def _column(x: float, top: float, width: float, bottom: float, look: str) -> str:
    return f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" {look}/>'


def _timed(axis: Axis) -> str:
    return f"{axis.label}, {axis.unit}" if axis.clock else axis.title


def _dots(px: np.ndarray, py: np.ndarray, middle: float) -> list[str]:
    size = 1.8 if px.size < 600 else 1.2
    return [
        f'<circle cx="{middle + x:.1f}" cy="{middle + y:.1f}" r="{size}" fill="{BLUE}" fill-opacity="0.55"/>'
        for x, y in zip(px, py, strict=True)
    ]


def _dense(px: np.ndarray, py: np.ndarray, middle: float, reach: float, cells: int = 48) -> list[str]:
    """Cells, the darker the more values they hold."""
    counts, xs, ys = np.histogram2d(px, py, bins=cells, range=[[-reach, reach], [-reach, reach]])
    side, most = 2 * reach / cells, counts.max()
    return [
        f'<rect x="{middle + xs[i]:.1f}" y="{middle + ys[j]:.1f}" width="{side:.2f}" height="{side:.2f}" '
        f'fill="{BLUE}" fill-opacity="{0.12 + 0.88 * math.sqrt(counts[i, j] / most):.2f}"/>'
        for i, j in zip(*np.nonzero(counts), strict=True)
    ]


def _circle(middle: float, radius: float, colour: str, dash: str = "none", width: float = 1.0) -> str:
    return (
        f'<circle cx="{middle}" cy="{middle}" r="{radius:.1f}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}" stroke-dasharray="{dash}"/>'
    )


def _line(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="11" font-family="{FONTS}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{html.escape(text)}</text>'


FONTS = "system-ui, Liberation Sans, DejaVu Sans, sans-serif"


def _told(axis: Axis, values: np.ndarray, nothing: str) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return nothing or "no values"
    least, middle, most = np.min(known), np.median(known), np.max(known)
    return f"{axis.label} from {least:.3g} to {most:.3g}, median {middle:.3g} {axis.unit}".rstrip()


def _svg(name: str, told: str, size: tuple[float, float], parts: Sequence[str], stretch: bool = False) -> Markup:
    label = html.escape(f"{name}: {told}")
    return Markup(
        f'<svg viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" role="img" aria-label="{label}" '
        f'preserveAspectRatio="{"none" if stretch else "xMidYMid"}" xmlns="http://www.w3.org/2000/svg"><title>{html.escape(name)}</title>'
        f"<desc>{html.escape(told)}</desc>{''.join(parts)}</svg>"
    )
