"""What microscope software says about a movie, in its name and in the files beside it.

EPU writes ``FoilHole_…_Data_…_YYYYMMDD_HHMMSS_Fractions.mrc`` (or ``_fractions.tiff``, ``_EER.eer``), and beside it
``…_HHMMSS_Fractions.xml`` and ``…_HHMMSS.xml``. SerialEM writes ``root_number_Mon dd_hh.mm.ss.tif`` and
``….tif.mdoc``. Names and mdocs tell local time without a zone: the zone of this machine is taken. EPU's XML tells it.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path


def acquired(path: str | os.PathLike) -> float | None:
    """When a movie was recorded, UTC seconds, by a sidecar or else by its name; None where neither tells."""
    path = Path(path)
    for sidecar in _sidecars(path):
        text = _head(sidecar)
        when = _by_xml(text) if sidecar.suffix.lower() == ".xml" else _by_mdoc(text)
        if when is not None:
            return when
    return _by_name(path)


def expected_frames(path: str | os.PathLike) -> int | None:
    """How many frames a movie has by the sidecar beside it; None where there is none or it does not tell.

    EPU's XML also tells how many were asked for; what counts here is what was recorded.
    """
    for sidecar in _sidecars(Path(path)):
        text = _head(sidecar)
        found = re.search(r"<RecordedNumberOfFractions>\s*(\d+)\s*<|^NumSubFrames *= *(\d+)\s*$", text, re.MULTILINE)
        if found:
            return int(found[1] or found[2])
    return None


_KIND = re.compile(r"_(fractions|eer)$", re.IGNORECASE)


def _sidecars(path: Path) -> list[Path]:
    """Files beside the movie that tell about it, the most telling first."""
    bare = path.with_name(_KIND.sub("", path.stem))
    names = [f"{bare}{kind}.xml" for kind in ("_Fractions", "_fractions", "")]
    names += [f"{path}.mdoc", str(path.with_suffix(".mdoc"))]
    return [Path(name) for name in names if os.path.isfile(name)]


def _head(path: Path) -> str:
    """The first 256 KB of a sidecar: more than any of them has that matters here."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read(1 << 18)
    except OSError:
        return ""


def _by_xml(text: str) -> float | None:
    found = re.search(r"<(?:DateTimeWithTimeZone|acquisitionDateTime)>\s*([^<\s]+)\s*<", text)
    if not found:
        return None
    # EPU gives seven digits of a second where Python takes six.
    return _seconds(lambda: datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", found[1])))


def _by_mdoc(text: str) -> float | None:
    """From ``DateTime = 06-Dec-20  03:35:22``, also with the year in four digits."""
    found = re.search(r"^DateTime *= *(\d+)-(\w{3})-(\d{2}|\d{4}) +(\d+):(\d\d):(\d\d)\s*$", text, re.MULTILINE)
    if not found or found[2].lower() not in _MONTHS:
        return None
    year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
    clock = [int(n) for n in found.group(4, 5, 6)]
    return _seconds(lambda: datetime(year, _MONTHS.index(found[2].lower()) + 1, int(found[1]), *clock))


def _by_name(path: Path) -> float | None:
    name = path.name
    found = re.findall(r"(?<!\d)((?:19|20)\d{6})_(\d{6})(?!\d)", name)
    if found:
        return _seconds(lambda: datetime.strptime("".join(found[-1]), "%Y%m%d%H%M%S"))
    found = re.search(r"(?<![A-Za-z])([A-Z][a-z]{2}) ?(\d\d)_(\d\d)\.(\d\d)\.(\d\d)(?!\d)", name)
    if found and found[1].lower() in _MONTHS:
        month, (day, *clock) = _MONTHS.index(found[1].lower()) + 1, (int(n) for n in found.group(2, 3, 4, 5))
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


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
