"""Micrographs of the ledger as a view shows them: the picture, particles of one step over it, the ways of its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import coordinates
from cryowidgets.io.corrections import SAME, Corrections
from cryowidgets.model import Micrograph, Picks
from cryowidgets.store.queries import ExposureRow
from cryowidgets.widgets import tracks
from cryowidgets.widgets.micrograph_view import Circles, Shot, Ways


def of_micrograph(
    row: ExposureRow,
    micrograph: Micrograph | None,
    picks: Picks | None,
    before: Shot | None,
    corrected: Corrections | None = None,
) -> Shot | None:
    """What is to be seen of a micrograph; `before` where that is what is shown already, so that no file is read.

    Parameters
    ----------
    corrected : Corrections, optional
        What a person has changed of the picks. With it also local powers, and which picks are by hand, are shown.
    """
    if micrograph is None:
        return None
    key = f"{row.id}:{micrograph.id}:{picks.id if picks else ''}"
    if before is not None and before.key == key:
        return before
    circles, gone = _circles(row, micrograph, picks, corrected)
    path = Path(micrograph.path)
    return Shot(
        key=key,
        label=f"micrograph {row.name}",
        picture=Path(micrograph.thumbnail) if micrograph.thumbnail else None,
        height=micrograph.height,
        width=micrograph.width,
        pixel=micrograph.pixel_size,
        fine=path if path.suffix in (".mrc", ".mrcs") else None,
        circles=circles,
        ways=_ways(micrograph),
        note=gone,
        exposure=row.id,
    )


def _circles(
    row: ExposureRow, micrograph: Micrograph, picks: Picks | None, corrected: Corrections | None
) -> tuple[Circles | None, str]:
    if picks is None or not picks.path:
        return None, ""
    try:
        found = coordinates.read(picks.path)
    except InputError:  # its sentence names the folder
        return None, "the file of the picks cannot be read"
    ratio = micrograph.width / picks.width if picks.width else 1.0
    pixel = picks.pixel_size if np.isfinite(picks.pixel_size) and picks.pixel_size > 0 else micrograph.pixel_size
    radius = picks.diameter / pixel / 2 if np.isfinite(picks.diameter) else found.size / 2 or micrograph.width / 100
    name = next(step for step, item in row.items.items() if item is picks)
    places = found.places * ratio
    if corrected is None:
        return Circles(name, places, found.scores, radius * ratio), ""
    added = corrected.scaled(micrograph.pixel_size).added
    away = np.hypot(*(places[:, None] - added[None]).transpose(2, 0, 1)) if len(added) else np.ones((len(places), 1))
    return Circles(name, places, found.scores, radius * ratio, found.powers, (away < SAME).any(axis=1)), ""


def _ways(micrograph: Micrograph) -> Ways | None:
    found = tracks.ways(micrograph)
    if found is None:
        return None
    ratio = micrograph.width / found.width
    return Ways(found.centres * ratio, found.tracks * ratio, found.times, found.words)
