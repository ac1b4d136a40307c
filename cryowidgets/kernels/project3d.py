"""Projections of a map and the way back, by slices of its Fourier transform.

A map is (z, y, x), its centre is voxel n // 2 of each axis. A rotation is a matrix of (x, y, z), as RELION makes them
of its three angles: its rows are the axes of a picture in the frame of the map, the third row looks along the beam. The
transform of a projection is the slice of the map's transform across the beam (DeRosier & Klug 1968,
doi:10.1038/217130a0). The map is padded before it is transformed and its transform is read trilinearly; what that takes
from the map towards its edges is given back beforehand (Penczek, Renka & Schomberg 2004, doi:10.1364/JOSAA.21.000499).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

PAD = 2


def rotations_of(rot: np.ndarray, tilt: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Rotation matrices of RELION's angles.

    Parameters
    ----------
    rot, tilt, psi : (m,)
        Degrees: about z, about the new y, about the new z (rlnAngleRot, rlnAngleTilt, rlnAnglePsi).

    Returns
    -------
    (m, 3, 3) float64
        Rows: where x, y and the beam of the picture lie in the frame of the map.
    """
    a, b, c = (np.radians(np.atleast_1d(np.asarray(angle, float))) for angle in (rot, tilt, psi))
    (sa, ca), (sb, cb), (sc, cc) = ((np.sin(t), np.cos(t)) for t in (a, b, c))
    rows = [
        [cc * cb * ca - sc * sa, cc * cb * sa + sc * ca, -cc * sb],
        [-sc * cb * ca - cc * sa, -sc * cb * sa + cc * ca, sc * sb],
        [sb * ca, sb * sa, cb],
    ]
    rows = [[np.broadcast_to(value, np.broadcast(a, b, c).shape) for value in row] for row in rows]
    return np.moveaxis(np.array(rows), -1, 0)


