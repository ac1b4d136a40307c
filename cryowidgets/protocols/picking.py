"""What all pickers have in common: picks of a micrograph become files and an item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from cryowidgets.errors import InputError
from cryowidgets.io import coordinates, jpeg, mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels.power import local_power
from cryowidgets.model import NAN, Micrograph, Picks
from cryowidgets.protocols.out import Out

_COLOUR = (90, 200, 90)


def searched(micrograph: Micrograph) -> str:
    """The micrograph that particles are looked for in: the dose-weighted one where there is one."""
    return micrograph.dose_weighted or micrograph.path


def pixel_size(micrograph: Micrograph) -> float:
    """Å/px of a micrograph that is to be searched.

    Raises
    ------
    InputError
        It is not known, so that a diameter in Å says nothing.
    """
    if not micrograph.pixel_size > 0:
        raise InputError(f"{micrograph.path} comes without a pixel size, which diameters in Å need.")
    return micrograph.pixel_size


def picked(
    found: Coordinates, micrograph: Micrograph, out: Out, diameter: float, threshold: float = NAN, **more: Any
) -> Picks:
    """Write the picks of a micrograph, best first where they have scores, and a picture of them.

    Places outside the micrograph, which some programs give, are left out. Where the local power of places is not known,
    it is measured.

    Parameters
    ----------
    diameter : float
        Of the particles, Å.
    threshold : float
        Score from which on places were taken.
    more
        Other columns of the result: `program` and `program_version`, or what a person has added and removed.
    """
    found = found.inside((micrograph.height, micrograph.width))
    found = found.kept(np.argsort(-found.scores, kind="stable"))
    image = mrc.read(searched(micrograph))
    if not np.isfinite(found.powers).all():
        found = replace(found, powers=local_power(image, micrograph.pixel_size, found.places, diameter))
    coordinates.write(out.file("_picks.star"), found)
    draw(out.file("_picks.jpg"), image, found, diameter / micrograph.pixel_size)
    return Picks(
        path=out.name("_picks.star"),
        micrograph=searched(micrograph),
        thumbnail=out.name("_picks.jpg"),
        count=len(found),
        diameter=diameter,
        threshold=threshold,
        score=median(found.scores),
        power=median(found.powers),
        pixel_size=micrograph.pixel_size,
        height=micrograph.height,
        width=micrograph.width,
        **more,
    )


def stand(picks: Picks, micrograph: Micrograph) -> bool:
    """Whether picks are as `picked` would leave them: of this picture of the micrograph, drawn, of known power."""
    there = (searched(micrograph), micrograph.pixel_size, micrograph.height, micrograph.width)
    same = (picks.micrograph, picks.pixel_size, picks.height, picks.width) == there
    return same and bool(picks.thumbnail) and (not picks.count or np.isfinite(picks.power))


def again(picks: Picks, found: Coordinates, out: Out, **changed: Any) -> Picks:
    """Write other picks of a micrograph that was picked before; all else stays as it is but for what is `changed`."""
    micrograph = Micrograph(
        path=picks.micrograph, pixel_size=picks.pixel_size, height=picks.height, width=picks.width, name=picks.name
    )
    kept = {name: getattr(picks, name) for name in ("added", "removed", "program", "program_version")}
    return replace(picked(found, micrograph, out, picks.diameter, picks.threshold, **kept), **changed)


def median(values: np.ndarray) -> float:
    """Median of those values that are numbers; NaN where none is."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else NAN


def draw(path: Path, image: np.ndarray, found: Coordinates, diameter: float) -> None:
    """Write a picture of a micrograph with a circle of `diameter` px around each pick; of unknown size, a small one."""
    jpeg.write(path, image)
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale, radius = picture.width / image.shape[1], max(1.5, diameter / 2 * picture.width / image.shape[1])
    pen = ImageDraw.Draw(picture)
    for y, x in (found.places + 0.5) * scale:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_COLOUR)
    picture.save(path, format="JPEG", quality=85, subsampling=0)
