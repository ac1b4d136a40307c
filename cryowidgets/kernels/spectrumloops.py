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
        line = image[y + i, x]
        for j in range(1, side):
            line += image[y + i, x + j]
        total += line
    mean = np.float32(total / (side * side))
    for i in range(side):
        for j in range(side):
            out[i, j] = (image[y + i, x + j] - mean) * (edge[i] * edge[j])


@compiled
def kept_power(transform, norm, out):  # type: ignore[no-untyped-def]
    """Squared modulus, times `norm`, of the low frequencies of a half plane that `out` (float32) has room for."""
    rows, columns = out.shape
    half = rows // 2
    skipped = transform.shape[0] - rows
    for i in range(rows):
        source = i if i < half else i + skipped
        for j in range(columns):
            value = transform[source, j]
            out[i, j] = (value.real * value.real + value.imag * value.imag) * norm
