"""The loop of `alignvolumes`: one map's transform against another's, turned and shifted."""

from __future__ import annotations

import numpy as np

from cryowidgets.cpu import compiled
from cryowidgets.kernels.project3dloops import read


@compiled
def compare(
    lattice: np.ndarray,  # of the map that moves, as of `project3dloops.take`
    points: np.ndarray,  # (k, 3) float32: kx, ky, kz in steps of the lattice, one of each pair k and -k
    fixed: np.ndarray,  # (k,) complex64: the other map there, times its weight
    weights: np.ndarray,  # (k,) float32: of the power of the map that moves
    turns: np.ndarray,  # (r, 3, 3) float32: x' = turn x
    shifts: np.ndarray,  # (r, 3) float32: x, y, z afterwards, in sides of the lattice
    cross: np.ndarray,  # (r,) float64: sum of fixed · conj(moved)
    power: np.ndarray,  # (r,) float64: sum of weight · |moved|²
) -> None:
    """Correlate, for each rotation and shift."""
    whole = np.float32(2 * np.pi)
    for r in range(turns.shape[0]):
        t = turns[r]
        sx, sy, sz = shifts[r, 0], shifts[r, 1], shifts[r, 2]
        still = sx == 0 and sy == 0 and sz == 0
        total, square = np.float32(0), np.float32(0)
        for k in range(points.shape[0]):
            a, b, c = points[k, 0], points[k, 1], points[k, 2]
            value = _at(lattice, t, a, b, c)
            re, im = value.real, value.imag
            square += weights[k] * (re * re + im * im)
            if still:
                total += fixed[k].real * re + fixed[k].imag * im
                continue
            angle = whole * (a * sx + b * sy + c * sz)
            co, si = np.cos(angle), np.sin(angle)
            total += fixed[k].real * (re * co + im * si) + fixed[k].imag * (im * co - re * si)
        cross[r], power[r] = total, square


@compiled
def turned(lattice: np.ndarray, points: np.ndarray, turns: np.ndarray, out: np.ndarray) -> None:
    """Values (r, k) complex64 of the map that moves, at points (k, 3), after rotations (r, 3, 3)."""
    for r in range(turns.shape[0]):
        t = turns[r]
        for k in range(points.shape[0]):
            out[r, k] = _at(lattice, t, points[k, 0], points[k, 1], points[k, 2])


@compiled
def _at(lattice: np.ndarray, t: np.ndarray, a: float, b: float, c: float) -> complex:
    return read(
        lattice,
        t[0, 0] * a + t[1, 0] * b + t[2, 0] * c,  # by the inverse of the turn
        t[0, 1] * a + t[1, 1] * b + t[2, 1] * c,
        t[0, 2] * a + t[1, 2] * b + t[2, 2] * c,
    )
