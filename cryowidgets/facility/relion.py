"""Hand a session over to RELION: star files that a RELION project opened in the same folder can use.

::

    OUT/movies.star                    all accepted movies
    OUT/corrected_micrographs.star     those of them that are aligned and passed every gate on the way
    OUT/micrographs_ctf.star           those of them with a CTF
    OUT/Movies/                        links to the raw movies and their gain references
    OUT/MotionCorr/NAME.star, …        shifts, sums and power spectrum of each movie
    OUT/CtfFind/NAME.ctf               spectrum with its fit
    OUT/autopick.star                  where there are picks: the coordinates of each micrograph, in AutoPick/
    OUT/particles.star                 where there are particles, with the stacks in Extract/

RELION names everything relative to the folder that it runs in: therefore the links. Layout and names are those of
RELION 3.1 and later (Conventions and STAR files in its documentation, https://relion.readthedocs.io).
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.facility import particles
from cryowidgets.facility.accepted import Accepted, LeftOut, left_out
from cryowidgets.facility.chosen import Chosen
from cryowidgets.facility.placing import image, place, there, whole, write_star
from cryowidgets.io import gain, mrc, star
from cryowidgets.kernels.spectrum import power_spectrum
from cryowidgets.model import Ctf, Micrograph, Movie, Optics, Particles, Picks
from cryowidgets.protocols.spectra import read_spectrum
from cryowidgets.store.queries import Reader

WORST_RESOLUTION = 25.0
"""Å; where RELION caps rlnCtfMaxResolution."""


@dataclass(frozen=True)
class Exported:
    """How many rows each of the star files has."""

    movies: int
    micrographs: int
    ctfs: int
    picked: int = 0
    """micrographs with picks"""
    particles: int = 0
    cleaned: int = 0
    """micrographs left out since their images were cleaned"""
    left_out: LeftOut | None = field(default=None, compare=False)


def export(
    project: Path | str,
    out: Path | str,
    copy: bool = False,
    report: Callable[[int, int], None] | None = None,
    images: bool = True,
    thresholds: bool = True,
) -> Exported:
    """Write the accepted part of a project as RELION star files; into the same folder again brings them up to date.

    Left out is what a person or a gate has rejected, and what lies outside of the thresholds. Each file has the results
    of the last step of the workflow that gives its kind. A movie without a fit, because there were no rings, is not in
    ``micrographs_ctf.star``.

    Parameters
    ----------
    project : path
        The project folder; its engine may be at work.
    out : path
        Folder of a RELION project, or to become one.
    copy : bool
        Copy micrographs and spectra, so that `out` needs the project no more. Movies are linked in any case.
    report : callable, optional
        Told how many micrographs of how many are ready: a new one costs the time of its power spectrum, unless the
        alignment has kept that.
    images : bool
        Without, only tables are written, those of each movie's shifts too; the images that they name are not placed.
    thresholds : bool
        Leave out what does not lie within the thresholds that are saved with the project.

    Raises
    ------
    ProjectError
        `project` is no project, has nothing to export yet, or `out` cannot be written to.
    """
    target = Path(os.path.abspath(out))
    with Reader(project) as reader:
        try:
            return _Export(reader, target, copy, images, thresholds).write(report or (lambda done, of: None))
        except OSError as error:
            raise ProjectError(f"Cannot export to {target}: {error}.") from None


class _Export:
    def __init__(self, reader: Reader, out: Path, copy: bool, images: bool, thresholds: bool) -> None:
        self._reader, self._out, self._copy, self._images = reader, out, copy, images
        self._thresholds = thresholds
        self._optics = reader.optics()
        self._movies: dict[int, str] = {}
        self._gain_of: dict[int, str] = {}
        self._gains: dict[tuple[str, bool], str] = {}

    def write(self, report: Callable[[int, int], None]) -> Exported:
        accepted = Accepted(self._reader, self._thresholds)
        movies = accepted.of(Movie)
        if not movies:
            raise ProjectError(f"{self._reader.folder} has no movies to export yet.")
        picks = {e: row for e, row in accepted.of(Picks).items() if row["count"]}
        stacks = {e: row for e, row in accepted.of(Particles).items() if row["count"]}
        more = [*(["AutoPick"] if picks else []), *(["Extract"] if stacks else [])]
        for folder in ("Movies", "MotionCorr", "CtfFind", *more) if self._images else ("MotionCorr",):
            (self._out / folder).mkdir(parents=True, exist_ok=True)
        micrographs = accepted.of(Micrograph)
        there = {e: m for e, m in micrographs.items() if not self._images or self._image(m)}
        cleaned, micrographs = len(micrographs) - len(there), there
        ctfs = accepted.of(Ctf)
        ctfs = {e: c for e, c in ctfs.items() if math.isfinite(c["defocus_u"])}

        for exposure, movie in movies.items():
            suffix = "".join(Path(movie["path"]).suffixes[-1:])
            self._movies[exposure] = self._place(movie["path"], f"Movies/{movie['name']}{suffix}", link=True)
            self._gain_of[exposure] = self._gain(movie["gain"], divides=suffix.lower() == ".eer")
        corrected = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for e, row in zip(micrographs, pool.map(self._micrograph, micrographs.values()), strict=True):
                corrected[e] = row
                report(len(corrected), len(micrographs))
        fitted = {
            e: {**corrected[e], "rlnCtfImage": self._spectrum(c), **ctf(c)} for e, c in ctfs.items() if e in corrected
        }

        raw = {e: {"rlnMicrographMovieName": name} for e, name in self._movies.items()}
        pixels = {e: m["pixel_size"] for e, m in micrographs.items()}
        self._table("movies.star", "movies", raw, {})
        self._table("corrected_micrographs.star", "micrographs", corrected, pixels)
        self._table("micrographs_ctf.star", "micrographs", fitted, pixels)
        picked = self._picks(picks, corrected)
        count = self._particles(stacks, corrected)
        left = left_out(self._reader, self._thresholds)
        return Exported(len(raw), len(corrected), len(fitted), picked, count, cleaned, left)

    # Rows -------------------------------------------------------------------------------------------------------

    def _micrograph(self, m: Mapping[str, Any]) -> dict[str, Any]:
        name = m["name"]
        main = self._image(m) or m["dose_weighted"] or m["path"]
        weighted = self._place(main, f"MotionCorr/{name}.mrc")
        plain = weighted
        if main != m["path"] and (not self._images or self._there(m["path"])):
            plain = self._place(m["path"], f"MotionCorr/{name}_noDW.mrc")
        return {
            "rlnMicrographName": weighted,
            "rlnMicrographNameNoDW": plain,
            "rlnCtfPowerSpectrum": self._power_spectrum(m, f"MotionCorr/{name}_PS.mrc"),
            "rlnMicrographMetadata": self._shifts(m, f"MotionCorr/{name}.star"),
            "rlnAccumMotionTotal": _number(m["motion_total"]),
            "rlnAccumMotionEarly": _number(m["motion_early"]),
            "rlnAccumMotionLate": _number(m["motion_late"]),
        }

    def _ctf(self, c: Mapping[str, Any]) -> dict[str, Any]:
        return {"rlnCtfImage": self._spectrum(c), **ctf(c)}

    def _table(self, file: str, block: str, rows: dict[int, dict[str, Any]], pixels: Mapping[int, float]) -> None:
        write_star(self._out / file, blocks(block, rows, self._optics, pixels) if rows else {})

    def _picks(self, picks: dict[int, dict[str, Any]], corrected: Mapping[int, dict[str, Any]]) -> int:
        """Coordinates of each micrograph that there is."""
        rows = [
            {
                "rlnMicrographName": corrected[e]["rlnMicrographName"],
                "rlnMicrographCoordinates": self._place(row["path"], f"AutoPick/{row['name']}_autopick.star"),
            }
            for e, row in picks.items()
            if e in corrected
        ]
        named = {"coordinate_files": _columns(rows)} if rows and self._images else {}
        write_star(self._out / "autopick.star", named)
        return len(rows)

    def _particles(self, stacks: dict[int, dict[str, Any]], corrected: Mapping[int, dict[str, Any]]) -> int:
        there = [row for e, row in stacks.items() if e in corrected and (not self._images or self._there(row["path"]))]
        return particles.particles(
            self._out / "particles.star",
            self._reader.folder,
            there,
            lambda row: self._place(row["path"], f"Extract/{row['name']}.mrcs"),
            lambda row: corrected[row["exposure"]]["rlnMicrographName"],
            Chosen.of(self._reader),
        )

    # Files ------------------------------------------------------------------------------------------------------

    def _there(self, path: str) -> bool:
        return there(self._reader.folder, path)

    def _image(self, m: Mapping[str, Any]) -> str:
        return image(self._reader.folder, m)

    def _spectrum(self, c: Mapping[str, Any]) -> str:
        if self._images and not self._there(c["spectrum"]):
            return "None"  # as RELION writes where there is none
        return self._place(c["spectrum"], f"CtfFind/{c['name']}.ctf") + ":mrc"

    def _place(self, source: str, name: str, link: bool = False) -> str:
        """Have a file of the project, or from anywhere, under a name in the RELION project; returns that name."""
        if self._images:
            place(self._reader.folder / source, self._out / name, self._copy and not link)
        return name

    def _gain(self, path: str, divides: bool) -> str:
        """A gain where RELION will find it; for EER movies as what divides them, which it takes an MRC file for."""
        if not path:
            return ""
        if (path, divides) not in self._gains:
            taken = [Path(other).name for other, _ in self._gains].count(Path(path).name)
            name = f"Movies/{Path(path).stem}{f'_{taken + 1}' if taken else ''}{Path(path).suffix}"
            if divides and self._images and Path(path).suffix.lower() in (".mrc", ".mrcs"):
                self._gains[path, divides] = self._dividing(path, name)
            else:  # one that was prepared lies in the project
                self._gains[path, divides] = self._place(path, name, link=os.path.isabs(path))
        return self._gains[path, divides]

    def _dividing(self, path: str, name: str) -> str:
        origin, target = self._reader.folder / path, self._out / name
        if target.is_symlink() or not (target.exists() and target.stat().st_mtime_ns == origin.stat().st_mtime_ns):
            with whole(target) as half:
                mrc.write(half, gain.inverted(mrc.read(origin)))
                shutil.copystat(origin, half)
        return name

    def _shifts(self, m: Mapping[str, Any], name: str) -> str:
        """The movie's own star file, with movie and gain named as RELION will find them."""
        if not m["metadata"]:
            return "None"  # as RELION writes where there is none
        blocks = star.read(self._reader.folder / m["metadata"])
        blocks["general"]["rlnMicrographMovieName"] = self._movies[m["exposure"]]
        if self._gain_of[m["exposure"]]:
            blocks["general"]["rlnMicrographGainName"] = self._gain_of[m["exposure"]]
        write_star(self._out / name, blocks)
        return name

    def _power_spectrum(self, m: Mapping[str, Any], name: str) -> str:
        """What RELION gives to CTFFIND in place of the micrograph: amplitudes, the origin in the middle.

        That of groups of frames, which shows more rings, where the alignment has kept it.
        """
        if not self._images:
            return name
        kept = self._reader.folder / m["power_spectrum"] if m["power_spectrum"] else None
        plain = m["path"] if self._there(m["path"]) else self._image(m)  # the better one was cleaned
        origin = kept if kept is not None and kept.exists() else self._reader.folder / plain
        target = self._out / name
        if not (target.exists() and target.stat().st_mtime_ns == origin.stat().st_mtime_ns):
            if origin == kept:
                found = read_spectrum(origin)
            else:
                found = power_spectrum(mrc.read(origin), m["pixel_size"])
            with whole(target) as half:
                mrc.write(half, np.sqrt(np.maximum(_full(found.power), 0)), found.pixel_size)
                shutil.copystat(origin, half)
        return name


