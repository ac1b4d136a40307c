"""One way up from a map that is nothing: class averages are matched to its projections, and it is made of them anew.

Stochastic projection matching with annealing. In each round some of the averages are compared with projections along
directions that are drawn anew, in all rotations of the plane and small shifts; each goes into the next map with all
poses, in the measure of ``exp(correlation / temperature)``, and the temperature falls while the resolution rises. So at
first an average counts nearly everywhere, and a map is led, not forced, into one of its likely shapes. Compare
Sorzano et al. (2015) J Struct Biol 189, 213, doi:10.1016/j.jsb.2015.01.009 (weights for all that is significant),
Elmlund, Elmlund & Bengio (2013) Structure 21, 1299, doi:10.1016/j.str.2013.07.002 (chance against traps) and
Punjani et al. (2017) Nature Methods 14, 290, doi:10.1038/nmeth.4169 (some of the pictures at a time).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from cryowidgets.kernels.directions import apart, even, facing, group, turns
from cryowidgets.kernels.project3d import Sums, disc, slices, transform

_LEAST = 1e-2  # of the most likely pose of an average: those less likely are left out


@dataclass(frozen=True)
class Pose:
    """How each average lies: the map's rotation (n, 3, 3), shift (n, 2) x, y in px, and correlation (n,)."""

    rotations: np.ndarray
    shifts: np.ndarray
    correlations: np.ndarray


@dataclass(frozen=True)
class Round:
    """What is done in one round: finest waves (per box), angular step (°), temperature, share of averages, step."""

    radius: float
    step: float
    temperature: float
    share: float
    rate: float


class Averages:
    """Class averages turned in the plane and shifted, as they are compared with projections.

    Parameters
    ----------
    pictures : (n, side, side) float32
        Centred about px side // 2, background 0.
    radius : float
        Finest waves that will be asked for, per side.
    step : float
        Degrees from one rotation in the plane to the next.
    shifts : (s, 2) array
        Shifts x, y in px that are tried, in the frame of the projection.
    counts : (n,) array
        What each average counts.
    """

    def __init__(
        self, pictures: np.ndarray, radius: float, step: float, shifts: np.ndarray, counts: np.ndarray
    ) -> None:
        self.count, self.side = pictures.shape[:2]
        self.counts, self.shifts = np.asarray(counts, np.float32), np.asarray(shifts, np.float32)
        self.points, _, _ = disc(self.side, radius)
        self.psi = np.arange(0, 180, 180 / max(round(180 / step), 1))
        self.far = np.hypot(*self.points.T)
        turned = _turned(pictures, self.points, self.psi)  # (n, psi, k)
        phases = np.exp(2j * np.pi / self.side * (self.shifts @ self.points.T)).astype(np.complex64)
        every = (turned[:, :, None] * phases).reshape(self.count, -1, len(self.points))
        self.real, self.imag = np.ascontiguousarray(every.real), np.ascontiguousarray(every.imag)
        power = np.square(np.abs(turned)).mean(axis=(0, 1))
        ring = np.rint(self.far).astype(int)
        mean = np.bincount(ring, power) / np.maximum(np.bincount(ring), 1)
        # between plain waves, of which the longest say all, and waves made equal, of which noise says all
        self.weights = (1 / np.sqrt(np.maximum(mean, 1e-6 * mean.max())))[ring].astype(np.float32)
        self.weights[self.far == 0] = 0
        self.powers = np.cumsum(np.square(np.abs(turned)).mean(axis=1) * self.weights, axis=1)

    def within(self, radius: float) -> int:
        """How many of the points lie within a circle."""
        return int(np.searchsorted(self.far, radius, side="right"))


