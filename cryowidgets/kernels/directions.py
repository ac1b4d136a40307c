"""Directions on the sphere, rotations that look along them, and point groups."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

_GOLDEN = (1 + 5**0.5) / 2
_MOST = 60  # rotations of the largest group here that is not about one axis


@lru_cache(maxsize=16)
def even(count: int) -> np.ndarray:
    """Unit vectors (count, 3) of x, y, z, evenly over the sphere: a spiral of golden angles (Fibonacci lattice).

    Each stands for the same area. González, Math Geosci 42, 49 (2010), doi:10.1007/s11004-009-9257-x.
    """
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    along = 2 * np.pi * i / _GOLDEN**2
    across = np.sqrt(1 - z**2)
    out = np.stack([across * np.cos(along), across * np.sin(along), z], axis=1)
    out.flags.writeable = False
    return out


def facing(directions: np.ndarray, psi: np.ndarray | float = 0.0) -> np.ndarray:
    """Rotations (n, 3, 3) with their beam (third row) along unit vectors (n, 3), turned by psi (degrees) in the plane.

    Their angles are rot, tilt of the direction and psi: see `cryowidgets.kernels.project3d.rotations_of`.
    """
    from cryowidgets.kernels.project3d import rotations_of

    d = np.asarray(directions, float)
    rot = np.degrees(np.arctan2(d[:, 1], d[:, 0]))
    return rotations_of(rot, np.degrees(np.arccos(np.clip(d[:, 2], -1, 1))), np.broadcast_to(psi, rot.shape))


def everywhere(step: float) -> np.ndarray:
    """Rotations (n, 3, 3) over all orientations, neighbours about `step` degrees apart."""
    angle = np.radians(step)
    around = max(round(360 / step), 1)
    beams = even(max(round(4 * np.pi / angle**2), 1))
    psi = np.arange(around) * 360.0 / around
    return facing(np.repeat(beams, around, axis=0), np.tile(psi, len(beams)))


def turns(vectors: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) about vectors (n, 3) by their length, rad (Rodrigues)."""
    v = np.asarray(vectors, float)
    angle = np.linalg.norm(v, axis=1)
    x, y, z = (v / np.maximum(angle, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.moveaxis(np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]), -1, 0)
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + s * cross + (1 - c) * cross @ cross


@lru_cache(maxsize=16)
def group(symmetry: str) -> np.ndarray:
    """Rotations (order, 3, 3) of a point group, the identity first.

    Parameters
    ----------
    symmetry : str
        ``C1``, ``C4``, … about z; ``D7``, … with a twofold axis along x; ``T``, ``O``, ``I`` with twofold (of O:
        fourfold) axes along x, y and z and a threefold axis of T and O along (1, 1, 1). I is RELION's I2.

    Raises
    ------
    ValueError
        It is none of these.
    """
    word = symmetry.strip().upper()
    found = re.fullmatch(r"([CD])([1-9]\d?)|T|O|I2?", word)
    if not found:
        raise ValueError(f"{symmetry!r} is no point group: write C1, C2, …, D2, D3, …, T, O or I")
    if found[1]:
        n = int(found[2])
        out = turns(np.outer(np.arange(n) * 2 * np.pi / n, [0, 0, 1.0]))
        out = out if found[1] == "C" else np.concatenate([out, out @ np.diag([1.0, -1, -1])])
    else:
        axes: list[tuple[int, tuple[float, ...]]] = [(4 if word[0] == "O" else 2, (0, 0, 1)), (3, (1, 1, 1))]
        axes += [(5, (1, 0, _GOLDEN))] if word[0] == "I" else []
        out = _closure([_about(axis, 2 * np.pi / times) for times, axis in axes])
    out.flags.writeable = False
    return out


def apart(directions: np.ndarray, symmetry: str) -> np.ndarray:
    """Which of the directions (n, 3) are in one sector that the group turns into all others: (n,) bool.

    It is the sector nearest to a direction that no rotation of the group keeps.
    """
    towards = np.array([0.31, 0.17, 0.93]) / np.linalg.norm([0.31, 0.17, 0.93])
    each = np.einsum("gij,nj->ngi", group(symmetry), directions) @ towards
    return each[:, 0] >= each.max(axis=1) - 1e-9


def _about(axis: tuple[float, ...], angle: float) -> np.ndarray:
    vector = np.array(axis, float)
    return turns(vector[None] / np.linalg.norm(vector) * angle)[0]


def _closure(generators: list[np.ndarray]) -> np.ndarray:
    """All products of some rotations."""
    found = [np.eye(3)]
    for one in found:  # grows while it is walked through
        for g in generators:
            product = one @ g
            if all(np.abs(product - known).max() > 1e-6 for known in found):
                found.append(product)
        if len(found) > _MOST:
            raise ValueError("these rotations make no finite group")
    return np.stack(found)
