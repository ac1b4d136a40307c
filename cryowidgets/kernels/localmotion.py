"""Local motion: how the content of parts of a frame moved, beside the frame as a whole.

Beams bend ice, so that its parts move in different ways. The frames are cut into pieces, but no piece is aligned by
itself: one smooth field (`localfield`) is fitted to all of them together by maximum likelihood, with Gauss-Newton steps
at finer and finer detail. Each frequency has the weight of the signal-to-noise ratio that the movie shows there. How
far functions of each kind may go is told by the evidence (MacKay, Neural Comput. 4 (1992) 415,
doi:10.1162/neco.1992.4.3.415): where pieces say little, the field stays flat. It is believed only if pieces that had
no part in the fit become likelier by it.

Smooth fields instead of patches are those of Zheng et al., Nat. Methods 14 (2017) 331, doi:10.1038/nmeth.4193, and
Tegunov & Cramer, Nat. Methods 16 (2019) 1146, doi:10.1038/s41592-019-0580-y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cryowidgets.kernels import dose, localfield, trajectory, warp
from cryowidgets.kernels.band import over_rings
from cryowidgets.kernels.localfield import DisplacementField, Field
from cryowidgets.kernels.patches import HIGH_PASS, Grid, Patches

BELIEVED = 8.0
"""By how much the logarithm of the likelihood of pieces that were held back must rise.

Two pieces that agree by chance count twice, as either is held back in turn, so that chance goes further than such a
logarithm suggests. Movies whose parts stood still reached 6.6 in 22 of 23 cases, and one 15. That one reached 9.8, 7.7
and less than 4.7 with 26 other draws of its noise (0.55 e/Å² a frame, 11 in all). Movies whose parts moved by half a
pixel reached 7.6 to 22: a higher threshold would lose them, and with them more than a false field does harm.
"""

_STAGES = (14.0, 8.0, 5.0)
"""Å; finer detail than that of a stage is left out of it."""

_CONVERGED = 0.02  # px
_USUAL = np.array([2.0, 1.0, 0.5])  # Å of slopes, bends and ripples
_SHARES = 0.05, 50.0
_STEPS = np.array([1 / 4, 1 / 2, 1.0, 2.0, 4.0])  # by which they are tried larger or smaller
_SMALLEST, _LARGEST = 0.01, 10.0  # px, Å
_FOLDS = 4

TOGETHER = 2.5
"""e/Å² up to which frames are taken together; at least 12 groups are kept."""


@dataclass(frozen=True)
class LocalMotion:
    """What was found.

    Attributes
    ----------
    field : DisplacementField or None
        None where it is not believed.
    shifts : (n, 2)
        Of the whole frame, y and x in px, relative to the first: measured anew with the pieces, and smoothed.
    covariance : (n, n)
        Of their errors along an axis, relative to the mean of the trajectory, px².
    gain : float
        By how much the logarithm of the likelihood of pieces that were held back has risen.
    residual : float
        Root mean square of the motion of pieces that the field leaves over, px along an axis, noise taken off.
    grid : Grid
        The pieces.
    why : str
        Why the field is not believed; empty where it is.
    """

    field: DisplacementField | None
    shifts: np.ndarray
    covariance: np.ndarray
    gain: float
    residual: float
    grid: Grid
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.field is not None

    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement of the content at places (k,), (k,) px in all frames, relative to the first: (k, n, 2)."""
        whole = np.broadcast_to(self.shifts, (len(np.atleast_1d(y)), *self.shifts.shape))
        return whole if self.field is None else whole + self.field.at(np.atleast_1d(y), np.atleast_1d(x))

    def tiles(self) -> np.ndarray:
        """The same at the centres of `warp.tiles`: (n, rows, columns, 2)."""
        whole = warp.uniform(self.shifts, self.grid.shape)
        return whole if self.field is None else whole + self.field.grid(*warp.tiles(self.grid.shape))

    def tracks(self) -> np.ndarray:
        """Displacement at the centres of the pieces, relative to the first frame: (pieces, n, 2) px."""
        return self.at(*self.grid.centres.T)


