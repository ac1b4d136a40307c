"""The loops of `warp` on the host: a tile of the sum stays in the cache while all frames are added to it."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled

TILE = 32
TAPS = 6
_SIDE = TILE + TAPS - 1
_WIDE = 40  # _SIDE rounded up to what vectors hold
_BATCH = 4  # frames that are added to a tile at once, so that it is read and written less often
_ABREAST = 8  # tiles side by side that take turns at a batch, so that longer pieces of a frame's lines are read


@compiled
def _mirror(i: int, n: int) -> int:
    """A place inside 0 to n - 1, mirrored at both ends as often as it takes."""
    period = 2 * n
    i = i % period
    return i if i < n else period - 1 - i


@compiled
def _put(tile: np.ndarray, image: np.ndarray, y0: int, x0: int) -> None:
    """Add a tile to an image, as far as it lies in it."""
    width = min(TILE, image.shape[1] - x0)
    for y in range(min(TILE, image.shape[0] - y0)):
        a = np.uint64(y0 + y)
        for x in range(width):
            image[a, np.uint64(x0 + x)] += tile[np.uint64(y * TILE + x)]


@compiled
def _moved(
    frame: np.ndarray,  # (y, x), any real type
    gain: np.ndarray,  # (y, x) float32, or (1, 1)
    with_gain: bool,
    top: int,
    left: int,
    taps: np.ndarray,  # (2, TAPS) float32
    cut: np.ndarray,  # (_SIDE, _WIDE) float32: room for what is read
    across: np.ndarray,  # (_SIDE, TILE) float32: room for what is interpolated along x
    into: np.ndarray,  # (TILE · TILE,) float32
) -> None:
    """One tile of a frame with its content moved back."""
    height, width = frame.shape
    if top >= 0 and left >= 0 and top + _SIDE <= height and left + _WIDE <= width:
        if with_gain:  # places without a sign make the loops fast
            for y in range(_SIDE):
                a = np.uint64(top + y)
                for x in range(_WIDE):
                    b = np.uint64(left + x)
                    cut[np.uint64(y), np.uint64(x)] = np.float32(frame[a, b]) * gain[a, b]
        else:
            for y in range(_SIDE):
                a = np.uint64(top + y)
                for x in range(_WIDE):
                    cut[np.uint64(y), np.uint64(x)] = np.float32(frame[a, np.uint64(left + x)])
    else:  # beyond an edge the frame is mirrored
        for y in range(_SIDE):
            row = _mirror(top + y, height)
            for x in range(_SIDE):
                column = _mirror(left + x, width)
                factor = gain[row, column] if with_gain else np.float32(1)
                cut[y, x] = np.float32(frame[row, column]) * factor
    w = taps[1]
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for y in range(_SIDE):
        a = np.uint64(y)
        for x in range(TILE):
            across[a, np.uint64(x)] = (
                (w0 * cut[a, np.uint64(x)] + w1 * cut[a, np.uint64(x + 1)])
                + (w2 * cut[a, np.uint64(x + 2)] + w3 * cut[a, np.uint64(x + 3)])
                + (w4 * cut[a, np.uint64(x + 4)] + w5 * cut[a, np.uint64(x + 5)])
            )
    w = taps[0]
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for y in range(TILE):
        for x in range(TILE):
            b = np.uint64(x)
            into[np.uint64(y * TILE + x)] = (
                (w0 * across[np.uint64(y), b] + w1 * across[np.uint64(y + 1), b])
                + (w2 * across[np.uint64(y + 2), b] + w3 * across[np.uint64(y + 3), b])
                + (w4 * across[np.uint64(y + 4), b] + w5 * across[np.uint64(y + 5), b])
            )


@compiled
def add_tiles(
    raw: np.ndarray,  # (n, y, x), any real type
    gain: np.ndarray,  # (y, x) float32, or (1, 1)
    whole: np.ndarray,  # (n, tile rows, tile columns, 2) int64: corner of what a tile reads, less its own
    taps: np.ndarray,  # (n, tile rows, tile columns, 2, TAPS) float32
    mix: np.ndarray,  # (n, r) float32
    sums: np.ndarray,  # (r, y, x) float32, added to
    group: np.ndarray,  # (n,) int64, -1 for none
    groups: np.ndarray,  # (g, y, x) float32, added to
    first: int,
    end: int,
) -> None:
    """Add frames to the tiles of rows `first` to `end` - 1 of tiles."""
    n, height, width = raw.shape
    r = mix.shape[1]
    with_gain = gain.shape[0] == height and gain.shape[1] == width
    cut = np.empty((_SIDE, _WIDE), np.float32)
    values = np.zeros((_BATCH, TILE * TILE), np.float32)
    across = np.empty((_SIDE, TILE), np.float32)
    tiles = np.empty((_ABREAST, r, TILE * TILE), np.float32)
    togethers = np.zeros((_ABREAST, TILE * TILE), np.float32)
    for i in range(first, end):
        y0 = i * TILE
        for left_tile in range(0, whole.shape[2], _ABREAST):
            abreast = min(_ABREAST, whole.shape[2] - left_tile)
            tiles[:] = 0
            for early in range(0, n, _BATCH):
                for k in range(left_tile, left_tile + abreast):
                    x0 = k * TILE
                    tile, together = tiles[k - left_tile], togethers[k - left_tile]
                    for slot in range(_BATCH):
                        j = early + slot
                        into = values[slot]
                        if j >= n:
                            into[:] = 0
                            continue
                        top, left = y0 + whole[j, i, k, 0], x0 + whole[j, i, k, 1]
                        _moved(raw[j], gain, with_gain, top, left, taps[j, i, k], cut, across, into)
                        g = group[j]
                        if g >= 0:
                            for x in range(TILE * TILE):
                                together[np.uint64(x)] += into[np.uint64(x)]
                            if j == n - 1 or group[j + 1] != g:
                                _put(together, groups[g], y0, x0)
                                together[:] = 0
                    v0, v1, v2, v3 = values[0], values[1], values[2], values[3]
                    for q in range(r):
                        m0 = mix[early, q]
                        m1 = mix[min(early + 1, n - 1), q]
                        m2 = mix[min(early + 2, n - 1), q]
                        m3 = mix[min(early + 3, n - 1), q]
                        to = tile[q]
                        for x in range(TILE * TILE):
                            b = np.uint64(x)
                            to[b] += (m0 * v0[b] + m1 * v1[b]) + (m2 * v2[b] + m3 * v3[b])
            for q in range(r):
                for k in range(abreast):
                    _put(tiles[k, q], sums[q], y0, (left_tile + k) * TILE)
