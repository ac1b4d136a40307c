"""The step that watches the gain of the camera: one from the movies themselves, and what it says of the one in use."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
from traitlets import Int

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg, mrc
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import open_movie
from cryowidgets.kernels import gainfit
from cryowidgets.model import Gain, Movie
from cryowidgets.protocols import cites
from cryowidgets.protocols.base import Many, Protocol
from cryowidgets.protocols.out import Out, keep_alone

BETTER = 2.0
"""A gain is written anew when it rests on so many times the counts: so a session leaves a handful of files."""

WRONG = 0.25
"""Share of a gain's pattern left over that is spoken of; the noise of a good reference leaves 0.1."""

_KEPT = 200  # movies whose roughness is remembered


class EstimateGain(Protocol):
    """Add up raw frames of the session's movies, estimate the gain from them, and test the gain in use.

    The sum of some hundred raw movies shows how sensitive each pixel is. It gives a gain where none was recorded, and
    tells when the one in use belongs to another camera, lies the wrong way round, or has aged. Movies with edges of
    carbon or ice are left out.
    """

    takes = Many(Movie, every=20)
    gives = Gain
    cites = (cites.GAIN,)

    stride = Int(
        4, min=1, max=1000, help="Read one movie of so many: the gain does not need all, and reading takes time"
    ).tag(group="Movies")

    def process(self, items: list[Movie], last: Gain | None, out: Out) -> Gain:
        before = _read(last)
        batch = _Batch(before)
        for movie in items[:: self.stride]:
            batch.add(movie)
        if before.total is None and batch.total is None:
            return Gain(left_out=before.left_out + batch.left_out, reason="no movie could be added up yet")
        total = batch.total if before.total is None else before.total
        if before.total is not None and batch.total is not None:
            total = before.total + batch.total
        assert total is not None
        movies = before.movies + batch.movies
        with open(out.file("_total.npz"), "wb") as file:
            np.savez(file, total=total, roughness=np.array(batch.roughness[-_KEPT:]))
        if last and last.total:
            keep_alone(last.total, "*_total.npz")
        fit = gainfit.estimate(total)
        path = last.path if last else ""
        if fit.usable and (not path or fit.counts >= BETTER * _counts_behind(path)):
            mrc.write(out.file(f"_gain_{fit.counts:.0f}.mrc"), fit.gain)
            path = out.name(f"_gain_{fit.counts:.0f}.mrc")
        jpeg.write(out.file("_gain.jpg"), np.where(fit.gain > 0, fit.gain, np.nan))
        used = _used(items, total.shape)
        residual, error = (math.nan, math.nan)
        if used is not None:
            residual, error = gainfit.residual(batch.total if batch.total is not None else total, used)
        left = fit.gain if used is None else np.divide(fit.gain, used, out=np.zeros_like(used), where=used > 0)
        figures = gainfit.figures(left)
        return Gain(
            path=path,
            total=out.name("_total.npz"),
            picture=out.name("_gain.jpg"),
            movies=movies,
            left_out=before.left_out + batch.left_out,
            counts=fit.counts,
            needed=fit.needed,
            spread=fit.spread,
            error=fit.error,
            defects=fit.defects,
            residual=residual,
            residual_error=error,
            deviation=figures.deviation,
            width=figures.width,
            peak=figures.peak,
            reason="" if path else _still(fit, movies),
            alert=_alert(residual, error),
        )


class _Before:
    """What a fold has come to so far."""

    def __init__(
        self, total: np.ndarray | None = None, roughness: tuple[float, ...] = (), movies: int = 0, left_out: int = 0
    ) -> None:
        self.total, self.roughness, self.movies, self.left_out = total, roughness, movies, left_out


class _Batch:
    """Raw sums of new movies, one at a time in memory."""

    def __init__(self, before: _Before) -> None:
        self.total: np.ndarray | None = None
        self.roughness = list(before.roughness)
        self.movies = self.left_out = 0
        self._shape = None if before.total is None else before.total.shape

    def add(self, movie: Movie) -> None:
        try:
            added = _sum(movie.path)
        except InputError:
            self.left_out += 1
            return
        if self._shape not in (None, added.shape):
            self.left_out += 1
            return
        rough = gainfit.roughness(added)
        usual = self._usual()
        self.roughness.append(rough)
        if not rough <= usual:
            self.left_out += 1
            return
        self._shape = added.shape
        self.movies += 1
        self.total = added if self.total is None else self.total + added

    def _usual(self) -> float:
        """How rough a movie may be, by those before it."""
        if len(self.roughness) < 5:
            return math.inf
        middle = float(np.median(self.roughness))
        spread = 1.4826 * float(np.median(np.abs(np.array(self.roughness) - middle)))
        return middle + max(3 * spread, 0.2 * middle)


def _sum(path: str) -> np.ndarray:
    """Sum of the raw frames: int64 of counts, else float64."""
    with open_movie(path) as movie:
        total = np.zeros(movie.shape[1:], np.int64 if np.dtype(movie.dtype).kind in "ui" else np.float64)
        for number in range(len(movie)):
            total += movie[number]
        return total


def _read(last: Gain | None) -> _Before:
    if last is None or not last.total:
        return _Before(left_out=last.left_out if last else 0)
    try:
        with np.load(last.total) as kept:
            return _Before(kept["total"], tuple(kept["roughness"].tolist()), last.movies, last.left_out)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return _Before(left_out=last.left_out)  # somebody removed it: begin again


def _counts_behind(path: str) -> float:
    return float(Path(path).stem.rpartition("_")[2])


def _used(items: list[Movie], shape: tuple[int, ...]) -> np.ndarray | None:
    """The gain in use, that of the newest movie; None where there is none that fits."""
    path = items[-1].gain if items else ""
    try:
        return read_gain(path, (shape[0], shape[1])) if path else None
    except InputError:
        return None


def _still(fit: gainfit.Estimate, movies: int) -> str:
    if not math.isfinite(fit.needed):
        return "no pattern is seen in the pixels' sensitivity yet"
    more = math.ceil((fit.needed - fit.counts) / max(fit.counts / max(movies, 1), 1e-9))
    return f"{fit.counts:.0f} of {fit.needed:.0f} counts per pixel: about {more} more movies"


def _alert(residual: float, error: float) -> str:
    if not (abs(residual) > WRONG and abs(residual) > gainfit.SIGMAS * error):
        return ""
    if residual < -0.75:
        return (
            "The gain in use adds a pattern that frames do not have: it is of another camera, lies the wrong way "
            "round, or the frames are corrected already."
        )
    return f"The gain in use leaves {abs(residual):.0%} of its pattern in the frames: it is old, or not the right one."
