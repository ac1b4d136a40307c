"""The loops of `band` on the host."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def bin_rows(
    raw: np.ndarray,  # (y, x), any real type
    gain: np.ndarray,  # (y, x) float32, or (1, 1)
    block: int,
    out: np.ndarray,  # (y // block, x // block) float32
    first: int,
    end: int,
) -> None:
    """Rows `first` to `end` - 1 of the sums over blocks of pixels."""
    width = out.shape[1]
    with_gain = gain.shape[0] == raw.shape[0] and gain.shape[1] == raw.shape[1]
    line = np.empty(width * block, np.float32)
    for y in range(first, end):
        line[:] = 0
        for i in range(block):
            row = raw[y * block + i]
            if with_gain:
                factor = gain[y * block + i]
                for x in range(width * block):
                    line[x] += np.float32(row[x]) * factor[x]
            else:
                for x in range(width * block):
                    line[x] += np.float32(row[x])
        to = out[y]
        if block == 1:
            to[:] = line
        elif block == 2:
            for x in range(width):
                to[x] = line[2 * x] + line[2 * x + 1]
        elif block == 4:
            for x in range(width):
                to[x] = (line[4 * x] + line[4 * x + 1]) + (line[4 * x + 2] + line[4 * x + 3])
        else:
            for x in range(width):
                to[x] = line[x * block : (x + 1) * block].sum()


@compiled
def level(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Subtract the mean of each row and column of an image (y, x) float32, and fade its edges, in place."""
    height, width = image.shape
    below = np.zeros(width, np.float64)
    for y in range(height):
        for x in range(width):
            below[x] += image[y, x]
    mean = below.sum() / (height * width)
    of_column = (below / height - mean).astype(np.float32)
    for y in range(height):
        total = 0.0
        for x in range(width):
            total += image[y, x]
        of_row, factor = np.float32(total / width), rows[y]
        for x in range(width):
            image[y, x] = ((image[y, x] - of_row) - of_column[x]) * (factor * columns[x])


@compiled
def align_rows(
    frames: np.ndarray,  # (n, a, b) complex64
    y_phase: np.ndarray,  # (n, a) complex64
    x_phase: np.ndarray,  # (n, b) complex64
    moved: np.ndarray,  # (n, a, b) complex64
    total: np.ndarray,  # (a, b) complex64
    first: int,
    end: int,
) -> None:
    """Rows `first` to `end` - 1 of the bands with their shifts undone, and of their sum."""
    for y in range(first, end):
        summed = total[y]
        summed[:] = 0
        for j in range(len(frames)):
            row, out, phase, own = frames[j, y], moved[j, y], x_phase[j], y_phase[j, y]
            for x in range(len(row)):
                value = row[x] * (own * phase[x])
                out[x] = value
                summed[x] += value


@compiled
def slope(
    frame: np.ndarray,  # (a, b) complex64
    total: np.ndarray,  # (a, b) complex64
    weight: np.ndarray,  # (a, b) float32
    ky: np.ndarray,  # (a,) float32
    kx: np.ndarray,  # (b,) float32
) -> tuple[float, float, float]:
    """Weighted sums of a frame times the conjugate of the others: imaginary part by ky and by kx, and real part."""
    along_y = along_x = match = 0.0
    for y in range(len(ky)):
        plain = sloped = real = np.float32(0)
        for x in range(len(kx)):
            a, b = frame[y, x].real, frame[y, x].imag
            c, d = total[y, x].real, total[y, x].imag
            w = weight[y, x]
            imaginary = w * (c * b - d * a)
            plain += imaginary
            sloped += imaginary * kx[x]
            real += w * ((c - a) * a + (d - b) * b)
        along_y += float(ky[y] * plain)
        along_x += float(sloped)
        match += float(real)
    return along_y, along_x, match
