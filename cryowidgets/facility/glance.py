"""A session at a glance: what a wall shows of it, by a handful of questions for the last rows alone."""

from __future__ import annotations

import math
import os
import pwd
import sqlite3
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryowidgets.errors import ProjectError
from cryowidgets.io import sidecar
from cryowidgets.model import NAN
from cryowidgets.store import migrations
from cryowidgets.store.alerts import Alert
from cryowidgets.store.database import NAME, Step
from cryowidgets.store.metrics import METRICS, Metric
from cryowidgets.store.queries import Reader, Session
from cryowidgets.store.samples import Mount

SHOWN = ("drift", "defocus", "resolution")
"""Keys of the metrics that are drawn."""
SPAN = 4 * 3600.0
"""Seconds of the past that are drawn."""
BINS = 80
RECENT = 50
"""Results whose median is called the present value."""
LATELY = 12 * 3600.0
"""Seconds without a sign after which a session without an engine counts as laid aside."""
SERIES_EVERY = 30.0
"""Seconds between two readings of the past, and of the disks."""


@dataclass(frozen=True)
class Series:
    """One metric over the last hours, in the ledger's units; NaN in a bin without a value."""

    metric: Metric
    first: float
    """UTC s, where the first bin begins"""
    last: float
    """UTC s, where the last bin ends"""
    low: Sequence[float]
    mean: Sequence[float]
    high: Sequence[float]
    now: float
    """median of the newest results"""


@dataclass(frozen=True)
class Glance:
    """A session as it was when it was last read."""

    folder: Path
    name: str
    state: str
    """running, finishing, paused, engine gone, no engine, finished, waiting, unreadable"""
    active: bool
    """whether it belongs among those that are shown large"""
    user: str = ""
    microscope: str = ""
    reason: str = ""
    """why it cannot be read, without paths"""
    rate: float = NAN
    """exposures that were finished per hour, of late"""
    latency: float = NAN
    """s"""
    found: int = 0
    done: int = 0
    waiting: int = 0
    rejected: int = 0
    failed: int = 0
    created: float = NAN
    """UTC s"""
    last_movie: float = NAN
    """UTC s, when the newest movie was found"""
    ended: float = NAN
    """UTC s of the last entry in the log"""
    image: str = ""
    """the newest picture, absolute"""
    series: tuple[Series, ...] = ()
    read_series: float = 0.0
    """UTC s, when the past was last read"""
    alerts: tuple[Alert, ...] = ()
    mounts: tuple[Mount, ...] = ()
    optics: int | None = None
    """row of the newest exposure's optics"""


def glance(folder: Path, now: float, before: Glance | None = None) -> Glance:
    """Read what a wall shows of a project; never raises for anything that may be wrong with it.

    Parameters
    ----------
    folder : Path
    now : float
        UTC s.
    before : Glance, optional
        The last one of this project: what seldom changes is taken from it.
    """
    try:
        with Reader(folder) as reader:
            return _read(reader, now, before if before and before.state != "unreadable" else None)
    except ProjectError as error:
        newer = "has format" in str(error)
        reason = "made by a newer version" if newer else "half written"
    except sqlite3.DatabaseError as error:
        words = {"locked": "ledger busy", "unable to open": "no right to read it"}
        reason = next((said for word, said in words.items() if word in str(error)), "ledger damaged")
    except OSError as error:
        reason = error.strerror or "it cannot be read"
    except (
        Exception
    ) as error:  # whatever a plug-in or a damaged row leads to: one session must not take the others along
        reason = f"it cannot be shown: {type(error).__name__}"
    if before and before.state != "unreadable":
        return replace(before, state="unreadable", reason=reason, series=(), read_series=0.0)
    return Glance(folder, folder.name, "unreadable", False, owner(folder), reason=reason, ended=_written(folder))


def stamp(folder: Path) -> tuple:
    """Changes when anything is written to a project, or its file becomes another; asks the disk three times.

    A reader may leave an empty ``-wal`` behind: that is as if there was none.
    """
    found = []
    for name in (NAME, f"{NAME}-wal", "engine.lock"):
        try:
            stat = os.stat(folder / name)
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size) if stat.st_size else None)
    return tuple(found)


def owner(folder: Path) -> str:
    """Name of the user whose folder it is; the number where it has no name here."""
    try:
        number = os.stat(folder).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def state(session: Session, last: float, now: float) -> tuple[str, bool]:
    """What a session does, in words, and whether it is among those that are shown large.

    Parameters
    ----------
    session : Session
    last, now : float
        UTC s: the last sign of life in the ledger, and this moment.
    """
    holder = session.engine
    if holder and holder.alive:
        if session.paused:
            return "paused", True
        if session.stream != "open":
            return ("finishing", True) if session.waiting else ("finished", True)
        return ("running" if session.found else "waiting"), True
    if session.stream == "closed" and not session.waiting:
        return "finished", False
    lately = now - last < LATELY
    return ("engine gone" if holder else "no engine"), lately


