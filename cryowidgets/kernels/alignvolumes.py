"""Bring one map onto another: rotation, shift and, as the hand of a first map is arbitrary, the mirror.

All rotations 15° apart are tried at low resolution with the maps on their centres of mass, the shift of the best is
read from their correlation, and what is left is climbed at finer resolution. It works on transforms, like Chen,
Pfeffer, Hrabe, Schuller & Förster (2013) J Struct Biol 182, 235, doi:10.1016/j.jsb.2013.03.002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage

from cryowidgets import cpu
from cryowidgets.kernels.directions import everywhere, turns
from cryowidgets.kernels.project3d import Transform, resized, transform

_SIDE = 64  # px of the maps that are compared: enough for a hundredth of the box
_COARSE, _FINE = 7.0, 18.0  # how many waves over the box are compared
_SCANNED, _STEP = 4.5, 15.0  # waves over the box by which all rotations are gone through, and degrees between these
_KEPT, _CLIMBED = 16, 4  # rotations whose shift is looked for; of these, those that are refined
_ROUGH, _ROUNDS = 5, 15  # steps of a climb of each that is refined, and of the best
_GAIN, _NEAR = 2e-5, 1e-3  # it has arrived where a step gains less, or is of fewer rad and px
_FARTHEST = 0.2, 2.0  # rad and px of one step
_APART = 0.04  # rad between the two rotations by which it is seen how a map changes as it is turned
_EITHER = np.concatenate([np.eye(3), -np.eye(3)]) * _APART / 2


def align(
    moving: np.ndarray, fixed: np.ndarray, pixel_size: float = 1.0, mirror: bool = True, finest: float = 0.0
) -> tuple[np.ndarray, np.ndarray, bool, float]:
    """Find how a map has to be mirrored, turned and shifted to lie on another.

    Parameters
    ----------
    moving, fixed : (n, n, n)
        Maps of one box, axes z, y, x, background about 0.
    pixel_size : float
        Å/px.
    mirror : bool
        Try the other hand too.
    finest : float
        Å; what is finer is not compared. 0: up to 18 waves over the box.

    Returns
    -------
    rotation : (3, 3) float64
        Of x, y, z about voxel n // 2.
    shift : (3,) float64
        z, y, x in px, after the rotation.
    mirrored : bool
        Whether z is turned round before.
    correlation : float
        Of the two maps then, over the frequencies compared; -1 to 1.

    Raises
    ------
    ValueError
        The maps are no cubes of one size.
    """
    if moving.ndim != 3 or moving.shape != fixed.shape or len(set(fixed.shape)) != 1:
        raise ValueError(f"maps of {moving.shape} and {fixed.shape} cannot be aligned: give two cubes of one size")
    n = fixed.shape[0]
    side = min(n, _SIDE)
    a, b = (resized(np.asarray(volume, np.float32), side) for volume in (moving, fixed))
    if not (a.any() and b.any()):
        return np.eye(3), np.zeros(3), False, 0.0
    limit = side / 2 - 1
    if finest > 0:
        limit = min(limit, max(n * pixel_size / finest, 3.0))
    coarse, fine = min(_COARSE, limit), min(_FINE, limit)
    to = centre(b)
    best: tuple[float, np.ndarray, np.ndarray, bool] | None = None
    for mirrored in (False, True) if mirror else (False,):
        pair = Pair(mirror_image(a) if mirrored else a, b, coarse, fine)
        value, rotation, shift = _search(pair, to)
        if best is None or value > best[0]:
            best = value, rotation, shift, mirrored
    assert best is not None
    value, rotation, shift, mirrored = best
    return rotation, shift[::-1] * n / side, mirrored, value


def apply(volume: np.ndarray, rotation: np.ndarray, shift: np.ndarray, mirrored: bool = False) -> np.ndarray:
    """Mirror, turn and shift a map as `align` says: (n, n, n) float32; what comes from outside the box is 0."""
    volume = np.asarray(volume, np.float32)
    if mirrored:
        volume = mirror_image(volume)
    back = np.asarray(rotation, float).T[::-1, ::-1]  # of z, y, x
    centre = np.array(volume.shape) // 2
    offset = centre - back @ (centre + np.asarray(shift, float))
    return scipy.ndimage.affine_transform(volume, back, offset, order=3, mode="constant")


def mirror_image(volume: np.ndarray) -> np.ndarray:
    """The other hand of a map: z turned round about voxel n // 2."""
    turned = volume[::-1]
    return np.ascontiguousarray(np.roll(turned, 1, axis=0) if volume.shape[0] % 2 == 0 else turned)


