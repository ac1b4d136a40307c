"""The ways of a frame's parts, drawn over the picture of its micrograph."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np

from cryowidgets.model import Micrograph
from cryowidgets.widgets import texts

_TIMES = (1, 2, 5, 10, 20, 50, 100)  # what is small even then shall look small


def overlay(micrograph: Micrograph) -> str:
    """An SVG that lies over the thumbnail, and says by how much motion is magnified; empty where there is none."""
    found = ways(micrograph)
    if found is None:
        return ""
    points = found.centres[:, None] + found.times * found.tracks
    one = (
        f"<polyline points='{' '.join(['%.1f,%.1f'] * points.shape[1])}'/>"
        f"<circle cx='%.1f' cy='%.1f' r='{found.width / 200:.1f}'/>"
    )
    numbers = np.concatenate([points, found.centres[:, None]], axis=1)[..., ::-1].reshape(-1)
    lines = one * len(points) % tuple(numbers.tolist())  # at once: to format each by itself takes five times as long
    return (
        f"<svg class='cw-tracks' viewBox='0 0 {found.width:.0f} {found.height:.0f}' data-times='{found.times}'>"
        f"{lines}</svg><div class='cw-tracks-said'>{found.words}</div>"
    )


@dataclass(frozen=True)
class Ways:
    """How parts of a frame moved beside it, in px of the movie: centres (n, 2), tracks (n, frames, 2) as y, x."""

    centres: np.ndarray
    tracks: np.ndarray
    height: float
    width: float
    times: int
    """by how much motion is to be magnified, that it is seen"""
    words: str


def ways(micrograph: Micrograph) -> Ways | None:
    """How each part of a micrograph moved beside the frame as a whole, whose own path has a plot of its own.

    Lines are as long as they can be without running into each other. None where there is nothing to draw.
    """
    found = _read(micrograph.local_motion)
    if found is None or micrograph.shifts is None:
        return None
    centres, tracks = found
    if tracks.shape[1] != len(micrograph.shifts):
        return None
    beside = tracks - micrograph.shifts
    longest = float(np.sqrt(np.square(beside).sum(axis=-1)).max(initial=0))
    if not longest > 0:
        return None
    binning = micrograph.pixel_size / micrograph.optics.pixel_size if micrograph.optics else 1.0
    height, width = micrograph.height * binning, micrograph.width * binning
    room = 0.8 * np.sqrt(height * width / len(centres))
    times = max((n for n in _TIMES if n * longest <= room), default=1)
    far = texts.number(longest * micrograph.pixel_size / binning, 1, "Å")
    return Ways(centres, beside, height, width, times, f"parts moved up to {far}, drawn × {times}")


def _read(path: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Centres (n, 2) and tracks (n, frames, 2), px of the movie as y, x; None where there are none to be read."""
    if not path:
        return None
    try:
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            centres, tracks = (np.asarray(file[name], float) for name in ("centres", "tracks"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = centres.ndim == 2 and tracks.ndim == 3 and len(centres) == len(tracks) > 0
    fits = fits and centres.shape[1] == tracks.shape[2] == 2
    return (centres, tracks) if fits and np.isfinite(tracks).all() and np.isfinite(centres).all() else None
