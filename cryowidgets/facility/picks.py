"""Picks of a session as files of other programs, one for each micrograph."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from cryowidgets.errors import ProjectError
from cryowidgets.facility.accepted import Accepted, rejected, rows
from cryowidgets.io import coordinates
from cryowidgets.model import Picks
from cryowidgets.store.queries import Reader


@dataclass(frozen=True)
class Written:
    """What became of it."""

    step: str
    micrographs: int
    picks: int


def export(
    project: Path | str, out: Path | str, format: str = "star", step: str = "", pixel_size: float = 0.0
) -> Written:
    """Write the picks of the exposures that are accepted.

    Parameters
    ----------
    project, out : path
        The project, and a folder.
    format : str
        One of `coordinates.ENDINGS`. Files are called like their micrographs; those of EMAN 2 end in ``_info.json``.
    step : str, optional
        Whose picks; by default those of the last step that gives picks.
    pixel_size : float, optional
        Å/px of the micrographs that the files are for; by default that of the session's.

    Raises
    ------
    ProjectError
        It is no project, has no such step or no picks, or `out` cannot be written to.
    """
    if format not in coordinates.ENDINGS:
        raise ProjectError(f"There is no format {format!r}: write one of {', '.join(coordinates.ENDINGS)}.")
    ending = "_info.json" if format == "json" else coordinates.ENDINGS[format]
    out = Path(out)
    with Reader(project) as reader:
        giving = [s.name for s in reader.steps().values() if s.gives == Picks.__name__]
        if step and step not in giving or not giving:
            said = f"gives no picks; these do: {', '.join(giving) or 'none'}"
            raise ProjectError(f"Step {step!r} {said}." if step else f"No step of {reader.folder} gives picks.")
        found = {row["exposure"]: row for row in rows(reader.rows(step))} if step else Accepted(reader).of(Picks)
        for exposure in rejected(reader):
            found.pop(exposure, None)
        count = 0
        try:
            out.mkdir(parents=True, exist_ok=True)
            for row in found.values():
                picks = coordinates.read(reader.folder / row["path"])
                factor = row["pixel_size"] / pixel_size if pixel_size else 1.0
                box = row["diameter"] / row["pixel_size"] if math.isfinite(row["diameter"]) else 100.0
                half = out / f".{row['name']}{ending}"
                coordinates.write(half, picks.scaled(factor), max(box * factor, 1.0))
                os.replace(half, out / f"{row['name']}{ending}")
                count += len(picks)
        except OSError as error:
            raise ProjectError(f"Cannot export to {out}: {error}.") from None
        return Written(step or giving[-1], len(found), count)
