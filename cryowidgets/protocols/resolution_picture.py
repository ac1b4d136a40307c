"""Local resolution for people: slices through a map, coloured, with what the colours mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FINE_TO_COARSE = np.array(
    [(68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99),
     (170, 220, 50), (253, 231, 37)],
    float,
)  # fmt: skip
"""Equal steps look equally far apart, also to those who see few colours, and in print without any: viridis."""

_TILE = 220  # px of a slice
_GAP, _BAR, _LABELS = 8, 16, 64
_PAPER, _INK = (255, 255, 255), (32, 36, 42)
_FONT = ImageFont.load_default(13)


def coloured(values: np.ndarray, finest: float, coarsest: float) -> np.ndarray:
    """Colours of resolutions, (…, 3) uint8: violet at `finest` Å and finer, yellow at `coarsest` and coarser."""
    span = max(coarsest - finest, 1e-6)
    place = np.clip((np.nan_to_num(np.asarray(values, float)) - finest) / span, 0, 1) * (len(_FINE_TO_COARSE) - 1)
    stops = np.arange(len(_FINE_TO_COARSE))
    channels = [np.interp(place, stops, _FINE_TO_COARSE[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def write_slices(path: Path, volume: np.ndarray, resolution: np.ndarray, limits: tuple[float, float]) -> None:
    """Write slices of map and resolution through the middle of the mask as a JPEG.

    From left to right across z, y and x; the density above, the resolution below, and a bar in Å beside it.

    Parameters
    ----------
    volume, resolution : (z, y, x) array
        Density; Å, and 0 outside of the mask.
    limits : (float, float)
        Å, the ends of the colours.
    """
    inside = resolution > 0
    middle = [int(round(float(np.mean(np.nonzero(inside.any(axis=other))[0])))) for other in ((1, 2), (0, 2), (0, 1))]
    low, high = np.percentile(volume, (1, 99.8))
    width, height = 3 * _TILE + 4 * _GAP + _BAR + _LABELS, 2 * _TILE + 3 * _GAP
    page = Image.new("RGB", (width, height), _PAPER)
    for axis in range(3):
        density, found = (np.take(v, middle[axis], axis=axis) for v in (volume, resolution))
        grey = np.clip((density - low) / max(high - low, 1e-12), 0, 1) * 255
        above = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        below = np.where((found > 0)[..., None], coloured(found, *limits), 0.25 * above + 0.75 * 255).astype(np.uint8)
        for row, tile in enumerate((above, below)):
            page.paste(_fitted(tile), (_GAP + axis * (_TILE + _GAP), _GAP + row * (_TILE + _GAP)))
        place = (_GAP + axis * (_TILE + _GAP) + 5, _GAP + 3)
        ImageDraw.Draw(page).text(
            place, f"across {'zyx'[axis]}", (255, 255, 255), _FONT, stroke_width=2, stroke_fill=_INK
        )
    _draw_bar(page, 4 * _GAP + 3 * _TILE, limits)
    page.save(path, format="JPEG", quality=88)


def _fitted(tile: np.ndarray) -> Image.Image:
    """The tile as large as it can be on a square of paper, without smoothing colours into ones that mean nothing."""
    height, width = tile.shape[:2]
    scale = _TILE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    square = Image.new("RGB", (_TILE, _TILE), _PAPER)
    shown = Image.fromarray(tile).resize(size, Image.Resampling.NEAREST)
    square.paste(shown, ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2))
    return square


def _draw_bar(page: Image.Image, left: int, limits: tuple[float, float]) -> None:
    """Colours with their resolutions in Å, the finest on top, beside the lower row."""
    top, finest, coarsest = 2 * _GAP + _TILE, *limits
    values = np.linspace(finest, coarsest, _TILE)
    page.paste(Image.fromarray(np.repeat(coloured(values, *limits)[:, None], _BAR, axis=1)), (left, top))
    draw = ImageDraw.Draw(page)
    for value in ticks(finest, coarsest):
        y = top + round((value - finest) / max(coarsest - finest, 1e-6) * (_TILE - 1))
        draw.line((left + _BAR, y, left + _BAR + 4, y), fill=_INK)
        draw.text((left + _BAR + 8, min(max(y, top + 6), top + _TILE - 8)), f"{value:g}", _INK, _FONT, anchor="lm")
    draw.text((left, top - 10), "A", _INK, _FONT, anchor="lm")  # the font that comes with Pillow has no Å
    draw.ellipse((left + 3, top - 19, left + 6, top - 16), outline=_INK)


def ticks(low: float, high: float) -> list[float]:
    """Round values from `low` to `high`, three to seven of them where there is room between the two."""
    span = high - low
    if not span > 0:
        return [round(low, 2)]
    unit = 10 ** np.floor(np.log10(span))
    step = next(float(unit * part) for part in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0) if span / (unit * part) <= 6)
    first = int(np.ceil(low / step - 1e-9))
    return [round(i * step, 6) for i in range(first, int(np.floor(high / step + 1e-9)) + 1)]
