"""What all pickers have in common: picks of a micrograph become files and an item."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from cryowidgets.errors import InputError
from cryowidgets.io import coordinates, jpeg, mrc
from cryowidgets.io.coordinates import Coordinates
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
    found: Coordinates, micrograph: Micrograph, out: Out, diameter: float, threshold: float = NAN, **made_by: str
) -> Picks:
    """Write the picks of a micrograph, best first where they have scores, and a picture of them.

    Places outside the micrograph, which some programs give, are left out.

    Parameters
    ----------
    diameter : float
        Of the particles, Å.
    threshold : float
        Score from which on places were taken.
    made_by : str
        `program` and `program_version`.
    """
    found = found.inside((micrograph.height, micrograph.width))
    found = found.kept(np.argsort(-found.scores, kind="stable"))
    coordinates.write(out.file("_picks.star"), found)
    draw(out.file("_picks.jpg"), searched(micrograph), found, diameter / micrograph.pixel_size)
    scores = found.scores[np.isfinite(found.scores)]
    return Picks(
        path=out.name("_picks.star"),
        micrograph=searched(micrograph),
        thumbnail=out.name("_picks.jpg"),
        count=len(found),
        diameter=diameter,
        threshold=threshold,
        score=float(np.median(scores)) if len(scores) else NAN,
        pixel_size=micrograph.pixel_size,
        height=micrograph.height,
        width=micrograph.width,
        **made_by,
    )


def draw(path, micrograph: str, found: Coordinates, diameter: float) -> None:
    """Write a picture of a micrograph with a circle of `diameter` px around each pick."""
    image = mrc.read(micrograph)
    jpeg.write(path, image)
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale, radius = picture.width / image.shape[1], max(diameter / 2 * picture.width / image.shape[1], 1.5)
    pen = ImageDraw.Draw(picture)
    for y, x in (found.places + 0.5) * scale:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_COLOUR)
    picture.save(path, format="JPEG", quality=85, subsampling=0)
