"""From where a particle was seen: the sphere of directions as a map, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.widgets import ramp, texts

WIDTH, HEIGHT = 400, 200
MOST = 4000
"""Directions that are drawn at most."""
_EVEN, _UNEVEN = 0.8, 0.5


@dataclass(frozen=True)
class Directions:
    """How often a particle was seen from each of some directions, even over the sphere."""

    rot: np.ndarray
    """degrees about z"""
    tilt: np.ndarray
    """degrees away from z"""
    counts: np.ndarray


def read(path: str | Path) -> Directions:
    """Read the orientations of a `Volume`.

    Raises
    ------
    InputError
        The file is missing or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            directions, counts = np.asarray(kept["directions"], float), np.asarray(kept["counts"], float)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} holds no directions: {error}.") from error
    if directions.ndim != 2 or directions.shape[1] != 2 or counts.shape != directions.shape[:1] or not len(counts):
        raise InputError(f"{path} holds directions {directions.shape} and counts {counts.shape}, not (n, 2) and (n,).")
    if not (np.isfinite(directions).all() and np.isfinite(counts).all() and (counts >= 0).all()):
        raise InputError(f"{path} holds directions or counts that are no numbers.")
    return Directions(directions[:, 0], directions[:, 1], counts)


def mollweide(rot: np.ndarray, tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on a map that keeps areas: x from −2 to 2, y from −1 to 1, z up (K. B. Mollweide, 1805).

    Parameters
    ----------
    rot, tilt : (n,) array
        Degrees.
    """
    longitude = np.radians((np.asarray(rot, float) + 180) % 360 - 180)
    latitude = np.radians(90 - np.asarray(tilt, float))
    theta = latitude.copy()
    for _ in range(12):  # Newton's method for 2θ + sin 2θ = π sin(latitude)
        slope = 2 + 2 * np.cos(2 * theta)
        theta -= np.where(slope > 1e-9, (2 * theta + np.sin(2 * theta) - np.pi * np.sin(latitude)) / (slope + 1e-12), 0)
    theta = np.clip(theta, -np.pi / 2, np.pi / 2)
    return 2 * longitude / np.pi * np.cos(theta), np.sin(theta)


def drawn(found: Directions) -> str:
    """The map as SVG: a dot for each direction, brighter the more often it was seen, a ring where it never was."""
    some = np.linspace(0, len(found.counts) - 1, min(len(found.counts), MOST)).astype(int)
    x, y = mollweide(found.rot[some], found.tilt[some])
    counts = found.counts[some]
    top = float(counts.max()) or 1.0
    radius = 1.05 * np.sqrt(0.485 * WIDTH * 0.485 * HEIGHT / len(some))  # together they just cover the map
    parts = []
    for a, b, count in zip(x.tolist(), y.tolist(), counts.tolist(), strict=True):
        at = f"cx='{WIDTH / 2 * (1 + 0.485 * a):.1f}' cy='{HEIGHT / 2 * (1 - 0.97 * b):.1f}'"
        if count > 0:
            colour = ramp.colour(float(np.sqrt(count / top)))
            parts.append(f"<circle {at} r='{radius:.1f}' style='fill: {colour}'/>")
        else:
            parts.append(f"<circle class='cw-mp-never' {at} r='{0.45 * radius:.1f}'/>")
    outline = f"<ellipse cx='{WIDTH / 2}' cy='{HEIGHT / 2}' rx='{0.49 * WIDTH:.0f}' ry='{0.49 * HEIGHT:.0f}'/>"
    said = "directions from which the particle was seen, on a map of the sphere with z up"
    svg = f"<svg class='cw-mp-sphere' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{said}'>"
    # the root of the counts is drawn, so that few and very few are told apart: half the way is a quarter
    ends = f"<span>○ never</span><span>0</span><i style='background: {ramp.gradient()}'></i>"
    ticks = f"<span>{texts.number(top / 4, 0)} in the middle</span><span>{texts.number(top, 0)}</span>"
    return f"{svg}{outline}{''.join(parts)}</svg><p class='cw-mp-scale'>{ends}{ticks}</p>"


def said(found: Directions, evenness: float) -> str:
    """How even directions are, and how many of them there are, as a sentence."""
    if not np.isfinite(evenness):
        how = "How evenly space is covered is not known"
    elif evenness >= _EVEN:
        how = f"All of space is covered evenly ({evenness:.2f} of 1)"
    elif evenness >= _UNEVEN:
        how = f"Parts of space are covered less than others (evenness {evenness:.2f} of 1)"
    else:
        how = f"Much of space is covered by few views (evenness {evenness:.2f} of 1): others, as by tilting, would help"
    return f"{how}; it was seen from {int((found.counts > 0).sum())} of {len(found.counts)} directions."