def _read(reader: Reader, now: float, before: Glance | None) -> Glance:
    session, steps = reader.session(), reader.steps()
    newest = reader.query("SELECT path, acquired, found, optics FROM exposure ORDER BY id DESC LIMIT 1")
    path, acquired, found, optics = newest[0] if newest else ("", NAN, NAN, None)
    last = reader.query("SELECT time FROM event ORDER BY id DESC LIMIT 1")
    ended = max(last[0][0] if last else session.created, 0.0 if math.isnan(found) else found)
    word, active = state(session, ended, now)
    alerts = tuple(reader.alerts())
    # By the clock of the microscope, which may be another than ours, or of movies that were recorded long ago.
    until = (now if active else ended) if math.isnan(found) else acquired + ((now if active else ended) - found)
    kept = before if before and before.active == active and 0 <= now - before.read_series < SERIES_EVERY else None
    same = before if before and before.optics == optics and before.microscope else None
    return Glance(
        folder=reader.folder,
        name=session.name,
        state=word,
        active=active,
        user=before.user if before else owner(reader.folder),
        microscope=same.microscope if same else _microscope(reader, path, optics),
        rate=session.rate_per_hour if session.engine and session.engine.alive else NAN,
        latency=session.latency,
        found=session.found,
        done=session.done,
        waiting=session.waiting,
        rejected=session.rejected,
        failed=session.failed,
        created=session.created,
        last_movie=found,
        ended=ended,
        image=_image(reader, steps),
        series=kept.series if kept else _series(reader, steps, until),
        read_series=kept.read_series if kept else now,
        alerts=alerts,
        mounts=kept.mounts if kept else tuple(reader.mounts()) if active else (),
        optics=optics,
    )


def _microscope(reader: Reader, movie: str, optics: int | None) -> str:
    """Camera by the files beside the newest movie, where they can be read; voltage and pixel size by the ledger."""
    said = []
    if movie:
        camera = sidecar.read(movie).camera
        said += [camera] if camera else []
    if optics is not None:
        voltage, pixel = reader.query("SELECT voltage, pixel_size FROM optics WHERE id = ?", (optics,))[0]
        said += [f"{voltage:g} kV", f"{pixel:.3g} Å/px"]
    return " · ".join(said)


def _image(reader: Reader, steps: dict[str, Step]) -> str:
    """The newest thumbnail, where it lies within the project."""
    made = [step for step in steps.values() if step.gives == "Micrograph" and not step.fold]
    if not made or "thumbnail" not in migrations.columns(reader.database, "micrograph"):
        return ""
    sql = "SELECT thumbnail FROM micrograph WHERE step = ? AND thumbnail <> '' ORDER BY id DESC LIMIT 1"
    found = reader.query(sql, (made[0].id,))
    if not found:
        return ""
    path = os.path.realpath(reader.folder / found[0][0])
    inside = path.startswith(os.path.realpath(reader.folder) + os.sep)
    return path if inside else ""


def _series(reader: Reader, steps: dict[str, Step], until: float) -> tuple[Series, ...]:
    """The metrics that are drawn, binned in SQL over the last hours before `until`."""
    begin = until - SPAN
    width = SPAN / BINS
    found: list[Series] = []
    for kind in dict.fromkeys(METRICS[key].kind for key in SHOWN):
        metrics = [METRICS[key] for key in SHOWN if METRICS[key].kind == kind]
        made = [step for step in steps.values() if step.gives == kind and not step.fold]
        if not made or kind.lower() not in reader.tables():
            continue
        step = made[0] if metrics[0].which == "first" else made[-1]
        table = f'"{kind.lower()}"'
        sums = ", ".join(f"min({m.column}), avg({m.column}), max({m.column})" for m in metrics)
        binned = reader.query(
            f"SELECT CAST((e.acquired - ?) / ? AS INTEGER), {sums} FROM exposure e JOIN {table} r "
            "ON r.exposure = e.id AND r.step = ? WHERE e.acquired >= ? AND e.acquired < ? GROUP BY 1",
            (begin, width, step.id, begin, until),
        )
        values = ", ".join(m.column for m in metrics)
        newest = reader.query(
            f"SELECT {values} FROM {table} WHERE step = ? ORDER BY id DESC LIMIT ?", (step.id, RECENT)
        )
        for i, metric in enumerate(metrics):
            bands = [[NAN] * BINS for _ in range(3)]
            for number, *sizes in binned:
                for band, value in zip(bands, sizes[3 * i : 3 * i + 3], strict=True):
                    band[min(number, BINS - 1)] = NAN if value is None else value
            known = [row[i] for row in newest if row[i] is not None]
            found.append(Series(metric, begin, until, *bands, statistics.median(known) if known else NAN))
    return tuple(sorted(found, key=lambda series: SHOWN.index(series.metric.key)))


def _written(folder: Path) -> float:
    try:
        return os.stat(folder / NAME).st_mtime
    except OSError:
        return time.time()
