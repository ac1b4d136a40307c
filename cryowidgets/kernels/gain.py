"""From counts to intensities: the gain reference, and the pixels that cannot be believed.

A defect repeats in every frame at the same place, so it correlates at zero shift and pulls an alignment there. It is
therefore found on the sum of all frames before they are aligned, and replaced frame by frame by a random draw from the
good pixels around it: an interpolated value would make a smooth spot at a fixed place, which correlates as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cryowidgets.cpu import bands, each
from cryowidgets.kernels.xp import asnumpy, namespace, put, to_device

SIGMAS = 5.0
"""How far a pixel may be from its surroundings, which chance exceeds once in 3 million; 8 for a column or row."""

MOST = 0.005
"""Where more of the frame than this looks like defects, it is something else, and only what the gain tells is used."""

_FEWEST = 7  # good pixels around a defect that make a fair draw


@dataclass(frozen=True)
class Defects:
    """Pixels to be replaced.

    Attributes
    ----------
    shape : (int, int)
        Of a frame.
    told : numpy array, int64
        Where the gain is zero, negative or not finite: places in the flattened frame, ascending.
    found : numpy array, int64
        What only the frames tell: not finite, hot, dead, or in a hot or dead column or row.
    suspicious : float
        Fraction of the frame that was found but not believed since it exceeds `MOST`; else 0.
    """

    shape: tuple[int, int]
    told: np.ndarray
    found: np.ndarray
    suspicious: float = 0.0

    @property
    def index(self) -> np.ndarray:
        """All places, ascending."""
        return np.union1d(self.told, self.found)

    def __len__(self) -> int:
        return len(self.told) + len(self.found)

    def mask(self) -> np.ndarray:
        """(y, x) bool on the host."""
        mask = np.zeros(self.shape, bool)
        mask.flat[self.index] = True
        return mask


def apply(frame: Any, gain: Any = None) -> Any:
    """A raw frame times the gain reference, float32; `gain` None leaves the values."""
    xp = namespace(frame, gain)
    if gain is None:
        return xp.astype(frame, xp.float32)
    if xp is np:  # without a float32 copy of the frame
        return np.multiply(frame, gain, dtype=np.float32)
    return xp.astype(frame, xp.float32) * gain


def add(frames: Any, total: Any) -> Any:
    """The raw frames (n, y, x) added to `total` (y, x), in place where it is of numpy; go on with the result.

    Sums of integers are exact where `total` holds integers of 32 bits.
    """
    xp = namespace(frames)
    if xp is np:
        from cryowidgets.kernels.gainloops import add_rows

        each(lambda rows: add_rows(frames, total, *rows), bands(len(total)))
        return total
    return total + xp.astype(xp.sum(frames, axis=0), total.dtype)


def find_defects(total: Any, gain: Any = None) -> Defects:
    """Find defects from the sum of all frames of a movie.

    A pixel is a defect where the gain is zero, negative or not finite; where the sum is not finite; where it lies
    `SIGMAS` standard deviations (more for few counts, whose distribution is skewed) and a fifth above its surroundings,
    or as far and by half below; where nothing was ever counted though something must have been; and where it touches
    such a pixel and is suspect itself. Columns and rows are judged by their means, in halves, as cameras read them out.

    Parameters
    ----------
    total : array (y, x)
        Sum of the raw frames, unaligned.
    gain : array (y, x), optional
        What multiplies the frames.
    """
    xp = namespace(total, gain)
    shape = (int(total.shape[0]), int(total.shape[1]))
    level, bad, told = _by_rows(partial(_level, xp), (xp.float32, xp.bool, xp.bool), total, gain)
    by_gain, found = asnumpy(told), asnumpy(bad & ~told)
    fraction = 0.0
    if by_gain.mean() + found.mean() < 0.5:
        seen = _outliers(level, bad, total) & ~by_gain
        fraction = float((seen & ~found).mean())
        if fraction <= MOST:
            found, fraction = found | seen, 0.0
    return Defects(shape, np.flatnonzero(by_gain), np.flatnonzero(found), fraction)


class Repair:
    """Replace defects by random draws from the good pixels nearby; prepared once for all frames of a movie.

    Raw frames are repaired as well as corrected ones, if the gain is `repaired` too: pixels differ in it by a few
    percent, and counts of single electrons by much more.

    Parameters
    ----------
    defects : Defects
    like : array
        A frame, or anything of the same library on the same device.
    """

    def __init__(self, defects: Defects, like: Any) -> None:
        self._tables = [
            (to_device(index, like), table, count) for index, table, count in _tables(defects, reaches=(2, 4, 8, 16))
        ]

    def __call__(self, frame: Any, rng: np.random.Generator) -> Any:
        """The frame (y, x) with its defects replaced, in place where the library can.

        The same frame and state of `rng` give the same result in any library.
        """
        xp = namespace(frame)
        if not self._tables:
            return frame
        flat = xp.reshape(frame, (-1,))
        drawn = []
        for index, table, count in self._tables:
            choice = (rng.random(len(count)) * count).astype(np.int64)
            source = to_device(table[np.arange(len(count)), choice], index)
            drawn.append((index, xp.take(flat, source)))
        for index, values in drawn:
            flat = put(flat, index, values)
        return xp.reshape(flat, frame.shape)

    def repaired(self, gain: Any) -> Any:
        """The gain (y, x) with the mean of the good pixels nearby at each defect."""
        xp = namespace(gain)
        flat = xp.asarray(xp.reshape(gain, (-1,)), copy=True)
        for index, table, count in self._tables:
            near = asnumpy(xp.take(flat, to_device(table.ravel(), flat))).reshape(table.shape)
            used = np.arange(table.shape[1]) < count[:, None]
            mean = np.where(used, near, 0).sum(axis=1) / count
            flat = put(flat, index, to_device(mean.astype(np.float32), flat))
        return xp.reshape(flat, gain.shape)


def _tables(defects: Defects, reaches: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each reach that serves some defects: their places, the good pixels around each, and how many those are."""
    mask, (height, width) = defects.mask(), defects.shape
    left, tables = defects.index, []
    for reach in reaches:
        if not len(left):
            break
        step = np.arange(-reach, reach + 1)
        y = (left // width)[:, None] + np.repeat(step, len(step))
        x = (left % width)[:, None] + np.tile(step, len(step))
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        place = np.where(inside, y * width + x, 0)
        usable = inside & ~mask.ravel()[place]
        count = usable.sum(axis=1)
        enough = count >= _FEWEST
        order = np.argsort(~usable[enough], axis=1, kind="stable")
        if enough.any():
            tables.append((left[enough], np.take_along_axis(place[enough], order, axis=1), count[enough]))
        left = left[~enough]
    if len(left):  # in the middle of a large dead area
        good = np.flatnonzero(~mask.ravel())
        if not len(good):
            raise ValueError("Every pixel is a defect: there is nothing to replace them with.")
        some = np.random.default_rng(0).choice(good, (len(left), 64))
        tables.append((left, some, np.full(len(left), 64)))
    return tables


def _by_rows(function: Callable[..., tuple], types: tuple, *arrays: Any) -> tuple:
    """Arrays of given types that a function makes of arrays (y, x) or None, pixel by pixel; on the host piece by piece,
    on all threads, so that what lies between them stays in the cache."""
    xp = namespace(*arrays)
    if xp is not np:
        return function(*arrays)
    height = len(arrays[0])
    out = tuple(np.empty(arrays[0].shape, kind) for kind in types)

    def work(first: int) -> None:
        part = slice(first, first + _ROWS)
        for whole, piece in zip(out, function(*(a if a is None else a[part] for a in arrays)), strict=True):
            whole[part] = piece

    each(work, range(0, height, _ROWS))
    return out


_ROWS = 64


def _level(xp: Any, total: Any, gain: Any) -> tuple[Any, Any, Any]:
    """Intensities, and masks of what is bad and of what of that the gain tells."""
    raw = xp.astype(total, xp.float32)
    bad = ~xp.isfinite(raw)
    if gain is None:
        return raw, bad, xp.zeros_like(bad)
    told = ~(xp.isfinite(gain) & (gain > 0))
    return raw * gain, bad | told, told


def _outliers(level: Any, bad: Any, raw: Any) -> np.ndarray:
    """Pixels and lines that stand out: mask (y, x) on the host."""
    xp = namespace(level)
    sample = _sample(level, bad)
    centre = float(sample[len(sample) // 2])
    reach = 10 * 1.4826 * float(np.median(np.abs(sample - centre)))

    def calmed(level: Any, bad: Any, raw: Any) -> tuple[Any, Any, Any]:
        level = xp.where(bad, xp.full_like(level, centre), level)
        return level, xp.clip(level, centre - reach, centre + reach) - centre, raw == 0

    level, calm, empty = _by_rows(calmed, (xp.float32, xp.float32, xp.bool), level, bad, raw)
    mask = _lines(calm, bad)
    mask |= _pixels(level, calm, centre, asnumpy(bad), asnumpy(empty))
    return mask


def _pixels(level: Any, calm: Any, centre: float, bad: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Single pixels that stand out: mask (y, x) on the host.

    A first look compares each pixel with a block around it, which is cheap; the few candidates are compared with their
    24 neighbours, on the host.
    """
    xp = namespace(level)
    # The spread of counts goes with the root of their mean, which takes uneven illumination out of the judgement.
    counting = centre > 0
    floor = 0.05 * centre

    def compared(level: Any, around: Any) -> tuple[Any]:
        blocks = around + centre
        return ((level - blocks) / (xp.sqrt(xp.clip(blocks, floor, None)) if counting else 1.0),)

    (rough,) = _by_rows(compared, (xp.float32,), level, _block_means(calm))
    sample = _sample(rough, to_device(bad, level))
    sigma = max(1.4826 * float(np.median(np.abs(sample - np.median(sample)))), 1e-12)
    mask = np.zeros(bad.shape, bool)

    def suspicious(rough: Any) -> tuple[Any]:
        return (xp.abs(rough) > 3.5 * sigma,)

    candidates = np.flatnonzero((asnumpy(_by_rows(suspicious, (xp.bool,), rough)[0]) | empty) & ~bad)
    if not 0 < len(candidates) < 0.1 * bad.size:
        return mask
    flat = xp.reshape(level, (-1,))
    value = asnumpy(xp.take(flat, to_device(candidates, level))).astype(np.float64)
    mean = _neighbours_mean(xp.reshape(calm, (-1,)), candidates, bad.shape) + centre
    root = np.sqrt(np.maximum(mean, floor)) if counting else np.ones_like(mean)
    excess = value - mean
    z = excess / (root * sigma)
    # Cornish-Fisher: a threshold in the tail of a distribution as skewed as that of Poisson's counts.
    limit = SIGMAS + ((SIGMAS**2 - 1) / 6 * sigma / root if counting else 0)
    defect = (z > limit) & (excess > 0.2 * np.abs(mean))
    defect |= (z < -SIGMAS) & (excess < -0.5 * np.abs(mean))
    if counting:  # e⁻¹⁴ is less than one in a million
        defect |= empty.ravel()[candidates] & (mean / sigma**2 > 14)
    suspect = candidates[np.abs(z) > 3]
    return _grow(candidates[defect], suspect, bad.shape)


def _grow(defects: np.ndarray, suspect: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mask of the defects, and of suspect pixels that touch them, that touch those, and so on."""
    height, width = shape
    mask, maybe = np.zeros(shape, bool), np.zeros(shape, bool)
    mask.flat[defects] = maybe.flat[suspect] = True
    edge = defects
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])
    while 0 < len(edge) < MOST * mask.size:
        y = np.clip((edge // width)[:, None] + steps[:, 0], 0, height - 1)
        x = np.clip((edge % width)[:, None] + steps[:, 1], 0, width - 1)
        edge = np.unique((y * width + x)[maybe[y, x] & ~mask[y, x]])
        mask.flat[edge] = True
    return mask


def _lines(calm: Any, bad: Any) -> np.ndarray:
    """Halves of columns and of rows whose mean stands out: mask (y, x) on the host."""
    xp = namespace(calm)
    height, width = calm.shape
    mask = np.zeros((height, width), bool)
    for axis, length in ((0, height), (1, width)):
        for part in (slice(0, length // 2), slice(length // 2, length)):
            where = (part, slice(None)) if axis == 0 else (slice(None), part)
            count = length // 2 + (part.start > 0) * (length % 2) - asnumpy(xp.count_nonzero(bad[where], axis=axis))
            mean = asnumpy(xp.sum(calm[where], axis=axis)) / np.maximum(count, 1)
            usable = count > max(0.25 * (part.stop - part.start), 32)
            lines = _stand_out(np.where(usable, mean, np.nan)) & usable
            mask[where] |= lines[None, :] if axis == 0 else lines[:, None]
    return mask


def _stand_out(profile: np.ndarray, reach: int = 8) -> np.ndarray:
    """Which elements are far from the running median of their neighbours (NaN: not to be looked at)."""
    known = np.isfinite(profile)
    if known.sum() < 4 * reach:
        return np.zeros(profile.shape, bool)
    filled = np.interp(np.arange(len(profile)), np.flatnonzero(known), profile[known])
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(filled, reach, mode="reflect"), 2 * reach + 1)
    rest = filled - np.median(windows, axis=1)
    sigma = 1.4826 * float(np.median(np.abs(rest[known])))
    return known & (np.abs(rest) > max(8 * sigma, 1e-6))


def _block_means(image: Any, side: int = 16) -> Any:
    """Mean of the block that each pixel lies in; the last blocks of rows and columns also serve what is left over."""
    xp = namespace(image)
    height, width = image.shape
    side = min(side, height, width)
    ny, nx = height // side, width // side
    if xp is np:
        from cryowidgets.kernels.bandloops import bin_rows

        blocks = np.empty((ny, nx), np.float32)
        whole, one = np.ascontiguousarray(image), np.ones((1, 1), np.float32)
        each(lambda part: bin_rows(whole, one, side, blocks, *part), bands(ny, 1))
        blocks /= side * side
    else:
        blocks = xp.mean(xp.reshape(image[: ny * side, : nx * side], (ny, side, nx, side)), axis=(1, 3))
    rows = to_device(np.minimum(np.arange(height) // side, ny - 1), image)
    columns = to_device(np.minimum(np.arange(width) // side, nx - 1), image)
    return xp.take(xp.take(blocks, rows, axis=0), columns, axis=1)


def _neighbours_mean(flat: Any, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mean of the 24 pixels around each place, those mirrored in that lie outside: float64 on the host."""
    xp = namespace(flat)
    height, width = shape
    step = np.array([(i, j) for i in range(-2, 3) for j in range(-2, 3) if i or j])
    y, x = (places // width)[:, None] + step[:, 0], (places % width)[:, None] + step[:, 1]
    y, x = (np.minimum(np.abs(v), 2 * (n - 1) - np.abs(v)) for v, n in ((y, height), (x, width)))
    around = xp.take(flat, to_device((y * width + x).ravel(), flat))
    return asnumpy(around).reshape(y.shape).mean(axis=1, dtype=np.float64)


def _sample(values: Any, bad: Any) -> np.ndarray:
    """Some 250,000 of the good values, sorted: float64 on the host."""
    step = max(1, int((values.shape[0] * values.shape[1] / 250_000) ** 0.5))
    start = step // 2
    some, drop = asnumpy(values[start::step, start::step]), asnumpy(bad[start::step, start::step])
    return np.sort(some[~drop], axis=None).astype(np.float64)
