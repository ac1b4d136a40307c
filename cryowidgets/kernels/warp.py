"""Moving the content of frames back to where it was, tile by tile, while they are added up.

A tile of 32² px is moved as a whole: within it, local motion differs by a few hundredths of a pixel at most. Values
between pixels come from six neighbours along each axis, weighted so that over all fractions of a pixel the response is
as close as can be to one falling curve. That curve, `response`, is divided out of the sum once, in Fourier space, which
leaves an error of 2 % up to 0.35 cycles/px and of 4 % at 0.4; bilinear interpolation would lose a third there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from cryowidgets.cpu import bands, each
from cryowidgets.kernels.xp import namespace, to_device, zeros

TILE, TAPS = 32, 6

_STEPS = 1024  # fractions of a pixel that are told apart
_SAFE, _LEAST = 0.45, 0.3
"""Cycles/px up to which the response is held to its curve, and the least response that is divided by."""


def tiles(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the tiles of an image of `shape` (y, x): y (rows of tiles,) and x (columns,), px."""
    y, x = ((np.minimum((i := np.arange(-(-n // TILE)) * TILE) + TILE, n) + i - 1) / 2 for n in shape)
    return y, x


def uniform(shifts: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Displacements of all tiles where the frame moves as a whole by shifts (n, 2), px."""
    rows, columns = (-(-n // TILE) for n in shape)
    return np.broadcast_to(np.asarray(shifts, float)[:, None, None, :], (len(shifts), rows, columns, 2))


class Adder:
    """Sums of frames whose content is moved back, with several sets of weights at once.

    Parameters
    ----------
    shape : (int, int)
        y and x of the frames.
    sets : int
        Of weights, and so of sums.
    groups : int
        How many groups of consecutive frames are added up besides.
    still : bool
        Whether nothing moves at all: then frames are added as they are, and `response` is not to be divided by.
    like : array
        Where to compute: any array of the library and device of the frames.

    Attributes
    ----------
    sums : array (sets, y, x), float32
    groups : array (groups, y, x), float32
    """

    def __init__(self, shape: tuple[int, int], sets: int, like: Any, groups: int = 0, still: bool = False) -> None:
        self._still = still
        self.sums, self.groups = zeros((sets, *shape), like), zeros((groups, *shape), like)

    def add(
        self, raw: Any, gain: Any, displacement: np.ndarray, weights: np.ndarray, group: np.ndarray | None = None
    ) -> None:
        """Add frames.

        Parameters
        ----------
        raw : array (n, y, x)
            Of any real type.
        gain : array (y, x), float32, or None
        displacement : (n, rows of tiles, columns of tiles, 2)
            Of the content at each tile, y and x in px.
        weights : (n, sets)
        group : (n,) int, ascending, optional
            The group of each frame; -1 for none.
        """
        corner, taps = _taps(displacement)
        if self._still:
            taps = np.zeros_like(taps)
            taps[..., TAPS // 2 - 1] = 1
        weights = np.ascontiguousarray(weights, np.float32)
        number = np.full(len(weights), -1) if group is None else np.asarray(group)
        if namespace(raw) is np:
            from cryowidgets.kernels.warploops import add_tiles

            gain = np.ones((1, 1), np.float32) if gain is None else np.ascontiguousarray(gain, np.float32)
            args = np.ascontiguousarray(raw), gain, corner, taps, weights, self.sums, number, self.groups
            each(lambda rows: add_tiles(*args, *rows), bands(corner.shape[1]))
            return
        for j in range(len(weights)):
            self._add(raw[j, ...], gain, corner[j], taps[j], weights[j], int(number[j]))

    def _add(
        self, frame: Any, gain: Any, corner: np.ndarray, taps: np.ndarray, weights: np.ndarray, group: int
    ) -> None:
        """The same for one frame and any library."""
        xp = namespace(frame)
        frame = xp.astype(frame, xp.float32)
        if gain is not None:
            frame = frame * gain
        height, width = frame.shape
        rows, columns = corner.shape[:2]
        side = np.arange(TILE + TAPS - 1)
        y = _mirrored((np.arange(rows) * TILE)[:, None, None] + corner[:, :, None, 0] + side, height)
        x = _mirrored((np.arange(columns) * TILE)[None, :, None] + corner[:, :, None, 1] + side, width)
        place = to_device((y[:, :, :, None] * width + x[:, :, None, :]).ravel(), frame)
        cut = xp.reshape(xp.take(xp.reshape(frame, (-1,)), place), (rows, columns, len(side), len(side)))
        weight = to_device(taps, frame)
        along = [weight[:, :, axis, i][:, :, None, None] for axis in (0, 1) for i in range(TAPS)]
        across = sum(along[TAPS + i] * cut[:, :, :, i : i + TILE] for i in range(TAPS))
        value = sum(along[i] * across[:, :, i : i + TILE, :] for i in range(TAPS))
        image = xp.reshape(xp.permute_dims(value, (0, 2, 1, 3)), (rows * TILE, columns * TILE))[:height, :width]
        for q, w in enumerate(weights):
            self.sums[q, ...] += float(w) * image
        if group >= 0:
            self.groups[group, ...] += image


def response(ky: np.ndarray, kx: np.ndarray, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What moving by given displacements leaves of frequencies along y and along x, cycles/px: of the shapes given.

    It is the root mean square over frames and tiles, so that noise divided by it is white again. Where it has fallen
    below 0.3 it is given as that; where nothing moves it is 1.
    """
    if not np.any(displacement):
        return np.ones_like(ky, dtype=np.float32), np.ones_like(kx, dtype=np.float32)
    fraction = np.rint(np.asarray(displacement, float) * _STEPS).astype(np.int64) % _STEPS
    curves = []
    for axis, k in enumerate((ky, kx)):
        share = np.bincount(fraction[..., axis].ravel(), minlength=_STEPS) / fraction[..., axis].size
        power = np.interp(np.abs(k), np.linspace(0, 0.5, _powers().shape[1]), share @ _powers())
        curves.append(np.maximum(np.sqrt(power), _LEAST).astype(np.float32))
    return curves[0], curves[1]


@lru_cache(maxsize=1)
def _powers() -> np.ndarray:
    """What is left of the power of each frequency from 0 to 0.5 cycles/px, for each fraction of a pixel."""
    offset = np.arange(TAPS) - (TAPS // 2 - 1)
    wave = np.exp(2j * np.pi * offset[:, None] * np.linspace(0, 0.5, 129))
    return np.square(np.abs(_table() @ wave))


def _taps(displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each tile: the first pixel that it reads relative to its own, int64, and the weights of six, float32."""
    nearest = np.rint(np.asarray(displacement, float) * _STEPS).astype(np.int64)
    whole, fraction = np.divmod(nearest, _STEPS)
    return np.ascontiguousarray(whole - (TAPS // 2 - 1)), _table()[fraction]


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Weights of six pixels for each fraction of a pixel: least squares to one response over all frequencies."""
    k = np.linspace(0, 0.5, 501)
    wanted = 0.5 + 0.5 * np.cos(np.pi * np.clip((k - 0.2) / 0.4, 0, 1))
    weight = np.where(k < _SAFE, 1, 0.1)
    offset = np.arange(TAPS) - (TAPS // 2 - 1)
    apart = offset[:, None] - offset
    normal = (weight * np.cos(2 * np.pi * k * apart[..., None])).sum(axis=-1)
    fraction = np.arange(_STEPS) / _STEPS
    right = np.stack([np.cos(2 * np.pi * (i - fraction)[:, None] * k) @ (weight * wanted) for i in offset])
    taps = np.linalg.solve(normal, right).T
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)  # an even image stays as it is


def _mirrored(place: np.ndarray, n: int) -> np.ndarray:
    place = place % (2 * n)
    return np.where(place < n, place, 2 * n - 1 - place)