def grouped(frames: int, dose_per_frame: float) -> int:
    """How many frames are taken together, so that each group shows about as much as `TOGETHER` lets it."""
    wanted = TOGETHER / dose_per_frame if dose_per_frame else 1
    return max(min(round(wanted), frames // 12), 1)


def measure(
    blocks: Iterable[tuple[int, Any]],
    gain: Any,
    shape: tuple[int, int],
    shifts: np.ndarray,
    pixel_size: float,
    dose_per_frame: float = 0.0,
    pre_exposure: float = 0.0,
    voltage: float = 300.0,
    resolution: float = 5.0,
    patches: tuple[int, int] | None = None,
    covariance: np.ndarray | None = None,
) -> LocalMotion:
    """Measure the local motion of a movie, and that of the whole frame again.

    Parameters
    ----------
    blocks : iterable of (int, array (k, y, x))
        Raw frames, their defects replaced, in blocks, each with the number of its first, which is a multiple of
        `grouped`; together they are all frames.
    gain : array (y, x), float32, or None
        What multiplies them.
    shape : (int, int)
        y and x of a frame.
    shifts : (n, 2)
        Displacement of the whole frame, as of `motion.align`.
    pixel_size : float
        Å/px.
    dose_per_frame, pre_exposure : float
        e/Å²; a `dose_per_frame` of 0 means unknown.
    voltage : float
        kV.
    resolution : float
        Å of the finest detail compared.
    patches : (int, int), optional
        Number of pieces along y and x; by default one for each 450 Å.
    covariance : (n, n), optional
        Of the errors of `shifts` along an axis, px²: what is known of frames within a group.
    """
    n = len(shifts)
    grid = Grid.over(shape, pixel_size, resolution, patches)
    fading = partial(dose.fading, n, dose_per_frame=dose_per_frame, pre_exposure=pre_exposure, voltage=voltage)
    together = grouped(n, dose_per_frame)
    pieces = Patches(grid, blocks, gain, shifts, resolution, pixel_size, fading, np.arange(n) // together)
    centred = shifts - shifts.mean(axis=0)
    fit = _Fit(pieces, pixel_size, centred, dose_per_frame, pre_exposure)
    for finest in [stage for stage in _STAGES if stage > resolution * 1.05] + [resolution]:
        for _ in range(2 if finest > resolution else 8):
            if fit.step(finest) < _CONVERGED:
                break
    gradient, _ = fit.slopes()
    residual, likelier = fit.residual(gradient), fit.held_back(gradient)
    whole, told = fit.whole(centred, np.zeros((n, n)) if covariance is None else covariance)
    why = ""
    if not likelier > BELIEVED:
        why = (
            f"Pieces that were held back became likelier by {likelier:.1f} (logarithm) and {BELIEVED:g} is needed: "
            "no motion beside that of the whole frame can be told."
        )
        whole, told = shifts, np.full((n, n), math.nan)
    return LocalMotion(None if why else fit.field(), whole - whole[0], told, likelier, residual, grid, why)


class _Fit:
    """State of a fit: shifts of the whole frame, and coefficients of the field."""

    def __init__(
        self,
        pieces: Patches,
        pixel_size: float,
        shifts: np.ndarray,
        dose_per_frame: float,
        pre_exposure: float,
    ) -> None:
        self.pieces, self._pixel_size = pieces, pixel_size
        grid, n, frames = pieces.grid, pieces.n, len(shifts)
        self._space = localfield.terms(grid.shape, *grid.centres.T)
        self._times = localfield.times(frames, dose_per_frame)
        self._time = pieces.mean(self._times)
        self._whole0 = pieces.mean(shifts)
        self._exposure = dose_per_frame * frames / n, pre_exposure
        self._power = pieces.power
        self._own = np.square(pieces.fading)  # (n, rings)
        # unknowns of one axis: a shift for each frame, then the coefficients of the field
        self._kind = np.repeat(localfield.KINDS, self._time.shape[1])
        self._x = np.zeros((n + len(self._kind), 2))
        self._reach = _USUAL / pixel_size  # px, of the functions of each kind
        self._usual = _USUAL / pixel_size
        self._finest = math.inf
        pieces.move(self._displacement(self._x))

    def step(self, finest: float) -> float:
        """One Gauss-Newton step with detail down to `finest` Å; the largest change of a displacement, px."""
        if finest != self._finest:
            self._finest = finest
            self._weigh()
        gradient, _ = self.slopes()
        normal = self._matrix(self._pairs)
        slope = self._slope(gradient)
        self._learn(normal, slope + normal @ self._x)
        prior = self._prior()
        self._covariance = np.linalg.inv(normal + np.diag(prior))
        step = self._covariance @ (slope - prior[:, None] * self._x)
        step *= min(1.0, 1.0 / max(np.abs(self._moved(step)).max(), 1e-12))
        before = self._displacement(self._x)
        self._x = self._smoothed(self._x + step)
        after = self._displacement(self._x)
        self.pieces.move(after)
        change = float(np.abs(after - before).max())
        if change > 0.1:
            self._weigh()
        return change

    def whole(self, shifts: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smoothed shifts of the frames, (frames, 2), and the covariance of their errors along an axis.

        Between groups they are those of the fit; from frame to frame within one, the given ones.
        """
        frame = np.arange(len(shifts), dtype=float)
        middle = self.pieces.mean(frame)
        between = np.stack([np.interp(frame, middle, one) for one in np.eye(len(middle))], axis=1)  # (frames, n)
        within = np.eye(len(frame)) - between @ self.pieces.mean(np.eye(len(frame)))
        known = between @ self._uncertain @ between.T + within @ covariance @ within.T
        return shifts + between @ self._x[: self.pieces.n], known

    def field(self) -> Field:
        coefficients = self._x[self.pieces.n :].reshape(-1, self._time.shape[1], 2)
        return Field(self.pieces.grid.shape, self._times, coefficients)

    def slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """As of `Patches.slopes`, where the pieces lie now."""
        return self.pieces.slopes(self._weight)

    def held_back(self, gradient: np.ndarray) -> float:
        """By how much pieces become likelier by the field that the others give, compared with none.

        `gradient` is that of the fit; the pieces are left where there is no field.
        """
        pieces, prior = self.pieces, np.diag(self._prior())
        fitted = self._displacement(self._x)
        rows, columns = np.divmod(np.arange(len(pieces)), pieces.grid.number[1])
        fold = (rows + 2 * columns) % _FOLDS
        with_field, flat = np.empty_like(fitted), np.empty_like(fitted)
        for f in range(_FOLDS):
            held = fold == f
            slope = self._slope(gradient[~held], ~held) - prior @ self._x
            matrix = self._matrix(self._pairs[~held], ~held) + prior
            x = self._x + np.linalg.solve(matrix, slope)
            with_field[held] = self._displacement(x)[held]
            x[pieces.n :] = 0
            flat[held] = self._displacement(x)[held]
        pieces.move(with_field)
        _, field = self.slopes()
        pieces.move(flat)
        _, none = self.slopes()
        return float((field - none).sum())

    def residual(self, gradient: np.ndarray) -> float:
        """Root mean square of the smooth motion of single pieces that is left over, less what is chance; px."""
        time = self._time - self._time.mean(axis=0)
        left, chance = [], []
        for p, pairs in enumerate(self._pairs):
            normal = time.T @ pairs @ time
            covariance = np.linalg.pinv(normal, rcond=1e-6, hermitian=True)
            left.append(np.square(time @ (covariance @ (time.T @ gradient[p]))).mean())
            chance.append(np.trace(time @ covariance @ time.T) / len(time))
        return math.sqrt(max(float(np.median(left) - np.median(chance)), 0.0))

    def _weigh(self) -> None:
        """Signal and noise of each ring from all pieces together, and from them the weights."""
        pieces, n = self.pieces, self.pieces.n
        summed = np.stack([pieces.summed_power(p) for p in range(len(pieces))])
        together = self._own.sum(axis=0)
        by_piece = (summed - together * self._power) / np.maximum(together**2 * (1 - 1 / n), 1e-30)
        k = pieces.radius / self._pixel_size
        seen = (k <= 1 / self._finest) * (1 - np.exp(-np.square(k * HIGH_PASS)))
        # All pieces share the shape of the signal's spectrum; how strong it is differs, on carbon much.
        share = np.ones(len(pieces))
        for _ in range(3):
            mean = (by_piece / share[:, None]).mean(axis=0)
            signal = np.maximum(over_rings(mean, pieces.count), 0)
            worth = seen * pieces.count * signal / np.square(self._power)
            share = np.clip((by_piece @ worth) / max(float(signal @ worth), 1e-30), *_SHARES)
        own_signal = share[:, None] * signal
        noise = np.maximum(self._power - own_signal.mean(axis=0) * together / n, 1e-3 * self._power)
        self._weight = pieces.independent * seen * own_signal / (noise * (noise + together * own_signal))
        # expected curvature for pairs of frames of each piece
        curvature = 2 * math.pi**2 * pieces.count * pieces.radius**2 * self._weight * own_signal
        self._pairs = -np.matmul(self._own * curvature[:, None, :], self._own.T)
        diagonal = np.arange(n)
        self._pairs[:, diagonal, diagonal] += (curvature * together) @ self._own.T

    def _matrix(self, pairs: np.ndarray, of: Any = slice(None)) -> np.ndarray:
        """Expected curvature for the unknowns of one axis, from that for the displacements of each piece."""
        n, space, time = pairs.shape[1], self._space[of], self._time
        through = pairs @ time  # (pieces, n, t)
        cross = np.tensordot(through, space, axes=(0, 0)).transpose(0, 2, 1).reshape(n, -1)
        twice = np.matmul(time.T, through).reshape(len(space), -1)  # (pieces, t·t)
        m, t = space.shape[1], time.shape[1]
        products = (space[:, :, None] * space[:, None, :]).reshape(len(space), -1)
        inner = (products.T @ twice).reshape(m, m, t, t).transpose(0, 2, 1, 3).reshape(m * t, m * t)
        return np.block([[pairs.sum(axis=0), cross], [cross.T, inner]])

    def _slope(self, gradient: np.ndarray, of: Any = slice(None)) -> np.ndarray:
        """Derivative for the unknowns from that for the displacements of pieces (pieces, n, 2)."""
        field = np.tensordot(self._space[of], np.matmul(self._time.T, gradient), axes=(0, 0))
        return np.concatenate([gradient.sum(axis=0), field.reshape(-1, 2)])

    def _moved(self, x: np.ndarray) -> np.ndarray:
        """Displacements of all pieces by given unknowns: (pieces, n, 2)."""
        n = self.pieces.n
        course = np.einsum("tj,mjc->mtc", self._time, x[n:].reshape(self._space.shape[1], -1, 2))
        return x[:n] + np.tensordot(self._space, course, axes=(1, 0))

    def _prior(self) -> np.ndarray:
        """Precision of each unknown before the data; the shifts of frames have next to none."""
        scale = float(np.trace(self._pairs.sum(axis=0))) / self.pieces.n
        frames = np.full(self.pieces.n, 1e-4 * scale + 1e-12)
        return np.concatenate([frames, 1 / np.square(self._reach[self._kind])])

    def _smoothed(self, x: np.ndarray) -> np.ndarray:
        """The unknowns with the whole frame's trajectory smoothed, so that frames that tell little blur nothing."""
        n = self.pieces.n
        centred = np.eye(n) - 1 / n
        variance = np.diag(centred @ self._covariance[:n, :n] @ centred)
        raw = self._whole0 + x[:n]
        smooth, self._uncertain = trajectory.smooth(raw - raw.mean(axis=0), variance, *self._exposure)
        return np.concatenate([smooth - self._whole0, x[n:]])

    def _learn(self, normal: np.ndarray, right: np.ndarray) -> None:
        """How far each kind goes: to where the evidence is larger, the likelihood being taken for a parabola."""
        n = self.pieces.n
        corner = normal[:n, :n] + np.diag(self._prior()[:n])
        through = np.linalg.solve(corner, np.column_stack([normal[:n, n:], right[:n]]))
        matrix = normal[n:, n:] - normal[n:, :n] @ through[:, :-2]
        wanted = right[n:] - normal[n:, :n] @ through[:, -2:]

        def evidence(reach: np.ndarray) -> float:
            prior = 1 / np.square(reach[self._kind])
            factor = np.linalg.cholesky(matrix + np.diag(prior))
            half = np.linalg.solve(factor, wanted)
            usual = np.log1p(np.square(reach / self._usual)).sum()  # half Cauchy
            likelihood = 0.5 * np.square(half).sum() - 2 * np.log(np.diag(factor)).sum() + np.log(prior).sum()
            return float(likelihood - usual)

        for kind in range(len(self._reach)):
            tried = []
            for value in np.clip(self._reach[kind] * _STEPS, _SMALLEST, _LARGEST / self._pixel_size):
                reach = self._reach.copy()
                reach[kind] = value
                tried.append((evidence(reach), value))
            self._reach[kind] = max(tried)[1]

    def _displacement(self, x: np.ndarray) -> np.ndarray:
        return self._whole0 + self._moved(x)
