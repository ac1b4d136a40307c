"""The loops of `patches` on the host."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


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
    side = len(window)
    out[:] = 0
    count = np.zeros(len(out))
    with_gain = gain.shape[0] == raw.shape[1] and gain.shape[1] == raw.shape[2]
    rows = np.empty(side * block, np.float32)
    for j in range(len(raw)):
        count[group[j]] += 1
        left, right = corner[j, 1], corner[j, 1] + side * block
        for y in range(side):
            line, top = out[group[j], y], corner[j, 0] + y * block
            if with_gain and block == 2:
                upper, lower = raw[j, top, left:right], raw[j, top + 1, left:right]
                above, below = gain[top, left:right], gain[top + 1, left:right]
                for x in range(side):  # places without a sign make the loop fast
                    a, b = np.uint64(2 * x), np.uint64(2 * x + 1)
                    even = np.float32(upper[a]) * above[a] + np.float32(lower[a]) * below[a]
                    line[x] += even + (np.float32(upper[b]) * above[b] + np.float32(lower[b]) * below[b])
                continue
            rows[:] = 0
            for i in range(block):
                row = raw[j, top + i, left:right]
                if with_gain:
                    factor = gain[top + i, left:right]
                    for x in range(side * block):
                        rows[x] += np.float32(row[x]) * factor[x]
                else:
                    for x in range(side * block):
                        rows[x] += np.float32(row[x])
            if block == 1:
                for x in range(side):
                    line[x] += rows[x]
            elif block == 2:
                for x in range(side):
                    line[x] += rows[2 * x] + rows[2 * x + 1]
            else:
                for x in range(side):
                    line[x] += rows[x * block : (x + 1) * block].sum()
    for g in range(len(out)):
        total = 0.0
        for y in range(side):
            here = np.float32(0)
            for x in range(side):
                here += out[g, y, x]
            total += float(here)
        mean, scale = np.float32(total / (side * side)), np.float32(1 / np.sqrt(count[g]))
        for y in range(side):
            factor = scale * window[y]
            for x in range(side):
                out[g, y, x] = (out[g, y, x] - mean) * (factor * window[x])


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
    half: np.ndarray,  # (n, rows, b) complex64
    keep: np.ndarray,  # (a,) int64: rows that are kept
    fading: np.ndarray,  # (n, rings) float32
    ring: np.ndarray,  # (a, b) int64
    weight: np.ndarray,  # (a, b) float32
    re: np.ndarray,  # (n, a, b) float32
    im: np.ndarray,
    power: np.ndarray,  # (rings,) float64, added to
) -> None:
    """Real and imaginary parts of what is kept of transforms, faded; and the power before."""
    for j in range(len(half)):
        for y in range(len(keep)):
            row, r, w = half[j, keep[y]], ring[y], weight[y]
            for x in range(len(row)):
                a, b = row[x].real, row[x].imag
                f = fading[j, r[x]]
                re[j, y, x], im[j, y, x] = a * f, b * f
                power[r[x]] += w[x] * (a * a + b * b)
