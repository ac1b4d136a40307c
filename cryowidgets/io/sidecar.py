"""What is told about a movie beside it: by EPU's XML files, by SerialEM's mdoc, or by its name alone.

EPU writes ``FoilHole_…_Data_…_YYYYMMDD_HHMMSS_Fractions.mrc`` (or ``_fractions.tiff``, ``_EER.eer``), and beside it
``…_HHMMSS_Fractions.xml`` and ``…_HHMMSS.xml``. SerialEM writes ``root_number_Mon dd_hh.mm.ss.tif`` and
``….tif.mdoc``. Names and mdocs tell local time without a zone: the zone of this machine is taken. EPU's XML tells it.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryowidgets.io import epu, serialem
from cryowidgets.io.metadata import Metadata

_MOST = 1 << 23  # bytes: a sidecar has 30 kB, and that of a long tilt series 1 MB


def read(path: str | os.PathLike) -> Metadata:
    """Everything that the files beside a movie tell, and its name: the most telling file first.

    A sidecar that cannot be read is a sentence in `Metadata.warnings`, never an error.

    Examples
    --------
    >>> read("/nowhere/FoilHole_1_Data_2_3_20200206_172047_Fractions.mrc").told("pixel_size")
    False
    """
    path = Path(path)
    found = Metadata()
    for sidecar in _beside(path):
        found = found.completed(_parse(sidecar, path.name))
    if math.isnan(found.acquired):
        by_name = _by_name(path)
        if by_name is not None:
            found = replace(found, acquired=by_name)
    return found


def acquired(path: str | os.PathLike) -> float | None:
    """When a movie was recorded, UTC seconds, by a sidecar or else by its name; None where neither tells."""
    when = read(path).acquired
    return None if math.isnan(when) else when


def expected_frames(path: str | os.PathLike) -> int | None:
    """How many frames a movie has by the sidecar beside it; None where there is none or it does not tell.

    EPU's XML also tells how many were asked for; what counts here is what was recorded.
    """
    for sidecar in _beside(Path(path)):
        found = _parse(sidecar, Path(path).name).frames
        if found is not None:
            return found
    return None


_KIND = re.compile(r"_(fractions|eer)$", re.IGNORECASE)


def _beside(path: Path) -> list[Path]:
    """Files beside the movie that tell about it, the most telling first."""
    stem = path.name.split(".")[0] if path.suffix.lower() in _PACKED else path.stem
    bare = path.with_name(_KIND.sub("", stem))
    names = [f"{bare}{kind}.xml" for kind in ("_Fractions", "_fractions", "")]
    names += [f"{path}.mdoc", str(path.with_suffix(".mdoc"))]
    return [Path(name) for name in dict.fromkeys(names) if os.path.isfile(name)]


_PACKED = (".gz", ".bz2", ".xz", ".zst")


def _parse(sidecar: Path, movie: str) -> Metadata:
    try:
        with open(sidecar, "rb") as file:
            content = file.read(_MOST)
    except OSError as error:
        return Metadata(warnings=(f"{sidecar} cannot be read: {error.strerror}.",))
    if sidecar.suffix.lower() == ".xml":
        return epu.parse(content, str(sidecar))
    return serialem.parse(content, str(sidecar), movie)


def _by_name(path: Path) -> float | None:
    name = path.name
    found = re.findall(r"(?<!\d)((?:19|20)\d{6})_(\d{6})(?!\d)", name)
    if found:
        return _seconds(lambda: datetime.strptime("".join(found[-1]), "%Y%m%d%H%M%S"))
    found = re.search(r"(?<![A-Za-z])([A-Z][a-z]{2}) ?(\d\d)_(\d\d)\.(\d\d)\.(\d\d)(?!\d)", name)
    if found and found[1].lower() in serialem.MONTHS:
        month, (day, *clock) = serialem.MONTHS.index(found[1].lower()) + 1, (int(n) for n in found.group(2, 3, 4, 5))
        return _seconds(lambda: _latest_year(month, day, clock, _written(path)))
    return None


def _written(path: Path) -> datetime:
    """When the file was last written to; now, where there is none."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime)
    except OSError:
        return datetime.now()


def _latest_year(month: int, day: int, clock: list[int], before: datetime) -> datetime:
    """SerialEM's names lack the year: take the last one that puts the time before the file was written to."""
    for year in range(before.year + 1, before.year - 8, -1):  # eight years: one has a 29 February
        try:
            when = datetime(year, month, day, *clock)
        except ValueError:
            continue
        if (when - before).total_seconds() < 86400:  # clocks and zones differ by less than a day
            return when
    raise ValueError("no year fits")


def _seconds(make) -> float | None:
    """UTC seconds of the date that `make` gives, local time where it has no zone; None where it is no date."""
    try:
        return make().timestamp()
    except (ValueError, OverflowError, OSError):
        return None
