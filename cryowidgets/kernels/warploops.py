"""The loops of `warp` on the host: a tile of the sum stays in the cache while all frames are added to it."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled

TILE = 32
TAPS = 6
_SIDE = TILE + TAPS - 1
_WIDE = 40  # _SIDE rounded up to what vectors hold
_BATCH = 4  # frames that are added to a tile at once, so that it is read and written less often


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
        for x in range(width):
            image[y0 + y, x0 + x] += tile[y * TILE + x]


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
    values = np.empty((_BATCH, TILE * TILE), np.float32)
    across = np.empty((_SIDE, TILE), np.float32)
    tile = np.empty((r, TILE * TILE), np.float32)
    together = np.zeros(TILE * TILE, np.float32)
    for i in range(first, end):
        y0 = i * TILE
        for k in range(whole.shape[2]):
            x0 = k * TILE
            tile[:] = 0
            for j in range(n):
                top, left = y0 + whole[j, i, k, 0], x0 + whole[j, i, k, 1]
                if top >= 0 and left >= 0 and top + _SIDE <= height and left + _WIDE <= width:
                    if with_gain:  # places without a sign make the loops fast
                        for y in range(_SIDE):
                            a = np.uint64(top + y)
                            for x in range(_WIDE):
                                b = np.uint64(left + x)
                                cut[y, x] = np.float32(raw[j, a, b]) * gain[a, b]
                    else:
                        for y in range(_SIDE):
                            a = np.uint64(top + y)
                            for x in range(_WIDE):
                                b = np.uint64(left + x)
                                cut[y, x] = np.float32(raw[j, a, b])
                else:  # beyond an edge the frame is mirrored
                    for y in range(_SIDE):
                        row = _mirror(top + y, height)
                        for x in range(_SIDE):
                            column = _mirror(left + x, width)
                            factor = gain[row, column] if with_gain else np.float32(1)
                            cut[y, x] = np.float32(raw[j, row, column]) * factor
                slot = j % _BATCH
                w = taps[j, i, k, 1]
                w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
                for y in range(_SIDE):
                    for x in range(TILE):
                        across[y, x] = (
                            w0 * cut[y, x]
                            + w1 * cut[y, x + 1]
                            + w2 * cut[y, x + 2]
                            + w3 * cut[y, x + 3]
                            + w4 * cut[y, x + 4]
                            + w5 * cut[y, x + 5]
                        )
                w = taps[j, i, k, 0]
                w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
                for y in range(TILE):
                    for x in range(TILE):
                        values[slot, y * TILE + x] = (
                            w0 * across[y, x]
                            + w1 * across[y + 1, x]
                            + w2 * across[y + 2, x]
                            + w3 * across[y + 3, x]
                            + w4 * across[y + 4, x]
                            + w5 * across[y + 5, x]
                        )
                if slot == _BATCH - 1 or j == n - 1:
                    values[slot + 1 :] = 0
                    for q in range(r):
                        m0 = mix[j - slot, q]
                        m1 = mix[min(j - slot + 1, n - 1), q]
                        m2 = mix[min(j - slot + 2, n - 1), q]
                        m3 = mix[min(j - slot + 3, n - 1), q]
                        for x in range(TILE * TILE):
                            early = m0 * values[0, x] + m1 * values[1, x]
                            tile[q, x] += early + (m2 * values[2, x] + m3 * values[3, x])
                g = group[j]
                if g >= 0:
                    for x in range(TILE * TILE):
                        together[x] += values[slot, x]
                    if j == n - 1 or group[j + 1] != g:
                        _put(together, groups[g], y0, x0)
                        together[:] = 0
            for q in range(r):
                _put(tile[q], sums[q], y0, x0)