def _full(half: np.ndarray) -> np.ndarray:
    """The whole plane of an ``rfft2``'s power, (n, n), its origin at (n // 2, n // 2)."""
    n = half.shape[0]
    mirrored = half[-np.arange(n) % n][:, n - np.arange(half.shape[1], n)]
    return np.fft.fftshift(np.concatenate([half, mirrored], axis=1))


def blocks(
    name: str, rows: Mapping[int, Mapping[str, Any]], optics: Mapping[int, Optics], pixels: Mapping[int, float]
) -> dict[str, dict[str, list[Any]]]:
    """A table of rows by exposure, below the optics groups that they need: one for each setting and pixel size."""
    groups: dict[tuple[Optics, float | None], int] = {}
    numbers = [groups.setdefault((optics[e], pixels.get(e)), len(groups) + 1) for e in rows]
    settings = [
        {
            "rlnOpticsGroupName": group.name,
            "rlnOpticsGroup": number,
            "rlnMicrographOriginalPixelSize": _number(group.pixel_size),
            "rlnVoltage": _number(group.voltage),
            "rlnSphericalAberration": _number(group.cs),
            "rlnAmplitudeContrast": _number(group.amplitude_contrast),
            **({} if pixel is None else {"rlnMicrographPixelSize": _number(pixel)}),
        }
        for (group, pixel), number in groups.items()
    ]
    body = [{**row, "rlnOpticsGroup": number} for row, number in zip(rows.values(), numbers, strict=True)]
    return {"optics": _columns(particles.unique(settings)), name: _columns(body)}


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def ctf(c: Mapping[str, Any]) -> dict[str, float]:
    """Columns of a CTF, as RELION names them."""
    resolution = c["fit_resolution"]
    return {
        "rlnDefocusU": _number(c["defocus_u"]),
        "rlnDefocusV": _number(c["defocus_v"]),
        "rlnCtfAstigmatism": _number(c["astigmatism"]),
        "rlnDefocusAngle": _number(c["angle"]),
        "rlnCtfFigureOfMerit": _number(c["score"]),
        "rlnCtfMaxResolution": _number(min(resolution, WORST_RESOLUTION) if resolution > 0 else WORST_RESOLUTION),
        "rlnPhaseShift": _number(c["phase_shift"]),
        "rlnCtfIceRingDensity": _number(c["ice"]),
    }


def _number(value: float) -> float:
    """RELION reads no NaN: what could not be measured is 0, as RELION itself writes it."""
    return round(float(value), 6) if math.isfinite(value) else 0.0
