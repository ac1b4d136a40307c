"""How pictures lie in a map, made finer step by step, and the map that they make where they lie.

Each picture, a class average or a particle with the lens not undone, is compared with slices of the map in rotations
and shifts about those that it has: projection matching, as in Penczek, Grassucci & Frank (1994) Ultramicroscopy 53,
251, doi:10.1016/0304-3991(94)90038-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cryowidgets import cpu
from cryowidgets.kernels.directions import group, turns
from cryowidgets.kernels.project3d import Sums, Transform, disc, slices, spectra, transform

_AROUND = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
_BESIDE = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
_TOGETHER = 1024  # pictures


@dataclass(frozen=True)
class Poses:
    """How pictures lie: rotations (n, 3, 3) of the map, shifts (n, 2) x, y in px, and how well they fit, (n,)."""

    rotations: np.ndarray
    shifts: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, found: Any) -> Poses:
        """What has rotations, shifts and correlations."""
        return cls(found.rotations, found.shifts, found.correlations)

    @classmethod
    def together(cls, parts: Sequence[Poses], places: np.ndarray) -> Poses:
        """Of parts that were taken apart, each where it was: `places` (n,) of theirs, one after the other."""
        order = np.argsort(places)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts])[order] for field in fields(cls)))

    def some(self, which: np.ndarray | slice) -> Poses:
        return Poses(self.rotations[which], self.shifts[which], self.scores[which])


@dataclass(frozen=True)
class Pictures:
    """Transforms of pictures.

    Attributes
    ----------
    points : (k, 2) float32
        See `project3d.disc`.
    values : (n, k) complex64
        Times the lens and the weight of each frequency.
    powers : (n, k) or (1, k) float32
        Square of the lens, times the weight.
    side : int
        Of the pictures, px.
    """

    points: np.ndarray
    values: np.ndarray
    powers: np.ndarray
    side: int

    @classmethod
    def of(cls, pictures: np.ndarray, radius: float) -> Pictures:
        """Of pictures (n, side, side), background 0, up to `radius` waves per side."""
        side = pictures.shape[-1]
        points, rows, columns = disc(side, radius)
        return cls(points, spectra(pictures)[:, rows, columns], np.ones((1, len(points)), np.float32), side)

    @classmethod
    def together(cls, parts: Sequence[Pictures]) -> Pictures:
        """All of several, through no lens yet."""
        return cls(parts[0].points, np.concatenate([part.values for part in parts]), parts[0].powers, parts[0].side)

    def white(self, power: float = 1.0) -> Pictures:
        """The same with a weight for each frequency: the mean power of its ring, to the power of minus `power`."""
        ring = np.rint(np.hypot(*self.points.T)).astype(int)
        mean = np.bincount(ring, np.square(np.abs(self.values)).mean(axis=0)) / np.maximum(np.bincount(ring), 1)
        weights = (np.maximum(mean, 1e-6 * mean.max()) ** -power)[ring].astype(np.float32)
        return Pictures(self.points, self.values * weights, self.powers * weights, self.side)

    def through(self, lens: np.ndarray) -> Pictures:
        """The same where they were seen through a lens, (n, k)."""
        return Pictures(self.points, self.values * lens, self.powers * np.square(lens), self.side)

    def __len__(self) -> int:
        return len(self.values)

    def some(self, which: np.ndarray | slice) -> Pictures:
        powers = self.powers[which] if len(self.powers) == len(self.values) else self.powers
        return Pictures(self.points, self.values[which], powers, self.side)

    def within(self, radius: float) -> int:
        """How many of the points lie within a circle."""
        return int(np.searchsorted(np.hypot(*self.points.T), radius, side="right"))

    def polished(self, volume: np.ndarray, poses: Poses, radius: float, steps: Sequence[tuple[float, float]]) -> Poses:
        """The best poses about those that are known.

        Parameters
        ----------
        volume : (side, side, side)
        poses : Poses
        radius : float
            Finest waves that are compared, per side.
        steps : sequence of (degrees, px)
            How far it is looked to all sides, one after the other.
        """
        ball = transform(volume, radius)
        some = [slice(*band) for band in cpu.bands(len(self))]
        found = cpu.each(lambda band: self.some(band)._looked_about(ball, poses.some(band), radius, steps), some)
        return Poses.together(found, np.arange(len(self)))

    def _looked_about(
        self, ball: Transform, poses: Poses, radius: float, steps: Sequence[tuple[float, float]]
    ) -> Poses:
        from cryowidgets.kernels import initialposesloops

        k, every = self.within(radius), np.arange(len(self))
        points, values = self.points[:k], self.values[:, :k]
        powers = np.ascontiguousarray(np.broadcast_to(self.powers[:, :k], values.shape), np.float32)
        lattice = np.ascontiguousarray(points * ball.pad, np.float32)
        rotations, shifts, scores = poses.rotations, poses.shifts, poses.scores
        for degrees, px in steps:
            tried = np.einsum("rij,njk->nrik", turns(_AROUND * np.radians(degrees)), rotations)
            data = np.ascontiguousarray(values * self._phases(points, shifts), np.complex64)
            fits = np.empty(tried.shape[:2])
            initialposesloops.compare(ball.values, np.ascontiguousarray(tried, np.float32), lattice, data, powers, fits)
            rotations = tried[every, fits.argmax(axis=1)]
            seen = slices(ball, rotations, points)
            cross = data * seen.conj()
            power = np.sqrt(np.maximum((powers * np.square(np.abs(seen))).sum(axis=1), 1e-30))
            beside = self._phases(points, _BESIDE * px)
            fits = (cross.real @ beside.real.T - cross.imag @ beside.imag.T) / power[:, None]
            place = fits.argmax(axis=1)
            shifts, scores = shifts + _BESIDE[place] * px, fits[every, place]
        return Poses(rotations, shifts, scores)

    def _phases(self, points: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Factors (m, k) that move pictures back by shifts (m, 2)."""
        return np.exp(2j * np.pi / self.side * (shifts @ points.T)).astype(np.complex64)

    def put_together(self, poses: Poses, symmetry: str, radius: float, counts: np.ndarray | None = None) -> Sums:
        """The pictures as slices of a map, where they lie; what each counts (n,), by default 1."""
        k = self.within(radius)
        points, sums = self.points[:k], Sums.empty(self.side, radius)
        counts = np.ones(len(self), np.float32) if counts is None else np.asarray(counts, np.float32)
        for first in range(0, len(self), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            part, times = self.some(some), counts[some, None]
            values = part.values[:, :k] * self._phases(points, poses.shifts[some]) * times
            for operation in group(symmetry):
                sums.insert(poses.rotations[some] @ operation, points, values, part.powers[:, :k] * times)
        return sums


def views(rotations: np.ndarray, symmetry: str, count: int, apart: float = 14.0) -> list[np.ndarray]:
    """Pictures in at most `count` parts, such that those that look along one line, to `apart` degrees, are together.

    Returns
    -------
    list of (m,) int
        Which of the rotations (n, 3, 3) are in each part.
    """
    beams = np.asarray(rotations)[:, 2]
    near = np.abs(np.einsum("ni,gij,mj->gnm", beams, group(symmetry), beams)).max(axis=0) > np.cos(np.radians(apart))
    left, alike = np.ones(len(beams), bool), []
    while left.any():
        most = int(((near & left).sum(axis=1) * left).argmax())
        alike.append(np.flatnonzero(near[most] & left))
        left[alike[-1]] = False
    parts: list[list[int]] = [[] for _ in range(min(count, len(alike)))]
    for one in sorted(alike, key=len, reverse=True):
        min(parts, key=len).extend(one.tolist())
    return [np.array(sorted(part)) for part in parts]
