"""Loops of the power spectrum, compiled for the host; `spectrum` has the same for any array library."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def windowed(image, y, x, edge, out):  # type: ignore[no-untyped-def]
    """A tile of an image less its mean, under the window of which `edge` is one side, into `out`; all float32."""
    side = len(edge)
    total = 0.0
    for i in range(side):
        row = image[y + i, x : x + side]
        line = np.float32(0)
        for j in range(side):
            line += row[j]
        total += float(line)
    mean = np.float32(total / (side * side))
    for i in range(side):
        row, to, factor = image[y + i, x : x + side], out[i], edge[i]
        for j in range(side):
            to[j] = (row[j] - mean) * (factor * edge[j])


@compiled
def kept_power(transform, norm, out):  # type: ignore[no-untyped-def]
    """Squared modulus, times `norm`, of the low frequencies of a half plane that `out` (float32) has room for."""
    rows, columns = out.shape
    half = rows // 2
    skipped = transform.shape[0] - rows
    for i in range(rows):
        source = i if i < half else i + skipped
        row, to = transform[source], out[i]
        for j in range(columns):
            to[j] = (row[j].real * row[j].real + row[j].imag * row[j].imag) * norm
