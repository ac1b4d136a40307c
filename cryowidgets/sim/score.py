"""Compare what was measured with what is true."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.sim.track import recorded

NAN = float("nan")
ASTIGMATIC = 300.0
"""Astigmatism in Å from which on its angle means something."""
TILTED = 5.0
"""Tilt in degrees from which on its axis means something."""


@dataclass(frozen=True)
class Comparison:
    """One movie: measured minus true. NaN where nothing was measured.

    Attributes
    ----------
    shift_error : float
        Root mean square distance between measured and true shifts, their time means removed, px (2-D).
    defocus_u_error, defocus_v_error : float
        Å.
    angle_error : float
        Degrees, from -90 to 90.
    phase_error : float
        Degrees.
    astigmatism : float
        The true one, Å.
    local_error : float
        Root mean square distance between measured and true ways of the parts of the frame, whole and local motion
        together, the time mean of each part removed, px (2-D).
    tilt_error, tilt_axis_error : float
        Degrees; that of the axis from -180 to 180.
    thickness_error : float
        Å; NaN where the specimen is of no particular thickness.
    tilt : float
        The true one, degrees.
    """

    name: str
    shift_error: float = NAN
    defocus_u_error: float = NAN
    defocus_v_error: float = NAN
    angle_error: float = NAN
    phase_error: float = NAN
    astigmatism: float = NAN
    local_error: float = NAN
    tilt_error: float = NAN
    tilt_axis_error: float = NAN
    thickness_error: float = NAN
    tilt: float = 0.0


@dataclass(frozen=True)
class Score:
    """All movies of a session.

    Attributes
    ----------
    movies : tuple of Comparison
        Those for which there is a result.
    missing : tuple of str
        Names of good movies without a result.
    lost : tuple of (str, str)
        Name and fault of the movies that nobody can process.
    unknown : tuple of str
        Names of results that belong to no movie of the truth, or to one that cannot be processed.
    """

    movies: tuple[Comparison, ...]
    missing: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]

    def percentile(self, column: str, percent: float) -> float:
        """Percentile of the size of an error over the movies; NaN where there is none.

        `column` is that of a `Comparison`, or "defocus_error": U and V together. Angles count only where the
        astigmatism is above `ASTIGMATIC`, axes only where the tilt is above `TILTED`.
        """
        if column == "defocus_error":
            values = [e for m in self.movies for e in (m.defocus_u_error, m.defocus_v_error)]
        else:
            values = [getattr(m, column) for m in self.movies if _means_something(m, column)]
        sizes = np.abs([value for value in values if np.isfinite(value)])
        return float(np.percentile(sizes, percent)) if len(sizes) else NAN

    def text(self) -> str:
        """The summary that a person reads."""
        lines = [f"{len(self.movies)} movies compared with the truth        median    95 %"]
        for label, column, unit in (
            ("shift of a frame, 2-D rms", "shift_error", "px"),
            ("way of a part of it, 2-D rms", "local_error", "px"),
            ("defocus U and V", "defocus_error", "Å"),
            (f"astigmatism angle (> {ASTIGMATIC:.0f} Å)", "angle_error", "°"),
            ("tilt", "tilt_error", "°"),
            (f"tilt axis (> {TILTED:.0f}°)", "tilt_axis_error", "°"),
            ("thickness", "thickness_error", "Å"),
        ):
            digits = 3 if unit == "px" else 1
            half, most = (self.percentile(column, p) for p in (50, 95))
            if np.isfinite(half):
                lines.append(f"  {label:<32} {half:>10.{digits}f} {most:>7.{digits}f} {unit}")
        lines += [f"  not processable, as intended: {name}: {fault}" for name, fault in self.lost]
        lines += [f"  without a result: {name}" for name in self.missing]
        lines += [f"  result without a movie: {name}" for name in self.unknown]
        return "\n".join(lines)


def compare(truth: str | os.PathLike | Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Score:
    """Compare results with the truth file of a `Microscope`.

    Parameters
    ----------
    truth : path or dict
        The truth file, or what it holds.
    results : iterable of dict
        Each with `path` of the movie (best: names may be given twice) or `name`, and any of `shifts` (frames, 2) as
        y, x in px, `parts`, which are centres (parts, 2) and tracks (parts, frames, 2) as y, x in px, `defocus_u`,
        `defocus_v` in Å, `angle`, `phase_shift`, `tilt`, `tilt_axis` in degrees, `thickness` in Å. Several results of
        one movie are put together; what is None or NaN was not measured.
    """
    if not isinstance(truth, Mapping):
        truth = json.loads(Path(truth).read_text(encoding="utf-8"))
    entries = {entry["path"]: entry for entry in truth["movies"]}
    measured: dict[str, dict[str, Any]] = {}
    unknown: list[str] = []
    for result in results:
        path = _find(entries, result)
        if path is None or entries[path]["lost"]:
            unknown.append(str(result.get("path") or result.get("name")))
        else:
            given = {key: value for key, value in result.items() if not _nothing(value)}
            measured[path] = {**measured.get(path, {}), **given}
    return Score(
        movies=tuple(_compare(entries[path], found) for path, found in measured.items()),
        missing=tuple(e["name"] for path, e in entries.items() if not e["lost"] and path not in measured),
        lost=tuple((e["name"], e["fault"]) for e in entries.values() if e["lost"]),
        unknown=tuple(unknown),
    )


def shift_error(found: np.ndarray, true: np.ndarray) -> float:
    """Root mean square 2-D distance in px between tracks (frames, 2), their time means removed; NaN if they differ
    in length."""
    found, true = np.asarray(found, float), np.asarray(true, float)
    if found.shape != true.shape or not found.size:
        return NAN
    difference = found - true
    difference = difference - difference.mean(axis=0)
    return float(np.sqrt(np.square(difference).sum(axis=1).mean()))


def local_error(centres: np.ndarray, tracks: np.ndarray, true: Mapping[str, Any]) -> float:
    """Root mean square 2-D distance in px between tracks (parts, frames, 2) at `centres` and what the truth of a movie
    says, the time mean of each part removed; NaN where it says nothing, or of another number of frames."""
    centres, tracks = np.asarray(centres, float), np.asarray(tracks, float)
    if "local" not in true or tracks.ndim != 3 or tracks.shape[1] != len(true["shifts"]):
        return NAN
    track = recorded(true["shifts"], true["local"])
    y, x = (2 * centres / (np.array(true["shape"]) - 1) - 1).T
    way = np.stack([track.local(frame, y, x).T for frame in range(tracks.shape[1])], axis=1)
    difference = tracks - way - track.shifts
    difference = difference - difference.mean(axis=1, keepdims=True)
    return float(np.sqrt(np.square(difference).sum(axis=-1).mean()))


def angle_error(found: float, true: float) -> float:
    """Difference of two directions of astigmatism in degrees, from -90 to 90: a half turn changes nothing."""
    return float((found - true + 90) % 180 - 90)


def _means_something(movie: Comparison, column: str) -> bool:
    if column == "angle_error":
        return movie.astigmatism > ASTIGMATIC
    return column != "tilt_axis_error" or movie.tilt > TILTED


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _find(entries: Mapping[str, Mapping[str, Any]], result: Mapping[str, Any]) -> str | None:
    """The movie that a result is of: by the end of its path, else by its name if only one movie has it."""
    path = result.get("path")
    if path:
        path = Path(path).as_posix()
        return next((p for p in entries if path == p or path.endswith("/" + p)), None)
    same = [p for p, entry in entries.items() if entry["name"] == result.get("name")]
    return same[0] if len(same) == 1 else None


def _compare(true: Mapping[str, Any], found: Mapping[str, Any]) -> Comparison:
    def error(key: str) -> float:
        return float(found[key]) - true[key] if key in found else NAN

    tilt, axis = true.get("tilt", 0.0), true.get("tilt_axis", 0.0)
    if tilt < 0:
        tilt, axis = -tilt, axis + 180
    return Comparison(
        name=true["name"],
        shift_error=shift_error(found["shifts"], true["shifts"]) if "shifts" in found else NAN,
        defocus_u_error=error("defocus_u"),
        defocus_v_error=error("defocus_v"),
        angle_error=angle_error(found["angle"], true["angle"]) if "angle" in found else NAN,
        phase_error=error("phase_shift"),
        astigmatism=true["defocus_u"] - true["defocus_v"],
        local_error=local_error(*found["parts"], true) if "parts" in found else NAN,
        tilt_error=float(found["tilt"]) - tilt if "tilt" in found else NAN,
        tilt_axis_error=float((found["tilt_axis"] - axis + 180) % 360 - 180) if "tilt_axis" in found else NAN,
        thickness_error=error("thickness") if true.get("thickness") else NAN,
        tilt=tilt,
    )
