"""The ways of a frame's parts, drawn over the picture of its micrograph."""

from __future__ import annotations

import zipfile

import numpy as np

from cryowidgets.model import Micrograph
from cryowidgets.widgets import texts

_TIMES = (1, 2, 5, 10, 20, 50, 100)  # what is small even then shall look small


def overlay(micrograph: Micrograph) -> str:
    """An SVG that lies over the thumbnail, and says by how much motion is magnified; empty where there is none.

    Drawn is how each part moved beside the frame as a whole, whose own path has a plot of its own. Lines are as long as
    they can be without running into each other.
    """
    found = _read(micrograph.local_motion)
    if found is None or micrograph.shifts is None:
        return ""
    centres, tracks = found
    if tracks.shape[1] != len(micrograph.shifts):
        return ""
    ways = tracks - micrograph.shifts
    longest = float(np.sqrt(np.square(ways).sum(axis=-1)).max(initial=0))
    if not longest > 0:
        return ""
    binning = micrograph.pixel_size / micrograph.optics.pixel_size if micrograph.optics else 1.0
    height, width = micrograph.height * binning, micrograph.width * binning
    room = 0.8 * np.sqrt(height * width / len(centres))
    times = max((n for n in _TIMES if n * longest <= room), default=1)
    lines = "".join(
        f"<polyline points='{' '.join(f'{x:.1f},{y:.1f}' for y, x in centre + times * way)}'/>"
        f"<circle cx='{centre[1]:.1f}' cy='{centre[0]:.1f}' r='{width / 200:.1f}'/>"
        for centre, way in zip(centres, ways, strict=True)
    )
    far = texts.number(longest * micrograph.pixel_size / binning, 1, "Å")
    return (
        f"<svg class='cw-tracks' viewBox='0 0 {width:.0f} {height:.0f}' data-times='{times}'>{lines}</svg>"
        f"<div class='cw-tracks-said'>parts moved up to {far}, drawn × {times}</div>"
    )


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
