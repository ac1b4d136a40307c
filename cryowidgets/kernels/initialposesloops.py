"""The loop of `initialposes`: pictures beside slices of a map, each picture in rotations of its own."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled
from cryowidgets.kernels.project3dloops import read


@compiled
def compare(
    lattice: np.ndarray,  # (2 m + 1, 2 m + 1, m + 1) complex64, as of `project3dloops.take`
    rotations: np.ndarray,  # (n, r, 3, 3) float32
    points: np.ndarray,  # (k, 2) float32, in steps of the lattice
    data: np.ndarray,  # (n, k) complex64: what a slice is multiplied with
    powers: np.ndarray,  # (n, k) float32: what its power is
    out: np.ndarray,  # (n, r) float64: their sum over the root of the power
) -> None:
    for i in range(rotations.shape[0]):
        for r in range(rotations.shape[1]):
            ux, uy, uz = rotations[i, r, 0, 0], rotations[i, r, 0, 1], rotations[i, r, 0, 2]
            vx, vy, vz = rotations[i, r, 1, 0], rotations[i, r, 1, 1], rotations[i, r, 1, 2]
            cross, power = 0.0, 0.0
            for k in range(points.shape[0]):
                a, b = points[k, 0], points[k, 1]
                value = read(lattice, a * ux + b * vx, a * uy + b * vy, a * uz + b * vz)
                cross += data[i, k].real * value.real + data[i, k].imag * value.imag
                power += powers[i, k] * (value.real * value.real + value.imag * value.imag)
            out[i, r] = cross / np.sqrt(max(power, 1e-30))
