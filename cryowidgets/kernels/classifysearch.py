"""Which average a picture shows, at which angle and where: the expectation step of 2-D classification.

The logarithm of how likely picture X is under average C, turned by ψ and displaced by t, and the lens c, is up to a
constant ``Σ w/V (Re⟨cX, C⟩ − ½ c²|C|²)`` over the rings, V being the variance of the noise there. All angles, a grid of
displacements and all averages are tried on the coarser rings; the best few averages of each picture then get the best
pose between the points of the grid, by Gauss and Newton's method on all rings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import scipy.fft

from cryowidgets.cpu import threads
from cryowidgets.kernels import fourier
from cryowidgets.kernels.classifyrings import Rings
from cryowidgets.kernels.xp import asnumpy, beside, namespace, to_device

_STEPS = 2  # of Newton's method
_FINE = 6  # samples of an average's ring for one of a picture's


@dataclass(frozen=True)
class Grid:
    """Poses that are tried.

    Attributes
    ----------
    rings, harmonics : int
        How many of each are compared.
    angles : int
        In a whole turn.
    shifts : (t, 2)
        y, x, px of the rings' pictures.
    step : float
        Between displacements, px.
    """

    rings: int
    harmonics: int
    angles: int
    shifts: np.ndarray
    step: float


def grid(rings: Rings, resolution: float) -> Grid:
    """Poses for a first comparison to `resolution` Å."""
    count = max(int(np.sum(rings.resolutions >= resolution)), min(4, len(rings.numbers)))
    finest = float(rings.resolutions[count - 1])
    harmonics = int(rings.highest[count - 1]) + 1
    reach = max(rings.shift, 1.0) / rings.pixel
    step = min(0.35 * finest / rings.pixel, reach)
    side = np.arange(-math.ceil(reach / step), math.ceil(reach / step) + 1) * step
    y, x = (a.ravel() for a in np.meshgrid(side, side, indexing="ij"))
    near = np.hypot(y, x) <= reach + 0.25 * step
    return Grid(count, harmonics, 2 * fourier.fast_length(harmonics), np.stack([y, x], 1)[near], step)


@dataclass(frozen=True)
class Model:
    """What pictures are compared with.

    Attributes
    ----------
    averages : (k, rings, harmonics) complex64
    alive : (k,) bool
        Of numpy, as is `noise`.
    noise : (rings,) float64
        Variance of an element of a picture's Fourier transform.
    limit : int
        How many of the rings are believed so far.
    heat : float
        What the logarithm is divided by: above 1, pictures are compared as if there were more noise.
    """

    averages: Any
    alive: np.ndarray
    noise: np.ndarray
    limit: int
    heat: float = 1.0

    def beside(self, like: Any) -> Model:
        """With the averages in the library and on the device of `like`."""
        return replace(self, averages=to_device(self.averages, like))


@dataclass(frozen=True)
class Found:
    """The best averages of each picture, the likeliest first; arrays of the library of the pictures.

    Attributes
    ----------
    slot : (n, m) int
    psi : (n, m)
        rad by which the average is turned, from x towards y.
    shift : (n, m, 2)
        Where its centre lies, y, x, px of the rings' pictures.
    likelihood : (n, m)
        Its logarithm, up to a constant of the picture.
    product, norm : (n, m)
        Re⟨cX, C⟩ and c²|C|², both over V.
    opposite : (n, m)
        The largest product with the picture's negative, at any pose: what is found where there is nothing.
    """

    slot: Any
    psi: Any
    shift: Any
    likelihood: Any
    product: Any
    norm: Any
    opposite: Any

    def on_host(self) -> Found:
        return Found(*(asnumpy(getattr(self, f.name)) for f in fields(Found)))

    def of(self, which: Any) -> Found:
        """Of some of the pictures."""
        return Found(*(getattr(self, f.name)[which] for f in fields(Found)))

    @classmethod
    def together(cls, parts: Sequence[Found]) -> Found:
        """Of several lots, one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


