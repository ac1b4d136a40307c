"""Pieces of the frames of a movie, as local motion is measured from them.

A piece follows the whole frame by whole pixels, so that the same content lies in it in all frames; the rest of the
shift is undone in its spectrum. Only frequencies that may show something are kept, for all pieces and frames at once:
about as much memory as a quarter of the raw movie takes as float32. Frames of little exposure are taken together in
groups, within which a piece follows the frame by whole pixels as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.cpu import each
from cryowidgets.kernels import fourier, hostfft
from cryowidgets.kernels.xp import asnumpy, namespace, to_device, zeros

SIDE = 450.0
"""Å that a piece covers, about; it is told apart from its neighbours by motion, and must itself hold together."""

FEWEST, MOST = 5, 12
"""Pieces along an axis."""

HIGHEST = 0.42
"""cycles/px up to which frequencies are used."""

HIGH_PASS = 150.0
"""Å; slower variations are given no weight."""

_OVERLAP = 1.15
_TAPER = 0.12


@dataclass(frozen=True)
class Grid:
    """Where the pieces lie.

    Attributes
    ----------
    shape : (int, int)
        Of a frame.
    centres : (pieces, 2)
        y, x in px.
    number : (int, int)
        Of pieces along y and x.
    side : int
        Of a piece, in px.
    block : int
        By which a piece is binned.
    """

    shape: tuple[int, int]
    centres: np.ndarray
    number: tuple[int, int]
    side: int
    block: int

    @classmethod
    def over(
        cls, shape: tuple[int, int], pixel_size: float, resolution: float, number: tuple[int, int] | None = None
    ) -> Grid:
        """Pieces of some `SIDE` Å, or `number` (y, x) of them, for detail down to `resolution` Å."""
        if number is None:
            wanted = [round(n * pixel_size / SIDE) for n in shape]
            number = (min(max(wanted[0], FEWEST), MOST), min(max(wanted[1], FEWEST), MOST))
        pitch = max(n / m for n, m in zip(shape, number, strict=True))
        # 0.3 cycles per binned px leave 86 % of the signal, 0.42 leave 73 %, which large frames can spare
        block = max(int((0.42 if math.prod(shape) > 6e6 else 0.3) * resolution / pixel_size), 1)
        small = min(fourier.fast_length(math.ceil(_OVERLAP * pitch / block)), min(shape) // block)
        side = small * block
        centres = np.stack(
            np.meshgrid(
                *((np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(shape, number, strict=True)), indexing="ij"
            ),
            axis=-1,
        ).reshape(-1, 2)
        low = (side - 1) / 2
        inside = np.clip(centres, low, np.array(shape) - 1 - low)
        return cls(shape, inside, number, side, block)

    def corners(self, shifts: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
        """Where each piece begins in each frame of given shifts (n, 2): (pieces, n, 2) int64.

        Frames of one `group` (n,) keep their distances from its mean as well as whole pixels can.
        """
        mean = shifts if group is None else _means(shifts, group)[group]
        at = np.rint(self.centres[:, None, :] - (self.side - 1) / 2 + mean[None, :, :]) + np.rint(shifts - mean)
        return np.clip(at.astype(np.int64), 0, np.array(self.shape) - self.side)


class Patches:
    """Spectra of all pieces in all groups of frames, each times what is left of the signal in the group.

    A group is the sum of its frames, divided by the root of their number, so that noise is the same in all groups.

    Parameters
    ----------
    grid : Grid
    blocks : iterable of (int, array (k, y, x))
        Raw frames in blocks, each with the number of its first, which begins a group.
    gain : array (y, x), float32, or None
    shifts : (frames, 2)
        Of the whole frame, px, followed by whole pixels.
    resolution, pixel_size : float
        Å, Å/px.
    fading : callable
        From frequencies (k,), 1/Å, to what is left of the signal in each frame, (frames, k).
    group : (frames,) int, ascending, optional
        Of each frame, counted from 0; without, each is one of its own.

    Attributes
    ----------
    grid : Grid
    n : int
        Number of groups.
    group : (frames,) int64
    ky, kx : (a,), (b,)
        cycles/px of the frames.
    ring : (a, b) int64
        Ring of each element; the last ring is for those that are not used.
    radius : (rings,)
        cycles/px.
    weight : (a, b) float32
        How many elements of the whole plane each stands for, 0 where it is not used.
    count : (rings,)
        Sum of `weight` in each ring.
    power : (rings,)
        Of a group before fading: mean over pieces and groups.
    fading : (n, rings)
    re, im : lists of arrays (n, a, b), float32
        One for each piece; shifts are undone in place by `move`.
    offset : (pieces, n, 2)
        Displacement that was undone so far, px.
    total : lists of pairs of arrays (a, b)
        Sums over the groups.
    """

    def __init__(
        self,
        grid: Grid,
        blocks: Iterable[tuple[int, Any]],
        gain: Any,
        shifts: np.ndarray,
        resolution: float,
        pixel_size: float,
        fading: Callable[[np.ndarray], np.ndarray],
        group: np.ndarray | None = None,
    ) -> None:
        self.group = np.arange(len(shifts)) if group is None else np.asarray(group, np.int64)
        self.grid, self.n = grid, int(self.group[-1]) + 1
        small = grid.side // grid.block
        highest = min(pixel_size / resolution, HIGHEST / grid.block)
        rows = min(int(highest * grid.side), small // 2 - 1)
        self._keep = np.r_[0 : rows + 1, small - rows : small], rows + 1
        self.ky = np.r_[0 : rows + 1, -rows:0] / grid.side
        self.kx = np.arange(rows + 1) / grid.side
        k = np.hypot(self.ky[:, None], self.kx[None, :])
        self.ring = np.minimum(np.rint(k * grid.side).astype(np.int64), rows + 1)
        self.radius = np.arange(rows + 2) / grid.side
        self.weight = np.full(k.shape, 2, np.float32)
        self.weight[0] = self.weight[:, 0] = 0  # stripes of the detector
        self.weight[self.ring == rows + 1] = 0
        self.count = np.bincount(self.ring.ravel(), self.weight.ravel(), rows + 2)
        self._taper = fourier.cosine_edges(small, _TAPER)
        power = np.square(self._taper)
        self.independent = float(power.mean() ** 2 / np.square(power).mean()) ** 2
        """Which part of the elements tell something of their own, as the window makes neighbours alike."""
        self._corners = grid.corners(shifts, self.group)
        followed = self._corners + (grid.side - 1) / 2 - grid.centres[:, None, :]
        self.offset = self.mean(followed.transpose(1, 0, 2)).transpose(1, 0, 2)
        self.re: list[Any] = [None] * len(grid.centres)
        self.im: list[Any] = [None] * len(grid.centres)
        self.total: list[tuple[Any, Any]] = [(None, None)] * len(grid.centres)
        frames = np.bincount(self.group)
        self.fading = self.mean(fading(self.radius / pixel_size)) * np.sqrt(frames)[:, None]
        powers = np.zeros((len(grid.centres), len(self.radius)))
        for first, raw in blocks:
            self._take(first, raw, gain, powers)
        self.power = np.maximum(powers.sum(axis=0) / np.maximum(self.count * self.n * len(self), 1e-30), 1e-9)

    def __len__(self) -> int:
        return len(self.grid.centres)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Of values (frames, …) over each group: (n, …)."""
        return _means(values, self.group)

    def move(self, displacement: np.ndarray) -> None:
        """Undo displacements (pieces, n, 2), px, whatever was undone before; and add the frames up."""
        step = displacement - self.offset

        def undo(p: int) -> None:
            self.total[p] = _move(self.re[p], self.im[p], step[p], self.ky, self.kx)

        each(undo, range(len(self)))
        self.offset = np.array(displacement, float)

    def summed_power(self, p: int) -> np.ndarray:
        """Power of the sum of the frames of a piece in each ring: mean, (rings,)."""
        re, im = (asnumpy(t) for t in self.total[p])
        power = np.bincount(self.ring.ravel(), ((re * re + im * im) * self.weight).ravel(), len(self.radius))
        return power / np.maximum(self.count, 1e-30)

    def slopes(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivative of the likelihood for each displacement, (pieces, n, 2), and the likelihood of each piece.

        `weight` (pieces, rings) is that of a squared element of a sum.
        """

        def of(p: int) -> tuple[np.ndarray, float]:
            w = to_device((self.weight * weight[p][self.ring]).astype(np.float32), self.re[p])
            return _slopes(self.re[p], self.im[p], *self.total[p], w, self.ky, self.kx)

        found = each(of, range(len(self)))
        return np.stack([gradient for gradient, _ in found]), np.array([likelihood for _, likelihood in found])

    def _take(self, first: int, raw: Any, gain: Any, powers: np.ndarray) -> None:
        """Transform the pieces of some frames; their power in each ring, summed, is added to `powers`."""
        xp = namespace(raw)
        frames = slice(first, first + raw.shape[0])
        part, group = slice(self.group[frames.start], self.group[frames.stop - 1] + 1), self.group[frames]
        faded = self.fading[part].astype(np.float32)

        def transform(p: int) -> None:
            if self.re[p] is None:
                size = (self.n, len(self.ky), len(self.kx))
                self.re[p], self.im[p] = zeros(size, raw), zeros(size, raw)
            piece = _cut(raw, gain, self._corners[p, frames], group - group[0], self.grid, self._taper)
            if xp is np:
                from cryowidgets.kernels.patchloops import split

                half = hostfft.low(piece, (self._keep[1], self._keep[1] - 1), self._keep[1])
                split(half, faded, self.ring, self.weight, self.re[p][part], self.im[p][part], powers[p])
                return
            half = xp.fft.fft(xp.fft.rfft(piece, axis=2)[:, :, : self._keep[1]], axis=1)
            half = xp.take(half, to_device(self._keep[0], raw), axis=1)
            re, im = xp.real(half), xp.imag(half)
            power = asnumpy(xp.sum(re * re + im * im, axis=0)) * self.weight
            powers[p] += np.bincount(self.ring.ravel(), power.ravel(), len(self.radius))
            spread = to_device(faded[:, self.ring], raw)
            self.re[p][part, ...], self.im[p][part, ...] = re * spread, im * spread

        each(transform, range(len(self)))


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.asarray(np.add.reduceat(values, np.flatnonzero(np.diff(group, prepend=-1)), axis=0)) / np.bincount(
        group
    ).reshape(-1, *[1] * (values.ndim - 1))


def _cut(raw: Any, gain: Any, corner: np.ndarray, group: np.ndarray, grid: Grid, window: np.ndarray) -> Any:
    """A piece of each group of frames, (groups, side / block, side / block) float32."""
    xp, n, side = namespace(raw), int(group[-1]) + 1, len(window)
    if xp is np:
        from cryowidgets.kernels.patchloops import cut

        out = np.empty((n, side, side), np.float32)
        gain = np.ones((1, 1), np.float32) if gain is None else gain
        cut(
            np.ascontiguousarray(raw),
            np.ascontiguousarray(gain),
            np.ascontiguousarray(corner),
            group,
            grid.block,
            window,
            out,
        )
        return out
    pieces: list[Any] = [0.0] * n
    count = np.bincount(group)
    taper = to_device(window[:, None] * window[None, :], raw)
    for j, (y, x) in enumerate(corner.tolist()):
        where = slice(y, y + grid.side), slice(x, x + grid.side)
        piece = xp.astype(raw[(j, *where)], xp.float32)
        piece = piece if gain is None else piece * gain[where]
        pieces[group[j]] += xp.sum(xp.reshape(piece, (side, grid.block, side, grid.block)), axis=(1, 3))
    return xp.stack([(piece - xp.mean(piece)) * taper / math.sqrt(m) for piece, m in zip(pieces, count, strict=True)])


def _move(re: Any, im: Any, shift: np.ndarray, ky: np.ndarray, kx: np.ndarray) -> tuple[Any, Any]:
    """Undo shifts in place, and add the frames up."""
    xp = namespace(re)
    if xp is np:
        from cryowidgets.kernels.patchloops import move

        total = np.empty(re.shape[1:], np.float32), np.empty(re.shape[1:], np.float32)
        move(re, im, np.ascontiguousarray(shift, np.float64), ky, kx, *total)
        return total
    phase = np.exp(2j * np.pi * (shift[:, 0, None, None] * ky[None, :, None] + shift[:, 1, None, None] * kx))
    p_re, p_im = (to_device(part.astype(np.float32), re) for part in (phase.real, phase.imag))
    moved = re * p_re - im * p_im
    im[...] = re * p_im + im * p_re
    re[...] = moved
    return xp.sum(re, axis=0), xp.sum(im, axis=0)


def _slopes(
    re: Any, im: Any, total_re: Any, total_im: Any, weight: Any, ky: np.ndarray, kx: np.ndarray
) -> tuple[np.ndarray, float]:
    xp = namespace(re)
    if xp is np:
        from cryowidgets.kernels.patchloops import slopes

        out = np.empty((len(re), 2))
        return out, slopes(re, im, total_re, total_im, weight, ky, kx.astype(np.float32), out)
    imaginary = weight * (total_re * im - total_im * re)
    along_y = asnumpy(xp.sum(imaginary * to_device(ky[:, None].astype(np.float32), re), axis=(1, 2)))
    along_x = asnumpy(xp.sum(imaginary * to_device(kx[None, :].astype(np.float32), re), axis=(1, 2)))
    likelihood = 0.5 * float(xp.sum(weight * (total_re**2 + total_im**2)))
    return -2 * math.pi * np.stack([along_y, along_x], axis=1), likelihood
