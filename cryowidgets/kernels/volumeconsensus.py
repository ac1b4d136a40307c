"""One map out of several of the same particle: those that agree are averaged, and what does not belong is left out.

Maps are brought to one box and pixel size, freed of what is far from the particle, laid onto each other two by two, and
compared by their Fourier shell correlation; so are unrelated maps, which shows what chance does. The map that agrees
best with all others gives the frame; the average is weighted by how well each agrees, all of them at the same strength
in each shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from cryowidgets import cpu
from cryowidgets.kernels import alignvolumes
from cryowidgets.kernels.fsc import MAPS, Shells, crossing, fsc, irfftn, rfftn
from cryowidgets.kernels.mapgroups import Groups, together
from cryowidgets.kernels.project3d import fitted, resized
from cryowidgets.kernels.unrelated import ball, unrelated

AGREES = 0.5
"""Least agreement of a map with the others: 0 as unrelated maps by chance, 1 as the others among each other."""

_SAME = 0.999  # correlation from which on in every shell there is nothing to be moved
_UNRELATED = 6  # maps that are tried, to know what chance does
_SIDE = 64  # px of these: what is finer, unrelated maps do not share
_LEAST = 4.0  # px: the smallest particle that is looked at alone


@dataclass(frozen=True)
class Pose:
    """How a map is mirrored, turned and shifted to lie on another; see `alignvolumes.align`."""

    rotation: np.ndarray
    shift: np.ndarray
    mirrored: bool

    def inverse(self) -> Pose:
        """The way back."""
        flip = np.diag([1.0, 1.0, -1.0]) if self.mirrored else np.eye(3)
        rotation = flip @ self.rotation.T @ flip
        return Pose(rotation, -(rotation @ flip @ self.shift[::-1])[::-1], self.mirrored)

    def apply(self, volume: np.ndarray) -> np.ndarray:
        if self.same:
            return volume
        return alignvolumes.apply(volume, self.rotation, self.shift, self.mirrored)

    @property
    def same(self) -> bool:
        return not self.mirrored and not self.shift.any() and bool((self.rotation == np.eye(3)).all())


@dataclass(frozen=True)
class Consensus:
    """The common map, and how each of the given ones agrees with the others."""

    volume: np.ndarray
    """(n, n, n) float32, in density, place and hand of the map `medoid`."""
    deviation: np.ndarray
    """(n, n, n) float32: standard error of that by how maps differ around each place; 0 where one map is all."""
    pixel_size: float
    kept: np.ndarray
    """(maps,) bool."""
    weights: np.ndarray
    """(maps,) float64; their sum is 1, and 0 stands for maps left out."""
    agreement: np.ndarray
    """(maps, maps) mean correlation of two maps up to where those that are kept agree."""
    chance: float
    """What of that unrelated maps reach; NaN where maps are all the same."""
    resolution: np.ndarray
    """(maps, maps) Å to which two maps agree, at a correlation of one half; NaN where they do not."""
    medoid: int
    """The map that agrees best with the others."""
    poses: tuple[Pose, ...]
    reason: str
    """Why the average is not to be trusted; empty where it is."""


def consensus(
    volumes: Sequence[np.ndarray],
    pixel_sizes: Sequence[float],
    *,
    mirror: bool = True,
    aligned: bool = False,
    agrees: float = AGREES,
) -> Consensus:
    """Average maps of one particle.

    Parameters
    ----------
    volumes : sequence of (n, n, n)
        Axes z, y, x; boxes and pixel sizes may differ. Protein bright, background about 0.
    pixel_sizes : sequence of float
        Å/px.
    mirror : bool
        Whether maps may be of the other hand.
    aligned : bool
        Whether maps lie on each other already.
    agrees : float
        Maps that agree with the others less than this are left out, where 0 is as unrelated maps agree by chance, and
        1 as the others among each other. Where no maps agree beyond chance, or two groups of them that are equally
        large, none is left out: nobody can tell which is wrong.

    Raises
    ------
    ValueError
        There is no map, one is no cube, or pixel sizes are missing.
    """
    if not volumes or len(volumes) != len(pixel_sizes):
        raise ValueError(f"{len(volumes)} maps with {len(pixel_sizes)} pixel sizes: give one for each, and one map.")
    for volume, size in zip(volumes, pixel_sizes, strict=True):
        if volume.ndim != 3 or len(set(volume.shape)) != 1 or not size > 0:
            raise ValueError(f"a map of {volume.shape} at {size:g} Å/px: give cubes with their pixel sizes.")
    maps, pixel_size = common(volumes, pixel_sizes)
    count = len(maps)
    balls = _balls(maps)
    bare = [density * within for density, within in zip(maps, balls, strict=True)]
    pairs = [(i, j) for j in range(count) for i in range(j)]
    found = cpu.each(lambda pair: _pair(bare[pair[1]], bare[pair[0]], mirror, aligned), pairs)
    frequency = fsc(bare[0], bare[0])[0]
    curves = np.ones((count, count, len(frequency)))
    for (i, j), (_, curve) in zip(pairs, found, strict=True):
        curves[i, j] = curves[j, i] = curve
    resolution = np.array([[crossing(frequency, c, MAPS, pixel_size) for c in row] for row in curves])
    if count > 1 and not curves[..., 1:].min() > _SAME:
        groups = together(curves, *_by_chance(bare, balls, mirror, aligned), agrees)
    else:
        groups = Groups(np.ones(count, bool), curves[..., 1:].mean(axis=2), np.nan, count > 1, False)
    kept, agreement = groups.kept, groups.agreement
    others = agreement - np.diag(np.diag(agreement))
    medoid = int(np.argmax(np.where(kept, others @ kept, -np.inf)))
    poses = [Pose(np.eye(3), np.zeros(3), False)] * count
    for (i, j), (pose, _) in zip(pairs, found, strict=True):
        if i == medoid:
            poses[j] = pose
        if j == medoid:
            poses[i] = pose.inverse()
    weights = np.where(kept, np.maximum(others @ kept, 1e-6), 0.0) if kept.sum() > 1 else kept.astype(float)
    weights /= weights.sum()
    average, deviation = _averaged(maps, poses, weights, medoid, frequency, curves, pixel_size)
    return Consensus(
        average, deviation, pixel_size, kept, weights, agreement, groups.chance, resolution, medoid, tuple(poses),
        _reason(groups, resolution),
    )  # fmt: skip


def common(volumes: Sequence[np.ndarray], pixel_sizes: Sequence[float]) -> tuple[list[np.ndarray], float]:
    """The maps in the largest field and with the coarsest pixels of all; those that are so already as they are."""
    coarsest = max(pixel_sizes)
    scaled = [
        _resampled(np.asarray(v, np.float32), size / coarsest) for v, size in zip(volumes, pixel_sizes, strict=True)
    ]
    box = max(len(v) for v in scaled)
    return [fitted(v, box) for v in scaled], coarsest


def extent(volume: np.ndarray) -> float:
    """Diameter in px of a ball in which density is spread as far from its centre as in a map."""
    mass = alignvolumes.standing_out(np.asarray(volume, np.float32)).astype(np.float64)
    if not mass.any():
        return 0.0
    grid = np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij", sparse=True)
    middle = [float((axis * mass).sum() / mass.sum()) for axis in grid]
    squares = np.asarray(sum(np.square(axis - m) for axis, m in zip(grid, middle, strict=True)))
    return 2 * float(np.sqrt(5 / 3 * (squares * mass).sum() / mass.sum()))


def _balls(maps: list[np.ndarray]) -> list[np.ndarray]:
    """A ball about each particle, all of one size: noise far from it says nothing, and is most of what there is."""
    sizes = [size for size in map(extent, maps) if size > 0]
    radius = max(float(np.median(sizes)), _LEAST) if sizes else len(maps[0])
    return [ball(density.shape, alignvolumes.centre(density)[::-1], radius) for density in maps]


def _pair(moving: np.ndarray, fixed: np.ndarray, mirror: bool, aligned: bool) -> tuple[Pose, np.ndarray]:
    """How one map lies on another, and how they correlate then; where they lie so already, nothing is moved."""
    still, plain = Pose(np.eye(3), np.zeros(3), False), fsc(moving, fixed)[1]
    if aligned or plain[1:].min() > _SAME:
        return still, plain
    rotation, shift, mirrored, _ = alignvolumes.align(moving, fixed, mirror=mirror)
    pose = Pose(rotation, shift, mirrored)
    curve = fsc(pose.apply(moving), fixed)[1]
    return (pose, curve) if curve[1:].mean() > plain[1:].mean() else (still, plain)


def _by_chance(
    maps: list[np.ndarray], balls: list[np.ndarray], mirror: bool, aligned: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of maps with unrelated ones (tried, shells); which map these are like, and which they lie on."""
    count, side = len(maps), min(len(maps[0]), _SIDE)
    number = np.arange(_UNRELATED)
    like = number % count
    of = np.stack([like, (like + 1 + number // count % (count - 1)) % count], axis=1)

    def one(number: int) -> np.ndarray:
        moving, fixed = (resized(maps[i], side) for i in of[number])
        made = unrelated(moving, np.clip(resized(balls[of[number, 0]], side), 0, 1), number)
        return _pair(made, fixed, mirror, aligned)[1]

    curves = np.stack(cpu.each(one, number))
    return np.pad(curves, [(0, 0), (0, len(maps[0]) // 2 + 1 - curves.shape[1])]), of


def _averaged(
    maps: list[np.ndarray], poses: list[Pose], weights: np.ndarray, medoid: int,
    frequency: np.ndarray, curves: np.ndarray, pixel_size: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Weighted mean and its standard error, in the density of the medoid."""
    chosen = np.flatnonzero(weights > 0)
    reference = maps[medoid]
    lying = [_alike(poses[i].apply(maps[i]), reference) if i != medoid else reference for i in chosen]
    shares = weights[chosen]
    # relative to the medoid, so that maps that are the same give just that map
    average = reference + sum(w * (v - reference) for w, v in zip(shares, lying, strict=True))
    if len(chosen) < 2:
        return average.astype(np.float32), np.zeros_like(reference)
    spread = sum(w * np.square(v - average) for w, v in zip(shares, lying, strict=True))
    effective = 1 / float(np.square(shares).sum())
    ends = [crossing(frequency, curves[medoid, i], MAPS) for i in chosen if i != medoid]
    width = float(np.clip(np.nanmedian(ends) if np.isfinite(ends).any() else 4.0, 2.0, len(reference) / 8))
    smooth = scipy.ndimage.gaussian_filter(np.asarray(spread, np.float64), width / 2)
    error = np.sqrt(np.maximum(smooth, 0) / (effective - 1)) if effective > 1 else np.sqrt(smooth)
    return average.astype(np.float32), error.astype(np.float32)


def _alike(volume: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The map at the strength that the reference has in each shell, so that no map is heard only for being loud."""
    own, other, shells = rfftn(volume), rfftn(reference), Shells.of(volume.shape)
    one, two = shells.power(own), shells.power(other)
    factor = np.sqrt(np.divide(two, one, out=np.ones_like(one), where=one > 1e-12 * one.max()))
    if np.allclose(factor, 1, atol=1e-6):
        return volume
    level = own[0, 0, 0]
    own = own * factor.astype(np.float32)[shells.numbers]
    own[0, 0, 0] = other[0, 0, 0] if abs(level) > 0 else 0
    return irfftn(own, volume.shape)


def _reason(groups: Groups, resolution: np.ndarray) -> str:
    kept = groups.kept
    if len(kept) < 2:
        return "one map alone agrees with nothing"
    among = resolution[np.ix_(kept, kept)][~np.eye(int(kept.sum()), dtype=bool)]
    coarse = float(np.median(np.where(np.isfinite(among), among, np.inf)))
    if groups.rivals:
        return "maps fall into two groups that are equally large: which of them is right cannot be told"
    if not groups.told:
        known = f"to {coarse:.0f} Å only" if np.isfinite(coarse) else "to nothing"
        return f"maps agree {known}, no better than maps of different particles do by chance: none is left out"
    if kept.sum() <= len(kept) / 2:
        return f"only {kept.sum()} of {len(kept)} maps agree"
    return ""


def _resampled(volume: np.ndarray, part: float) -> np.ndarray:
    """A map with 1 / `part` as large pixels, in a box as near to its own as whole pixels allow."""
    if part > 1 - 1e-6:
        return volume
    lengths = np.arange(len(volume), len(volume) + 32)
    wanted = lengths * part
    best = int(np.argmin(np.abs(wanted - np.rint(wanted)) / wanted))
    return resized(fitted(volume, int(lengths[best])), round(float(wanted[best])))
