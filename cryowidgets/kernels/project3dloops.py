"""The loops of `project3d`: values of a lattice between its points, and the way back."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def read(lattice: np.ndarray, x: float, y: float, z: float) -> complex:
    """The value of a lattice at one place, trilinearly; the half that is not kept is the conjugate of the other."""
    m = lattice.shape[2] - 1
    one = np.float32(1)
    mate = x < 0
    if mate:
        x, y, z = -x, -y, -z
    i, j, h = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
    fz, fy, fx = z - np.float32(i), y - np.float32(j), x - np.float32(h)
    i, j = i + m, j + m
    gz, gy, gx = one - fz, one - fy, one - fx
    c00 = gx * lattice[i, j, h] + fx * lattice[i, j, h + 1]
    c01 = gx * lattice[i, j + 1, h] + fx * lattice[i, j + 1, h + 1]
    c10 = gx * lattice[i + 1, j, h] + fx * lattice[i + 1, j, h + 1]
    c11 = gx * lattice[i + 1, j + 1, h] + fx * lattice[i + 1, j + 1, h + 1]
    value = gz * (gy * c00 + fy * c01) + fz * (gy * c10 + fy * c11)
    return np.conj(value) if mate else value


@compiled
def take(
    lattice: np.ndarray,  # (2 m + 1, 2 m + 1, m + 1) complex64: kz and ky from -m, kx from 0
    rotations: np.ndarray,  # (r, 3, 3) float32, rows are the axes of a picture in the frame of the map
    points: np.ndarray,  # (k, 2) float32: kx, ky of a picture, in steps of the lattice
    out: np.ndarray,  # (r, k) complex64
) -> None:
    """Read a lattice at the points of pictures."""
    for r in range(rotations.shape[0]):
        ux, uy, uz = rotations[r, 0, 0], rotations[r, 0, 1], rotations[r, 0, 2]
        vx, vy, vz = rotations[r, 1, 0], rotations[r, 1, 1], rotations[r, 1, 2]
        for k in range(points.shape[0]):
            a, b = points[k, 0], points[k, 1]
            out[r, k] = read(lattice, a * ux + b * vx, a * uy + b * vy, a * uz + b * vz)


@compiled
def put(
    lattice: np.ndarray,  # as of `take`, added to
    weights: np.ndarray,  # (2 m + 1, 2 m + 1, m + 1) float32, added to
    rotations: np.ndarray,
    points: np.ndarray,
    values: np.ndarray,  # (r, k) complex64
    counts: np.ndarray,  # (r, k) float32: what each value counts
) -> None:
    """Add values at the points of pictures to the points of the lattice around: the adjoint of `take`.

    The plane kx = 0 has only what was read there: see `project3d.Sums.whole`.
    """
    m = lattice.shape[2] - 1
    one = np.float32(1)
    for r in range(rotations.shape[0]):
        ux, uy, uz = rotations[r, 0, 0], rotations[r, 0, 1], rotations[r, 0, 2]
        vx, vy, vz = rotations[r, 1, 0], rotations[r, 1, 1], rotations[r, 1, 2]
        for k in range(points.shape[0]):
            value, count = values[r, k], counts[r, k]
            if count == 0 and value == 0:
                continue
            a, b = points[k, 0], points[k, 1]
            x, y, z = a * ux + b * vx, a * uy + b * vy, a * uz + b * vz
            if x < 0:
                x, y, z = -x, -y, -z
                value = np.conj(value)
            i, j, h = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
            fz, fy, fx = z - np.float32(i), y - np.float32(j), x - np.float32(h)
            i, j = i + m, j + m
            for di in range(2):
                wz = fz if di else one - fz
                for dj in range(2):
                    wy = wz * (fy if dj else one - fy)
                    for dh in range(2):
                        w = wy * (fx if dh else one - fx)
                        lattice[i + di, j + dj, h + dh] += w * value
                        weights[i + di, j + dj, h + dh] += w * count
