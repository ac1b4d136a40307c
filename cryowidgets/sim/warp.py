"""An image moved by a displacement at every pixel: a compiled loop."""

from __future__ import annotations

import numpy as np

from cryowidgets import cpu


def warp(coefficients: np.ndarray, displacement: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Move content of a periodic field by a cubic spline.

    Parameters
    ----------
    coefficients : array (height, width), float32
        B-spline coefficients of the field: what was filtered by `Band.spline`.
    displacement : array (2, rows, columns), float32
        y, x in px, at each pixel of the image wanted.
    corner : (int, int)
        Place of that image in the field.

    Returns
    -------
    array (rows, columns), float32
        At each pixel what lay there less its displacement.
    """
    out = np.empty(displacement.shape[1:], np.float32)

    def work(rows: tuple[int, int]) -> None:
        _rows(coefficients, displacement[0], displacement[1], corner[0], corner[1], rows[0], rows[1], out)

    cpu.each(work, cpu.bands(len(out)))
    return out


@cpu.compiled
def _rows(coefficients, dy, dx, top, left, first, end, out):  # type: ignore[no-untyped-def]
    height, width = coefficients.shape
    for i in range(first, end):
        for j in range(out.shape[1]):
            y, x = np.float32(i + top) - dy[i, j], np.float32(j + left) - dx[i, j]
            fy, fx = np.floor(y), np.floor(x)
            ty, tx = y - fy, x - fx
            y0, x0 = int(fy) - 1, int(fx) - 1
            sy, sx = np.float32(1) - ty, np.float32(1) - tx
            sixth, two, three = np.float32(1 / 6), np.float32(2), np.float32(3)
            wy = (
                sixth * sy * sy * sy,
                sixth * (two * two - three * ty * ty * (two - ty)),
                sixth * (two * two - three * sy * sy * (two - sy)),
                sixth * ty * ty * ty,
            )
            wx = (
                sixth * sx * sx * sx,
                sixth * (two * two - three * tx * tx * (two - tx)),
                sixth * (two * two - three * sx * sx * (two - sx)),
                sixth * tx * tx * tx,
            )
            total = np.float32(0)
            if 0 <= y0 and y0 + 3 < height and 0 <= x0 and x0 + 3 < width:
                for m in range(4):
                    line = coefficients[y0 + m]
                    total += wy[m] * (
                        wx[0] * line[x0] + wx[1] * line[x0 + 1] + wx[2] * line[x0 + 2] + wx[3] * line[x0 + 3]
                    )
            else:
                for m in range(4):
                    for n in range(4):
                        total += wy[m] * wx[n] * coefficients[(y0 + m) % height, (x0 + n) % width]
            out[i, j] = total
