"""The loops of `patches` on the host."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled
from cryowidgets.kernels.lanes import EVEN, ODD, WIDTH, Lanes, Memory, Place, Total, emitted, repeated

_STRIP = 8


@emitted
def _add_weighed(
    raw: Memory, at: Place, gain: Memory, gain_at: Place, count: Place, into: Memory, ahead: Place
) -> None:
    """A line of a frame times that of the gain reference, added to what is there; of eight numbers `count` times."""
    with repeated(count) as i:
        x = i * WIDTH
        raw.expect(at + x + ahead)
        into.store(x, into.load(x) + raw.load(at + x) * gain.load(gain_at + x))


@emitted
def _add(raw: Memory, at: Place, count: Place, into: Memory) -> None:
    with repeated(count) as i:
        x = i * WIDTH
        into.store(x, into.load(x) + raw.load(at + x))


@emitted
def _add_pairs(line: Memory, count: Place, out: Memory, at: Place) -> None:
    """Sums of neighbours."""
    with repeated(count) as i:
        low, high = line.load(i * (2 * WIDTH)), line.load(i * (2 * WIDTH) + WIDTH)
        out.store(at + i * WIDTH, low.mixed(high, EVEN) + low.mixed(high, ODD))


@emitted
def _sum(image: Memory, at: Place, count: Place, sums: Memory) -> None:
    """Eight sums over a line, of every eighth number each."""
    total = Total(image.load(at) * 0.0)
    with repeated(count) as i:
        total.add(image.load(at + i * WIDTH))
    sums.store(at * 0, total.value)


@emitted
def _fade(image: Memory, at: Place, count: Place, mean: Lanes, factor: Lanes, window: Memory) -> None:
    """A line less the mean, times the window, in place."""
    with repeated(count) as i:
        x = at + i * WIDTH
        image.store(x, (image.load(x) - mean) * (factor * window.load(i * WIDTH)))


@compiled
def cut(
    raw: np.ndarray,  # (n, y, x), any real type
    gain: np.ndarray,  # (y, x) float32, or (1, 1)
    corner: np.ndarray,  # (n, 2) int64
    group: np.ndarray,  # (n,) int64, ascending from 0
    block: int,
    window: np.ndarray,  # (side,) float32
    out: np.ndarray,  # (groups, side, side) float32
) -> None:
    """Cut a piece out of each frame, binned by `block`, and add up those of a group; then take the mean away, fade the
    edges out, and divide by the root of the number of frames in the group."""
    side, width = len(window), raw.shape[2]
    wide = side * block
    whole, eights = wide // WIDTH, side // WIDTH
    count = np.zeros(len(out))
    with_gain = gain.shape[0] == raw.shape[1] and gain.shape[1] == width
    line = np.empty(wide, np.float32)
    ends = np.zeros(len(out) + 1, np.int64)
    for j in range(len(raw)):
        ends[group[j] + 1] = j + 1
        count[group[j]] += 1
    for strip in range(0, side, _STRIP):  # whose part of the gain reference stays in the cache while all frames go by
        for g in range(len(out)):
            for y in range(strip, min(strip + _STRIP, side)):
                line[:] = 0
                for j in range(ends[g], ends[g + 1]):
                    left = corner[j, 1]
                    for i in range(block):
                        top = corner[j, 0] + y * block + i
                        at, here = (j * raw.shape[1] + top) * width + left, top * width + left
                        if with_gain:
                            _add_weighed(raw, at, gain, here, whole, line, 6 * width)
                            for x in range(whole * WIDTH, wide):
                                line[x] += np.float32(raw[j, top, left + x]) * gain[top, left + x]
                        else:
                            _add(raw, at, whole, line)
                            for x in range(whole * WIDTH, wide):
                                line[x] += np.float32(raw[j, top, left + x])
                to = out[g, y]
                if block == 1:
                    to[:] = line
                elif block == 2:
                    _add_pairs(line, eights, out, (g * side + y) * side)
                    for x in range(eights * WIDTH, side):
                        to[x] = line[2 * x] + line[2 * x + 1]
                else:
                    for x in range(side):
                        to[x] = line[x * block : (x + 1) * block].sum()
    sums = np.empty(WIDTH, np.float32)
    for g in range(len(out)):
        total = 0.0
        for y in range(side):
            _sum(out, (g * side + y) * side, eights, sums)
            to = out[g, y]
            for x in range(WIDTH):
                total += sums[x]
            for x in range(eights * WIDTH, side):
                total += to[x]
        mean, scale = np.float32(total / (side * side)), np.float32(1 / np.sqrt(count[g]))
        for y in range(side):
            factor = scale * window[y]
            _fade(out, (g * side + y) * side, eights, mean, factor, window)
            to = out[g, y]
            for x in range(eights * WIDTH, side):
                to[x] = (to[x] - mean) * (factor * window[x])


@compiled
def move(
    re: np.ndarray,  # (n, a, b) float32, in place
    im: np.ndarray,
    shift: np.ndarray,  # (n, 2) float64: displacement to undo, y and x in px
    ky: np.ndarray,  # (a,) float64, cycles/px
    kx: np.ndarray,  # (b,)
    total_re: np.ndarray,  # (a, b) float32, the sum of the frames
    total_im: np.ndarray,
) -> None:
    """Undo shifts of the frames of a patch, and add them up."""
    n, a, b = re.shape
    total_re[:] = 0
    total_im[:] = 0
    x_re, x_im = np.empty(b, np.float32), np.empty(b, np.float32)
    for j in range(n):
        for x in range(b):
            angle = 2 * np.pi * kx[x] * shift[j, 1]
            x_re[x], x_im[x] = np.cos(angle), np.sin(angle)
        for y in range(a):
            angle = 2 * np.pi * ky[y] * shift[j, 0]
            y_re, y_im = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            r, i, tr, ti = re[j, y], im[j, y], total_re[y], total_im[y]
            for x in range(b):
                p_re = y_re * x_re[x] - y_im * x_im[x]
                p_im = y_re * x_im[x] + y_im * x_re[x]
                new_re = r[x] * p_re - i[x] * p_im
                new_im = r[x] * p_im + i[x] * p_re
                r[x], i[x] = new_re, new_im
                tr[x] += new_re
                ti[x] += new_im


@compiled
def slopes(
    re: np.ndarray,
    im: np.ndarray,
    total_re: np.ndarray,
    total_im: np.ndarray,
    weight: np.ndarray,  # (a, b) float32
    ky: np.ndarray,
    kx32: np.ndarray,  # (b,) float32
    out: np.ndarray,  # (n, 2) float64
) -> float:
    """Derivative of the likelihood for the shift of each frame of a patch, and the likelihood itself."""
    n, a, b = re.shape
    wr, wi = np.empty((a, b), np.float32), np.empty((a, b), np.float32)
    likelihood = 0.0
    for y in range(a):
        s = np.float32(0)
        for x in range(b):
            wr[y, x] = weight[y, x] * total_re[y, x]
            wi[y, x] = weight[y, x] * total_im[y, x]
            s += wr[y, x] * total_re[y, x] + wi[y, x] * total_im[y, x]
        likelihood += float(s)
    for j in range(n):
        along_y = along_x = 0.0
        for y in range(a):
            r, i, tr, ti = re[j, y], im[j, y], wr[y], wi[y]
            plain = np.float32(0)
            sloped = np.float32(0)
            for x in range(b):
                c = tr[x] * i[x] - ti[x] * r[x]
                plain += c
                sloped += c * kx32[x]
            along_y += float(ky[y] * plain)
            along_x += float(sloped)
        out[j, 0] = -2 * np.pi * along_y
        out[j, 1] = -2 * np.pi * along_x
    return 0.5 * likelihood


@compiled
def split(
    half: np.ndarray,  # (n, a, b) complex64
    fading: np.ndarray,  # (n, rings) float32
    ring: np.ndarray,  # (a, b) int64
    weight: np.ndarray,  # (a, b) float32
    re: np.ndarray,  # (n, a, b) float32
    im: np.ndarray,
    power: np.ndarray,  # (rings,) float64, added to
) -> None:
    """Real and imaginary parts of transforms, faded; and the power before."""
    for j in range(len(half)):
        for y in range(len(ring)):
            row, r, w = half[j, y], ring[y], weight[y]
            for x in range(len(row)):
                a, b = row[x].real, row[x].imag
                f = fading[j, r[x]]
                re[j, y, x], im[j, y, x] = a * f, b * f
                power[r[x]] += w[x] * (a * a + b * b)