def angles_of(rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RELION's angles (rot, tilt, psi), degrees, of rotations (m, 3, 3); tilt is 0 to 180, rot is 0 at the poles."""
    r = np.asarray(rotations, float)
    tilt = np.arctan2(np.hypot(r[:, 2, 0], r[:, 2, 1]), r[:, 2, 2])
    pole = np.sin(tilt) < 1e-6
    rot = np.where(pole, 0.0, np.arctan2(r[:, 2, 1], r[:, 2, 0]))
    at_pole = np.arctan2(-r[:, 1, 0] * np.sign(r[:, 2, 2]), r[:, 1, 1])
    psi = np.where(pole, at_pole, np.arctan2(r[:, 1, 2], -r[:, 0, 2]))
    return np.degrees(rot), np.degrees(tilt), np.degrees(psi)


def project(volume: np.ndarray, rotations: np.ndarray, pad: int = PAD) -> np.ndarray:
    """Projections of a map (n, n, n) along the third rows of rotations (m, 3, 3): (m, n, n) float32.

    Up to the largest circle of frequencies that the pictures hold; sums of voxels, as of a ray of one pixel. Of a map
    that fills half of its box they are right to 1 %; padded to 4 boxes instead of 2, to 0.2 %.
    """
    n = volume.shape[0]
    points, rows, columns = disc(n, n // 2 - 1)
    half = np.zeros((len(rotations), n, n // 2 + 1), np.complex64)
    half[:, rows, columns] = slices(transform(volume, n // 2 - 1, pad), rotations, points)
    return _pictures(half, n)


def backproject(pictures: np.ndarray, rotations: np.ndarray, pad: int = PAD) -> np.ndarray:
    """The adjoint of `project`: pictures (m, n, n) smeared back along their beams, a map (n, n, n) float32."""
    n = pictures.shape[-1]
    points, rows, columns = disc(n, n // 2 - 1)
    sums = Sums.empty(n, n // 2 - 1, pad)
    values = spectra(pictures)[:, rows, columns] / np.float32(n**2)
    values[:, _own_mate(points)] /= 2
    sums.insert(rotations, points, values)
    return sums.back()


@dataclass(frozen=True)
class Transform:
    """Fourier transform of a padded map within a ball: values (2 m + 1, 2 m + 1, m + 1), kz and ky from -m, kx from 0.

    `box` is the side of the map, px; the lattice has `pad` points where the map's own frequencies have one.
    """

    values: np.ndarray
    box: int
    pad: int


def transform(volume: np.ndarray, radius: float, pad: int = PAD) -> Transform:
    """What `slices` reads from: frequencies of a map (n, n, n) up to `radius`, in steps of 1 / n."""
    n = volume.shape[0]
    side, m = pad * n, _reach(radius, pad)
    padded = np.zeros((side,) * 3, np.float32)
    lay = slice(side // 2 - n // 2, side // 2 - n // 2 + n)
    padded[lay, lay, lay] = volume / _smearing(n, pad)
    # only planes and rows that are wanted are transformed further
    half = scipy.fft.rfft(padded[:, lay], axis=2)[:, :, : m + 1]
    turn = np.arange(-m, m + 1)
    full = np.zeros((side, side, half.shape[2]), np.complex64)
    full[:, lay] = half
    some = np.take(scipy.fft.fft(full[lay], axis=1), turn, axis=1)
    deep = np.zeros((side, *some.shape[1:]), np.complex64)
    deep[lay] = some
    values = np.take(scipy.fft.fft(deep, axis=0), turn, axis=0)
    values = np.pad(values, ((0, 0), (0, 0), (0, m + 1 - values.shape[2])))
    signs = _signs(m, side)
    values *= signs[:, None, None] * signs[None, :, None] * signs[m:]
    return Transform(np.ascontiguousarray(values, np.complex64), n, pad)


def slices(ball: Transform, rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Central slices of a map's transform at `points` (k, 2) of kx, ky (steps of 1 / n, see `disc`): (m, k) complex64.

    Phases are those of pictures about their centre.
    """
    from cryowidgets.kernels import project3dloops

    out = np.empty((len(rotations), len(points)), np.complex64)
    project3dloops.take(ball.values, _narrow(rotations), _narrow(points * ball.pad), out)
    return out


@dataclass(frozen=True)
class Sums:
    """Slices that are being put together: `insert` adds, `solved` divides by how much there is at each place."""

    values: np.ndarray
    weights: np.ndarray
    box: int
    pad: int

    @classmethod
    def empty(cls, box: int, radius: float, pad: int = PAD) -> Sums:
        m = _reach(radius, pad)
        shape = (2 * m + 1, 2 * m + 1, m + 1)
        return cls(np.zeros(shape, np.complex64), np.zeros(shape, np.float32), box, pad)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.values + other.values, self.weights + other.weights, self.box, self.pad)

    def insert(
        self, rotations: np.ndarray, points: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None
    ) -> None:
        """Add slices (m, k) at points (k, 2), each value times its count already; counts (m, k) or None for ones."""
        from cryowidgets.kernels import project3dloops

        counts = np.ones(values.shape, np.float32) if counts is None else np.broadcast_to(counts, values.shape)
        project3dloops.put(
            self.values,
            self.weights,
            _narrow(rotations),
            _narrow(points * self.pad),
            np.ascontiguousarray(values, np.complex64),
            np.ascontiguousarray(counts, np.float32),
        )

    def whole(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and weights with the plane kx = 0 completed by the conjugates of its own mates."""
        values, weights = self.values.copy(), self.weights.copy()
        values[:, :, 0] += np.conj(values[::-1, ::-1, 0])
        weights[:, :, 0] += weights[::-1, ::-1, 0]
        return values, weights

    def solved(self, tau: float | np.ndarray = 0.1) -> np.ndarray:
        """The map (n, n, n): values over weights, where weights are raised by `tau` of the mean of their shell.

        So what has never been seen stays 0, and what has been seen little is believed little. `tau` may be one for each
        wave over the box, from 0.
        """
        values, weights = self.whole()
        return _map(values / self._raised(weights, tau), self.box, self.pad)

    def within(self, mask: np.ndarray, tau: float | np.ndarray = 0.3, rounds: int = 8) -> np.ndarray:
        """The map (n, n, n) that is 0 outside of a mask and nowhere below nothing, and gives the slices.

        Both tell in part what views did not: projection onto convex sets, Carazo & Carrascosa (1987) J Microsc 145,
        159, doi:10.1111/j.1365-2818.1987.tb01325.x. It is nearer to the slices with every round, and to their noise.
        """
        values, weights = self.whole()
        raised = self._raised(weights, tau)
        radius = (values.shape[2] - 2) / self.pad
        volume = np.zeros((self.box,) * 3, np.float32)
        for done in range(rounds):
            lacking = values - weights * transform(volume, radius, self.pad).values if done else values
            volume = np.maximum((volume + _map(lacking / raised, self.box, self.pad)) * mask, 0)
        return volume

    def _raised(self, weights: np.ndarray, tau: float | np.ndarray) -> np.ndarray:
        shells, inverse = _shells(weights.shape[2] - 1)
        mean = np.bincount(inverse, weights.ravel()) / shells
        tau = np.atleast_1d(np.asarray(tau, float))
        mean *= np.interp(np.arange(len(mean)) / self.pad, np.arange(len(tau)), tau)
        floor = np.maximum(mean[inverse].reshape(weights.shape), 1e-6 * max(float(weights.max()), 1e-30))
        return (weights + floor).astype(np.float32)

    def back(self) -> np.ndarray:
        """The adjoint of `transform` and `slices`: no division."""
        values, _ = self.whole()
        return _map(values, self.box, self.pad) * np.float32((self.pad * self.box) ** 3)


@lru_cache(maxsize=16)
def disc(n: int, radius: float, inner: float = -1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of one half of a disc of frequencies, the nearest to 0 first; of a pair k and -k only one is there.

    Parameters
    ----------
    n : int
        Side of a picture, px.
    radius, inner : float
        Those at most so far from 0 and further than `inner`, in steps of 1 / n.

    Returns
    -------
    points (k, 2) of kx and ky, float32; row and column (k,) of each in the half plane that `rfft2` gives
    """
    reach = int(radius)
    ky, kx = np.mgrid[-reach : reach + 1, : reach + 1]
    far = np.hypot(ky, kx)
    keep = (far <= radius) & (far > inner) & ((kx > 0) | (ky >= 0))
    order = np.argsort(far[keep], kind="stable")
    points = np.stack([kx[keep], ky[keep]], axis=1)[order]
    out = points.astype(np.float32), points[:, 1] % n, points[:, 0].copy()
    for array in out:
        array.flags.writeable = False
    return out


def spectra(pictures: np.ndarray) -> np.ndarray:
    """Transforms (m, n, n // 2 + 1) complex64 of pictures (m, n, n), phases about the centre n // 2."""
    n = pictures.shape[-1]
    half = scipy.fft.rfft2(np.asarray(pictures, np.float32), axes=(-2, -1))
    return np.asarray(half * _turns(n), np.complex64)


def resized(volume: np.ndarray, side: int) -> np.ndarray:
    """The same box of a map (n, n, n) with `side` px along an edge, float32; fine waves that do not fit are left out.

    The centre n // 2 becomes side // 2.
    """
    n = volume.shape[0]
    volume = np.asarray(volume, np.float32)
    if n == side:
        return volume
    least = min(n, side)
    turn = np.arange(-((least - 1) // 2), (least - 1) // 2 + 1)
    columns = turn[len(turn) // 2 :]
    half = scipy.fft.rfftn(volume)[np.ix_(turn, turn, columns)]
    move = np.exp(2j * np.pi * turn * (n // 2 / n - side // 2 / side)).astype(np.complex64)
    half *= move[:, None, None] * move[:, None] * move[len(turn) // 2 :] * np.float32((side / n) ** 3)
    out = np.zeros((side, side, side // 2 + 1), np.complex64)
    out[np.ix_(turn, turn, columns)] = half
    return np.asarray(scipy.fft.irfftn(out, (side,) * 3), np.float32)


def fitted(volume: np.ndarray, side: int) -> np.ndarray:
    """A map in a box of `side` px of the same size, cut or filled with 0, float32.

    The centre n // 2 becomes side // 2.
    """
    n = volume.shape[0]
    if n == side:
        return np.asarray(volume, np.float32)
    out = np.zeros((side,) * 3, np.float32)
    least = min(n, side)
    a, b = n // 2 - least // 2, side // 2 - least // 2
    out[b : b + least, b : b + least, b : b + least] = volume[a : a + least, a : a + least, a : a + least]
    return out


def _pictures(half: np.ndarray, n: int) -> np.ndarray:
    """The inverse of `spectra`."""
    half = half * np.conj(_turns(n))
    half[:, (-np.arange(1, (n + 1) // 2)) % n, 0] = np.conj(half[:, 1 : (n + 1) // 2, 0])  # mates within kx = 0
    return scipy.fft.irfft2(half, (n, n), axes=(-2, -1)).astype(np.float32, copy=False)


def _map(values: np.ndarray, n: int, pad: int) -> np.ndarray:
    """The map of a ball of its padded transform."""
    side, m = pad * n, values.shape[2] - 1
    signs = _signs(m, side)
    values = values * (signs[:, None, None] * signs[None, :, None] * signs[m:])
    lay = slice(side // 2 - n // 2, side // 2 - n // 2 + n)
    turn, columns = np.arange(-m, m + 1), min(m + 1, side // 2 + 1)
    full = np.zeros((side, 2 * m + 1, columns), np.complex64)
    full[turn] = values[:, :, :columns]
    some = scipy.fft.ifft(full, axis=0)[lay]
    wide = np.zeros((n, side, columns), np.complex64)
    wide[:, turn] = some
    out = scipy.fft.irfft(scipy.fft.ifft(wide, axis=1)[:, lay], side, axis=2)[:, :, lay]
    return np.asarray(out / _smearing(n, pad), np.float32)


def _reach(radius: float, pad: int) -> int:
    return int(np.ceil(radius * pad)) + 1


def _signs(m: int, side: int) -> np.ndarray:
    """Phases that bring the origin from a corner to voxel side // 2, for frequencies from -m to m."""
    return np.exp(2j * np.pi * np.arange(-m, m + 1) * (side // 2) / side).astype(np.complex64)


@lru_cache(maxsize=8)
def _turns(n: int) -> np.ndarray:
    """As `_signs`, for a half plane."""
    along = np.exp(2j * np.pi * np.fft.fftfreq(n) * (n // 2))
    return (along[:, None] * along[None, : n // 2 + 1]).astype(np.complex64)


@lru_cache(maxsize=8)
def _smearing(n: int, pad: int) -> np.ndarray:
    """What trilinear reading takes from a map: the transform of the triangle, by axis; float32 (n, n, n)."""
    line = np.sinc((np.arange(n) - n // 2) / (pad * n)) ** 2
    return (line[:, None, None] * line[:, None] * line).astype(np.float32)


@lru_cache(maxsize=8)
def _shells(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in each shell of a lattice, and the shell of each point."""
    along = np.arange(-m, m + 1)
    far = np.sqrt(along[:, None, None] ** 2 + along[:, None] ** 2 + np.arange(m + 1) ** 2)
    inverse = np.rint(far).astype(np.intp).ravel()
    return np.maximum(np.bincount(inverse), 1), inverse


def _own_mate(points: np.ndarray) -> np.ndarray:
    return (points == 0).all(axis=1)


def _narrow(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