@dataclass(frozen=True)
class _Level:
    """Points of a ball of frequencies, and the fixed map there."""

    points: np.ndarray
    fixed: np.ndarray
    weights: np.ndarray


class Pair:
    """Two maps whose transforms are compared; a shift is (x, y, z) in px."""

    def __init__(self, moving: np.ndarray, fixed: np.ndarray, coarse: float, fine: float) -> None:
        self.side, self.centre = fixed.shape[0], centre(moving)
        self.ball = transform(moving, fine)
        other = transform(fixed, fine)
        even = _amplitudes(self.ball), _amplitudes(other)
        self.coarse, self.fine = (_level(other, radius, even) for radius in (coarse, fine))
        self.plain = _level(other, fine, None)
        self.wave = -2j * np.pi / (self.side * self.ball.pad)
        """What a step of the lattice times a shift is as a phase."""

    def trusted(self, rotation: np.ndarray, shift: np.ndarray) -> _Level:
        """The fine level, each shell weighted by how well the maps agree there: noise has no say."""
        level, moved = self.plain, self.moved(self.plain, rotation[None])[0]
        shell = np.rint(np.linalg.norm(level.points, axis=1) / self.ball.pad).astype(int)
        parts = (
            np.real(level.fixed * np.conj(moved * self._phases(level, shift))),
            np.abs(level.fixed) ** 2,
            np.abs(moved) ** 2,
        )
        cross, one, two = (np.bincount(shell, part) for part in parts)
        agreed = np.clip(cross / np.sqrt(np.maximum(one * two, 1e-30)), 1e-3, None)
        weights = (self.fine.weights * agreed[shell]).astype(np.float32)
        return _Level(level.points, level.fixed * weights, weights)

    def moved(self, level: _Level, rotations: np.ndarray) -> np.ndarray:
        """The map that moves at the points of a level, after rotations (r, 3, 3): (r, k) complex64."""
        from cryowidgets.kernels import alignvolumesloops

        out = np.empty((len(rotations), len(level.points)), np.complex64)
        alignvolumesloops.turned(self.ball.values, level.points, np.ascontiguousarray(rotations, np.float32), out)
        return out

    def _phases(self, level: _Level, shift: np.ndarray) -> np.ndarray:
        """What a shift (x, y, z) does to a transform at the points of a level: (k,) complex64."""
        angle = level.points @ (self.wave.imag * shift).astype(np.float32)
        return np.cos(angle) + np.complex64(1j) * np.sin(angle)

    def shifted(self, rotation: np.ndarray) -> np.ndarray:
        """The shift (x, y, z) of the highest correlation after a rotation, by pixels of a coarse box."""
        level = self.coarse
        n = 4 * (int(_COARSE) + 1)
        cross = np.zeros((n, n, n // 2 + 1), np.complex64)
        kx, ky, kz = np.rint(level.points / self.ball.pad).astype(int).T
        cross[kz, ky, kx] = level.fixed * np.conj(self.moved(level, rotation[None])[0])
        side = kx == 0  # the half plane that was left out
        cross[-kz[side], -ky[side], 0] = np.conj(cross[kz[side], ky[side], 0])
        correlation = scipy.fft.irfftn(cross, (n, n, n))
        place = np.array(np.unravel_index(int(np.argmax(correlation)), correlation.shape))
        return ((place + n // 2) % n - n // 2)[::-1] * self.side / n

    def centred(self, rotations: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Correlations (r,) of few waves after rotations (r, 3, 3), the centre of mass brought to a place (x, y, z).

        Both maps are shifted once, which is a fraction of the work of shifting one for each rotation.
        """
        near = np.linalg.norm(self.coarse.points, axis=1) <= _SCANNED * self.ball.pad
        few = _Level(*(each[near] for each in (self.coarse.points, self.coarse.fixed, self.coarse.weights)))
        m, reach = self.ball.values.shape[2] - 1, int(_SCANNED * self.ball.pad) + 2
        cut, along = slice(m - reach, m + reach + 1), np.arange(-reach, reach + 1)
        x, y, z = np.exp(-self.wave * along * self.centre[:, None]).astype(np.complex64)
        lattice = self.ball.values[cut, cut, : reach + 1] * (z[:, None, None] * y[:, None] * x[reach:])
        there = _Level(few.points, few.fixed * np.conj(self._phases(few, to)), few.weights)
        return _correlations(lattice, there, rotations, np.zeros(rotations.shape[:2]))

    def scores(self, level: _Level, rotations: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Correlations (r,) after rotations (r, 3, 3) and shifts (r, 3)."""
        return _correlations(self.ball.values, level, rotations, shifts / (self.side * self.ball.pad))

    def climbed(
        self, level: _Level, rotation: np.ndarray, shift: np.ndarray, rounds: int = _ROUNDS
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Correlation, rotation and shift of the maximum next to a rotation (3, 3) and a shift (3,).

        By steps of Gauss and Newton: the rotation, shift and strength at which the map that moves, as it changes with
        them here, comes nearest to the other; a step that leads downhill is tried again at a quarter of its length.
        """
        root = np.sqrt(level.weights)
        along = np.ascontiguousarray(level.points.T) * np.complex64(self.wave)
        target = level.fixed / root
        best, step = -np.inf, np.zeros(6)
        for _ in range(rounds):
            to = turns(step[None, :3])[0] @ rotation, shift + step[3:]
            phase = root * self._phases(level, to[1])
            moved = self.moved(level, to[0][None])[0] * phase
            value = float(np.vdot(moved, target).real / max(np.linalg.norm(moved) * np.linalg.norm(target), 1e-30))
            if value > best:
                gain, best, (rotation, shift) = value - best, value, to
                if gain < _GAIN:
                    break
                either = self.moved(level, turns(_EITHER) @ rotation) * phase
                step = _step(target, np.concatenate([moved[None], (either[:3] - either[3:]) / _APART, along * moved]))
            else:
                step = step / 4
                if np.abs(step).max() < _NEAR:
                    break
        return best, rotation, shift


def _search(pair: Pair, to: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Correlation, rotation and shift (x, y, z) of the best."""
    rotations = everywhere(_STEP)
    rotations = rotations[np.argsort(-pair.centred(rotations, to))[:_KEPT]]
    shifts = np.stack([pair.shifted(rotation) for rotation in rotations])
    order = np.argsort(-pair.scores(pair.coarse, rotations, shifts))[:_CLIMBED]
    climbed = [pair.climbed(pair.coarse, rotations[i], shifts[i], _ROUGH) for i in order]
    _, rotation, shift = max(climbed, key=lambda found: found[0])
    _, rotation, shift = pair.climbed(pair.trusted(rotation, shift), rotation, shift)
    value = float(pair.scores(pair.plain, rotation[None], shift[None])[0])
    return value, rotation, shift


def _step(target: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Turn (rad) and shift (px), (6,): `columns` (7, k) are the map that moves, and how it changes with each."""
    real = np.ascontiguousarray(columns, np.complex64).view(np.float32)
    gram, right = (real @ real.T).astype(float), (real @ target.astype(np.complex64).view(np.float32)).astype(float)
    gram[np.diag_indices(7)] *= 1 + 1e-4
    part = np.linalg.lstsq(gram, right, rcond=None)[0]
    if not part[0] > 0:
        return np.zeros(6)
    step = part[1:] / part[0]
    lengths = np.repeat([np.linalg.norm(step[:3]), np.linalg.norm(step[3:])], 3)
    return step * np.minimum(1, np.repeat(_FARTHEST, 3) / np.maximum(lengths, 1e-12))


def _correlations(lattice: np.ndarray, level: _Level, rotations: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Correlations (r,) of a lattice after rotations (r, 3, 3) and shifts (r, 3), in sides of the lattice."""
    from cryowidgets.kernels import alignvolumesloops

    cross, power = np.empty(len(rotations)), np.empty(len(rotations))
    turned, moved = (np.ascontiguousarray(each, np.float32) for each in (rotations, shifts))

    def part(rows: tuple[int, int]) -> None:
        some = slice(*rows)
        alignvolumesloops.compare(
            lattice, level.points, level.fixed, level.weights, turned[some], moved[some], cross[some], power[some]
        )

    cpu.each(part, cpu.bands(len(rotations)) if len(rotations) > 100 else [(0, len(rotations))])
    own = float(np.sum(np.abs(level.fixed) ** 2 / level.weights))
    return cross / np.sqrt(np.maximum(power * own, 1e-30))


def _level(other: Transform, radius: float, even: tuple[np.ndarray, np.ndarray] | None) -> _Level:
    reach = int(radius)
    kz, ky, kx = (k.ravel() for k in np.mgrid[-reach : reach + 1, -reach : reach + 1, : reach + 1])
    far = np.sqrt(kz**2 + ky**2 + kx**2)
    half = (kx > 0) | (ky > 0) | ((ky == 0) & (kz > 0))
    keep = (far <= radius) & half
    kz, ky, kx, far = kz[keep], ky[keep], kx[keep], far[keep]
    m = other.values.shape[2] - 1
    fixed = other.values[kz * other.pad + m, ky * other.pad + m, kx * other.pad]
    weights = np.ones(len(far))
    if even is not None:  # fine detail is weak, and tells more
        shell = np.rint(far).astype(int)
        weights = 1 / np.sqrt(np.maximum(even[0][shell] * even[1][shell], 1e-30))
        weights /= weights.max()
    points = np.stack([kx, ky, kz], axis=1) * other.pad
    return _Level(points.astype(np.float32), (fixed * weights).astype(np.complex64), weights.astype(np.float32))


def _amplitudes(ball: Transform) -> np.ndarray:
    """Root mean square of each shell, by waves over the box; never less than a hundredth of the strongest."""
    m = ball.values.shape[2] - 1
    along = np.arange(-m, m + 1) / ball.pad
    far = np.rint(np.sqrt(along[:, None, None] ** 2 + along[:, None] ** 2 + along[m:] ** 2)).astype(int).ravel()
    power = np.bincount(far, np.abs(ball.values.ravel()) ** 2) / np.maximum(np.bincount(far), 1)
    return np.sqrt(np.maximum(power, 1e-4 * power[1:].max()))


def centre(volume: np.ndarray) -> np.ndarray:
    """Centre of mass (x, y, z) of what stands out, px from voxel n // 2."""
    above = standing_out(volume)
    if not above.any():
        return np.zeros(3)
    return (np.array(scipy.ndimage.center_of_mass(above)) - np.array(volume.shape) // 2)[::-1]


def standing_out(volume: np.ndarray) -> np.ndarray:
    """What a smooth map (n, n, n) has above a fifth of its highest density: the particle, without the noise."""
    smooth = scipy.ndimage.gaussian_filter(volume, volume.shape[0] / 32)
    return np.clip(smooth - 0.2 * smooth.max(), 0, None)