class Search:
    """Averages made ready to be compared with many pictures.

    Parameters
    ----------
    rings : Rings
    model : Model
    poses : Grid
    best : int
        How many averages are looked at closely for each picture.
    """

    def __init__(self, rings: Rings, model: Model, poses: Grid, best: int = 3) -> None:
        self.rings, self.model, self.poses = rings, model, poses
        like = model.averages
        xp = namespace(like)
        self._best = max(min(best, int(model.alive.sum())), 1)
        self._count = min(poses.rings, model.limit)
        self._harmonics = min(poses.harmonics, int(rings.highest[self._count - 1]) + 1)
        weight = (rings.weights / model.noise / model.heat).astype(np.float32)
        weight[model.limit :] = 0
        self._weight = to_device(weight, like)
        part = model.averages[:, : self._count, : self._harmonics]
        self._references = xp.conj(xp.permute_dims(part, (2, 1, 0)))  # harmonics, rings, classes
        if xp is np:
            self._references = np.ascontiguousarray(self._references)
        power = xp.abs(model.averages) ** 2 * to_device(rings.twice, like)
        self._power = xp.permute_dims(xp.sum(power, axis=-1), (1, 0))  # rings, classes
        self._dead = to_device(np.where(model.alive, 0, -np.inf).astype(np.float32), like)
        shifts = to_device(poses.shifts.astype(np.float32), like)
        self._shifts = shifts
        self._ramp = xp.permute_dims(rings.ramp(shifts)[:, : self._count, :], (2, 0, 1))[:, None, :, :]
        self._fine = self._finely() if xp is np else None
        self._spread = rings.shift / rings.pixel
        self._prior = -0.5 * xp.sum(shifts * shifts, axis=1) / self._spread**2

    def __call__(self, halves: Any, transfer: Any) -> Found:
        """Compare pictures, as half rings (n, rings, angles // 2), with transfer functions of the same shape."""
        xp = namespace(halves)
        coupled = halves * (transfer * self._weight[:, None])
        squared = xp.mean(transfer * transfer, axis=-1) * self._weight
        norm = squared @ self._power
        rough, psi, where, lowest = self._tried(coupled)
        rough = rough - 0.5 * (squared[:, : self._count] @ self._power[: self._count, :]) + self._dead
        slot = xp.argsort(-rough, axis=1)[:, : self._best]
        shape = tuple(slot.shape)
        flat = xp.reshape(slot, (-1,))
        item = xp.reshape(xp.broadcast_to(xp.arange(shape[0], **beside(halves))[:, None], shape), (-1,))
        start = xp.take(self._shifts, xp.reshape(_picked(where, slot), (-1,)), axis=0)
        angle = xp.reshape(_picked(psi, slot), (-1,))
        polished = self._polished_here if xp is np else self._polished
        psi, shift, product = polished(coupled, squared, item, flat, angle, start)
        psi, product, shift = xp.reshape(psi, shape), xp.reshape(product, shape), xp.reshape(shift, (*shape, 2))
        norm, opposite = _picked(norm, slot), _picked(-lowest, slot)
        likelihood = product - 0.5 * norm - 0.5 * xp.sum(shift * shift, axis=-1) / self._spread**2
        order = xp.argsort(-likelihood, axis=1)
        one = [_picked(x, order) for x in (slot, psi, likelihood, product, norm, opposite)]
        shift = xp.stack([_picked(shift[..., i], order) for i in (0, 1)], axis=-1)
        return Found(one[0], one[1], shift, *one[2:])

    def _tried(self, coupled: Any) -> tuple[Any, Any, Any, Any]:
        """Best product of each picture and average (n, k) less what its displacement is unlikely, its angle in rad and
        which displacement; and the lowest product."""
        xp = namespace(coupled)
        part = xp.permute_dims(coupled[:, : self._count, :], (2, 0, 1))[:, :, None, :]
        moved = part * self._ramp  # angles // 2, n, shifts, rings
        re, im = xp.real(moved), xp.imag(moved)
        whole = xp.concat([re + im, re - im], axis=0)
        half, n, t, r = moved.shape
        if xp is np:
            waves = scipy.fft.rfft(whole, axis=0, norm="forward")
        else:
            waves = xp.fft.rfft(whole, axis=0, norm="forward")
        waves = xp.reshape(waves[: self._harmonics, ...], (self._harmonics, n * t, r))
        products = waves @ self._references
        if xp is np:
            found = scipy.fft.irfft(products, self.poses.angles, axis=0, norm="forward", overwrite_x=True)
        else:
            found = xp.fft.irfft(products, n=self.poses.angles, axis=0, norm="forward")
        k = found.shape[-1]
        found = xp.reshape(found, (-1, n, t, k))
        high = xp.max(found, axis=0) + self._prior[:, None]  # n, shifts, classes
        lowest = xp.min(xp.min(found, axis=0), axis=1)
        where = xp.argmax(high, axis=1)
        rows = xp.arange(n, **beside(coupled))[:, None]
        columns = xp.arange(k, **beside(coupled))[None, :]
        index = xp.reshape((rows * t + where) * k + columns, (-1,))
        chosen = xp.take(xp.reshape(found, (found.shape[0], -1)), index, axis=1)
        angle = xp.reshape(xp.argmax(chosen, axis=0), (n, k))
        psi = xp.astype(angle, xp.float32) * (2 * math.pi / found.shape[0])
        return xp.max(high, axis=1), psi, where, lowest

    def _finely(self) -> np.ndarray:
        """Averages on whole rings: (k, angles, rings) complex64."""
        harmonics = self.model.averages[:, : self.model.limit, :]
        count = _FINE * self.rings.angles
        whole = scipy.fft.irfft(harmonics, count, axis=-1, norm="forward", workers=threads())
        across = np.roll(whole, count // 2, axis=-1)
        return np.ascontiguousarray(np.swapaxes(0.5 * (whole + across) + 0.5j * (whole - across), 1, 2), np.complex64)

    def _polished_here(
        self, coupled: np.ndarray, squared: np.ndarray, item: np.ndarray, slot: np.ndarray, psi: Any, shift: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`_polished` on the host, by a compiled loop."""
        from cryowidgets.kernels.classifyloops import polish

        rings, limit = self.rings, self.model.limit
        y, x = ((2 * math.pi / rings.side * d).astype(np.float32) for d in rings.directions)
        widest = np.array([self.poses.step, self.poses.step, 2 * math.pi / self.poses.angles])
        psi, shift, product = psi.astype(np.float64), shift.astype(np.float64), np.zeros(len(item))
        mine = np.ascontiguousarray(np.swapaxes(coupled[:, :limit], 1, 2))
        square = np.ascontiguousarray(squared[:, :limit], np.float32)
        first, item, slot = int(rings.numbers[0]), item.astype(np.int64), slot.astype(np.int64)
        pair = item, slot, psi, shift, product
        polish(mine, square, self._fine, y, x, first, self._spread, *pair, widest, _STEPS)
        return psi.astype(np.float32), shift.astype(np.float32), product.astype(np.float32)

    def _polished(self, coupled: Any, squared: Any, item: Any, slot: Any, psi: Any, shift: Any) -> tuple[Any, Any, Any]:
        """Better angles and displacements of pictures `item` under averages `slot`, and the products there."""
        xp = namespace(coupled)
        rings, limit = self.rings, self.model.limit
        mine = xp.take(coupled[:, :limit, :], item, axis=0)
        square = xp.take(squared[:, :limit], item, axis=0)
        averages = xp.take(self.model.averages[:, :limit, :], slot, axis=0)
        orders = to_device(np.arange(rings.harmonics, dtype=np.float32), coupled)
        y, x = (to_device((2 * math.pi / rings.side * d).astype(np.float32), coupled) for d in rings.directions)
        k = to_device(rings.numbers[:limit].astype(np.float32), coupled)[:, None]
        ky, kx = k * y, k * x
        widest = (self.poses.step, self.poses.step, 2 * math.pi / self.poses.angles)
        best: list[Any] = []
        for step in range(_STEPS + 1):
            turn = psi[:, None] * orders
            turned = averages * (xp.cos(turn) - 1j * xp.sin(turn))[:, None, :]
            seen = rings.to_halves(turned)
            phase = shift[:, :1, None] * ky + shift[:, 1:, None] * kx
            pair = mine * (xp.cos(phase) + 1j * xp.sin(phase)) * xp.conj(seen)
            product = xp.sum(xp.mean(xp.real(pair), axis=-1), axis=-1)
            score = product - 0.5 * xp.sum(shift * shift, axis=1) / self._spread**2
            if not best:
                best = [score, psi, shift, product]
            else:
                better = score > best[0]
                best = [
                    xp.where(better, score, best[0]),
                    xp.where(better, psi, best[1]),
                    xp.where(better[:, None], shift, best[2]),
                    xp.where(better, product, best[3]),
                ]
            if step == _STEPS:
                break
            # derivatives of the product by y, x and psi, and what they are in the mean where the pose is right
            twist = rings.to_halves(turned * orders * (-1j))
            across = -xp.imag(pair)
            moved = mine * (xp.cos(phase) + 1j * xp.sin(phase))
            slope = [
                xp.sum(xp.mean(across * ky, axis=-1), axis=-1) - shift[:, 0] / self._spread**2,
                xp.sum(xp.mean(across * kx, axis=-1), axis=-1) - shift[:, 1] / self._spread**2,
                xp.sum(xp.mean(xp.real(moved * xp.conj(twist)), axis=-1), axis=-1),
            ]
            strength = xp.real(seen * xp.conj(seen))
            bend = xp.imag(twist * xp.conj(seen))  # of -i k C and dC/dpsi
            inside = [strength * ky * ky, strength * ky * kx, strength * kx * kx, -bend * ky, -bend * kx]
            yy, yx, xx, yp, xp_ = (xp.sum(square * xp.mean(v, axis=-1), axis=-1) for v in inside)
            pp = xp.sum(square * xp.mean(xp.real(twist * xp.conj(twist)), axis=-1), axis=-1)
            prior = 1 / self._spread**2
            move = _solved(yy + prior, yx, yp, xx + prior, xp_, pp, slope)
            move = [xp.clip(m, -w, w) for m, w in zip(move, widest, strict=True)]
            shift = shift + xp.stack(move[:2], axis=1)
            psi = psi + move[2]
        return best[1], best[2], best[3]


def _solved(yy: Any, yx: Any, yp: Any, xx: Any, xp_: Any, pp: Any, g: list[Any]) -> list[Any]:
    """Solve symmetric equations in three unknowns; (n,) each."""
    tiny = 1e-6 * (yy + xx + pp) + 1e-12
    yy, xx, pp = yy + tiny, xx + tiny, pp + tiny
    a, b, c = xx * pp - xp_ * xp_, yp * xp_ - yx * pp, yx * xp_ - yp * xx
    d, e, f = yy * pp - yp * yp, yp * yx - yy * xp_, yy * xx - yx * yx
    whole = yy * a + yx * b + yp * c
    whole = namespace(whole).where(whole > 0, whole, namespace(whole).full_like(whole, np.inf))
    return [
        (a * g[0] + b * g[1] + c * g[2]) / whole,
        (b * g[0] + d * g[1] + e * g[2]) / whole,
        (c * g[0] + e * g[1] + f * g[2]) / whole,
    ]


def _picked(values: Any, index: Any) -> Any:
    """``take_along_axis`` of (n, k) by (n, m)."""
    xp = namespace(values)
    n, k = values.shape
    flat = xp.arange(n, **beside(values))[:, None] * k + index
    return xp.reshape(xp.take(xp.reshape(values, (-1,)), xp.reshape(flat, (-1,))), tuple(index.shape))