def climb(
    averages: Averages, volume: np.ndarray, rounds: list[Round], mask: np.ndarray, symmetry: str,
    rng: np.random.Generator, use: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Improve a map (n, n, n) round by round.

    Parameters
    ----------
    use : (n,) bool, optional
        The averages that may be used; by default all.
    """
    allowed = np.arange(averages.count) if use is None else np.flatnonzero(use)
    operations = group(symmetry)
    for one in rounds:
        some = allowed
        if one.share < 1:
            some = np.sort(rng.choice(allowed, max(round(one.share * len(allowed)), 1), replace=False))
        beams = _beams(one.step, symmetry, rng)
        k = averages.within(one.radius)
        correlations = compare(averages, volume, beams, some, one.radius)
        sums = Sums.empty(averages.side, one.radius)
        values, counts = _together(averages, correlations, some, one.temperature, k, len(beams))
        seen = np.flatnonzero(counts)
        for operation in operations:
            turned = beams[seen] @ operation
            sums.insert(turned, averages.points[:k], values[seen], counts[seen, None])
        made = sums.solved(0.3) * mask
        np.maximum(made, 0, out=made)
        volume = (1 - one.rate) * volume + one.rate * made
    return volume


def compare(averages: Averages, volume: np.ndarray, beams: np.ndarray, some: np.ndarray, radius: float) -> np.ndarray:
    """Correlations (2, averages · poses in the plane, beams) of averages with projections.

    The first of the two is for psi as in `Averages`, the second for half a turn more, the shift the other way.
    """
    k = averages.within(radius)
    seen = slices(transform(volume, radius), beams, averages.points[:k])
    weights = averages.weights[:k]
    norms = np.sqrt(np.maximum((np.square(np.abs(seen)) * weights).sum(axis=1), 1e-30))
    seen *= (weights / norms[:, None]).astype(np.float32)
    poses = averages.real.shape[1]
    real = averages.real[some, :, :k].reshape(-1, k) @ np.ascontiguousarray(seen.real.T)
    imag = averages.imag[some, :, :k].reshape(-1, k) @ np.ascontiguousarray(seen.imag.T)
    own = np.repeat(1 / np.sqrt(np.maximum(averages.powers[some, k - 1], 1e-30)), poses).astype(np.float32)[:, None]
    return np.stack([(real + imag) * own, (real - imag) * own])


def best(averages: Averages, volume: np.ndarray, beams: np.ndarray, some: np.ndarray, radius: float) -> Pose:
    """The most likely pose of each of some averages."""
    correlations = compare(averages, volume, beams, some, radius)
    poses = averages.real.shape[1]
    table = correlations.reshape(2, len(some), poses, len(beams)).transpose(1, 0, 2, 3).reshape(len(some), -1)
    place = table.argmax(axis=1)
    half, pose, beam = np.unravel_index(place, (2, poses, len(beams)))
    psi = averages.psi[pose // len(averages.shifts)] + 180.0 * half
    shift = averages.shifts[pose % len(averages.shifts)] * np.where(half, -1, 1)[:, None]
    turn = turns(np.outer(-np.radians(psi), [0, 0, 1.0]))  # rows of the picture: see project3d.rotations_of
    return Pose(turn @ beams[beam], _back(shift, psi), table[np.arange(len(some)), place])


def _together(
    averages: Averages, correlations: np.ndarray, some: np.ndarray, temperature: float, k: int, beams: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean pictures for each beam times what they count, (beams, k) complex64, and the counts (beams,)."""
    poses = averages.real.shape[1]
    table = correlations.reshape(2, len(some), poses * beams)
    chances = table - table.max(axis=(0, 2))[None, :, None]
    chances *= np.float32(1 / temperature)
    np.exp(chances, out=chances)
    chances[chances < _LEAST] = 0
    chances *= (averages.counts[some] / chances.sum(axis=(0, 2)))[None, :, None].astype(np.float32)
    first, second = chances.reshape(2, len(some) * poses, beams)
    counts = first.sum(axis=0) + second.sum(axis=0)
    real = (first + second).T @ averages.real[some, :, :k].reshape(-1, k)
    imag = (first - second).T @ averages.imag[some, :, :k].reshape(-1, k)
    return (real + 1j * imag).astype(np.complex64), counts


def _turned(pictures: np.ndarray, points: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Transforms (n, psi, k) of pictures turned back by psi, about their centres."""
    n, pad = pictures.shape[-1], 4
    wide = np.zeros((len(pictures), pad * n, pad * n), np.float32)
    lay = slice(pad * n // 2 - n // 2, pad * n // 2 - n // 2 + n)
    smearing = np.sinc((np.arange(n) - n // 2) / (pad * n)) ** 2
    wide[:, lay, lay] = pictures / (smearing[:, None] * smearing)
    full = scipy.fft.fft2(scipy.fft.ifftshift(wide, axes=(1, 2)))
    out = np.empty((len(pictures), len(psi), len(points)), np.complex64)
    for i, angle in enumerate(np.radians(psi)):
        c, s = np.cos(angle), np.sin(angle)
        x, y = pad * (points @ [c, s]), pad * (points @ [-s, c])
        i0, j0 = np.floor(y).astype(int), np.floor(x).astype(int)
        fy, fx = (y - i0).astype(np.float32), (x - j0).astype(np.float32)
        corners = [[full[:, (i0 + a), (j0 + b)] for b in (0, 1)] for a in (0, 1)]
        upper, lower = (row[0] * (1 - fx) + row[1] * fx for row in corners)
        out[:, i] = upper * (1 - fy) + lower * fy
    return out


def _back(shift: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Shifts in the frame of the projection as shifts of the picture."""
    c, s = np.cos(np.radians(psi)), np.sin(np.radians(psi))
    x, y = shift.T
    return np.stack([c * x + s * y, -s * x + c * y], axis=1)


@lru_cache(maxsize=32)
def _sector(step: float, symmetry: str) -> np.ndarray:
    directions = even(max(round(4 * np.pi / np.radians(step) ** 2), 8))
    return directions


def _beams(step: float, symmetry: str, rng: np.random.Generator) -> np.ndarray:
    """Rotations that face directions `step` degrees apart in one sector, the lattice turned at random."""
    axis = rng.standard_normal(3)
    turn = turns(axis[None] / np.linalg.norm(axis) * rng.uniform(0, np.pi))[0]
    directions = _sector(step, symmetry) @ turn.T
    return facing(directions[apart(directions, symmetry)])
